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
    training/test_resume.py training/test_kill.py model/test_llama.py training/test_refusals.py use/test_consoles.py
    training/test_loop.py commands/test_exam.py security/test_whole_way.py training/test_replay.py test_wrong_turns.py
    test_bench.py data/reword/test_reworder.py exam/test_examine.py test_compare.py model/test_builtin.py
"""
"""The files that take longest, the longest first; `--durations` tells."""


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
