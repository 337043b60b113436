"""Plain search: the row of a table that a question is nearest to, by pieces of words. No model here.

It finds endings, compounds and slips of a finger without a dictionary, in any language: what a row and a question have
in common is counted in runs of two to four characters, and rare ones count more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from znatok.data.asked import Asked, joined_words
from znatok.records import Row

SHORTEST, LONGEST = 2, 4
"""Characters of the runs that are compared."""

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
        found = _runs([" ".join((row.question, *row.paraphrases, row.answer)) for row in rows])
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

    @cached_property
    def asked(self) -> Asked:
        """What tells whether a row's own question is asked."""
        return Asked(self._rows)

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


def _runs(texts: Sequence[str]) -> _Runs:
    """All runs of characters of `texts`, word borders included. A run is known by a number made of its characters."""
    plain = [f" {said} " if (said := joined_words(text)) else "" for text in texts]
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
