"""The whole state of training on disk, so that a run that is killed at any moment goes on from one of the last.

Each checkpoint is a folder: the adapter in PEFT's format, the optimizer and torch's generators, the rest as JSON, and
last a manifest with the SHA-256 of each. It is written beside, flushed and renamed; a folder is never written again.
"""

import hashlib
import json
import math
import os
import re
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from znatok.model.adapter_file import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from znatok.model.conversion import sha256_of
from znatok.model.network import Network
from znatok.run_folder import RunFolder, whole_folder, write_flushed, write_json
from znatok.training.events import Stopped, TrainingEnded
from znatok.training.exposures import Exposures
from znatok.training.state import State
from znatok.training.step import Updater

TENSORS, STATE, MANIFEST = "training_state.safetensors", "training_state.json", "manifest.json"
FILES = (ADAPTER_CONFIG, ADAPTER_WEIGHTS, TENSORS, STATE)
_NAME = re.compile(r"step-(\d+)(?:-(\d+))?")
"""The step; and a number where a state after that step was saved before."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A saved state, found to be whole. `loss`: on the validation set, where it was measured after this step."""

    path: Path
    state: State
    loss: float | None


def read_checkpoints(folder: Path) -> tuple[list[Checkpoint], list[Path]]:
    """What can be gone on from, the newest last; and the damaged file of each newer state that cannot."""
    whole: list[Checkpoint] = []
    damaged: list[Path] = []
    for path in reversed(_paths(folder)):
        if file := damaged_file(path):
            damaged += [] if whole else [file]
        else:
            record = json.loads((path / STATE).read_bytes())
            whole.append(Checkpoint(path, State.of(record["state"]), record["loss"]))
    return whole[::-1], damaged


def damaged_file(checkpoint: Path) -> Path | None:
    """The first file that is not to the bit what was written; None where all are."""
    try:
        manifest = json.loads((checkpoint / MANIFEST).read_bytes())
        files = dict(manifest["files"])
        if manifest["sha256"] != _sum_of(files) or set(files) != set(FILES):
            return checkpoint / MANIFEST
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return checkpoint / MANIFEST
    for name in FILES:
        file = checkpoint / name
        if not file.is_file() or sha256_of(file) != files[name]:
            return file
    return None


class Checkpoints:
    """Saves and restores all that the next updates depend on; keeps the last `limit` states and the best one."""

    def __init__(
        self,
        folder: Path,
        limit: int,
        network: Network,
        updater: Updater,
        exposures: Exposures,
        started: float,
        kept: Sequence[Checkpoint] = (),
    ) -> None:
        """started: the clock's reading when the run began, earlier sittings counted in.  kept: those there already."""
        self._folder = folder
        self._limit = limit
        self._network = network
        self._updater = updater
        self._exposures = exposures
        self._started = started
        self._kept = list(kept)
        self._saved_at = time.monotonic()

    @property
    def seconds_since(self) -> float:
        """Since the last state was saved here, or since training began or went on."""
        return time.monotonic() - self._saved_at

    def save(self, state: State, loss: float | None = None) -> None:
        """Saves `state`, with its validation loss where that is known. Raises OSError where it cannot be written."""
        if self._kept and self._kept[-1].state == state and loss is None:
            return
        state.elapsed = time.monotonic() - self._started
        loss = loss if loss is None or math.isfinite(loss) else None
        path = self._new_path(state.step)
        tensors, rest = self._updater.state()
        record = {"state": state.describe(), "loss": loss, "exposures": self._exposures.position(), "updater": rest}
        with whole_folder(path) as beside:
            self._network.write_adapter(beside)
            write_flushed(beside / TENSORS, _packed(tensors))
            write_flushed(beside / STATE, json.dumps(record).encode())
            files = {name: sha256_of(beside / name) for name in FILES}
            manifest = {"files": files, "sha256": _sum_of(files)}
            write_flushed(beside / MANIFEST, json.dumps(manifest).encode())
        self._kept.append(Checkpoint(path, State.of(state.describe()), loss))
        self._saved_at = time.monotonic()
        self._tidy()

    def restore(self, checkpoint: Checkpoint) -> State:
        """Puts everything back to where it was; gives the state to go on from."""
        from safetensors.torch import load

        record: dict[str, Any] = json.loads((checkpoint.path / STATE).read_bytes())
        self._network.read_adapter(checkpoint.path)
        self._updater.restore(load((checkpoint.path / TENSORS).read_bytes()), record["updater"])
        self._exposures.restore(record["exposures"])
        return State.of(record["state"])

    def go_back(self) -> State | None:
        """Restores the newest state from before the loss ran away and forgets later ones; None where there is none."""
        good = [place for place, one in enumerate(self._kept) if not one.state.above and not damaged_file(one.path)]
        if not good:
            return None
        self._kept = self._kept[: good[-1] + 1]
        self._tidy()
        return self.restore(self._kept[-1])

    def restore_best(self) -> None:
        """Puts the adapter with the lowest validation loss back into the network; nothing where none was measured."""
        measured = [one for one in self._kept if one.loss is not None and not damaged_file(one.path)]
        if measured:
            self._network.read_adapter(min(measured, key=_loss).path)

    def _new_path(self, step: int) -> Path:
        there = [_numbers(path) for path in _paths(self._folder)]
        number = max((number for other, number in there if other == step), default=0) + 1
        return self._folder / (f"step-{step:06d}" if number == 1 else f"step-{step:06d}-{number}")

    def _tidy(self) -> None:
        """Removes what is kept no longer, and what no one goes on from: states damaged or turned back from."""
        best = min((one for one in self._kept if one.loss is not None), key=_loss, default=None)
        good = next((one for one in reversed(self._kept) if not one.state.above), None)
        latest = [*self._kept[-self._limit :], best, good]
        self._kept = [one for one in self._kept if any(one is other for other in latest)]
        kept = {one.path for one in self._kept}
        for path in _paths(self._folder):
            if path not in kept:
                # Renamed first: a state half deleted would look like a damaged one.
                gone = path.with_name(f".{path.name}.gone")
                with suppress(OSError):  # what cannot be removed is no reason to stop
                    shutil.rmtree(gone, ignore_errors=True)
                    os.replace(path, gone)
                    shutil.rmtree(gone, ignore_errors=True)


def mark_ended(run: RunFolder, ended: TrainingEnded, elapsed: float) -> None:
    """Notes that only the exam is still to come. The adapter must be saved already."""
    weights = sha256_of(run.adapter / ADAPTER_WEIGHTS)
    write_json(run.ended, {"ended": asdict(ended), "elapsed": elapsed, "sha256": weights})


def read_ended(run: RunFolder) -> tuple[TrainingEnded, float] | None:
    """How training ended, and the seconds that the run had taken; None where it is not over, or its adapter is not
    what it was."""
    try:
        record = json.loads(run.ended.read_bytes())
        ended = record["ended"]
        ended |= {"stopped_because": Stopped(ended["stopped_because"]), "rows": tuple(ended["rows"])}
        if record["sha256"] != sha256_of(run.adapter / ADAPTER_WEIGHTS):
            return None
        return TrainingEnded(**ended), float(record["elapsed"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _paths(folder: Path) -> list[Path]:
    """The folders of checkpoints, in the order in which they were saved."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted((path for path in found if _NAME.fullmatch(path.name)), key=_numbers)


def _numbers(path: Path) -> tuple[int, int]:
    """The step that is in the name, and which of its states this is, counted from 1."""
    _, step, *number = path.name.split("-")
    return int(step), int(number[0]) if number else 1


def _loss(checkpoint: Checkpoint) -> float:
    assert checkpoint.loss is not None
    return checkpoint.loss


def _sum_of(files: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def _packed(tensors: dict[str, Any]) -> bytes:
    from safetensors.torch import save

    return bytes(save(tensors))
