"""How much a share that was counted on n questions can be trusted."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

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
