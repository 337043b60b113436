"""What holds for every test."""

import os

# The models of the tests are so small that a second thread only waits; read by torch when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from znatok import messages


@pytest.fixture(autouse=True)
def language_of_its_own():
    """A command run within a test settles the language of its process; the next test must not inherit it."""
    messages.set_language(None)
    yield
    messages.set_language(None)
