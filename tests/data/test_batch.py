"""Padded arrays and the order of a pass."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from znatok.data.batch import arrange, divide, make_batch, widened
from znatok.records import Rendered


@st.composite
def rendered(draw):
    ids = draw(st.lists(st.integers(1, 50_000), min_size=2, max_size=12))
    return Rendered(tuple(ids), draw(st.integers(1, len(ids) - 1)))


ROWS = st.lists(rendered(), min_size=1, max_size=8)
LENGTHS = st.lists(st.integers(2, 400), max_size=300)


def test_rows_are_padded_on_the_right():
    batch = make_batch([Rendered((5, 6, 7), 1), Rendered((8, 9), 1)])
    assert batch.ids_BL.tolist() == [[5, 6, 7], [8, 9, 0]]
    assert batch.position_N.tolist() == [0, 1, 3]
    assert batch.target_N.tolist() == [6, 7, 9]
    assert batch.row_N.tolist() == [0, 0, 1]
    assert batch.tokens == 5


@settings(max_examples=100, deadline=None)
@given(rows=ROWS)
def test_a_batch_is_what_a_slow_loop_makes(rows):
    batch = make_batch(rows)
    length = max(len(row.ids) for row in rows)
    assert batch.ids_BL.tolist() == [[*row.ids, *[0] * (length - len(row.ids))] for row in rows]
    trained = [(b, i) for b, row in enumerate(rows) for i in range(row.answer_start, len(row.ids))]
    assert batch.position_N.tolist() == [b * length + i - 1 for b, i in trained]
    assert batch.target_N.tolist() == [rows[b].ids[i] for b, i in trained]
    assert batch.row_N.tolist() == [b for b, _ in trained]
    assert {array.dtype for array in (batch.ids_BL, batch.position_N, batch.target_N, batch.row_N)} == {
        np.dtype(np.int64)
    }


@settings(max_examples=40, deadline=None)
@given(rows=ROWS)
def test_every_trained_token_stands_right_behind_where_it_is_predicted_from(rows):
    batch = make_batch(rows)
    assert (batch.ids_BL.reshape(-1)[batch.position_N + 1] == batch.target_N).all()


@settings(max_examples=40, deadline=None)
@given(rows=ROWS)
def test_padding_is_not_counted_as_tokens(rows):
    assert make_batch(rows).tokens == sum(len(row.ids) for row in rows)


# The order of a pass


@settings(max_examples=100, deadline=None)
@given(lengths=LENGTHS, batch_size=st.integers(1, 20), seed=st.integers(0, 2**32), window=st.integers(1, 10))
def test_no_row_is_dropped(lengths, batch_size, seed, window):
    batches = arrange(lengths, batch_size, random.Random(seed), window)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert sorted(len(batch) for batch in batches)[1:] == [batch_size] * (len(batches) - 1)
    assert all(batches)


def padding(lengths, batches):
    return sum(max(lengths[i] for i in batch) - lengths[j] for batch in batches for j in batch)


@pytest.mark.parametrize("seed", range(5))
def test_batches_hold_rows_of_like_length(seed):
    rng = random.Random(seed)
    lengths = [rng.randrange(80, 400) for _ in range(1_000)]
    order = rng.sample(range(1_000), 1_000)
    unsorted = [order[start : start + 8] for start in range(0, 1_000, 8)]
    assert padding(lengths, arrange(lengths, 8, rng)) < 0.25 * padding(lengths, unsorted)


def test_every_pass_has_another_order_and_other_neighbours():
    rng = random.Random(0)
    lengths = [rng.randrange(80, 400) for _ in range(125)]
    passes = [arrange(lengths, 8, rng) for _ in range(10)]
    assert len({tuple(map(tuple, batches)) for batches in passes}) == 10
    neighbours = {frozenset(batch) for batches in passes for batch in batches}
    assert len(neighbours) > 0.95 * sum(map(len, passes))


def test_long_and_short_batches_come_mixed():
    lengths = list(range(2, 802))
    means = [sum(batch) / len(batch) for batch in arrange(lengths, 8, random.Random(0))]
    assert means not in (sorted(means), sorted(means, reverse=True))
    assert abs(sum(means[:50]) / 50 - 400) < 100


def test_the_same_seed_gives_the_same_order():
    lengths = [random.Random(1).randrange(80, 400) for _ in range(125)]
    assert arrange(lengths, 8, random.Random(3)) == arrange(lengths, 8, random.Random(3))
    assert arrange(lengths, 8, random.Random(3)) != arrange(lengths, 8, random.Random(4))


def test_a_batch_divides_into_smaller_ones_of_the_same_rows():
    rows = [
        Rendered(tuple(range(1, length + 1)), answer) for length, answer in ((7, 3), (4, 2), (9, 8), (5, 1), (6, 2))
    ]
    whole = make_batch(rows)
    for halvings, counts in ((0, [5]), (1, [2, 3]), (2, [1, 1, 1, 2]), (3, [1, 1, 1, 1, 1]), (5, [1, 1, 1, 1, 1])):
        parts = divide(whole, halvings)
        assert [len(part.ids_BL) for part in parts] == counts
        for part in parts:
            expected = make_batch(rows[: len(part.ids_BL)])
            rows = [*rows[len(part.ids_BL) :], *rows[: len(part.ids_BL)]]
            for name in ("ids_BL", "position_N", "target_N", "row_N"):
                assert getattr(part, name).tolist() == getattr(expected, name).tolist()
            assert part.tokens == expected.tokens


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, columns=st.integers(1, 9), answers=st.integers(1, 9))
def test_a_wider_batch_has_the_same_rows_and_sizes_that_are_multiples(rows, columns, answers):
    batch = make_batch(rows)
    wider, count = widened(batch, columns, answers), len(batch.target_N)
    assert wider.ids_BL.shape[1] % columns == len(wider.target_N) % answers == 0
    assert np.array_equal(wider.ids_BL[:, : batch.ids_BL.shape[1]], batch.ids_BL)
    assert not wider.ids_BL[:, batch.ids_BL.shape[1] :].any()
    assert np.array_equal(wider.target_N[:count], batch.target_N)
    assert np.array_equal(wider.row_N[:count], batch.row_N)
    assert np.array_equal(wider.ids_BL.ravel()[wider.position_N[:count]], batch.ids_BL.ravel()[batch.position_N])
    assert len(wider.position_N) == len(wider.row_N) == len(wider.target_N)
    assert wider.tokens == batch.tokens
