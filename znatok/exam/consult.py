"""The policies `grounded` and `auto`: what the model answers with rows of the table in the prompt, where its weights
are not sure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from znatok.answering.evidence import CLOSEST, Draft
from znatok.answering.policies import Judge, Verdict
from znatok.data.grounding import Grounded
from znatok.data.search import Found
from znatok.exam.items import Examiner, Item
from znatok.exam.marks import Marked, Marker
from znatok.exam.scores import Told

TOGETHER = 24
"""Questions answered together: with rows in it a prompt is many times as long as without."""


@dataclass(frozen=True, slots=True)
class Case:
    """A question that the weights answered alone: the answer as written, its marks, and whether it is exact."""

    item: Item
    draft: Draft
    marked: Marked
    is_exact: bool | None


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
    examiner: Examiner, marker: Marker, judge: Judge, cases: Mapping[int, Case], together: int = TOGETHER
) -> Iterator[dict[int, Consulted]]:
    """What becomes of each case, by the names that the cases have; often nothing yet."""
    unsure: dict[int, tuple[list[Found], Grounded]] = {}
    known: dict[int, Consulted] = {}
    for name, case in cases.items():
        question = case.item.question.question
        closest = judge.sources.closest(question)
        verdict = judge.of_weights(case.draft, closest)
        if judge.is_sure(verdict):
            known[name] = _consulted(case, case.marked, case.is_exact, closest, verdict, is_declined=False)
        else:
            unsure[name] = closest, judge.sources.grounded(question, closest)
    yield known
    order = sorted(unsure, key=lambda name: cases[name].item.limit, reverse=True)
    for start in range(0, len(order), together):
        names = order[start : start + together]
        prompts = [judge.sources.renderer.prompt(unsure[name][1].text) for name in names]
        writing = examiner.writing(prompts, [cases[name].item.limit for name in names])
        while pieces := examiner.some("after", writing):
            written = pieces[-1]
            yield {}
        drafts = [Draft(ids, logps) for ids, logps in zip(written.ids, written.logps, strict=True)]
        yield {
            name: _with_rows(marker, judge, cases[name], draft, *unsure[name])
            for name, draft in zip(names, drafts, strict=True)
        }


def _with_rows(
    marker: Marker, judge: Judge, case: Case, draft: Draft, closest: Sequence[Found], grounded: Grounded
) -> Consulted:
    verdict = judge.of_rows(draft, closest, grounded.rows, case.draft)
    marked = marker.generated(case.item.question, draft.ids)
    is_exact = tuple(draft.ids) == case.item.reference if case.item.has_reference else None
    return _consulted(case, marked, is_exact, closest, verdict, judge.is_declined(verdict))


def _consulted(
    case: Case,
    marked: Marked,
    is_exact: bool | None,
    closest: Sequence[Found],
    verdict: Verdict,
    is_declined: bool,
) -> Consulted:
    reference, named = case.item.question.reference, [one.row for one in closest[:CLOSEST]]
    auto = _declined(case.item) if is_declined else marked
    auto = replace(auto, declined=is_declined, among_three=None)
    if reference:
        is_wrong = not is_declined and not marked.passed
        is_named = any(row.answer == reference for row in named)
        auto = replace(auto, confidently_wrong=is_wrong, among_three=is_named)
    return Consulted(
        grounded=marked,
        auto=auto,
        is_exact=is_exact,
        told=Told(
            source="declined" if is_declined else "row" if verdict.row else "weights",
            row=verdict.row.number if verdict.row and not is_declined else None,
            confidence=verdict.confidence,
            closest=tuple(row.number for row in named),
        ),
    )


def _declined(item: Item) -> Marked:
    """The marks of no answer: not right where there was one to give, and wrong in nothing."""
    is_known = item.has_reference
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
