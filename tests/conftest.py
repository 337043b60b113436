"""What holds for every test."""

import os

# The models of the tests are so small that a second thread only waits for the first: each of the processes that share
# the tests has one processor, and so have the processes that it starts.
if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and hasattr(os, "sched_setaffinity"):
    usable = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {usable[int(worker.removeprefix("gw")) % len(usable)]})

import pytest

from znatok import messages


@pytest.fixture(autouse=True)
def language_of_its_own():
    """A command run within a test settles the language of its process; the next test must not inherit it."""
    messages.set_language(None)
    yield
    messages.set_language(None)
