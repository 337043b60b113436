"""Wordings for tables in any language but Russian and English: nothing here knows a word of one.

What is left is what every language has: a name in brackets, the clauses of an answer, telling words.
"""

import re

from znatok.data.reword.exact import TOGETHER, core, has_number
from znatok.data.reword.material import (
    MOST_TELLING_WORDS,
    Material,
    Word,
    cut,
    in_balance,
    in_groups,
    names_apart,
    sentences,
)

_BORDER = re.compile(r"[,:;،؛、，：；]\s*|\s+[—–-]\s+")
_ENDS = "?.!… ？。！؟;՞፧"
_MOST_WORDS = 14
_SENTENCES = 3
_WITHOUT_SPACES = re.compile(r"[\u0e00-\u0eff\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]+")
_LEAST_LETTERS = 4


def material(question: str, answer: str) -> Material:
    """What wordings of a row are made of, without a word of its language."""
    asked = " ".join(question.split()).rstrip(_ENDS)
    frames = [name for name in names_apart(asked) if name] or [asked]
    told = [part for sentence in sentences(answer)[:_SENTENCES] for part in _parts(sentence)]
    return Material(
        frames=tuple(dict.fromkeys(filter(in_balance, frames))),
        told=in_groups([[part] for part in told if len(part) >= _LEAST_LETTERS]),
        words=_telling_words(question, answer),
        asks=(),
    )


def _parts(sentence: str) -> list[str]:
    """A sentence of the answer, and its clauses one by one."""
    whole = cut(sentence, re.compile(r"(?!)"), _MOST_WORDS)
    parts = [part.strip() for part in _BORDER.split(sentence)]
    return list(filter(None, [whole, *(part for part in parts if len(part.split()) <= _MOST_WORDS)]))


def _telling_words(question: str, answer: str) -> tuple[Word, ...]:
    found: dict[str, Word] = {}
    for text, is_asked in ((question, True), (answer, False)):
        for item in TOGETHER.findall(text):
            for word in _split(core(item)):
                if (len(word) > 2 or has_number(word) or _WITHOUT_SPACES.search(word)) and word.lower() not in found:
                    found[word.lower()] = Word((word,), is_asked)
    return tuple(found.values())[:MOST_TELLING_WORDS]


def _split(word: str) -> list[str]:
    """Pieces of four characters, of a text that keeps no words apart."""
    if not _WITHOUT_SPACES.search(word) or len(word) <= _LEAST_LETTERS:
        return [word] if word else []
    return [word[at : at + _LEAST_LETTERS] for at in range(0, len(word), _LEAST_LETTERS)]
