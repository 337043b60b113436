"""How much a share that was counted on n questions can be trusted."""

import math

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
