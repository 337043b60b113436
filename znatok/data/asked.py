"""Whether a question asks what a row asks: word by word, so that one word in another's place tells.

RL for RC, or "germanium" for "silicon", makes another question, and letters alone hardly show it; a slip of the finger
does not.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from math import log

from rapidfuzz import fuzz

from znatok.records import Row

LEAST_WORD, SAME_WORD = 4, 75
"""Letters from which two words that differ may be one, and the per cent of them that agree then."""

COMMON_ROWS, COMMON_SHARE = 3, 0.02
"""A word in so many rows, and in such a share of them, says little: "what", "how", "is"."""

_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Letters of Thai, Lao, Burmese, Khmer, Japanese and Chinese."""

_NO_LETTERS = re.compile(r"[\W_]+")


class Asked:
    """The rows of a table, against whose own questions others are held."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def share(self, question: str, row: Row) -> float:
        """How many words of the row's own question stand in `question`, rare ones counting more: 1 where all are there,
        whatever stands around them, or where nothing is asked but words of the row and such as many rows have; of
        several wordings the best.
        """
        asked, own = _words(question), _words(f"{_asking(row)} {row.answer}")
        common = max(COMMON_ROWS, COMMON_SHARE * len(self._rows))
        strange = (word for word in asked if self._rows_with[word] < common)
        if asked and all(any(_same_word(word, other) for other in own) for word in strange):
            return 1.0
        return max(self._share_in(asked, wording) for wording in (row.question, *row.paraphrases))

    def itself(self, question: str) -> Row | None:
        """The row of which this is a wording, but for capitals and punctuation; None where no row has it, or two that
        answer differently."""
        rows = self._by_wording.get(joined_words(question), [])
        return rows[0] if len({row.answer for row in rows}) == 1 else None

    def _share_in(self, asked: Sequence[str], wording: str) -> float:
        words = _words(wording)
        weights = [log((len(self._rows) + 1) / self._asking_with.get(word, 0.5)) for word in words]
        there = (any(_same_word(word, other) for other in asked) for word in words)
        whole = sum(weights)
        asked_for = sum(weight for weight, is_there in zip(weights, there, strict=True) if is_there)
        return asked_for / whole if whole else 0.0

    @cached_property
    def _by_wording(self) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self._rows:
            for wording in (row.question, *row.paraphrases):
                found[joined_words(wording)].append(row)
        return found

    @cached_property
    def _rows_with(self) -> Counter[str]:
        """How many rows have a word anywhere."""
        return _counts(f"{_asking(row)} {row.answer}" for row in self._rows)

    @cached_property
    def _asking_with(self) -> Counter[str]:
        """How many rows ask with a word, in any of their wordings."""
        return _counts(map(_asking, self._rows))


def joined_words(text: str) -> str:
    """A text as it is compared: its words in small letters, without punctuation and ё."""
    return " ".join(_NO_LETTERS.sub(" ", text.casefold().replace("ё", "е")).split())


def _asking(row: Row) -> str:
    return " ".join((row.question, *row.paraphrases))


def _counts(texts: Iterable[str]) -> Counter[str]:
    """In how many of the texts each word stands."""
    return Counter(word for text in texts for word in {*_words(text)})


def _words(text: str) -> list[str]:
    """The words of a text; where a script has no spaces between them, its letters."""
    return _UNSPACED.sub(r" \g<0> ", joined_words(text)).split()


def _same_word(word: str, other: str) -> bool:
    """Whether one may be a form of the other, or a slip of the finger: never where they begin otherwise, as what means
    the contrary does, nor where they are short."""
    if word == other or min(len(word), len(other)) < LEAST_WORD or word[0] != other[0]:
        return word == other
    return fuzz.ratio(word, other) >= SAME_WORD
