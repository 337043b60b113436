"""What can go wrong, as one tree. Every message is a key of `messages/`, shown as one clean line.

ZnatokError          exit 1: a problem to explain
├── TableError       the table cannot be read or trained on (also a ValueError)
├── ModelError       the base model cannot be found, fetched, verified or used
├── RunError         a run folder is missing, not ours, or does not fit
└── UsageError       exit 2: the command was asked for something that it does not have (also a ValueError)
"""

from typing import Any

from znatok.messages import text


class ZnatokError(Exception):
    """A problem to explain to the user; `str()` gives the message in the language in force."""

    exit_code = 1

    def __init__(self, key: str, **values: Any) -> None:
        super().__init__(key, values)
        self.key = key
        self.values = values

    def __str__(self) -> str:
        return text(self.key, **self.values)


class TableError(ZnatokError, ValueError):
    """The table cannot be read or trained on."""


class ModelError(ZnatokError):
    """The base model cannot be found, fetched, verified or used."""


class RunError(ZnatokError):
    """A run folder is missing, not ours, or does not fit what was asked."""


class UsageError(ZnatokError, ValueError):
    """The command was asked for something that it does not have."""

    exit_code = 2
