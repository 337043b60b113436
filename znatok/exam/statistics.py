"""How much the scores of an exam can be trusted, and whether two of them differ by more than chance."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np

RESAMPLES = 2_000

TELLING_ROWS = 6
"""Rows that must have changed, all the same way, before chance gives as much in less than one case of twenty:
`mcnemar(0, 6)` is 0.031 and `mcnemar(0, 5)` 0.063, whatever the number of rows."""

_DRAWN_AT_ONCE = 1_000_000
_HALVINGS = 60
"""Bisection steps: the interval's ends are exact to the last bits of a float."""


def clopper_pearson(hits: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact binomial interval of a share of `hits` in `n`; never covers less often than `confidence`.

    Nothing counted says nothing: n = 0 gives (0, 1).

    Source: Clopper and Pearson, Biometrika 26 (1934), 404-413.
    Example:
        >>> low, high = clopper_pearson(125, 125)
        >>> round(low, 4), high
        (0.9709, 1.0)
    """
    assert 0 <= hits <= n, (hits, n)
    assert 0 < confidence < 1, confidence
    tail = (1 - confidence) / 2
    return _low(hits, n, tail), 1 - _low(n - hits, n, tail)


def auroc(scores: Sequence[float], is_right: Sequence[bool]) -> float | None:
    """The share of pairs of a right and a wrong answer in which the right one has the higher score, ties half.

    1 means that the scores tell right from wrong, 0.5 that they say nothing, below 0.5 that they mislead. None where
    all answers are right or all are wrong: there is nothing to tell apart.

    Source: the area under the ROC curve; Hanley and McNeil, Radiology 143 (1982), 29-36.
    Example:
        >>> auroc([-0.1, -0.5, -0.5, -2.0], [True, True, False, False])
        0.875
    """
    assert not any(map(math.isnan, scores))
    right = [score for score, was_right in zip(scores, is_right, strict=True) if was_right]
    wrong = sorted(score for score, was_right in zip(scores, is_right, strict=True) if not was_right)
    if not right or not wrong:
        return None
    halves = sum(bisect_left(wrong, score) + bisect_right(wrong, score) for score in right)
    return halves / (2 * len(right) * len(wrong))


def share_interval(groups: Sequence[Sequence[bool]], confidence: float = 0.95) -> tuple[float, float]:
    """The interval of a share of questions; a group holds the questions of one row, and the row is the unit.

    Questions of one row are right or wrong together: counted as if each stood alone, they would promise too narrow an
    interval. So where every row was asked once this is `clopper_pearson`, else `bootstrap` over rows. Where all
    questions are right (or all wrong) the bootstrap has nothing to vary: then it is `clopper_pearson` over the rows.
    """
    hits, questions = sum(map(sum, groups)), sum(map(len, groups))
    if len(groups) == questions:
        return clopper_pearson(hits, questions, confidence)
    if hits in (0, questions):
        return clopper_pearson(len(groups) if hits else 0, len(groups), confidence)
    if len(groups) == 1:
        return 0.0, 1.0
    return bootstrap(groups, confidence)


def bootstrap(groups: Sequence[Sequence[float]], confidence: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """The interval of the mean over all values, when whole groups are drawn anew: percentiles of 2,000 such means.

    Where groups are few it covers the true mean less often than it says. In simulation, on scores that are 100 in four
    cases of five: 0.95 of the time for 125 groups, 0.93 for 40, 0.89 for 16.
    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    assert groups
    sums, sizes = np.array([sum(group) for group in groups], dtype=float), np.array(list(map(len, groups)))
    rng = np.random.default_rng(seed)
    means = np.empty(0)
    at_once = max(1, _DRAWN_AT_ONCE // len(sums))
    while len(means) < RESAMPLES:
        drawn = rng.integers(len(sums), size=(min(at_once, RESAMPLES - len(means)), len(sums)))
        means = np.append(means, sums[drawn].sum(1) / sizes[drawn].sum(1))
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return float(low), float(high)


def mcnemar(only_before: int, only_after: int) -> float:
    """How probable a change at least this one-sided is by chance: the exact two-sided test of paired answers.

    Rows that are right both times or wrong both times say nothing of a change and are not counted.

    Source: McNemar, Psychometrika 12 (1947), 153-157, with the binomial instead of the chi-squared distribution.
    Example:
        >>> round(mcnemar(0, 6), 5), mcnemar(3, 3), mcnemar(0, 0)
        (0.03125, 1.0, 1.0)
    """
    changed = only_before + only_after
    return min(1.0, 2 * _at_least(max(only_before, only_after), changed, 0.5)) if changed else 1.0


def _low(hits: int, n: int, tail: float) -> float:
    """The share at which `hits` or more in `n` have the probability `tail`."""
    if hits == 0:
        return 0.0
    low, high = 0.0, hits / n
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _at_least(hits, n, middle) < tail:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _at_least(hits: int, n: int, share: float) -> float:
    """P(X ≥ hits) of a binomial whose `share` lies below hits / n, where each term is smaller than the one before."""
    if share == 0:
        return 0.0
    odds = share / (1 - share)
    choices = math.lgamma(n + 1) - math.lgamma(hits + 1) - math.lgamma(n - hits + 1)
    term = math.exp(choices + hits * math.log(share) + (n - hits) * math.log1p(-share))
    total = 0.0
    for count in range(hits, n + 1):
        total += term
        term *= (n - count) / (count + 1) * odds
        if term < total * 1e-17:
            break
    return total
