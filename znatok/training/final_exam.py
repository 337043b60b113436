"""The exam at the end of training: the same as `znatok exam`, but shorter where that costs only certainty."""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from znatok.answering.confidence import Calibration
from znatok.answering.policies import Judge, Sources
from znatok.exam.calibration import calibrate
from znatok.exam.calibration_questions import IN_TRAIN
from znatok.exam.examine import ExamProgress, ExamResult, WithRows
from znatok.exam.forgetting import FEW_PROMPTS
from znatok.exam.question_file import read_questions
from znatok.exam.session import hold_exam
from znatok.exam.sets import (
    UNKNOWN_IN_TRAIN,
    a_few,
    unknown_far_set,
    unknown_near_file,
    unknown_near_set,
)
from znatok.records import Table
from znatok.run_folder import RunFolder, write_json, write_text
from znatok.training.lesson import POLICY_SAMPLE, SHORT_SAMPLE, UNKNOWN_POLICY_SAMPLE
from znatok.training.updates import Course


def keep_unknown_near(run: RunFolder, table: Path) -> tuple[str, ...]:
    """The unknown questions that stand beside the table, kept in the run for every later exam; none where none do.

    Raises TableError where that file cannot be read.
    """
    file = unknown_near_file(table)
    questions = read_questions(file) if file.is_file() else ()
    if questions:
        write_text(run.unknown_near, "".join(f"{question}\n" for question in questions))
    return questions


def final_exam(course: Course, table: Table, near: Sequence[str]) -> Iterator[ExamProgress | ExamResult]:
    """All rows in both wordings, and a sample of the unknown questions; of a short lesson also a short exam.

    Where only a few rows are taught, as under `quick`, their own questions are all: the rest would take longer. Where
    rows were put into prompts, it is learned first how sure the model may be, and kept in the run.
    """
    plan = course.plan
    taught = {row.number for row in (*plan.rows, *plan.heldout)}
    size = min(UNKNOWN_IN_TRAIN, plan.before_sample)
    is_short = size <= SHORT_SAMPLE
    unknown = () if is_short else (unknown_near_set(near, table.rows), unknown_far_set(table.rows))
    with_rows = None
    if not is_short:
        with_rows = yield from _calibrated(course)
    yield from hold_exam(
        course.network,
        course.renderer,
        plan.rows,
        [a_few(questions, size) for questions in unknown if questions.questions],
        heldout=plan.heldout,
        left=[row for row in table.rows if row.number not in taught],
        before_sample=plan.before_sample,
        general_prompts=FEW_PROMPTS if size == UNKNOWN_IN_TRAIN else 0,
        is_about_forgetting=not is_short,
        with_rows=with_rows,
    )


def _calibrated(course: Course) -> Generator[ExamProgress, None, WithRows]:
    network, renderer, rows = course.network, course.renderer, course.plan.rows
    grounded_rows = 2
    for piece in calibrate(network, renderer, rows, grounded_rows, IN_TRAIN):
        if isinstance(piece, Calibration):
            calibration = piece
        else:
            yield piece
    write_json(course.run.confidence, calibration.describe())
    sources = Sources(rows, renderer, grounded_rows, network.column_limit)
    return WithRows(Judge(sources, calibration), POLICY_SAMPLE, UNKNOWN_POLICY_SAMPLE)
