"""Plain search: the row of a table that a question is nearest to, by pieces of words. No model here.

It finds endings, compounds and slips of a finger without a dictionary, in any language: what a row and a question have
in common is counted in runs of two to four characters, and rare ones count more.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log

import numpy as np
import numpy.typing as npt
from rapidfuzz import fuzz

from znatok.records import Row

SHORTEST, LONGEST = 2, 4
"""Characters of the runs that are compared."""

LEAST_WORD, SAME_WORD = 4, 75
"""Letters from which two words that differ may be one, and the per cent of them that agree then."""

COMMON_ROWS, COMMON_SHARE = 3, 0.02
"""A word in so many rows, and in such a share of them, says little: "what", "how", "is"."""

_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Letters of Thai, Lao, Burmese, Khmer, Japanese and Chinese."""

_NO_LETTERS = re.compile(r"[\W_]+")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # any large odd number keeps runs apart

_AT_ONCE = 2**16
"""Pairs of a question and a row that are compared at once: a few dozen megabytes."""


@dataclass(frozen=True, slots=True)
class Found:
    """A row, and how like it is to the question: 0 nothing in common, 1 the same text."""

    row: Row
    score: float


@dataclass(frozen=True, slots=True)
class _Runs:
    """Which run of characters stands in which text, and how often; sorted by run, then by text."""

    runs: npt.NDArray[np.uint64]
    texts: npt.NDArray[np.int32]
    frequencies: npt.NDArray[np.float32]
    """The logarithmic tf."""


class Search:
    """The rows of a table, made ready to be searched by question, paraphrases and answer together.

    The score is the cosine of tf-idf vectors with a logarithmic tf. Runs of a question that no row has count as well:
    they are what it asks beyond the table.
    Source: Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008, chapter 6; what else was tried
    is in docs/log.md and docs/recipe.md, and `python -m bench.search` measures it.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = tuple(rows)
        found = _runs([" ".join(_cells(row)) for row in rows])
        first = np.flatnonzero(_is_new(found.runs))
        self._runs = found.runs[first]
        self._borders = np.append(first, len(found.runs))
        rows_with = np.diff(self._borders)
        self._rarities = self._rarity(rows_with)
        self._places = found.texts
        self._weights = found.frequencies * np.repeat(self._rarities.astype(np.float32), rows_with)
        self._lengths = np.sqrt(np.bincount(found.texts, np.square(self._weights), minlength=len(rows)))

    def best(self, question: str, count: int = 3) -> list[Found]:
        """The `count` rows nearest to `question`, the nearest first; fewer where the others have nothing in common."""
        asked = _runs([question])
        which, is_there, rarities = self._looked_up(asked.runs)
        weights = asked.frequencies * rarities
        shared = np.zeros(len(self._rows))
        for run, weight in zip(which[is_there], weights[is_there], strict=True):
            here = slice(self._borders[run], self._borders[run + 1])
            shared[self._places[here]] += weight * self._weights[here]
        alike = np.flatnonzero(shared)
        scores = shared[alike] / (self._lengths[alike] * np.sqrt(weights @ weights))
        # A stable sort: of equals the one that stands first in the table.
        order = np.argsort(-scores, kind="stable")[:count]
        return [Found(self._rows[alike[place]], float(scores[place])) for place in order]

    def nearest_scores(self, questions: Sequence[str]) -> npt.NDArray[np.float64]:
        """For each question the score of the row nearest to it, as `best` gives it; 0 where nothing is in common.

        Shapes: the result is (questions,).
        """
        at_once = max(1, _AT_ONCE // max(1, len(self._rows)))
        parts = [questions[start : start + at_once] for start in range(0, len(questions), at_once)]
        return np.concatenate([np.zeros(0), *map(self._nearest_scores, parts)])

    def _nearest_scores(self, questions: Sequence[str]) -> npt.NDArray[np.float64]:
        asked = _runs(questions)
        which, is_there, rarities = self._looked_up(asked.runs)
        weights = asked.frequencies * rarities
        lengths = np.sqrt(np.bincount(asked.texts, np.square(weights), minlength=len(questions)))
        first = self._borders[which[is_there]]
        rows_with = self._borders[which[is_there] + 1] - first
        # Each run of a question, once for every row that has it, too.
        here = np.arange(rows_with.sum()) + np.repeat(first - (np.cumsum(rows_with) - rows_with), rows_with)
        cells = np.repeat(asked.texts[is_there].astype(np.int64) * len(self._rows), rows_with) + self._places[here]
        products = np.repeat(weights[is_there], rows_with) * self._weights[here]
        shape = len(questions), len(self._rows)
        shared = np.bincount(cells, products, minlength=shape[0] * shape[1]).reshape(shape)
        scores = np.zeros(shape)
        np.divide(shared, np.outer(lengths, self._lengths), out=scores, where=shared != 0)
        return np.asarray(scores.max(axis=1, initial=0.0))

    def share_asked(self, question: str, row: Row) -> float:
        """How many words of the row's own question stand in `question`, rare ones counting more: 1 where all are there,
        whatever stands around them, or where nothing is asked but words of the row and such as many rows have; of
        several wordings the best.

        By words and not by letters, so that one word in another's place tells (RL for RC, "germanium" for "silicon"),
        and a slip of the finger does not.
        """
        asked, own = _words(question), _words(" ".join(_cells(row)))
        common = max(COMMON_ROWS, COMMON_SHARE * len(self._rows))
        strange = (word for word in asked if self._rows_with[word] < common)
        if asked and all(any(_same_word(word, other) for other in own) for word in strange):
            return 1.0
        return max(self._share_in(asked, wording) for wording in (row.question, *row.paraphrases))

    def _share_in(self, asked: Sequence[str], wording: str) -> float:
        words = _words(wording)
        weights = [log((len(self._rows) + 1) / self._asking_with.get(word, 0.5)) for word in words]
        there = (any(_same_word(word, other) for other in asked) for word in words)
        whole = sum(weights)
        asked_for = sum(weight for weight, is_there in zip(weights, there, strict=True) if is_there)
        return asked_for / whole if whole else 0.0

    @cached_property
    def _rows_with(self) -> Counter[str]:
        """How many rows have a word anywhere."""
        return _counts(" ".join(_cells(row)) for row in self._rows)

    @cached_property
    def _asking_with(self) -> Counter[str]:
        """How many rows ask with a word, in any of their wordings."""
        return _counts(" ".join((row.question, *row.paraphrases)) for row in self._rows)

    def _looked_up(
        self, runs: npt.NDArray[np.uint64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        """The place of each run among those of the table, whether it is there, and its rarity."""
        which = np.searchsorted(self._runs, runs)
        is_there = np.zeros(len(which), dtype=bool)
        inside = which < len(self._runs)
        is_there[inside] = self._runs[which[inside]] == runs[inside]
        # A run that no row has is as rare as if half a row had it.
        rarities = self._rarity(np.full(len(which), 0.5))
        rarities[is_there] = self._rarities[which[is_there]]
        return which, is_there, rarities

    def _rarity(self, rows_with: npt.NDArray[np.float64] | npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """The inverse document frequency of runs that so many rows have."""
        return np.log((len(self._rows) + 1) / rows_with)


def _cells(row: Row) -> tuple[str, ...]:
    return row.question, *row.paraphrases, row.answer


def _counts(texts: Iterable[str]) -> Counter[str]:
    """In how many of the texts each word stands."""
    return Counter(word for text in texts for word in {*_words(text)})


def _words(text: str) -> list[str]:
    """The words of a text; where a script has no spaces between them, its letters."""
    return _UNSPACED.sub(r" \g<0> ", _plain(text)).split()


def _same_word(word: str, other: str) -> bool:
    """Whether one may be a form of the other, or a slip of the finger: never where they begin otherwise, as what means
    the contrary does, nor where they are short."""
    if word == other or min(len(word), len(other)) < LEAST_WORD or word[0] != other[0]:
        return word == other
    return fuzz.ratio(word, other) >= SAME_WORD


def _runs(texts: Sequence[str]) -> _Runs:
    """All runs of characters of `texts`, word borders included. A run is known by a number made of its characters."""
    plain = [_plain(text) for text in texts]
    characters = np.frombuffer("".join(plain).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    sizes = np.array([len(text) for text in plain], dtype=np.int32)
    text_of = np.repeat(np.arange(len(plain), dtype=np.int32), sizes)
    numbers, where, number = [], [], characters
    for size in range(2, LONGEST + 1):
        number = number[:-1] * _MULTIPLIER + characters[size - 1 :]
        if size >= SHORTEST:
            is_whole = text_of[: len(number)] == text_of[size - 1 :]
            numbers.append(number[is_whole])
            where.append(text_of[: len(number)][is_whole])
    return _counted(np.concatenate(numbers), np.concatenate(where))


def _counted(numbers: npt.NDArray[np.uint64], texts: npt.NDArray[np.int32]) -> _Runs:
    order = np.argsort(numbers, kind="stable")  # of equal numbers, which are runs of one size, the texts stay in order
    numbers, texts = numbers[order], texts[order]
    first = np.flatnonzero(_is_new(numbers) | _is_new(texts))
    counts = np.diff(first, append=len(numbers)).astype(np.float32)
    return _Runs(numbers[first], texts[first], 1 + np.log(counts))


def _is_new(values: npt.NDArray[np.uint64] | npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Where a value differs from the one before it."""
    return np.append(np.ones(min(1, len(values)), dtype=bool), values[1:] != values[:-1])


def _plain(text: str) -> str:
    words = _NO_LETTERS.sub(" ", text.casefold().replace("ё", "е")).split()
    return f" {' '.join(words)} " if words else ""
