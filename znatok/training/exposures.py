"""Which row comes next, in which wording and behind what: the stream of training, decided by the seed alone."""

import random
from collections.abc import Iterator, Sequence
from typing import Any

from znatok.data.batch import Batch, arrange, make_batch
from znatok.data.render import Renderer, Turn
from znatok.data.reword import Reworder
from znatok.records import Rendered, Row
from znatok.settings import REWORDING_FAMILIES, RewordingFamily

PARAPHRASE_SHARE = 1 / 3
"""Share of exposures in which a row that has paraphrases is asked in one of them, as it stands. A guess: real wordings
teach more than made ones, and the table's own question must still be seen often enough to be known."""

FIRST_PASSES, NEXT_PASSES = 16, 6
"""Passes over the rows that are learned first, and over each larger part of the table, which has twice as many."""

Shown = tuple[Batch, tuple[int, ...]]
"""A batch with the places of its rows in the table."""


class Exposures:
    """Endless passes over the rows; in each pass every row comes once, as it stands or in another wording.

    Where `curriculum_rows` are asked for, the first passes go over so many of the rows, the next over twice as many,
    and so on up to half of them; then all are there. Of many rows that are worded alike none is learned for long if all
    come at once (docs/recipe.md). Before that the row that comes last misses no more than eight exposures.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        renderer: Renderer,
        *,
        batch_size: int,
        rewording: float,
        seed: int,
        mix: Sequence[RewordingFamily] = REWORDING_FAMILIES,
        history_share: float = 0.0,
        longest: int | None = None,
        curriculum_rows: int = 0,
    ) -> None:
        """rewording: share of exposures, those in a paraphrase as it stands not counted, with a changed wording.

        mix: the families of changes that are drawn from.  history_share: share of exposures that come second in a
        conversation, after another row in the words of the table; nothing of that row is trained on then.
        longest: tokens above which they come without it.  curriculum_rows: 0 for all rows from the first pass on.
        """
        self._rows = rows
        self._renderer = renderer
        self._reworder = Reworder(rows, mix)
        self._batch_size = batch_size
        self._rewording = rewording
        self._history_share = history_share if len(rows) > 1 else 0.0
        self._longest = longest
        self._rng = random.Random(seed)
        self._pass_began = self._rng.getstate()
        self._given = 0  # batches of the pass under way
        self._passes = 0  # those that are over
        self._order = list(range(len(rows)))
        self._curriculum_rows = curriculum_rows or len(rows)
        if self._curriculum_rows < len(rows):
            random.Random(f"curriculum {seed}").shuffle(self._order)

    def __iter__(self) -> Iterator[Shown]:
        """The batches, one after the other."""
        while True:
            yield from self._one_pass()

    def again(self, places: Sequence[int]) -> list[list[int]]:
        """Batches in which these rows come once more: one a batch, the rest others, so that those stay.

        Where that makes more rows than there are, all come once. In batches of one row half are others.
        """
        missed = set(places)
        others = [place for place in range(len(self._rows)) if place not in missed]
        known = min(len(places) * max(1, self._batch_size - 1), len(others))
        shown = [*places, *self._rng.sample(others, known)]
        self._rng.shuffle(shown)
        self._pass_began, self._given = self._rng.getstate(), 0
        return [shown[start : start + self._batch_size] for start in range(0, len(shown), self._batch_size)]

    def as_they_stand(self, places: Sequence[int]) -> Batch:
        """The rows at these places, each in the words of the table."""
        rows = [self._rows[place] for place in places]
        return make_batch([self._renderer.conversation(row.question, row.answer) for row in rows])

    def position(self) -> dict[str, Any]:
        """Where the stream stands, as JSON: the passes that are over, the generator before the one under way, that
        pass's batches given out, and the generator as it is now."""
        began, now = self._pass_began, self._rng.getstate()
        return {"passes": self._passes, "pass_began": began, "given": self._given, "now": now}

    def restore(self, position: dict[str, Any]) -> None:
        """Goes to where `position` was taken; iterate anew from there."""
        self._passes, self._given = position["passes"], position["given"]
        self._pass_began = _generator(position["pass_began"])
        self._rng.setstate(_generator(position["now"]))

    def _one_pass(self) -> Iterator[Shown]:
        """A pass, or the rest of the one that was under way."""
        self._rng.setstate(self._pass_began)
        shown = sorted(self._order[: self._count()])
        rendered = [self._rendered(place) for place in shown]
        for batch in arrange([len(one.ids) for one in rendered], self._batch_size, self._rng)[self._given :]:
            self._given += 1
            yield make_batch([rendered[number] for number in batch]), tuple(shown[number] for number in batch)
        self._pass_began, self._given, self._passes = self._rng.getstate(), 0, self._passes + 1

    def _count(self) -> int:
        """The rows of the pass under way."""
        doublings = 0 if self._passes < FIRST_PASSES else 1 + (self._passes - FIRST_PASSES) // NEXT_PASSES
        count = self._curriculum_rows << min(doublings, len(self._rows).bit_length())
        return count if 2 * count <= len(self._rows) else len(self._rows)

    def _rendered(self, place: int) -> Rendered:
        """The row with what came before it, where something does and both together are not too long."""
        wording, answer = self._wording(place), self._rows[place].answer
        if history := self._history(place):
            rendered = self._renderer.conversation(wording, answer, history)
            if self._longest is None or len(rendered.ids) <= self._longest:
                return rendered
        return self._renderer.conversation(wording, answer)

    def _history(self, place: int) -> tuple[Turn, ...]:
        """Another row as the earlier turn, or nothing. Where the share is 0 nothing is drawn."""
        if not self._history_share or self._rng.random() >= self._history_share:
            return ()
        other = self._rng.randrange(len(self._rows) - 1)
        row = self._rows[other + (other >= place)]
        return ((row.question, row.answer),)

    def _wording(self, place: int) -> str:
        """The question, a trained paraphrase, or a rewording of either. Without paraphrases nothing more is drawn."""
        row = self._rows[place]
        if row.paraphrases and self._rng.random() < PARAPHRASE_SHARE:
            return self._rng.choice(row.paraphrases)
        if self._rng.random() >= self._rewording:
            return row.question
        return self._reworder.reword(place, self._rng)


def _generator(state: Sequence[Any]) -> tuple[Any, ...]:
    """A state of `random.Random` that went through JSON, which has no tuples."""
    version, numbers, gauss = state
    return version, tuple(numbers), gauss
