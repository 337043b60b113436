"""Where the lines of a conversation come from: a terminal, or a pipe."""

import sys
from collections.abc import Callable

from znatok.use.terminal import printable

Ask = Callable[[], str]
"""Gives the next line of the user. Raises EOFError or KeyboardInterrupt where there will be none."""


def terminal(words_for_user: str) -> Ask:
    """Lines typed at a terminal, with editing and what was typed before."""
    from prompt_toolkit import PromptSession

    session: PromptSession[str] = PromptSession()
    return lambda: session.prompt(f"{words_for_user} ")


def piped(words_for_user: str) -> Ask:
    """Lines of a pipe or a file, each repeated on stdout, so that the output reads as a conversation."""

    def ask() -> str:
        if sys.stdin.isatty():
            print(words_for_user, end=" ", file=sys.stderr, flush=True)
        line = input().lstrip("\ufeff")
        if line.strip():
            print(words_for_user, printable(line))
        return line

    return ask
