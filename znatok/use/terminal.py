"""The terminal: where talk goes, and text from outside made harmless."""

import sys
import unicodedata

from rich.console import Console


class _Console(Console):
    """Leaves it to the command what happens when no one reads the output any more; rich would end with 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def talk(to_stderr: bool = False) -> Console:
    """A console on which nothing is markup; with `to_stderr`, stdout stays free for JSON."""
    return _Console(stderr=to_stderr, markup=False, highlight=False, emoji=False, soft_wrap=not _is_terminal(to_stderr))


def _is_terminal(stderr: bool) -> bool:
    return (sys.stderr if stderr else sys.stdout).isatty()


def printable(text: str) -> str:
    """`text` without control characters and bidirectional overrides; line breaks and tabs stay."""
    return "".join(letter for letter in text if letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cf"))
