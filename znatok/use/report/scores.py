"""The table of the exam: sets and measures, before and after, each with its interval."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from znatok.exam.statistics import clopper_pearson
from znatok.messages import text
from znatok.use.report.figures import counted, interval, number, percent
from znatok.use.report.records import Record, found

SETS = ("trained", "reworded", "questions", "heldout", "unknown_near", "unknown_far")
WEIGHTS = ("before", "after")
OTHERS = ("grounded", "auto", "search")
"""Policies that are not the weights alone."""

MEASURES = (
    "exact",
    "passed",
    "chrf",
    "stopped",
    "echoed",
    "confused",
    "confidently_wrong",
    "refused",
    "declined",
    "among_three",
)
MEASURES_OF_OTHERS = ("passed", "confidently_wrong", "refused", "declined", "among_three")

SURE, LIKELY = 0.001, 0.05
"""Probabilities of chance below which a difference is called sure, and likely."""


@dataclass(frozen=True, slots=True)
class Count:
    """`hits` of `n` questions."""

    hits: int
    n: int

    @property
    def share(self) -> float:
        return self.hits / self.n


@dataclass(frozen=True, slots=True)
class Cell:
    """One measure under one policy: the value large, how many of how many, and the interval."""

    policy: str
    heading: str
    value: str = ""
    count: str = ""
    interval: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A value with its interval on a line from 0 to 100."""

    policy: str
    at: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class MeasureRow:
    """One measure: its name, what it means, the cells before and after, or the one of another policy."""

    name: str
    note: str
    cells: tuple[Cell, ...]
    marks: tuple[Mark, ...]
    is_of_other: bool = False


@dataclass(frozen=True, slots=True)
class SetScores:
    """All measures of one set, and what else is known of it."""

    name: str
    note: str
    size: str
    rows: tuple[MeasureRow, ...]
    remarks: tuple[str, ...]


def count(scores: Any, measure: str) -> Count | None:
    """How many questions of how many; None where the measure is absent. `exact` is known of questions not answered."""
    share = found(scores, measure)
    n = found(scores, "n" if measure == "exact" else "n_generated") or found(scores, "n")
    return None if share is None or not n else Count(round(share * n), n)


def set_scores(exam: Record) -> tuple[SetScores, ...]:
    """One table for each set of the exam, in a fixed order; sets of which nothing is known are left out."""
    tables = (_of_set(exam, name) for name in SETS if found(exam, "sets", name))
    return tuple(table for table in tables if table.rows)


def what_n_shows(exam: Record) -> str:
    """One sentence on what this many rows can show; "" where there are too few to say anything."""
    n = next((n for name in ("trained", "reworded", "questions") if (n := found(exam, "sets", name, "after", "n"))), 0)
    if n < 2:
        return ""
    low, high = clopper_pearson(n // 2, n)
    return text(
        "report.scores.what_n_shows",
        questions=counted("by_questions", n),
        all=percent(clopper_pearson(n, n)[0]),
        low=percent(low),
        high=percent(high),
    )


def _of_set(exam: Record, name: str) -> SetScores:
    scores = exam["sets"][name]
    sizes = [found(scores, policy, "n") for policy in (*WEIGHTS, *OTHERS)]
    return SetScores(
        name=text(f"report.set.{name}"),
        note=text(f"report.set_note.{name}"),
        size=counted("questions", max(size or 0 for size in sizes)),
        rows=tuple(_rows(scores)),
        remarks=tuple(_remarks(exam, name)),
    )


def _rows(scores: Record) -> Iterator[MeasureRow]:
    """The weights before and after, measure by measure; under a measure, what other policies make of it."""
    for measure in MEASURES:
        if measure == "refused" and not any(found(scores, policy, measure) for policy in (*WEIGHTS, *OTHERS)):
            continue  # that nothing is refused is worth no line
        name, note = text(f"report.measure.{measure}"), text(f"report.measure_note.{measure}")
        if any(found(scores, policy, measure) is not None for policy in WEIGHTS):
            cells = tuple(_cell(policy, found(scores, policy), measure) for policy in WEIGHTS)
            yield MeasureRow(name, note, cells, _marks(scores, WEIGHTS, measure))
        for policy in OTHERS if measure in MEASURES_OF_OTHERS else ():
            if found(scores, policy, measure) is not None:
                cells = (_cell(policy, found(scores, policy), measure),)
                is_known = measure == "confidently_wrong" and found(scores, policy, "passed") is not None
                said = text("report.measure.answered_wrongly") if is_known else name
                heading = text("report.scores.other", measure=said, policy=text(f"report.policy.{policy}"))
                policy_note = text(f"report.policy_note.{policy}")
                yield MeasureRow(heading, policy_note, cells, _marks(scores, (policy,), measure), is_of_other=True)


def _marks(scores: Record, policies: Sequence[str], measure: str) -> tuple[Mark, ...]:
    marks = (_mark(policy, found(scores, policy), measure) for policy in policies)
    return tuple(mark for mark in marks if mark)


def _cell(policy: str, scores: Any, measure: str) -> Cell:
    heading, value = text(f"report.policy.{policy}"), found(scores, measure)
    if value is None:
        return Cell(policy, heading)
    ends = found(scores, f"{measure}_ci")
    if measure == "chrf":
        return Cell(policy, heading, number(value, 1), "", interval(ends, whole=100.0))
    counts = count(scores, measure)
    # A set of several wordings a row may be averaged by row: then there is no whole number to show.
    is_whole = counts is not None and abs(counts.share - value) < 1e-6
    shown = text("report.figures.of", hits=number(counts.hits), n=number(counts.n)) if counts and is_whole else ""
    return Cell(policy, heading, percent(value), shown, interval(ends))


def _mark(policy: str, scores: Any, measure: str) -> Mark | None:
    value, scale = found(scores, measure), 1 if measure == "chrf" else 100
    if value is None:
        return None
    low, high = found(scores, f"{measure}_ci") or (value, value)
    return Mark(policy, round(value * scale, 1), round(low * scale, 1), round(high * scale, 1))


def _remarks(exam: Record, name: str) -> Iterator[str]:
    before = found(exam, "sets", name, "before") or {}
    n, generated = before.get("n"), before.get("n_generated")
    if n and generated and generated < n:
        key = "sampled" if before.get("exact") is None else "sampled_but_exact"
        yield text(f"report.scores.{key}", questions=counted("to_questions", generated))
    for measure in ("passed", "exact"):
        pairs = found(exam, "mcnemar", name, measure)
        if found(pairs, "p") is not None:
            yield _paired(pairs)
            break
    if (auroc := found(exam, "auroc", name)) is not None:
        yield text("report.scores.auroc", value=number(auroc, 2))


def _paired(pairs: Record) -> str:
    changed = text(
        "report.scores.paired",
        gained=number(pairs.get("only_after") or 0),
        lost=number(pairs.get("only_before") or 0),
    )
    return f"{changed} {chance(pairs['p'])}"


def chance(p: float) -> str:
    """Whether a difference may be chance, given the probability of one as large by chance."""
    if p < SURE:
        return text("report.chance.sure", p=number(SURE, 3))
    return text(f"report.chance.{'likely' if p < LIKELY else 'open'}", p=number(p, 3))
