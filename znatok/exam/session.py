"""The whole exam, as `train` and `znatok exam` hold it: the questions, then what was forgotten."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from znatok.answering.policies import Judge
from znatok.data.render import Renderer
from znatok.exam.examine import ExamProgress, ExamResult, examine
from znatok.exam.forgetting import Forgetting, measure_forgetting
from znatok.exam.sets import heldout_set, reworded_set, trained_set
from znatok.model.network import Network
from znatok.records import QuestionSet, Row


def hold_exam(
    network: Network,
    renderer: Renderer,
    rows: Sequence[Row],
    more: Sequence[QuestionSet],
    *,
    heldout: Sequence[Row] = (),
    left: Sequence[Row] = (),
    before_sample: int = 40,
    general_prompts: int | None = None,
    is_about_forgetting: bool = True,
    judge: Judge | None = None,
) -> Iterator[ExamProgress | ExamResult]:
    """Examines the taught `rows`, the `heldout` facts and `more` sets; yields progress and the result last.

    left: the rest of the table, whose answers count as answers of the table.  general_prompts: questions in each
    language on anything else, all where it is None.  is_about_forgetting: whether they are asked at all.
    judge: decides under the policies `grounded` and `auto`; without it they are not examined.
    """
    sets = [trained_set(rows), reworded_set(rows), *([heldout_set(heldout)] if heldout else []), *more]
    table = [*rows, *heldout, *left]
    result: ExamResult | None = None
    others = [*heldout, *left]
    for piece in examine(network, renderer, sets, rows, untaught=others, before_sample=before_sample, judge=judge):
        if isinstance(piece, ExamResult):
            result = piece
        else:
            yield piece
    assert result is not None
    if network.has_adapter and is_about_forgetting:
        answers, asked = [row.answer for row in table], [row.question for row in table]
        for step in measure_forgetting(network, renderer, answers, questions=asked, prompts=general_prompts):
            if isinstance(step, Forgetting):
                result = replace(result, forgetting=step.describe())
            else:
                yield ExamProgress(step.done, step.total)
    yield result
