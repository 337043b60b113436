"""In which language a table asks, as far as its wordings depend on it: Russian, English, or any other."""

import re
from collections.abc import Sequence
from typing import Literal

from znatok.records import Row

Language = Literal["ru", "en", "other"]

ENOUGH_ROWS = 1000
"""Rows that are looked at: the language of a table does not change."""

FOREIGN_SHARE = 0.005
"""Share of letters that the language does not have from which a text is in another: Kazakh, Ukrainian, German, Polish
have several per cent, a quoted name in a Russian or English table makes less."""

_RUSSIAN = re.compile(r"[а-яё]", re.IGNORECASE)
_CYRILLIC = re.compile(r"[\u0400-\u052f]")
_ENGLISH = re.compile(r"[a-z]", re.IGNORECASE)
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
_NO_CYRILLIC = re.compile("[^а-яё]+")
_WORDS = re.compile(r"[^\W\d_]+")

# Words that nearly every Russian or English sentence has, and hardly one of their neighbours' (Bulgarian, Dutch).
_RUSSIAN_WORDS = frozenset("что как это или для из при его если чем нужно можно почему зачем они у к о но".split())
_ENGLISH_WORDS = frozenset("the what how why does and to with that which when from this should your it's".split())
RUSSIAN_SHARE, ENGLISH_SHARE = 0.03, 0.06
"""Least share of those words. Texts in the language have two to three times as many."""


def language_of(text: str) -> str:
    """ "ru" where most letters are Cyrillic, else "en"."""
    written = text.lower()
    return "ru" if len(_NO_CYRILLIC.sub("", written)) * 2 > sum(map(str.isalpha, written)) else "en"


def languages_of(rows: Sequence[Row]) -> frozenset[str]:
    """Which of Russian and English the rows are written in. Cyrillic is not always Russian, nor Latin English."""
    text = "\n".join(f"{row.question}\n{row.answer}" for row in rows[:ENOUGH_ROWS])
    words = [word.lower() for word in _WORDS.findall(text)]
    known = []
    russian, cyrillic = len(_RUSSIAN.findall(text)), len(_CYRILLIC.findall(text))
    own = [word for word in words if _RUSSIAN.match(word)]
    # No other large language of this alphabet without foreign letters has ы or э.
    marks = sum(text.lower().count(letter) for letter in "ыэ")
    if (
        cyrillic
        and cyrillic - russian <= FOREIGN_SHARE * cyrillic
        and (marks >= FOREIGN_SHARE * cyrillic or _share(own, _RUSSIAN_WORDS) >= RUSSIAN_SHARE)
    ):
        known.append("ru")
    english, latin = len(_ENGLISH.findall(text)), len(_LATIN.findall(text))
    own = [word for word in words if _ENGLISH.match(word)]
    if latin and latin - english <= FOREIGN_SHARE * latin and _share(own, _ENGLISH_WORDS) >= ENGLISH_SHARE:
        known.append("en")
    return frozenset(known)


def language_among(question: str, known: frozenset[str]) -> Language:
    """The language of one question of a table that is written in `known`."""
    found = language_of(question)
    if found not in known:
        return "other"
    return "ru" if found == "ru" else "en"


def _share(words: list[str], wanted: frozenset[str]) -> float:
    return sum(word in wanted for word in words) / max(1, len(words))
