"""The kinds of questions of a language, read from its file of frames."""

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of question. patterns: any fits the whole question.  frames, tool_frames, asks: see the file."""

    name: str
    patterns: tuple[re.Pattern[str], ...]
    frames: tuple[str, ...]
    tool_frames: tuple[str, ...]
    asks: tuple[str, ...]


@lru_cache(maxsize=2)
def kinds(language: str) -> tuple[Kind, ...]:
    """The kinds of `russian` or `english`, in the order in which they are tried; those without patterns fit nothing."""
    file = files("znatok.data.reword").joinpath(f"{language}.toml")
    content: dict[str, dict[str, str]] = tomllib.loads(file.read_text(encoding="utf-8"))
    return tuple(
        Kind(
            name,
            tuple(re.compile(pattern, re.IGNORECASE) for pattern in _lines(kind.get("known_by", ""))),
            _lines(kind.get("frames", "")),
            _lines(kind.get("tool_frames", "")),
            tuple(filter(None, (ask.strip() for ask in kind.get("asks", "").split("|")))),
        )
        for name, kind in content.items()
    )


def kind_named(language: str, name: str) -> Kind:
    return next(kind for kind in kinds(language) if kind.name == name)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.splitlines()))
