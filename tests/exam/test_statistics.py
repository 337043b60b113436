import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from znatok.exam.statistics import TELLING_ROWS, auroc, bootstrap, clopper_pearson, mcnemar, share_interval


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


def covered(make, true_mean, times=400):
    """How often the interval of what `make` draws holds the true mean."""
    rng = np.random.default_rng(1)
    intervals = (make(rng) for _ in range(times))
    return sum(low <= true_mean <= high for low, high in intervals) / times


@pytest.mark.parametrize(("n", "least"), [(40, 0.90), (125, 0.92)])
def test_the_bootstrap_covers_the_mean_of_scores_nearly_as_often_as_it_says(n, least):
    # Most answers are perfect and some are far off: the worst that chrF++ looks like.
    def drawn(rng):
        scores = np.where(rng.random(n) < 0.8, 100.0, rng.uniform(5, 60, n))
        return bootstrap([[score] for score in scores])

    assert least <= covered(drawn, 0.8 * 100 + 0.2 * 32.5) <= 0.98


def test_questions_of_one_row_are_one_piece_of_evidence():
    # Every row is known or not, and was asked twice: 250 answers that are worth 125.
    def clustered(rng):
        return share_interval([[known, known] for known in rng.random(125) < 0.7])

    def pretended(rng):
        known = rng.random(125) < 0.7
        return clopper_pearson(2 * int(known.sum()), 250)

    assert 0.92 <= covered(clustered, 0.7) <= 0.98
    assert covered(pretended, 0.7) < 0.88


def test_a_share_of_single_questions_is_clopper_pearsons():
    assert share_interval([[True]] * 3 + [[False]]) == clopper_pearson(3, 4)


def test_where_all_are_right_or_all_are_wrong_the_rows_are_counted():
    assert share_interval([[True, True]] * 10) == clopper_pearson(10, 10)
    assert share_interval([[False, False]] * 10) == clopper_pearson(0, 10)
    assert share_interval([[True, False]]) == (0, 1)


def test_the_bootstrap_is_the_same_every_time_and_holds_its_mean():
    groups = [[float(number % 7), float(number % 3)] for number in range(50)]
    low, high = bootstrap(groups)
    assert (low, high) == bootstrap(groups)
    assert low < sum(map(sum, groups)) / 100 < high
    assert bootstrap([[5.0], [5.0]]) == (5, 5)


def test_ten_thousand_rows_are_resampled_without_trouble():
    low, high = bootstrap([[float(number % 2)] for number in range(10_000)])
    assert 0.48 < low < 0.5 < high < 0.52


@pytest.mark.parametrize(
    ("only_before", "only_after", "p"),
    [(0, 0, 1), (0, 1, 1), (2, 2, 1), (0, 5, 0.0625), (0, 6, 0.03125), (1, 9, 22 / 1024), (9, 1, 22 / 1024)],
)
def test_mcnemar_is_the_exact_two_sided_test(only_before, only_after, p):
    assert mcnemar(only_before, only_after) == pytest.approx(p)


def test_mcnemar_calls_no_more_than_one_chance_in_twenty_a_change():
    for n in (6, 20, 61):
        called = [k for k in range(n + 1) if mcnemar(k, n - k) < 0.05]
        assert tail(n, 0.5, called) <= 0.05
    assert mcnemar(0, 10_000) == 0


def test_fewer_changed_rows_than_the_screen_says_tell_nothing():
    assert mcnemar(0, TELLING_ROWS) < 0.05 <= mcnemar(0, TELLING_ROWS - 1)
