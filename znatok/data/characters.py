"""Characters that look right and are not: letters of another alphabet, invisible ones, text in a wrong encoding."""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Script = Literal["latin", "cyrillic"]

_LATIN, _CYRILLIC = "A-Za-zÀ-ÖØ-öø-ɏ", "Ѐ-ӿ"
_LIKE_LATIN, _LIKE_CYRILLIC = "acekopxyiëABCEHKMOPTXYË", "асекорхуіёАВСЕНКМОРТХУЁ"
_TO_CYRILLIC = str.maketrans(_LIKE_LATIN, _LIKE_CYRILLIC)
_TO_LATIN = str.maketrans(_LIKE_CYRILLIC, _LIKE_LATIN)
_BORDER = re.compile(f"[{_LATIN}][{_CYRILLIC}]|[{_CYRILLIC}][{_LATIN}]")
_LETTERS_LATIN = frozenset(re.findall(f"[{_LATIN}]", "".join(map(chr, range(0x250)))))
_LETTERS_CYRILLIC = frozenset(map(chr, range(0x400, 0x500)))
_WORD = re.compile(r"[^\W\d_]+")

_MEANT = re.compile("[A-Z][а-яё]{1,5}|[a-z][а-яё]{1,3}|[A-Z]{2,}[а-яё]{1,3}|[A-Za-z]{4,}[а-яё]{1,3}")
"""Two alphabets in one word on purpose: a formula's letter with its index (Uвых, Cвх), a foreign name with a Russian
ending (USBе, Arduinoу). A real mistake looks so, too (Cток); it is told by the same word elsewhere in the table."""

_STEM = 4
"""Letters by which a word is known again in another form."""

_NO_BREAK = re.compile("[\xa0\u2007\u202f]")
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)
# Bytes 80 to BF, which follow the first one of a letter in UTF-8, as cp1251 and cp1252 show them.
_AFTER_1251 = bytes(byte for byte in range(0x80, 0xC0) if byte != 0x98).decode("cp1251")
_AFTER_1252 = bytes(b for b in range(0x80, 0xC0) if b not in b"\x81\x8d\x8f\x90\x9d").decode("cp1252") + "\x80-\x9f"
_BROKEN = (
    re.compile(f"[РС][{re.escape(_AFTER_1251)}](?:[РС][{re.escape(_AFTER_1251)}])+"),
    re.compile(f"[ÐÑ][{_AFTER_1252}](?:[ÐÑ][{_AFTER_1252}])+"),
    re.compile(f"[ÃÂâ](?:(?<=Ã)[{_AFTER_1252}]|(?<=Â)[\xa0-\xbf]|(?<=â)€[{_AFTER_1252}])"),
    re.compile("\ufffd+"),
    re.compile(r"[?][?]+(?: [?]{2,})+"),
)


@dataclass(frozen=True, slots=True)
class MixedWord:
    """A word with letters of another alphabet that look like its own. `script` is the strange letters' alphabet."""

    word: str
    letters: str
    script: Script


def candidates(text: str) -> list[str]:
    """Words in which both alphabets meet. Runs of letters alone: КТ315A has two, and neither is mixed."""
    letters = set(text)
    if letters.isdisjoint(_LETTERS_LATIN) or letters.isdisjoint(_LETTERS_CYRILLIC):
        return []
    return [word for word in _WORD.findall(text) if _BORDER.search(word)]


def known_stems(texts: Collection[str]) -> frozenset[str]:
    """The words of `texts` in one alphabet, and how the longer ones begin: what `mixed` knows a word by."""
    words = {word.lower() for text in texts for word in _WORD.findall(text) if not _BORDER.search(word)}
    return frozenset(words | {word[:_STEM] for word in words if len(word) > _STEM})


def mixed(word: str, known: Collection[str]) -> MixedWord | None:
    """What is strange in a word of both alphabets; None where both are meant.

    known: as `known_stems` gives it: with its letters set right, a misspelt word is often one that the table has.
    """
    latin = "".join(letter for letter in word if "CYRILLIC" not in unicodedata.name(letter, ""))
    cyrillic = "".join(letter for letter in word if letter not in latin)
    readings: list[tuple[str, MixedWord]] = []
    if all(ord(letter) in _TO_CYRILLIC for letter in latin):
        readings.append((word.translate(_TO_CYRILLIC), MixedWord(word, _once(latin), "latin")))
    if all(ord(letter) in _TO_LATIN for letter in cyrillic):
        readings.append((word.translate(_TO_LATIN), MixedWord(word, _once(cyrillic), "cyrillic")))
    for mended, reading in readings:
        if _is_known(mended.lower(), known):
            return reading
    if not readings or _MEANT.fullmatch(word):
        return None
    return min((reading for _, reading in readings), key=lambda reading: len(reading.letters))


def _is_known(word: str, known: Collection[str]) -> bool:
    return word in known or (len(word) > _STEM and word[:_STEM] in known)


def _once(letters: str) -> str:
    return ", ".join(dict.fromkeys(letters))


def hidden(text: str) -> list[str]:
    """Codes of the control and invisible characters in `text`; line ends and tabs are none.

    A joiner between signs belongs to them, as in a family of emoji, and so do those of scripts that write with it.
    """
    found: list[str] = []
    for match in () if text.isprintable() else _HIDDEN.finditer(text):
        sign = match.group()
        beside = text[max(0, match.start() - 1) : match.start()]
        if sign in "\u200c\u200d" and beside and not re.match(f"[\\s!-~{_LATIN}{_CYRILLIC}]", beside):
            continue
        found.append(f"U+{ord(sign):04X}")
    return list(dict.fromkeys(found))


def has_no_break_space(text: str) -> bool:
    """Whether `text` has a space that is not the one people type."""
    return not text.isprintable() and _NO_BREAK.search(text) is not None


def broken(text: str) -> str | None:
    """A piece of `text` that was read in a wrong encoding or has lost its letters; None where there is none."""
    found = next(filter(None, (pattern.search(text) for pattern in _BROKEN)), None)
    return found.group() if found else None
