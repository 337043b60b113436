"""One process at a time on a run; a dead one's lock is taken over."""

import json
import os
import subprocess
import sys

import psutil
import pytest

from znatok.errors import RunError
from znatok.run_folder import RunFolder
from znatok.training import lock
from znatok.training.lock import held, owner_of


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path)


def of(pid, started):
    return json.dumps({"pid": pid, "started": started})


def test_the_second_is_refused_while_the_first_is_there_and_not_after(run):
    with held(run):
        assert owner_of(run) == os.getpid()
        with pytest.raises(RunError) as caught, held(run):
            pass
        assert (caught.value.key, caught.value.values["pid"]) == ("run.locked", os.getpid())
        assert run.lock.exists()
    assert owner_of(run) is None
    with held(run):
        pass
    assert list(run.path.iterdir()) == []


def test_the_lock_goes_when_the_block_fails(run):
    with pytest.raises(ValueError, match="wrong"), held(run):
        raise ValueError("wrong")
    assert not run.lock.exists()


def test_another_living_process_is_named(run):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        run.lock.write_text(of(other.pid, psutil.Process(other.pid).create_time()))
        with pytest.raises(RunError) as caught, held(run):
            pass
        assert caught.value.values["pid"] == other.pid
        other.kill()
    with held(run):
        assert owner_of(run) == os.getpid()


def test_the_lock_of_a_dead_process_is_taken_over_even_where_its_number_lives_again(run):
    started = psutil.Process().create_time()
    for content in (of(2**22 + 1, started), of(os.getpid(), started - 100)):
        run.lock.write_text(content)
        assert owner_of(run) is None
        with held(run):
            assert json.loads(run.lock.read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}', "\0\0\0\0"])
def test_a_lock_that_was_never_written_to_its_end_is_taken_over(run, monkeypatch, content):
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 0.05)
    run.lock.write_text(content)
    with held(run):
        assert owner_of(run) == os.getpid()


def test_a_lock_that_another_process_has_just_taken_over_is_put_back(run):
    living = of(os.getpid(), psutil.Process().create_time())
    run.lock.write_text(living)
    lock._take_away(run, {"pid": 2**22 + 1, "started": 0.0})
    assert run.lock.read_text() == living
    assert [path.name for path in run.path.iterdir()] == ["training.lock"]
