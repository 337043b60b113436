"""Whether a wording still asks for its own row: how near it is to each row, quickly enough to ask of every wording."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from znatok.data.likeness import plain
from znatok.records import Row

_PREFIXES = (3, 5, 7)
"""Letters of the beginnings that words are compared by: short ones stand for any form, long ones tell words apart."""

COMMON_SHARE, COMMON_ROWS = 0.25, 400
"""A piece that more rows have, by share or by number, tells nothing and costs time."""

_WORD = re.compile(r"\w+")
_WITHOUT_SPACES = re.compile(r"[\u0e00-\u0eff\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")


class Nearness:
    """The rows of a table, each as two directions: its wordings and its answer.

    A wording's score for a row is the sum of its cosines with both, over tf-idf weights. That is the way of plain
    search, with beginnings of words in place of runs of characters, so that it takes microseconds.
    """

    def __init__(self, rows: Sequence[Row], normal: Callable[[str], str] = str) -> None:
        """normal: the form that all forms of a word have in common, where the language of the table has many."""
        self._normal = normal
        sides = [[Counter(self._pieces(" ".join(said))) for said in _sides(row)] for row in rows]
        rows_with = Counter(piece for asked, told in sides for piece in {**asked, **told})
        most = max(2, min(COMMON_ROWS, int(COMMON_SHARE * len(rows))))
        self._rarity = {piece: math.log((len(rows) + 1) / count) for piece, count in rows_with.items() if count <= most}
        self._shares: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        for place, both in enumerate(sides):
            shares: defaultdict[str, float] = defaultdict(float)
            for side in both:
                weights = {
                    piece: (1 + math.log(count)) * self._rarity[piece]
                    for piece, count in side.items()
                    if piece in self._rarity
                }
                length = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
                for piece, weight in weights.items():
                    shares[piece] += weight / length
            for piece, share in shares.items():
                self._shares[piece].append((place, share))
        answers: dict[str, int] = {}
        self._fact = [answers.setdefault(plain(row.answer), place) for place, row in enumerate(rows)]

    def is_nearest(self, wording: str, place: int) -> bool:
        """Whether no row with another answer is nearer to `wording` than the one at `place`."""
        scores = self._scores(wording)
        own = max((score for at, score in scores.items() if self._fact[at] == self._fact[place]), default=0.0)
        return all(score <= own + 1e-9 or self._fact[at] == self._fact[place] for at, score in scores.items())

    def is_told(self, wording: str, place: int) -> bool:
        """Whether `wording` has anything in common with the row at `place` that not every row has."""
        return self._scores(wording).get(place, 0.0) > 0

    def rarity(self, word: str) -> float:
        """How much a word tells rows apart: 0 where many have it."""
        return max((self._rarity.get(piece, 0.0) for piece in self._pieces(word)), default=0.0)

    def _pieces(self, text: str) -> list[str]:
        return pieces(" ".join(map(self._normal, _WORD.findall(text))))

    def _scores(self, wording: str) -> dict[int, float]:
        scores: defaultdict[int, float] = defaultdict(float)
        for piece in dict.fromkeys(self._pieces(wording)):
            if rarity := self._rarity.get(piece):
                for place, share in self._shares[piece]:
                    scores[place] += rarity * share
        return scores


def pieces(text: str) -> list[str]:
    """The beginnings of the words of `text`; numbers whole; pairs of characters where words are not kept apart."""
    found = []
    for word in _WORD.findall(text.casefold().replace("ё", "е")):
        if _WITHOUT_SPACES.search(word):
            found += [word[at : at + 2] for at in range(max(1, len(word) - 1))]
        elif len(word) <= _PREFIXES[0] or any(letter.isnumeric() for letter in word):
            found.append(word)
        else:
            found += [word[:length] for length in _PREFIXES if length <= len(word)]
    return found


def _sides(row: Row) -> Iterable[tuple[str, ...]]:
    return (row.question, *row.paraphrases), (row.answer,)
