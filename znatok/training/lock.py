"""One process at a time trains in a run folder. A lock whose owner is dead is taken over."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from znatok.errors import RunError
from znatok.run_folder import RunFolder

SAME_START_SECONDS = 2.0
"""Between two readings of when a process started: systems count it from their own start, and set their clocks."""

PATIENCE_SECONDS = 1.0
"""For the owner's name in a lock that was made this moment."""


@contextmanager
def held(run: RunFolder) -> Iterator[None]:
    """A block in which no other process trains in this folder. Raises RunError where one does already."""
    _take(run)
    try:
        yield
    finally:
        with suppress(OSError):
            run.lock.unlink()


def owner_of(run: RunFolder) -> int | None:
    """The number of the process that trains there now; None where none does."""
    content = _content(run)
    return content["pid"] if content and _is_alive(content) else None


def _take(run: RunFolder) -> None:
    import psutil

    me = json.dumps({"pid": os.getpid(), "started": psutil.Process().create_time()}).encode()
    while True:
        try:
            handle = os.open(run.lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            found = _content(run)
            if found and _is_alive(found):
                raise RunError("run.locked", folder=run.path, pid=found["pid"]) from None
            _take_away(run, found)
        else:
            with os.fdopen(handle, "wb") as file:
                file.write(me)
            return


def _take_away(run: RunFolder, dead: dict[str, Any] | None) -> None:
    """Removes the lock of a dead owner; where another process has just done so and locked, its lock is put back."""
    aside = run.path / f".{run.lock.name}.{os.getpid()}"
    with suppress(FileNotFoundError):
        os.replace(run.lock, aside)
        if _parsed(aside.read_bytes()) == dead:
            aside.unlink()
        else:
            os.replace(aside, run.lock)


def _content(run: RunFolder) -> dict[str, Any] | None:
    """What is written in the lock; None where there is none, or it was never written to its end."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            found = _parsed(run.lock.read_bytes())
        except FileNotFoundError:
            return None
        if found or time.monotonic() > deadline:
            return found
        time.sleep(PATIENCE_SECONDS / 20)


def _parsed(content: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(content)
        return {"pid": int(found["pid"]), "started": float(found["started"])}
    except (ValueError, KeyError, TypeError):
        return None


def _is_alive(owner: dict[str, Any]) -> bool:
    """Whether that very process lives: a number is given to another one later."""
    import psutil

    try:
        process = psutil.Process(owner["pid"])
        is_same = abs(process.create_time() - owner["started"]) < SAME_START_SECONDS
        return bool(is_same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # of another user, and there
        return True
