"""What can go wrong, as one tree. Every message is a key of `messages/`, shown as one clean line.

ZnatokError          exit 1: a problem to explain
├── TableError       the table cannot be read or trained on (also a ValueError)
├── ModelError       the base model cannot be found, fetched, verified or used
├── RunError         a run folder is missing, not ours, or does not fit
└── UsageError       exit 2: the command was asked for something that it does not have (also a ValueError)
"""

import errno
from typing import Any

from znatok.messages import catalogue, language, text

_REASONS = {
    "no_space": ("ENOSPC", "EDQUOT"),
    "too_big": ("EFBIG",),
    "no_permission": ("EACCES", "EPERM"),
    "read_only": ("EROFS",),
    "missing": ("ENOENT",),
    "folder": ("EISDIR",),
    "no_folder": ("ENOTDIR",),
    "busy": ("EBUSY", "ETXTBSY"),
    "long_name": ("ENAMETOOLONG",),
    "device": ("EIO", "ENODEV", "ENXIO"),
    "refused": ("ECONNREFUSED",),
    "unreachable": ("ENETUNREACH", "EHOSTUNREACH", "ENETDOWN"),
    "silence": ("ETIMEDOUT",),
    "cut_off": ("ECONNRESET", "ECONNABORTED", "EPIPE"),
}
# Not every system knows every number.
_KIND = {getattr(errno, name): kind for kind, names in _REASONS.items() for name in names if hasattr(errno, name)}


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


def reason_of(error: OSError) -> str:
    """Why the system refused, in the language in force; in the system's own words where we have none."""
    kind = _KIND.get(error.errno or 0)
    return text(f"reason.{kind}") if kind else error.strerror or str(error) or type(error).__name__


def advice_on(error: OSError) -> str:
    """What to do about it, as a whole sentence."""
    key = f"advice.{_KIND.get(error.errno or 0)}"
    return text(key if key in catalogue(language()) else "advice.other")
