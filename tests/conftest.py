"""What holds for every test."""

import pytest

from znatok import messages


@pytest.fixture(autouse=True)
def language_of_its_own():
    """A command run within a test settles the language of its process; the next test must not inherit it."""
    messages.set_language(None)
    yield
    messages.set_language(None)
