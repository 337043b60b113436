import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from znatok.exam.statistics import auroc, clopper_pearson


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.3084971),
        (10, 10, 0.6915029, 1.0),
        (1, 10, 0.0025286, 0.4450161),
        (5, 10, 0.1870860, 0.8129140),
        (682, 925, 0.7076683, 0.7654066),
        (0, 125, 0.0, 1 - 0.025 ** (1 / 125)),
        (125, 125, 0.025 ** (1 / 125), 1.0),
        (0, 40, 0.0, 0.0880973),
        (10_000, 10_000, 0.025 ** (1 / 10_000), 1.0),
    ],
)
def test_known_intervals_come_out_to_six_digits(hits, n, low, high):
    found = clopper_pearson(hits, n)
    assert found == pytest.approx((low, high), abs=1e-6)


def tail(n, share, counts):
    return math.fsum(math.comb(n, count) * share**count * (1 - share) ** (n - count) for count in counts)


@pytest.mark.parametrize(("hits", "n", "confidence"), [(3, 17, 0.95), (60, 125, 0.9), (124, 125, 0.99), (39, 40, 0.95)])
def test_at_the_ends_each_tail_has_half_of_what_confidence_leaves(hits, n, confidence):
    low, high = clopper_pearson(hits, n, confidence)
    assert tail(n, low, range(hits, n + 1)) == pytest.approx((1 - confidence) / 2, rel=1e-9)
    assert tail(n, high, range(hits + 1)) == pytest.approx((1 - confidence) / 2, rel=1e-9)


@pytest.mark.parametrize("n", [5, 40, 125])
def test_the_interval_covers_every_true_share_at_least_as_often_as_it_says(n):
    intervals = [clopper_pearson(hits, n) for hits in range(n + 1)]
    for share in (k / 50 for k in range(1, 50)):
        covering = [hits for hits, (low, high) in enumerate(intervals) if low <= share <= high]
        assert tail(n, share, covering) >= 0.95


def test_intervals_mirror_each_other():
    low, high = clopper_pearson(7, 40)
    assert clopper_pearson(33, 40) == pytest.approx((1 - high, 1 - low))


def test_nothing_counted_says_nothing():
    assert clopper_pearson(0, 0) == (0.0, 1.0)


def test_ten_thousand_rows_are_no_trouble():
    low, high = clopper_pearson(9_900, 10_000)
    assert 0.987 < low < 0.99 < high < 0.993


SCORES = st.sampled_from([-math.inf, -3.0, -0.5, 0.0]) | st.floats(-20, 0)


@given(st.lists(st.tuples(SCORES, st.booleans())))
def test_auroc_is_the_share_of_pairs_that_the_score_puts_in_order_ties_half(answers):
    right = [score for score, was_right in answers if was_right]
    wrong = [score for score, was_right in answers if not was_right]
    found = auroc([score for score, _ in answers], [was_right for _, was_right in answers])
    if not right or not wrong:
        assert found is None
        return
    pairs = [1.0 if high > low else 0.5 if high == low else 0.0 for high in right for low in wrong]
    assert found == pytest.approx(sum(pairs) / len(pairs))


def test_auroc_at_its_ends_and_in_the_middle():
    assert auroc([-1, -2, -3, -4], [True, True, False, False]) == 1
    assert auroc([-1, -2, -3, -4], [False, False, True, True]) == 0
    assert auroc([-1, -1, -1, -1], [True, False, True, False]) == 0.5
    assert auroc([], []) is None
    with pytest.raises(ValueError, match="zip"):
        auroc([-1, -2], [True])
