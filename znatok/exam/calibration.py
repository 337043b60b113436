"""Learns how sure the answers of a run may be, from questions that are neither trained nor examined."""

from collections.abc import Iterator, Sequence

from znatok.answering.confidence import Calibration, Judged, fit_calibration
from znatok.answering.evidence import CLOSEST, HEAD, Draft, gather
from znatok.data.render import Renderer
from znatok.data.search import Search
from znatok.exam.calibration_questions import Size, calibration_sets
from znatok.exam.examine import ExamProgress
from znatok.exam.items import Examiner, Item, alike, items_of
from znatok.exam.marks import Marker
from znatok.model.network import Network
from znatok.records import Row

TOGETHER = 64
"""Questions answered together."""


def calibrate(
    network: Network, renderer: Renderer, rows: Sequence[Row], size: Size, *, together: int = TOGETHER
) -> Iterator[ExamProgress | Calibration]:
    """Has the weights begin an answer to every question; the calibration comes last.

    rows: those that were taught. The same rows and weights give the same calibration. Call after `network.use()`.
    """
    examiner, marker, search = Examiner(network, renderer.stop_id), Marker(rows, renderer), Search(rows)
    items = [item for questions in calibration_sets(rows, size) for item in items_of(questions, renderer, 0)]
    drafts: dict[int, Draft] = {}
    for batch in alike(items, range(len(items)), together):
        writing = examiner.writing([items[i].prompt for i in batch], [min(items[i].limit, HEAD) for i in batch])
        while pieces := examiner.some("after", writing):
            written = pieces[-1]
            yield ExamProgress(len(drafts), len(items))
        drafts |= zip(batch, map(Draft, written.ids, written.logps), strict=True)
        yield ExamProgress(len(drafts), len(items))
    yield fit_calibration([_judged(item, drafts[i], search, renderer, marker) for i, item in enumerate(items)])


def _judged(item: Item, draft: Draft, search: Search, renderer: Renderer, marker: Marker) -> Judged:
    reference, found = item.question.reference, search.best(item.question.question, CLOSEST)
    evidence, said = gather(item.question.question, draft, found, search, renderer)
    return Judged(
        item.set_name,
        evidence.numbers(),
        weights_right=item.has_reference and _begins_rightly(item, draft, marker),
        said_right=said.row.answer == reference if said else None,
        search_right=item.has_reference and bool(found) and found[0].row.answer == reference,
    )


def _begins_rightly(item: Item, draft: Draft, marker: Marker) -> bool:
    """Whether the answer passes, as far as its beginning tells: a long one does where it begins as the reference does
    (of 500 answers of a run all but four that began so passed, and none else: docs/log.md)."""
    if len(item.reference) <= HEAD:
        return bool(marker.generated(item.question, draft.ids).passed)
    return tuple(draft.ids[:HEAD]) == item.reference[:HEAD]
