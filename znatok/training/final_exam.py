"""The exam at the end of training: the same as `znatok exam`, but shorter where that costs only certainty."""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from znatok.answering.confidence import Calibration
from znatok.answering.policies import Judge
from znatok.data.search import Search
from znatok.exam.calibration import calibrate
from znatok.exam.calibration_questions import IN_TRAIN
from znatok.exam.examine import ExamProgress, ExamResult
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
from znatok.training.lesson import SHORT_SAMPLE
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

    Where only a few rows are taught, as under `quick`, their own questions are all: the rest would take longer. Else it
    is learned first how sure answers may be, and kept in the run.
    """
    plan = course.plan
    taught = {row.number for row in (*plan.rows, *plan.heldout)}
    size = min(UNKNOWN_IN_TRAIN, plan.before_sample)
    is_short = size <= SHORT_SAMPLE
    unknown = () if is_short else (unknown_near_set(near, table.rows), unknown_far_set(table.rows))
    judge = None
    if not is_short:
        judge = yield from _calibrated(course)
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
        judge=judge,
    )


def _calibrated(course: Course) -> Generator[ExamProgress, None, Judge]:
    network, renderer, rows = course.network, course.renderer, course.plan.rows
    for piece in calibrate(network, renderer, rows, IN_TRAIN):
        if isinstance(piece, Calibration):
            calibration = piece
        else:
            yield piece
    write_json(course.run.confidence, calibration.describe())
    return Judge(Search(rows), renderer, calibration, course.plan.scope == "open")
