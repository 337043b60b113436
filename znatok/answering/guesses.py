"""What the weights will probably say: guesses that they check in a few passes, where single steps would take many.

The answer stays theirs.
"""

from collections.abc import Sequence
from functools import cached_property

from znatok.answering.evidence import CLOSEST
from znatok.data.render import Renderer
from znatok.data.search import Search
from znatok.model.decode import Guess
from znatok.records import Row

MOST_ROWS = 1_000
"""Rows up to which every answer is taken apart into tokens, at a fraction of a millisecond each; of larger tables only
the answers of the nearest rows are."""

RECOGNISED = 3
"""Tokens by which it is recognised where in an answer one is: a model that takes a question for another row's, or two
rows for one, says what some row says from there on."""


class Guesses:
    """The answers that a run was taught. Built in no time; what is needed is made ready with the first question."""

    def __init__(self, rows: Sequence[Row], renderer: Renderer, refusal: str | None = None) -> None:
        """refusal: what is said to decline, where that was taught."""
        self._rows, self._renderer, self.refusal = tuple(rows), renderer, refusal

    @cached_property
    def search(self) -> Search:
        """The rows, to be searched."""
        return Search(self._rows)

    def closest(self, question: str) -> tuple[Row, ...]:
        """The rows nearest to the question, the nearest first."""
        return tuple(found.row for found in self.search.best(question, CLOSEST))

    def at(self, question: str) -> Guess:
        """What may be said to this question: as the answer of one of the nearest rows goes on, else as any does."""
        nearest = [self._renderer.answer_ids(row.answer) for row in self.closest(question)]

        def what_follows(written: Sequence[int]) -> Sequence[int]:
            count = len(written)
            for ids in nearest:
                if ids[:count] == tuple(written):
                    return ids[count:]
            place = self._ends.get(tuple(written[-RECOGNISED:]))
            return self._answers[place[0]][place[1] :] if place else ()

        return what_follows

    @cached_property
    def _answers(self) -> list[tuple[int, ...]]:
        known = [row.answer for row in self._rows] if len(self._rows) <= MOST_ROWS else []
        refusal = [self.refusal] if self.refusal else []
        return [self._renderer.answer_ids(answer) for answer in (*refusal, *known)]

    @cached_property
    def _ends(self) -> dict[tuple[int, ...], tuple[int, int]]:
        """For each few tokens the answer in which they first stand, and where they end there; at an answer's beginning,
        for as few as there are yet."""
        ends: dict[tuple[int, ...], tuple[int, int]] = {}
        for number, ids in enumerate(self._answers):
            for end in range(1, len(ids)):
                ends.setdefault(ids[max(0, end - RECOGNISED) : end], (number, end))
        return ends
