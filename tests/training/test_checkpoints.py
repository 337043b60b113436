"""Saved states: the old one or the new one is there, whatever fails; what is damaged is found before it is loaded."""

import builtins
import errno
import io
import json
import os
import shutil
import time
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path

import pytest
import torch

from tests.tiny import PEFT_TALKS, tiny_network
from znatok.model.adapter import Adapter
from znatok.model.network import Network
from znatok.records import Row
from znatok.training.checkpoints import FILES, MANIFEST, Checkpoints, read_checkpoints
from znatok.training.exposures import Exposures
from znatok.training.state import RECENT_LOSSES, TOO_LONG, State
from znatok.training.step import Updater

pytestmark = PEFT_TALKS

ROWS = [Row(number, f"Что такое деталь {number}?", f"Деталь {number} — это вещь.") for number in range(1, 7)]


@dataclass
class Desk:
    """A small training at work."""

    network: Network
    updater: Updater
    exposures: Exposures
    state: State = field(default_factory=lambda: State(steps=99, planned=99))

    def go(self, updates):
        for batch, places in islice(self.exposures, updates):
            done = self.updater.update([batch], 1e-2)
            self.state.step += 1
            self.state.tokens += done.tokens
            self.state.exact.update(zip(places, done.exact, strict=True))
            self.state.note(done.loss)

    def checkpoints(self, folder, limit=2, kept=()):
        return Checkpoints(folder, limit, self.network, self.updater, self.exposures, time.monotonic(), kept)

    def weights(self):
        return [weight.detach().clone() for weight in self.network.weights()]


def desk(optim="adamw_torch", **adapter):
    network, renderer = tiny_network()
    torch.manual_seed(1)
    network.add_adapter(Adapter(**({"r": 2, "target_modules": ("q_proj", "down_proj")} | adapter)))
    network.train()
    updater = Updater(network, optim=optim, beta2=0.99, weight_decay=0.01, max_grad_norm=1.0)
    return Desk(network, updater, Exposures(ROWS, renderer, batch_size=2, rewording=0.5, seed=3))


def same(some, others):
    return all(torch.equal(one, other) for one, other in zip(some, others, strict=True))


@pytest.fixture(scope="module")
def school():
    """A desk after five updates; those before do not see it."""
    one = desk()
    one.go(5)
    return one


@pytest.fixture(scope="module")
def saved_two(tmp_path_factory):
    """A folder with the states after the updates 3 and 5, and the weights of both."""
    one, weights = desk(), {}
    folder = tmp_path_factory.mktemp("two")
    checkpoints = one.checkpoints(folder)
    for _ in range(2):
        one.go(3 if not weights else 2)
        checkpoints.save(one.state)
        weights[one.state.step] = one.weights()
    return folder, weights


@pytest.fixture
def two(saved_two, tmp_path):
    """A copy of that folder to spoil, and the weights."""
    folder, weights = saved_two
    return Path(shutil.copytree(folder, tmp_path / "two")), weights


# ---- what is saved comes back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("optim", "adapter"),
    [
        ("adamw_torch", {}),
        ("adamw_torch", {"lora_dropout": 0.3}),
        ("adamw_8bit", {"r": 64, "target_modules": ("q_proj",)}),
    ],
    ids=["plain", "dropout", "8 bits"],
)
def test_a_restored_state_goes_on_to_the_same_bytes(tmp_path, optim, adapter):
    one = desk(optim, **adapter)
    one.go(3)
    one.checkpoints(tmp_path).save(one.state)
    one.go(4)
    torch.manual_seed(77)
    other = desk(optim, **adapter)
    other.go(1)  # what a desk did before must leave no trace
    (saved,), damaged = read_checkpoints(tmp_path)
    other.state = other.checkpoints(tmp_path, kept=[saved]).restore(saved)
    assert (other.state.step, damaged) == (3, [])
    other.go(4)
    assert same(other.weights(), one.weights())
    assert other.state == one.state
    assert list(other.state.exact) == list(one.state.exact)


def test_two_processes_write_the_same_bytes_for_the_same_state(school, tmp_path):
    for name in ("one", "two"):
        school.checkpoints(tmp_path / name).save(school.state)
    for file in FILES[:3]:
        one, two = (tmp_path / name / "step-000005" / file for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes(), file
    config = json.loads((tmp_path / "one" / "step-000005" / FILES[0]).read_text(encoding="utf-8"))
    assert config["target_modules"] == sorted(config["target_modules"])


def test_a_state_is_read_back_as_it_was():
    state = State(9, 7, step=5, seconds=0.1, exact={4: True, 0: False}, losses=[0.1, 1 / 3], lowest=1e-17, again=[[1]])
    back = State.of(json.loads(json.dumps(state.describe())))
    assert (back, list(back.exact)) == (state, [4, 0])


def test_the_last_states_and_the_best_are_kept(tmp_path):
    one = desk()
    checkpoints = one.checkpoints(tmp_path)
    for step, loss in ((0, None), (1, 0.5), (2, 0.2), (3, 0.4), (4, None), (5, float("nan")), (6, None)):
        one.state.step = step
        checkpoints.save(one.state, loss)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000002", "step-000005", "step-000006"]
    saved, _ = read_checkpoints(tmp_path)
    assert [(one.state.step, one.loss) for one in saved] == [(2, 0.2), (5, None), (6, None)]


def test_a_state_saved_again_after_the_same_step_is_the_newer_one(tmp_path):
    one = desk()
    checkpoints = one.checkpoints(tmp_path)
    for rounds in (0, 0, 1, 2, 3):
        one.state.rounds = rounds
        checkpoints.save(one.state)
    saved, _ = read_checkpoints(tmp_path)
    assert [one.state.rounds for one in saved] == [2, 3]


# ---- what is damaged -------------------------------------------------------------------------------------------------


def flip(content, place):
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


DAMAGES = {
    "first byte": lambda content: flip(content, 0),
    "a byte inside": lambda content: flip(content, len(content) // 2),
    "last byte": lambda content: flip(content, len(content) - 1),
    "cut in half": lambda content: content[: len(content) // 2],
    "cut by one byte": lambda content: content[:-1],
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "a byte more": lambda content: content + b"\0",
    "gone": None,
}


@pytest.mark.parametrize("file", [*FILES, MANIFEST])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_before_loading_and_named_and_the_state_before_is_used(two, file, damage):
    folder, weights = two
    path = folder / "step-000005" / file
    if DAMAGES[damage]:
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    else:
        path.unlink()
    saved, damaged = read_checkpoints(folder)
    assert ([one.state.step for one in saved], damaged) == ([3], [path])
    other = desk()
    other.checkpoints(folder, kept=saved).restore(saved[-1])
    assert same(other.weights(), weights[3])


def test_where_all_are_damaged_nothing_is_left_to_go_on_from(two):
    folder, _ = two
    for path in folder.glob("step-*"):
        (path / MANIFEST).unlink()
    assert read_checkpoints(folder) == ([], [folder / f"step-{step:06d}" / MANIFEST for step in (5, 3)])
    assert read_checkpoints(folder / "absent") == ([], [])


def test_a_damaged_state_goes_when_the_next_one_is_saved(two):
    folder, _ = two
    (folder / "step-000005" / FILES[1]).write_bytes(b"")
    saved, _ = read_checkpoints(folder)
    one = desk()
    checkpoints = one.checkpoints(folder, kept=saved)
    one.state = checkpoints.restore(saved[-1])
    one.go(1)
    checkpoints.save(one.state)
    assert sorted(path.name for path in folder.iterdir()) == ["step-000003", "step-000004"]


# ---- a loss that runs away -------------------------------------------------------------------------------------------


def noted(*losses):
    state = State(99, 99)
    for loss in losses:
        state.note(loss)
    return state


def test_a_loss_that_stays_high_for_long_has_diverged_and_a_short_or_low_one_has_not():
    learned = [0.3] * RECENT_LOSSES
    assert noted(*learned, *[9.0] * (TOO_LONG + 10)).has_diverged
    assert not noted(*learned, *[9.0] * 10, *[0.3] * 50).has_diverged
    assert not noted(*learned, *[0.9] * 500).has_diverged
    assert not noted(*[3.0] * RECENT_LOSSES, *[5.0] * 500).has_diverged


def test_one_goes_back_to_the_last_state_from_before_the_loss_rose(tmp_path):
    one = desk()
    checkpoints = one.checkpoints(tmp_path, limit=1)
    one.go(2)
    checkpoints.save(one.state, 1.0)
    one.go(1)
    checkpoints.save(one.state)
    good = one.weights()
    one.go(1)
    one.state.above = 7
    checkpoints.save(one.state)
    state = checkpoints.go_back()
    assert (state.step, state.above) == (3, 0)
    assert same(one.weights(), good)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000002", "step-000003"]


# ---- a system that fails, or a process that ends, at any call --------------------------------------------------------


class ProcessEnded(BaseException):
    """Nothing that this process does after it reaches the disk."""


class Disk:
    """What a save asks of the system, counted; the call number `fails_at` fails, or is the last one ever."""

    def __init__(self, monkeypatch, folder, fails_at, number=None):
        self._fails_at, self._number, self.calls = fails_at, number, 0
        self._folder = str(folder)
        for name in ("open", "fsync", "replace", "mkdir"):
            monkeypatch.setattr(os, name, self._counted(getattr(os, name)))
        opened = self._counted(io.open)
        for module in (io, builtins):
            monkeypatch.setattr(module, "open", lambda *given, **named: Written(self, opened(*given, **named)))
        for name in ("unlink", "rmdir", "remove"):
            monkeypatch.setattr(os, name, self._dead_after(getattr(os, name)))
        real = os.fdopen
        monkeypatch.setattr(os, "fdopen", lambda *arguments, **named: Written(self, real(*arguments, **named)))

    def _counted(self, real):
        def call(*arguments, **named):
            self.count()
            return real(*arguments, **named)

        return call

    def _dead_after(self, real):
        def call(*arguments, **named):
            if self._number is None and self.calls >= self._fails_at:
                raise ProcessEnded
            return real(*arguments, **named)

        return call

    def count(self):
        self.calls += 1
        if self._number is None and self.calls >= self._fails_at:
            raise ProcessEnded
        if self.calls == self._fails_at:
            raise OSError(self._number, os.strerror(self._number))


class Written:
    """A file being written; where that fails, half of it is there."""

    def __init__(self, disk, file):
        self._disk, self._file = disk, file

    def write(self, content):
        try:
            self._disk.count()
        except BaseException:
            self._file.write(content[: len(content) // 2])
            raise
        return self._file.write(content)

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def __iter__(self):
        return iter(self._file)


def contents(checkpoint):
    return {name: (checkpoint / name).read_bytes() for name in FILES[1:3]}


@pytest.mark.parametrize("way", ["fails", "ends the process"])
def test_whatever_call_of_a_save_fails_the_old_or_the_new_state_loads_and_never_a_third(two, tmp_path, way):
    folder, _ = two
    one = desk()
    saved, _ = read_checkpoints(folder)
    one.state = one.checkpoints(folder, kept=saved).restore(saved[-1])
    one.go(2)
    one.checkpoints(tmp_path / "new").save(one.state)
    old, new = contents(folder / "step-000005"), contents(tmp_path / "new" / "step-000007")
    outcomes = set()
    for call in count(1):
        copy = shutil.copytree(folder, tmp_path / f"copy-{call}")
        kept, _ = read_checkpoints(copy)
        number = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS)[call % 4] if way == "fails" else None
        refused = None
        with pytest.MonkeyPatch.context() as patched:
            disk = Disk(patched, copy, call, number)
            try:
                one.checkpoints(copy, kept=kept).save(one.state)
            except (OSError, ProcessEnded) as error:
                refused = error
        if disk.calls < call:
            break
        whole, damaged = read_checkpoints(copy)
        newest = whole[-1]
        assert (newest.state.step, contents(newest.path)) in ((5, old), (7, new)), call
        assert damaged == [], call
        outcomes.add(newest.state.step)
        if refused is None:  # something that was only to be tidied away
            assert newest.state.step == 7
        elif way == "fails":
            assert str(refused.filename).startswith(str(copy))
            assert [path for path in copy.iterdir() if path.name.startswith(".")] == [], call
        one.checkpoints(copy, kept=whole).save(one.state)
        assert read_checkpoints(copy)[0][-1].state.step == 7
        shutil.rmtree(copy)
    assert call > 30
    assert outcomes == {5, 7}
