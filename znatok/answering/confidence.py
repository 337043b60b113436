"""How sure an answer is: a logistic regression over its evidence, and the thresholds that were chosen with it."""

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from znatok.answering.evidence import Evidence
from znatok.run_folder import RunFolder

Floats = NDArray[np.float64]

RIDGE = 1.0
"""Pull of the weights towards 0, where inputs are scaled to a variance of 1: as much as one question says."""

ROUNDS = 50

WRONG_TARGET = 0.05
"""Most of the questions that a row answers that may be answered wrongly."""

NEAR_TARGET, FAR_TARGET = 0.03, 0.03
"""Most of the questions that no row answers, near the subject and far from it, that may be answered at all. Wanted is
0.10 of the near ones; those that people ask pass up to three times as often as those that are made here (docs/log.md).
"""

FAR_LOST = 0.02
"""Most of the questions that a row answers that may be taken for far ones."""

LEAST_WHOLE = 0.5
"""Of `Evidence.whole`, for a row to be given because search finds it: else a word of its question is missing, and the
question may be another one however like it is. Of people's near questions 3 to 8 % have as much (docs/recipe.md)."""

LEAST_LEAD = 0.03
"""Of `Evidence.lead`: below it the row that search finds first is the right one for a fifth of people's wordings, from
0.05 on for seven in ten and more (docs/recipe.md). The regressions do not know that: of the questions that they learn
from search finds nearly all."""

KEPT = 0.97
"""Share of the right answers that the most generous thresholds give which stricter ones must still give."""

GRID = tuple(step / 50 for step in range(1, 50))
"""Thresholds that are tried."""

_LIKENESS, _LEAD, _WHOLE = (
    [field.name for field in fields(Evidence)].index(name) for name in ("likeness", "lead", "whole")
)


@dataclass(frozen=True, slots=True)
class Regression:
    """The probability that an answer is right, from its evidence: inputs less `means`, by `scales`, times `weights`."""

    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float

    def probability(self, numbers: Sequence[float]) -> float:
        """Between 0 and 1."""
        terms = zip(numbers, self.means, self.scales, self.weights, strict=True)
        return float(_sigmoid(self.intercept + sum(weight * (it - mean) / scale for it, mean, scale, weight in terms)))


@dataclass(frozen=True, slots=True)
class Calibration:
    """How sure the answers of one run are, and what follows from it.

    `weights` and `search` give the probabilities that the weights' own answer is right, and that the row is which
    search finds first. Where the first is `sure` or more, the weights answer; else a row does, and where its
    probability is below `least`, or search found it and not `is_whole`, it may be declined. A question is far from all
    rows where the nearest one is no more like it than `far`; none is where that is None. `questions`: how many this
    was learned from, by kind.
    """

    weights: Regression
    search: Regression
    sure: float
    least: float
    far: float | None
    questions: dict[str, int]

    def probabilities(self, numbers: Sequence[float]) -> tuple[float, float]:
        """That the weights are right, and that search is."""
        return self.weights.probability(numbers), self.search.probability(numbers)

    def is_far(self, likeness: float) -> bool:
        """Whether a question is far from all rows, by its likeness to the nearest."""
        return self.far is not None and likeness <= self.far

    def describe(self) -> dict[str, Any]:
        """The calibration as the run folder keeps it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Judged:
    """One question of a calibration. Its kind is answerable, near or far; numbers are those of `Evidence`.

    What is right: the weights' own answer, the row that it tells (None where it tells none), the row found first.
    """

    kind: str
    numbers: Sequence[float]
    weights_right: bool
    said_right: bool | None
    search_right: bool


def is_whole(numbers: Sequence[float]) -> bool:
    """Whether the row that search finds is asked for with all of its words, so that it may be given; by `Evidence`."""
    return numbers[_WHOLE] >= LEAST_WHOLE


def leads(numbers: Sequence[float]) -> bool:
    """Whether search tells the row that it finds from the next one, or all of its words are asked; by `Evidence`."""
    return numbers[_LEAD] >= LEAST_LEAD or is_whole(numbers)


def read_calibration(run: RunFolder) -> Calibration | None:
    """The calibration of a run; None where it has none, or one that cannot be read."""
    try:
        record = json.loads(run.confidence.read_bytes())
        return Calibration(
            _regression(record["weights"]),
            _regression(record["search"]),
            float(record["sure"]),
            float(record["least"]),
            None if (far := record.get("far")) is None else float(far),  # runs of before have none
            {str(kind): int(count) for kind, count in record["questions"].items()},
        )
    except (OSError, TypeError, ValueError, KeyError, AttributeError):
        return None


def _regression(record: dict[str, Any]) -> Regression:
    means, scales, weights = (tuple(map(float, record[name])) for name in ("means", "scales", "weights"))
    if any(len(part) != len(fields(Evidence)) for part in (means, scales, weights)) or 0 in scales:
        raise ValueError(record)
    return Regression(means, scales, weights, float(record["intercept"]))


def fit_calibration(judged: Sequence[Judged]) -> Calibration:
    """Both regressions; thresholds with which nearly the most questions that a row answers are answered rightly, while
    no more are answered wrongly, or are answered though no row does, than the targets allow; where that cannot be,
    those that miss the targets least; and the likeness up to which a question is far."""
    inputs = [one.numbers for one in judged]
    weights = fit(inputs, [one.weights_right for one in judged])
    search = fit(inputs, [one.search_right for one in judged])
    sure, least = _thresholds(judged, weights, search)
    kinds = [one.kind for one in judged]
    far = _far([(one.kind, one.numbers[_LIKENESS]) for one in judged])
    return Calibration(weights, search, sure, least, far, {kind: kinds.count(kind) for kind in set(kinds)})


def fit(inputs: Sequence[Sequence[float]], is_right: Sequence[bool]) -> Regression:
    """A logistic regression with a ridge, by Newton's method.

    The targets are drawn in from 0 and 1 by what a sample of this size cannot know, so that even answers that are all
    right, or all wrong, give a probability and no certainty.
    Source of that: Platt, Probabilistic outputs for support vector machines, 1999.
    """
    x_NF = np.asarray(inputs, dtype=np.float64)
    means_F, scales_F = x_NF.mean(0), x_NF.std(0)
    scales_F[scales_F < 1e-6] = 1.0
    x_NF = np.column_stack([(x_NF - means_F) / scales_F, np.ones(len(x_NF))])
    right = np.asarray(is_right, dtype=bool)
    target_N = np.where(right, (right.sum() + 1) / (right.sum() + 2), 1 / ((~right).sum() + 2))
    ridge_FF = np.diag([RIDGE] * len(means_F) + [1e-6])
    weights_F = np.zeros(x_NF.shape[1])
    for _ in range(ROUNDS):
        given_N = _sigmoid(x_NF @ weights_F)
        slope_F = x_NF.T @ (given_N - target_N) + ridge_FF @ weights_F
        bend_FF = (x_NF * (given_N * (1 - given_N) + 1e-9)[:, None]).T @ x_NF + ridge_FF
        step_F = np.linalg.solve(bend_FF, slope_F)
        weights_F -= step_F * min(1.0, 5.0 / max(1e-12, float(np.abs(step_F).max())))
    *weights, intercept = weights_F.tolist()
    return Regression(tuple(means_F.tolist()), tuple(scales_F.tolist()), tuple(weights), intercept)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))


def _thresholds(judged: Sequence[Judged], weights: Regression, search: Regression) -> tuple[float, float]:
    weights_N, search_N = (np.array([it.probability(one.numbers) for one in judged]) for it in (weights, search))
    told_N = np.array([one.said_right is not None for one in judged])
    leads_N = np.array([leads(one.numbers) for one in judged])
    from_said_N = told_N & ((weights_N >= search_N) | ~leads_N)
    may_be_given_N = from_said_N | np.array([is_whole(one.numbers) for one in judged])
    row_N = np.where(from_said_N, weights_N, search_N)
    row_right_N = np.where(from_said_N, [bool(one.said_right) for one in judged], [one.search_right for one in judged])
    weights_right_N = np.array([one.weights_right for one in judged])
    kind_N = np.array([one.kind for one in judged])
    known_N, near_N, far_N = (kind_N == kind for kind in ("answerable", "near", "far"))

    def outcome(sure: float, least: float) -> _Outcome:
        from_weights_N = weights_N >= sure
        given_N = from_weights_N | (may_be_given_N & (row_N >= least))
        right_N = np.where(from_weights_N, weights_right_N, row_right_N)
        wrong, near, far = _share(given_N & ~right_N, known_N), _share(given_N, near_N), _share(given_N, far_N)
        excess = max(wrong / WRONG_TARGET, near / NEAR_TARGET, far / FAR_TARGET)
        return _Outcome(sure, least, max(1.0, excess), _share(given_N & right_N, known_N), near)

    all_of_them = [outcome(sure, least) for sure in GRID for least in GRID]
    fewest = min(one.excess for one in all_of_them)
    within = [one for one in all_of_them if one.excess == fewest]
    enough = KEPT * max(one.right for one in within)
    # People's near questions are harder to tell than those that are made here: the strictest ones that still serve.
    chosen = min((one for one in within if one.right >= enough), key=lambda one: (one.near, -one.sure - one.least))
    return chosen.sure, chosen.least


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A pair of thresholds: how far it misses the targets, and the shares answered rightly, and of near questions."""

    sure: float
    least: float
    excess: float
    right: float
    near: float


def _far(likenesses: Sequence[tuple[str, float]]) -> float | None:
    """The greatest likeness that a far question has and up to which no more answerable ones lie than `FAR_LOST`."""
    known = sorted(likeness for kind, likeness in likenesses if kind == "answerable")
    most = int(FAR_LOST * len(known))
    far = (likeness for kind, likeness in likenesses if kind == "far" and bisect_right(known, likeness) <= most)
    return max(far, default=None)


def _share(flags_N: NDArray[np.bool_], of_N: NDArray[np.bool_]) -> float:
    return float(flags_N[of_N].mean()) if of_N.any() else 0.0
