"""The policies `grounded` and `auto`: what is answered where the weights are not sure."""

from dataclasses import dataclass, replace

from znatok.answering.evidence import Draft
from znatok.answering.policies import Judge, Source
from znatok.exam.marks import Marked, Marker
from znatok.exam.scores import Told
from znatok.records import Question


@dataclass(frozen=True, slots=True)
class Consulted:
    """What became of a question under both policies."""

    grounded: Marked
    auto: Marked
    is_exact: bool | None
    told: Told

    @property
    def is_exact_under_auto(self) -> bool:
        return bool(self.is_exact) and self.told.source != "declined"


def consult(
    marker: Marker, judge: Judge, question: Question, draft: Draft, marked: Marked, is_exact: bool | None
) -> Consulted:
    """What becomes of a question that the weights answered with `draft`; its marks, and whether it is exact."""
    found = judge.closest(question.question)
    verdict = judge.verdict(question.question, draft, found)
    if verdict.row:
        marked = marker.written(question, verdict.row.answer)
        is_exact = verdict.row.answer == question.reference if question.reference else None
    auto = replace(_declined(question) if verdict.is_declined else marked, declined=verdict.is_declined)
    if question.reference:
        is_wrong = not verdict.is_declined and not marked.passed
        is_named = any(one.row.answer == question.reference for one in found)
        auto = replace(auto, confidently_wrong=is_wrong, among_three=is_named)
    source: Source = "declined" if verdict.is_declined else "row" if verdict.row else "weights"
    row = verdict.row.number if verdict.row and not verdict.is_declined else None
    closest = tuple(one.row.number for one in found)
    return Consulted(marked, auto, is_exact, Told(source, row, verdict.confidence, closest))


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
