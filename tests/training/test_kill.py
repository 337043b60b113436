"""Killed and stopped in earnest: in processes of their own, in odd places and languages."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import PEFT_TALKS, tiny_folder
from tests.training.runs import begun, learned, weights, write_table
from znatok.run_folder import RunFolder

pytestmark = [
    *PEFT_TALKS,
    pytest.mark.filterwarnings("ignore:.*torch_dtype.*:FutureWarning"),
    pytest.mark.usefixtures("one_cpu"),
]
ROOT = Path(__file__).parent.parent.parent
CODES = {1: 129, 2: 130, 15: 143}

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def killed(folder, times, seed, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.kill", str(folder), str(times), str(seed)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What came of ten kills, and of every signal in every place; far down, in no language, in a zone of quarters."""
    place = tmp_path_factory.mktemp("killed") / "папка с пробелом и ещё" / ("ы" * 100) / ("ж" * 100)
    return killed(place, 10, 0, LC_ALL="C", TZ="Asia/Kathmandu")


@forks
def test_killed_at_random_moments_and_gone_on_with_every_run_ends_with_the_same_bytes(found):
    assert found["kills"] >= 10
    assert found["differ"] == []
    assert any(saved for saved, _ in found["states"])
    assert [damaged for _, damaged in found["states"] if damaged] == []


@pytest.mark.slow
@forks
def test_a_hundred_kills(tmp_path):
    found = killed(tmp_path / "killed", 100, 1)
    assert found["kills"] >= 100
    assert found["differ"] == []
    assert [damaged for _, damaged in found["states"] if damaged] == []


@forks
def test_a_signal_saves_the_state_and_ends_with_its_code_wherever_it_comes(found):
    sent = found["signals"]
    assert len(sent) == 7
    for one in sent:
        assert one["code"] == CODES[one["signal"]], one
        assert one["left"] == [], one
        assert one["same"], one
        assert one["over"] == (one["where"] == "exam"), one
        assert not one["exam"], one


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"LC_ALL": "C", "TZ": "Asia/Kathmandu"}, "папка с пробелом и ещё"),
        ({"LC_ALL": "ru_RU.UTF-8", "TZ": "America/St_Johns"}, "длинная папка"),
    ],
    ids=["C", "ru_RU"],
)
def test_a_run_goes_on_whatever_the_place_the_language_and_the_time_zone(tmp_path, environment, name):
    place = tmp_path / name / ("ы" * 100) / ("ж" * 100)
    place.mkdir(parents=True)
    model = tiny_folder(place / "модель")
    run = place / "прогон один"
    table = write_table(place)
    learned(table, model, place / "whole", num_train_epochs=1.0)
    begun(table, model, run, 2, num_train_epochs=1.0)
    done = subprocess.run(
        [sys.executable, "-m", "znatok", "train", table.name, "--resume", "--run", run.name, "--lang", "ru"],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        encoding="utf-8",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Обучение продолжается: пройдено шагов 2 из" in done.stdout
    assert weights(run) == weights(place / "whole")
    assert RunFolder(run).is_finished
