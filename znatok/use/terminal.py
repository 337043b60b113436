"""The terminal: where talk goes, and text from outside made harmless."""

import json
import re
import sys
import unicodedata
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, the cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # titles, links, the clipboard
    r"|\x1b[ -/]*[0-~]",
)
_UNFINISHED_ESCAPE = re.compile(
    r"(?:(?:\x1b\[|\x9b)[0-?]*[ -/]*|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*\x1b?|\x1b[ -/]*)\Z"
)


class _Console(Console):
    """A console on which no text can act: what rich itself does to the screen passes, the same signs in a text do not.

    It also leaves it to the command what happens when no one reads the output any more; rich would end with 1.
    """

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            is_plain = segment.control or segment.text.isprintable()
            yield segment if is_plain else segment._replace(text=printable(segment.text))


def talk(to_stderr: bool = False) -> Console:
    """A console on which nothing is markup; with `to_stderr`, stdout stays free for JSON."""
    return _Console(stderr=to_stderr, markup=False, highlight=False, emoji=False, soft_wrap=not _is_terminal(to_stderr))


def _is_terminal(stderr: bool) -> bool:
    return (sys.stderr if stderr else sys.stdout).isatty()


def printable(text: str) -> str:
    """`text` without control characters and bidirectional overrides; line breaks and tabs stay."""
    return "".join(letter for letter in text if letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cf"))


def json_line(value: Any) -> str:
    """`value` as JSON in one line; signs that would act on a screen stand as their codes, which reads back the same."""
    return re.sub(r"[^ -~]", _code_if_it_acts, json.dumps(value, ensure_ascii=False))


def _code_if_it_acts(found: re.Match[str]) -> str:
    letter = found[0]
    return json.dumps(letter)[1:-1] if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") else letter


def settled_part(so_far: str) -> str:
    """`so_far` without an end that the next token may still change: a cut character, an escape under way."""
    return _UNFINISHED_ESCAPE.sub("", so_far.rstrip("\ufffd"))


def clean(words: str) -> str:
    """`words` without terminal escapes and control characters, and without white space around them."""
    return printable(_ESCAPE.sub("", words)).strip()
