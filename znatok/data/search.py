"""Plain search: the row of a table that a question is nearest to, by pieces of words. No model here.

It finds endings, compounds and slips of a finger without a dictionary, in any language: what a row and a question have
in common is counted in runs of two to four characters, and rare ones count more.
"""

import math
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from znatok.records import Row

SHORTEST, LONGEST = 2, 4
"""Characters of the runs that are compared."""

_NO_LETTERS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Found:
    """A row, and how like it is to the question: 0 nothing in common, 1 the same text."""

    row: Row
    score: float


class Search:
    """The rows of a table, made ready to be searched by question, paraphrases and answer together.

    The score is the cosine of tf-idf vectors with a logarithmic tf. Runs of a question that no row has count as well:
    they are what it asks beyond the table.
    Source: Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008, chapter 6; what else was tried
    on `dataset_wordings.csv` is in docs/log.md.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = tuple(rows)
        places: defaultdict[str, array[int]] = defaultdict(lambda: array("i"))
        weights: defaultdict[str, array[float]] = defaultdict(lambda: array("f"))
        for place, row in enumerate(rows):
            for run, count in _runs(" ".join((row.question, *row.paraphrases, row.answer))).items():
                places[run].append(place)
                weights[run].append(_frequency(count))
        self._places = {run: np.frombuffer(found, dtype=np.int32) for run, found in places.items()}
        self._weights = {
            run: np.frombuffer(found, dtype=np.float32) * np.float32(self._rarity(run))
            for run, found in weights.items()
        }
        squares = np.zeros(len(rows))
        for run, found in self._places.items():
            squares[found] += self._weights[run].astype(float) ** 2
        self._lengths = np.sqrt(squares)

    def best(self, question: str, count: int = 3) -> list[Found]:
        """The `count` rows nearest to `question`, the nearest first; fewer where the others have nothing in common."""
        asked = {run: _frequency(count) * self._rarity(run) for run, count in _runs(question).items()}
        length = math.sqrt(sum(weight * weight for weight in asked.values()))
        shared = np.zeros(len(self._rows))
        for run, weight in asked.items():
            if run in self._places:
                shared[self._places[run]] += weight * self._weights[run]
        alike = np.flatnonzero(shared)
        scores = shared[alike] / (self._lengths[alike] * length)
        # A stable sort: of equals the one that stands first in the table.
        order = np.argsort(-scores, kind="stable")[:count]
        return [Found(self._rows[alike[place]], float(scores[place])) for place in order]

    def _rarity(self, run: str) -> float:
        """The inverse document frequency; a run that no row has is as rare as if half a row had it."""
        rows_with = len(self._places[run]) if run in self._places else 0.5
        return math.log((len(self._rows) + 1) / rows_with)


def _frequency(count: int) -> float:
    return 1 + math.log(count)


def _runs(text: str) -> Counter[str]:
    """All runs of characters of `text`, word borders included."""
    plain = f" {' '.join(_NO_LETTERS.sub(' ', text.casefold().replace('ё', 'е')).split())} "
    if not plain.strip():
        return Counter()
    sizes = range(SHORTEST, LONGEST + 1)
    return Counter(plain[start : start + size] for size in sizes for start in range(len(plain) - size + 1))
