"""What holds for every test."""

import os

# The models of the tests are so small that a second thread only waits for the first: each of the processes that share
# the tests has one processor, and so have the processes that it starts.
if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and hasattr(os, "sched_setaffinity"):
    usable = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {usable[int(worker.removeprefix("gw")) % len(usable)]})

from pathlib import Path

import pytest

from znatok import messages

TESTS = Path(__file__).parent
LONGEST = """
    training/test_kill.py training/test_resume.py commands/test_exam.py use/test_consoles.py training/test_loop.py
    training/test_refusals.py security/test_whole_way.py data/reword/test_reworder.py training/test_replay.py
    data/test_render.py test_bench.py exam/test_examine.py test_wrong_turns.py data/test_problems.py
    training/test_checkpoints.py model/test_decode.py exam/test_calibration.py model/test_builtin.py
"""
"""The files that take more than ten seconds, the longest first."""


def pytest_collection_modifyitems(items):
    """A file is one process's as a whole: the longest come first, so that none is at work alone at the end."""
    places = {name: place for place, name in enumerate(LONGEST.split())}
    items.sort(key=lambda item: places.get(item.path.relative_to(TESTS).as_posix(), len(places)))


@pytest.fixture(autouse=True)
def language_of_its_own():
    """A command run within a test settles the language of its process; the next test must not inherit it."""
    messages.set_language(None)
    yield
    messages.set_language(None)
