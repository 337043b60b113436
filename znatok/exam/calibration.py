"""Learns how sure a trained model may be of its answers, from questions that are neither trained nor examined."""

from collections.abc import Generator, Iterator, Sequence

from znatok.answering.confidence import Calibration, Judged, fit_calibration
from znatok.answering.evidence import Draft
from znatok.answering.policies import Sources
from znatok.data.render import Renderer
from znatok.exam.calibration_questions import Size, calibration_sets
from znatok.exam.consult import TOGETHER
from znatok.exam.examine import ExamProgress
from znatok.exam.items import Examiner, Item, alike, items_of
from znatok.exam.marks import Marker
from znatok.model.network import Network
from znatok.records import Row


def calibrate(
    network: Network,
    renderer: Renderer,
    rows: Sequence[Row],
    grounded_rows: int,
    size: Size,
    *,
    together: int = TOGETHER,
) -> Iterator[ExamProgress | Calibration]:
    """Has every question answered from the weights and with rows in the prompt; the calibration comes last.

    rows: those that were taught. The same rows and weights give the same calibration. Call after `network.use()`.
    """
    examiner, marker = Examiner(network, renderer.stop_id), Marker(rows, renderer)
    sources = Sources(rows, renderer, grounded_rows, network.column_limit)
    items = [item for questions in calibration_sets(rows, size) for item in items_of(questions, renderer, 0)]
    closest = [sources.closest(item.question.question) for item in items]
    grounded = [sources.grounded(item.question.question, found) for item, found in zip(items, closest, strict=True)]
    alone = yield from _answers(examiner, items, [item.prompt for item in items], together, 0)
    prompts = [renderer.prompt(one.text) for one in grounded]
    read = yield from _answers(examiner, items, prompts, together, len(items))

    def is_right(item: Item, draft: Draft) -> bool:
        return bool(marker.generated(item.question, draft.ids).passed)

    judged = []
    for item, found, one, other in zip(items, closest, alone, read, strict=True):
        evidence = [sources.evidence(one, found)[0], sources.evidence(other, found, one)[0]]
        of_weights, of_rows = (it.numbers() for it in evidence)
        judged.append(Judged(item.set_name, of_weights, is_right(item, one), of_rows, is_right(item, other)))
    yield fit_calibration(judged, grounded_rows)


def _answers(
    examiner: Examiner, items: Sequence[Item], prompts: Sequence[Sequence[int]], together: int, done: int
) -> Generator[ExamProgress, None, list[Draft]]:
    """The answers to `prompts`, one for each item; half of the work, of which `done` was done before."""
    drafts: dict[int, Draft] = {}
    for batch in alike(items, range(len(items)), together):
        writing = examiner.writing([prompts[i] for i in batch], [items[i].limit for i in batch])
        while pieces := examiner.some("after", writing):
            written = pieces[-1]
            yield ExamProgress(done + len(drafts), 2 * len(items))
        drafts |= zip(batch, map(Draft, written.ids, written.logps), strict=True)
        yield ExamProgress(done + len(drafts), 2 * len(items))
    return [drafts[i] for i in range(len(items))]
