"""The words on the screen, in Russian and in English.

`text(key, name=value)` gives the message `key` of the language in force. Keys are dotted paths into `ru.toml` and
`en.toml`; a test holds that both files have the same keys and placeholders.
"""

import locale
import os
import sys
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

LANGUAGES = ("ru", "en")
_chosen: str | None = None


def set_language(language: str | None) -> None:
    """Fix the language of messages; None goes back to ZNATOK_LANG and the system's language."""
    global _chosen
    _chosen = language


def language() -> str:
    """The language in force: the one set, else ZNATOK_LANG, else the system's, else English."""
    return _chosen or _asked_by_environment() or "en"


def settle_language(sample: str) -> None:
    """Where neither the user nor the system named a language, take the script of `sample` (the table's questions)."""
    if _chosen is None and _asked_by_environment() is None:
        cyrillic = sum("а" <= letter <= "я" or letter == "ё" for letter in sample.lower())
        latin = sum("a" <= letter <= "z" for letter in sample.lower())
        set_language("ru" if cyrillic > latin else "en")


def text(key: str, **values: Any) -> str:
    """The message `key` with `values` filled in."""
    return catalogue(language())[key].format(**values)


@cache
def catalogue(language: str) -> dict[str, str]:
    """All messages of one language, by dotted key."""
    tree = tomllib.loads(files(__package__).joinpath(f"{language}.toml").read_text(encoding="utf-8"))
    return dict(_flat(tree, ""))


def _flat(tree: dict[str, Any], prefix: str) -> list[tuple[str, str]]:
    leaves: list[tuple[str, str]] = []
    for name, value in tree.items():
        leaves += _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)]
    return leaves


def _asked_by_environment() -> str | None:
    asked = os.environ.get("ZNATOK_LANG", "")[:2].lower()
    return asked if asked in LANGUAGES else _system_language()


@cache
def _system_language() -> str | None:
    """The system's language where we speak it; "C" and "POSIX" say nothing, another language reads English."""
    names = [os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG")]
    name = next((name for name in names if name), "")
    if not name and sys.platform in ("win32", "darwin"):
        name = locale.getlocale()[0] or ""
    if name.split(".")[0] in ("", "C", "POSIX"):
        return None
    return "ru" if name.lower().startswith(("ru", "be", "uk", "kk")) else "en"
