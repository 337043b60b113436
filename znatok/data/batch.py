"""Rendered rows become padded arrays, batches of like length in a random order."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from znatok.records import Rendered

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """A few rows side by side, padded on the right. B rows, L columns, N trained tokens in all.

    No attention mask: attention is causal and padding comes last, so that no real token ever sees it.
    """

    ids_BL: Ids
    position_N: Ids
    """Where in the flattened (B·L) hidden states each trained token is predicted from."""
    target_N: Ids
    """The trained tokens."""
    row_N: Ids
    """Which of the B rows each trained token belongs to."""
    tokens: int
    """Prompt and answer tokens, padding not counted."""


def make_batch(rows: Sequence[Rendered]) -> Batch:
    """Pads `rows` to the longest of them."""
    length = max(len(row.ids) for row in rows)
    ids_BL = np.zeros((len(rows), length), dtype=np.int64)
    position, target, owner = [], [], []
    for number, row in enumerate(rows):
        ids_BL[number, : len(row.ids)] = row.ids
        position.append(number * length + np.arange(row.answer_start - 1, len(row.ids) - 1))
        target.append(np.asarray(row.ids[row.answer_start :], dtype=np.int64))
        owner.append(np.full(len(row.ids) - row.answer_start, number))
    return Batch(
        ids_BL,
        np.concatenate(position),
        np.concatenate(target),
        np.concatenate(owner),
        sum(len(row.ids) for row in rows),
    )


def widened(batch: Batch, columns: int, answers: int) -> Batch:
    """The same rows padded to a multiple of `columns`, trained tokens to one of `answers`: what is added stands last
    and says nothing."""
    length = batch.ids_BL.shape[1]
    more, added = -length % columns, -len(batch.target_N) % answers
    return Batch(
        np.pad(batch.ids_BL, ((0, 0), (0, more))),
        np.pad(batch.position_N + batch.position_N // length * more, (0, added)),
        np.pad(batch.target_N, (0, added)),
        np.pad(batch.row_N, (0, added)),
        batch.tokens,
    )


def arrange(lengths: Sequence[int], batch_size: int, rng: random.Random, window: int = 8) -> list[list[int]]:
    """Indices of one pass over the rows, in batches of like length.

    Shuffled, then sorted inside windows of `window` batches, then the batches shuffled: little padding, and yet other
    neighbours and another order in every pass. Every index comes exactly once; only one batch may be short.
    """
    order = list(range(len(lengths)))
    rng.shuffle(order)
    span = batch_size * window
    windows = [sorted(order[start : start + span], key=lengths.__getitem__) for start in range(0, len(order), span)]
    order = [i for rows in windows for i in rows]
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    rng.shuffle(batches)
    return batches


def divide(batch: Batch, halvings: int) -> list[Batch]:
    """The same rows in smaller batches, in the same order: halved so often, down to one row each."""
    pieces = [batch]
    for _ in range(halvings):
        pieces = [half for piece in pieces for half in _halves(piece)]
    return pieces


def _halves(batch: Batch) -> list[Batch]:
    rows = len(batch.ids_BL)
    return [_part(batch, 0, rows // 2), _part(batch, rows // 2, rows)] if rows > 1 else [batch]


def _part(batch: Batch, first: int, end: int) -> Batch:
    """Rows `first` to `end` of a batch, padded to the longest of them."""
    chosen_N = (batch.row_N >= first) & (batch.row_N < end)
    row_N = batch.row_N[chosen_N] - first
    column_N = batch.position_N[chosen_N] % batch.ids_BL.shape[1]
    # The last token of a row is trained, and is predicted from the place before its own.
    lengths = [int(column_N[row_N == row].max()) + 2 for row in range(end - first)]
    ids_BL = np.ascontiguousarray(batch.ids_BL[first:end, : max(lengths)])
    return Batch(ids_BL, row_N * max(lengths) + column_N, batch.target_N[chosen_N], row_N, sum(lengths))
