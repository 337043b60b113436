"""What all who are compared are given to learn: the same rows, in the same batches, in the same order."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from znatok.data.batch import arrange
from znatok.records import Rendered

LONGEST = 512
"""Tokens to which the classic recipe pads and cuts; longer rows would not be the same for all."""

WARM_UP = 3
"""Updates that are not counted: the first of each length choose and prepare their kernels."""


class NoWorkError(ValueError):
    """The table has too few rows for one batch."""


@dataclass(frozen=True, slots=True)
class Work:
    """`rows` are rendered once, by us: prompt, answer and end of turn. `batches` hold places of rows, one an update.

    First come `WARM_UP` updates, then `rounds` passes over all rows, each in another order, batches of like length as
    in training; then one batch that nobody is asked to train, because a Trainer stops at its last.
    """

    folder: str
    threads: int
    rows: tuple[Rendered, ...]
    batches: tuple[tuple[int, ...], ...]

    @property
    def steps(self) -> int:
        """Updates in one pass."""
        return len(self.rows) // len(self.batches[0])

    @property
    def trained_share(self) -> float:
        """Answer tokens in all tokens."""
        total = sum(len(row.ids) for row in self.rows)
        return sum(len(row.ids) - row.answer_start for row in self.rows) / total

    def tokens(self, batch: int) -> int:
        """Prompt and answer tokens of one batch."""
        return sum(len(self.rows[place].ids) for place in self.batches[batch])

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")


def read_work(file: Path) -> Work:
    """What `Work.write` wrote."""
    said = json.loads(file.read_text(encoding="utf-8"))
    rows = tuple(Rendered(tuple(row["ids"]), row["answer_start"]) for row in said["rows"])
    return Work(said["folder"], said["threads"], rows, tuple(map(tuple, said["batches"])))


def make_work(
    rows: Sequence[Rendered],
    folder: Path,
    *,
    threads: int,
    batch: int,
    steps: int,
    rounds: int,
    seed: int = 0,
) -> Work:
    """At most `steps` full batches of rows, spread over the table.

    Raises NoWorkError where there is not one full batch of rows that are short enough.
    """
    short = [row for row in rows if len(row.ids) <= LONGEST]
    steps = min(steps, len(short) // batch)
    if steps < 1:
        raise NoWorkError(
            f"One batch is {batch} rows of at most {LONGEST} tokens, and the table has {len(short)} such."
        )
    count = steps * batch
    taken = tuple(short[place * len(short) // count] for place in range(count))
    passes = _passes([len(row.ids) for row in taken], batch, random.Random(seed))
    warm_up: list[tuple[int, ...]] = []
    while len(warm_up) < WARM_UP:
        warm_up += next(passes)
    counted = [one for _ in range(rounds) for one in next(passes)]
    return Work(str(folder), threads, taken, (*warm_up[:WARM_UP], *counted, counted[-1]))


def _passes(lengths: Sequence[int], batch: int, rng: random.Random) -> Iterator[list[tuple[int, ...]]]:
    while True:
        yield [tuple(places) for places in arrange(lengths, batch, rng)]
