"""Which row comes next, and in which wording: the stream of training, decided by the seed alone."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from znatok.data.batch import Batch, arrange, make_batch
from znatok.data.grounding import ground
from znatok.data.render import Renderer
from znatok.data.reword import Reworder
from znatok.data.search import Search
from znatok.records import Rendered, Row
from znatok.settings import REWORDING_FAMILIES, RewordingFamily

PARAPHRASE_SHARE = 1 / 3
"""Share of exposures in which a row that has paraphrases is asked in one of them, as it stands. A guess: real wordings
teach more than made ones, and the table's own question must still be seen often enough to be known."""

ABSENT_SHARE = 0.2
"""Share of the exposures with rows in the prompt in which the right one is not among them, so that the model learns to
ignore rows as well as to use them. A guess: search misses about as many of a table's own wordings."""


@dataclass(frozen=True, slots=True)
class Grounding:
    """How rows are put into prompts. `share` of the exposures have them, at most `rows` each; question and answer take
    at most `columns` tokens together."""

    share: float
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A batch with the places of its rows in the table, and for each whether rows stood in its prompt."""

    batch: Batch
    places: tuple[int, ...]
    is_grounded: tuple[bool, ...]


class Exposures:
    """Endless passes over the rows; in each pass every row comes once, as it stands or in another wording."""

    def __init__(
        self,
        rows: Sequence[Row],
        renderer: Renderer,
        *,
        batch_size: int,
        rewording: float,
        seed: int,
        mix: Sequence[RewordingFamily] = REWORDING_FAMILIES,
        grounding: Grounding | None = None,
    ) -> None:
        """rewording: share of exposures, those in a paraphrase as it stands not counted, with a changed wording.

        mix: the families of changes that are drawn from.
        """
        self._rows = rows
        self._renderer = renderer
        self._reworder = Reworder(rows, mix)
        self._batch_size = batch_size
        self._rewording = rewording
        self._grounding = grounding if grounding and grounding.share else None
        self._search = Search(rows) if self._grounding else None
        self._rng = random.Random(seed)
        self._pass_began = self._rng.getstate()
        self._given = 0  # batches of the pass under way

    def __iter__(self) -> Iterator[Shown]:
        """The batches, one after the other."""
        while True:
            yield from self._one_pass()

    def again(self, places: Sequence[int]) -> list[list[int]]:
        """Batches in which these rows come once more; others fill them up, so that those are not forgotten."""
        others = [place for place in range(len(self._rows)) if place not in places]
        lacking = min(-len(places) % self._batch_size, len(others))
        shown = [*places, *self._rng.sample(others, lacking)]
        self._pass_began, self._given = self._rng.getstate(), 0
        return [shown[start : start + self._batch_size] for start in range(0, len(shown), self._batch_size)]

    def as_they_stand(self, places: Sequence[int]) -> Shown:
        """The rows at these places, each in the words of the table."""
        rows = [self._rows[place] for place in places]
        batch = make_batch([self._renderer.conversation(row.question, row.answer) for row in rows])
        return Shown(batch, tuple(places), (False,) * len(places))

    def position(self) -> dict[str, Any]:
        """Where the stream stands, as JSON: the generator before the pass under way, that pass's batches given out, and
        the generator as it is now."""
        return {"pass_began": self._pass_began, "given": self._given, "now": self._rng.getstate()}

    def restore(self, position: dict[str, Any]) -> None:
        """Goes to where `position` was taken; iterate anew from there."""
        self._pass_began, self._given = _generator(position["pass_began"]), position["given"]
        self._rng.setstate(_generator(position["now"]))

    def _one_pass(self) -> Iterator[Shown]:
        """A pass, or the rest of the one that was under way."""
        self._rng.setstate(self._pass_began)
        shown = [self._exposure(place) for place in range(len(self._rows))]
        for places in arrange([len(one.ids) for one, _ in shown], self._batch_size, self._rng)[self._given :]:
            self._given += 1
            batch = make_batch([shown[place][0] for place in places])
            yield Shown(batch, tuple(places), tuple(shown[place][1] for place in places))
        self._pass_began, self._given = self._rng.getstate(), 0

    def _exposure(self, place: int) -> tuple[Rendered, bool]:
        """The row in one of its wordings, and whether rows stand in its prompt. Without grounding nothing is drawn."""
        row, said = self._rows[place], self._wording(place)
        plain = self._renderer.conversation(said, row.answer)
        if self._grounding is None or self._rng.random() >= self._grounding.share:
            return plain, False
        answer_tokens = len(plain.ids) - plain.answer_start
        room = self._grounding.columns - answer_tokens
        grounded = ground(said, self._carried(row, said), self._renderer, room, rng=self._rng)
        return self._renderer.conversation(grounded.text, row.answer), bool(grounded.rows)

    def _carried(self, row: Row, said: str) -> list[Row]:
        """The rows nearest to the wording, the right one among them but for a share of cases."""
        assert self._grounding is not None
        assert self._search is not None
        most, is_absent = self._grounding.rows, self._rng.random() < ABSENT_SHARE
        found = [one.row for one in self._search.best(said, most + 1)]
        if is_absent:
            return [one for one in found if one.answer != row.answer][:most]
        return found[:most] if row in found[:most] else [row, *found[: most - 1]]

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
