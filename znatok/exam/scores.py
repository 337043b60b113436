"""From marked answers to the scores of `exam.json` and the records of `answers.jsonl`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from znatok.answering.policies import Source
from znatok.data.search import Found
from znatok.exam.marks import Marked
from znatok.exam.statistics import auroc, bootstrap, mcnemar, share_interval
from znatok.records import Question

Policy = Literal["before", "after", "grounded", "auto", "search"]
Scores = dict[str, dict[str, dict[str, Any]]]
"""SET, POLICY, MEASURE."""

OF_AN_ANSWER = ("passed", "chrf", "stopped", "echoed", "confused", "confidently_wrong", "refused")
"""Measures that need an answer; `exact` needs none."""

ALWAYS = ("before", "after")
"""Policies that every set has, even where nothing was generated under them."""

OF_AUTO = ("declined", "among_three")
"""Measures of the policy `auto` alone."""

PAIRED = ("exact", "passed")
"""Measures in which base and tuned model are compared question by question."""


@dataclass(frozen=True, slots=True)
class Told:
    """Where the answer under `auto` came from, how sure it was, and the rows nearest to the question, by number."""

    source: Source
    row: int | None
    confidence: float
    closest: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of a set and all that came of it.

    `exact` is empty where no answer is expected; `marked` holds the policies that answered. `logprob` is the mean
    log-probability of a token of the `after` answer, its end of turn included.
    """

    set_name: str
    question: Question
    exact: Mapping[Policy, bool]
    marked: Mapping[Policy, Marked]
    logprob: float | None
    found: Found | None
    told: Told | None = None

    @property
    def verdict(self) -> Marked | None:
        """The answer that counts: the tuned model's, the base's where there is no adapter."""
        return self.marked.get("after") or self.marked.get("before")


def scores(asked: Sequence[Asked], policies: Sequence[Policy]) -> Scores:
    """Every measure of every set under every policy; policies that answered nothing in a set are left out there."""
    return {
        name: {
            policy: _measures(members, policy)
            for policy in policies
            if policy in ALWAYS or any(policy in one.marked for one in members)
        }
        for name, members in _by_set(asked).items()
    }


def comparisons(asked: Sequence[Asked]) -> dict[str, dict[str, dict[str, float] | None]]:
    """By set and measure: rows right only before, rows right only after, and how probable that is by chance.

    The row is the unit, and it is right where all of its questions are. Compared are the questions that both answered;
    null where there are none.
    """
    compared: dict[str, dict[str, dict[str, float] | None]] = {}
    for name, members in _by_set(asked).items():
        if all("after" in one.exact for one in members):
            compared[name] = {measure: _compared(members, measure) for measure in PAIRED}
    return compared


def confidence(asked: Sequence[Asked]) -> dict[str, float | None]:
    """By set: how well the log-probability of an answer tells passed from not passed; null where all are the same."""
    known: dict[str, float | None] = {}
    for name, members in _by_set(asked).items():
        if all(one.question.reference for one in members):
            after = [(one.logprob, one.marked["after"].passed) for one in members if "after" in one.marked]
            sure = [(logprob, bool(is_right)) for logprob, is_right in after if logprob is not None]
            known[name] = auroc([logprob for logprob, _ in sure], [is_right for _, is_right in sure])
    return known


def record(one: Asked, policies: Sequence[Policy]) -> dict[str, Any]:
    """The line of `answers.jsonl`: the measures are those of `verdict`."""
    verdict, answers = one.verdict, one.marked
    search = answers.get("search")
    return {
        "set": one.set_name,
        "row": one.question.row,
        "question": one.question.question,
        "reference": one.question.reference or None,
        "exact": {policy: one.exact.get(policy) for policy in policies if policy != "search"},
        "before": answers["before"].text if "before" in answers else None,
        "after": answers["after"].text if "after" in answers else None,
        "search": search.text if search else None,
        "search_row": one.found.row.number if one.found else None,
        **_decided(one),
        **{name: getattr(verdict, name) if verdict else None for name in OF_AN_ANSWER},
        "passed_by": {
            policy: answers[policy].passed if policy in answers else None
            for policy in ("before", "after", *(("grounded", "auto") if one.told else ()), "search")
        },
        "cause": verdict.cause if verdict else None,
        "confused_with": verdict.other_row if verdict else None,
        "logprob": None if one.logprob is None else round(one.logprob, 4),
    }


def _decided(one: Asked) -> dict[str, Any]:
    """The answer under `grounded`, and what `auto` makes of it: where it is from, how sure it is, or that it is
    declined. Nothing where these policies were not examined."""
    if one.told is None:
        return {}
    auto = {
        "source": one.told.source,
        "row": one.told.row,
        "confidence": round(one.told.confidence, 4),
        "closest": list(one.told.closest),
    }
    return {"grounded": one.marked["grounded"].text, "auto": auto}


def _by_set(asked: Iterable[Asked]) -> dict[str, list[Asked]]:
    sets: dict[str, list[Asked]] = {}
    for one in asked:
        sets.setdefault(one.set_name, []).append(one)
    return sets


def _measures(members: Sequence[Asked], policy: Policy) -> dict[str, Any]:
    """The measures of one set under one policy; null where nothing was generated, or nothing is expected."""
    measures: dict[str, Any] = {"n": len(members), "n_generated": sum(policy in one.marked for one in members)}
    for name in ("exact", *OF_AN_ANSWER, *(OF_AUTO if policy == "auto" else ())):
        groups = _by_row(members, policy, name)
        values = [value for group in groups for value in group]
        if not values:
            mean, ends = None, None
        elif name == "chrf":
            # Where all scores are alike, as where all answers are perfect, resampling says nothing of others.
            varies = len(groups) > 1 and len(set(values)) > 1
            mean, ends = sum(values) / len(values), bootstrap(groups) if varies else None
        else:
            mean, ends = sum(values) / len(values), share_interval(groups)
        measures |= {name: mean, f"{name}_ci": None if ends is None else list(ends)}
    return measures


def _by_row(members: Sequence[Asked], policy: Policy, measure: str) -> list[list[Any]]:
    """The values of a measure, those of one row together; a question that no row teaches stands alone."""
    rows: dict[tuple[int, int], list[Any]] = {}
    for place, one in enumerate(members):
        value = _value(one, policy, measure)
        if value is not None:
            rows.setdefault((one.question.row, 0 if one.question.row else place), []).append(value)
    return list(rows.values())


def _value(one: Asked, policy: Policy, measure: str) -> Any:
    if measure == "exact":
        return one.exact.get(policy)
    return getattr(one.marked[policy], measure) if policy in one.marked else None


def _compared(members: Sequence[Asked], measure: str) -> dict[str, float] | None:
    both = [one for one in members if None not in (_value(one, "before", measure), _value(one, "after", measure))]
    if not both:
        return None
    before = [all(group) for group in _by_row(both, "before", measure)]
    after = [all(group) for group in _by_row(both, "after", measure)]
    only_before = sum(was and not is_ for was, is_ in zip(before, after, strict=True))
    only_after = sum(is_ and not was for was, is_ in zip(before, after, strict=True))
    return {
        "n": len(before),
        "only_before": only_before,
        "only_after": only_after,
        "p": mcnemar(only_before, only_after),
    }
