"""Which row comes next, and in which wording: the stream of training, decided by the seed alone."""

import random
from collections.abc import Iterator, Sequence

from znatok.data.batch import Batch, arrange, make_batch
from znatok.data.render import Renderer
from znatok.data.reword import Reworder
from znatok.records import Row

PARAPHRASE_SHARE = 1 / 3
"""Share of exposures in which a row that has paraphrases is asked in one of them, as it stands. A guess: real wordings
teach more than made ones, and the table's own question must still be seen often enough to be known."""


class Exposures:
    """Endless passes over the rows; in each pass every row comes once, as it stands or in another wording."""

    def __init__(
        self, rows: Sequence[Row], renderer: Renderer, *, batch_size: int, rewording: float, seed: int
    ) -> None:
        """rewording: share of exposures, those in a paraphrase as it stands not counted, with a changed wording."""
        self._rows = rows
        self._renderer = renderer
        self._reworder = Reworder(" ".join((row.question, *row.paraphrases)) for row in rows)
        self._batch_size = batch_size
        self._rewording = rewording
        self._rng = random.Random(seed)

    def __iter__(self) -> Iterator[tuple[Batch, tuple[int, ...]]]:
        """Batches, each with the places of its rows in the table."""
        while True:
            yield from self._one_pass()

    def again(self, places: Sequence[int]) -> list[tuple[Batch, tuple[int, ...]]]:
        """These rows once more, as they stand; others fill up the batches, so that those are not forgotten."""
        others = [place for place in range(len(self._rows)) if place not in places]
        lacking = min(-len(places) % self._batch_size, len(others))
        shown = [*places, *self._rng.sample(others, lacking)]
        batches = [shown[start : start + self._batch_size] for start in range(0, len(shown), self._batch_size)]
        rows = [[self._rows[place] for place in batch] for batch in batches]
        rendered = [[self._renderer.conversation(row.question, row.answer) for row in batch] for batch in rows]
        return [(make_batch(one), tuple(batch)) for one, batch in zip(rendered, batches, strict=True)]

    def _one_pass(self) -> Iterator[tuple[Batch, tuple[int, ...]]]:
        rendered = [self._renderer.conversation(self._wording(row), row.answer) for row in self._rows]
        for places in arrange([len(one.ids) for one in rendered], self._batch_size, self._rng):
            yield make_batch([rendered[place] for place in places]), tuple(places)

    def _wording(self, row: Row) -> str:
        """The question, a trained paraphrase, or a rewording of either. Without paraphrases nothing more is drawn."""
        if row.paraphrases and self._rng.random() < PARAPHRASE_SHARE:
            return self._rng.choice(row.paraphrases)
        if self._rng.random() >= self._rewording:
            return row.question
        said = self._rng.choice((row.question, *row.paraphrases)) if row.paraphrases else row.question
        return self._reworder.reword(said, self._rng)
