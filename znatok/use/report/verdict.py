"""What a run came to, in words: the verdict on the weights alone, its grade, and the lines beside it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from znatok.exam.statistics import mcnemar
from znatok.messages import text
from znatok.use.report.figures import counted, number, percent
from znatok.use.report.records import Record, RunRecords, found
from znatok.use.report.scores import LIKELY, Count, chance, count

GRADES = (("excellent", 0.98, 0.90), ("good", 0.90, 0.75), ("fair", 0.50, 0.50))
"""A grade, the share of rows known by heart that it needs, and that of right answers to other wordings."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The sentence, and the grade with its rule; `grade` is "" where there was no exam."""

    sentence: str
    grade: str = ""
    grade_name: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One of the lines under the verdict."""

    term: str
    said: str


def verdict(records: RunRecords) -> Verdict:
    """What the weights alone know, in one sentence."""
    sets = found(records.exam, "sets")
    known = count(found(sets, "trained", "after"), "exact")
    passed = count(found(sets, "reworded", "after"), "passed")
    own = count(found(sets, "questions", "after"), "passed")
    if known and passed:
        said = text("report.verdict.both", rows=_of("of_rows", known), questions=_of("of_reworded", passed))
    elif known:
        said = text("report.verdict.known", rows=_of("of_rows", known))
    elif passed or own:
        asked = _of("of_reworded", passed) if passed else _of("of_own", own)
        said = text("report.verdict.answers", questions=asked)
    else:
        return Verdict(text("report.verdict.none", run=records.name))
    grade = _grade(known, passed or own)
    return Verdict(said, grade, text(f"report.grade.{grade}"), _rule())


def _of(what: str, counts: Count | None) -> str:
    """ "123 of 125 rows"."""
    assert counts is not None
    return text("report.figures.of", hits=number(counts.hits), n=counted(what, counts.n))


def _grade(known: Count | None, passed: Count | None) -> str:
    for name, least_known, least_passed in GRADES:
        if (not known or known.share >= least_known) and (not passed or passed.share >= least_passed):
            return name
    return "poor"


def _rule() -> str:
    needs = (
        text(f"report.grade.needs_{name}", known=number(100 * known), passed=number(100 * passed))
        for name, known, passed in GRADES
    )
    return text("report.grade.rule", needs="; ".join(needs))


def lines(sets: Any, answers: Sequence[Record]) -> tuple[Line, ...]:
    """What the weights know and make of other questions, what the rows add, where plain search stands: each where it
    was examined."""
    said = (
        ("weights", _weights(sets)),
        ("others", _others(sets)),
        ("rows", " ".join(_given_rows(sets, answers))),
        ("search", " ".join(_search(sets, answers))),
    )
    return tuple(Line(text(f"report.line.{name}"), words) for name, words in said if words)


def _weights(sets: Any) -> str:
    parts = []
    for name, measure in (("trained", "exact"), ("reworded", "passed"), ("questions", "passed"), ("heldout", "passed")):
        after, before = (count(found(sets, name, policy), measure) for policy in ("after", "before"))
        if after:
            part = text(f"report.weights.{name}", share=percent(after.share))
            parts.append(text("report.weights.before", part=part, share=percent(before.share)) if before else part)
    joined = "; ".join(parts)
    return f"{joined[0].upper()}{joined[1:]}." if joined else ""


def _others(sets: Any) -> str:
    """What the weights alone make of questions on other things: how many they decline, how many get a row's answer."""
    after = found(sets, "unknown_far", "after")
    refused, wrong = count(after, "refused"), count(after, "confidently_wrong")
    if not wrong:
        return ""
    if refused and refused.hits:
        return text("report.others.strict", questions=_of("of_questions", refused), wrong=percent(wrong.share))
    return text("report.others.open", questions=_of("of_questions", wrong), wrong=percent(wrong.share))


def _given_rows(sets: Any, answers: Sequence[Record]) -> Iterator[str]:
    for policy in ("grounded", "auto"):
        name = _compared(sets, policy)
        helped, alone = _both(sets, name, policy)
        if helped and alone:
            yield text(
                f"report.rows.{policy}",
                questions=_of(_NOUN[name], helped),
                share=percent(helped.share),
                alone=percent(alone.share),
            )
            p = _chance_of_difference(answers, name, policy) if policy == "grounded" else None
            if p is not None and p >= LIKELY:
                yield chance(p)
    name = _compared(sets, "auto")
    wrong, silent, named = (
        count(found(sets, name, "auto"), measure) for measure in ("confidently_wrong", "declined", "among_three")
    )
    if wrong and silent and named:
        yield text(
            "report.rows.silent",
            wrong=percent(wrong.share),
            silent=percent(silent.share),
            named=percent(named.share),
        )
    if quiet := count(found(sets, "unknown_far", "auto"), "declined"):
        yield text("report.rows.declined", share=percent(quiet.share))


def _search(sets: Any, answers: Sequence[Record]) -> Iterator[str]:
    name = _compared(sets, "search")
    search, weights = _both(sets, name, "search")
    if not search or not weights:
        return
    yield text(
        "report.search.score",
        questions=_of(_NOUN[name], search),
        share=percent(search.share),
        alone=percent(weights.share),
    )
    p = _chance_of_difference(answers, name, "search")
    if search.share == weights.share:
        yield text("report.search.equal")
    else:
        yield text(f"report.search.{'wins' if search.share > weights.share else 'loses'}")
        if p is not None and p >= LIKELY:
            yield chance(p)
    if search.share >= weights.share:
        yield text("report.search.good_for")


_NOUN = {"questions": "of_own", "reworded": "of_reworded", "trained": "of_questions"}
"""Sets with right answers, the most telling one first, and what their questions are called."""


def _compared(sets: Any, policy: str) -> str:
    """The set on which a policy is compared with the weights alone: the user's own questions where they were asked."""
    asked = (name for name in _NOUN if found(sets, name, policy, "passed") is not None)
    return next(asked, "reworded")


def _both(sets: Any, name: str, policy: str) -> tuple[Count | None, Count | None]:
    return count(found(sets, name, policy), "passed"), count(found(sets, name, "after"), "passed")


def _chance_of_difference(answers: Sequence[Record], name: str, policy: str) -> float | None:
    """McNemar's exact p of a policy against the weights; None where the pairs are not there.

    Of several questions of one row one counts: they are right or wrong together.
    """
    asked = enumerate((record for record in answers if record.get("set") == name), start=1)
    paired = {record.get("row") or -place: _pair(record, policy) for place, record in asked}
    pairs = [pair for pair in paired.values() if pair]
    if not pairs:
        return None
    return mcnemar(pairs.count((True, False)), pairs.count((False, True)))


def _pair(record: Record, policy: str) -> tuple[bool, bool] | None:
    one, weights = found(record, "passed_by", policy), found(record, "passed_by", "after")
    return None if one is None or weights is None else (bool(one), bool(weights))
