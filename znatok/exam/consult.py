"""The policies `grounded` and `auto`: what is answered where the weights are not sure."""

from dataclasses import dataclass, replace

from znatok.answering.evidence import Draft
from znatok.answering.policies import Judge
from znatok.exam.marks import Marked, Marker
from znatok.exam.scores import Told
from znatok.records import Question


@dataclass(frozen=True, slots=True)
class Consulted:
    """What became of a question under both policies."""

    grounded: Marked
    auto: Marked
    is_exact: bool | None
    is_exact_under_auto: bool | None
    told: Told


def consult(
    marker: Marker, judge: Judge, question: Question, draft: Draft, marked: Marked, is_exact: bool | None
) -> Consulted:
    """What becomes of a question that the weights answered with `draft`; its marks, and whether it is exact.

    Said not to be from the table, an answer counts as any other that is given: it is no row's by its beginning, but the
    whole of it may be, and where a row had the answer it is a wrong one.
    """
    auto, is_exact_under_auto = marked, is_exact
    found = judge.closest(question.question)
    verdict = judge.verdict(question.question, draft, found)
    if verdict.row:
        marked = marker.written(question, verdict.row.answer)
        is_exact = verdict.row.answer == question.reference if question.reference else None
    if verdict.is_declined:
        auto, is_exact_under_auto = _declined(question), False if question.reference else None
    elif not verdict.is_outside:
        auto, is_exact_under_auto = marked, is_exact
    auto = replace(auto, declined=verdict.is_declined)
    if question.reference:
        is_wrong = not verdict.is_declined and not auto.passed
        is_named = any(one.row.answer == question.reference for one in found)
        auto = replace(auto, confidently_wrong=is_wrong, among_three=is_named)
    row = verdict.row.number if verdict.row and verdict.source == "row" else None
    closest = tuple(one.row.number for one in found)
    told = Told(verdict.source, row, verdict.confidence, closest)
    return Consulted(marked, auto, is_exact, is_exact_under_auto, told)


def _declined(question: Question) -> Marked:
    """The marks of no answer: not right where there was one to give, and wrong in nothing."""
    is_known = bool(question.reference)
    return Marked(
        text="",
        passed=False if is_known else None,
        chrf=None,
        stopped=None,
        echoed=False,
        confused=False if is_known else None,
        confidently_wrong=False,
        cause=None,
        other_row=None,
    )
