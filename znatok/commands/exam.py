"""`znatok exam`: a run's model examined again, in full, and on questions of the user's own."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from znatok.commands.options import Options, describe
from znatok.errors import RunError, UsageError
from znatok.messages import text
from znatok.settings import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from znatok.answering.policies import Judge
    from znatok.records import QuestionSet, Row
    from znatok.run_folder import RunFolder
    from znatok.use.loading import Talker
    from znatok.use.training_screen import TrainingScreen

describe(Reading)

_DEFAULTS = Options()


def exam(
    run: Annotated[Path | None, Parameter(name=["RUN", "--run"], help=text("exam.run"))] = None,
    *,
    questions: Annotated[Path | None, Parameter(help=text("exam.questions"))] = None,
    unknown_near: Annotated[Path | None, Parameter(help=text("exam.unknown_near"))] = None,
    report_only: Annotated[bool, Parameter(help=text("exam.report_only"), negative=())] = False,
    reading: Annotated[Reading, Parameter(name="*")] = Reading(),
    options: Options = _DEFAULTS,
) -> int:
    """Examines the model of RUN, or of the newest finished run, and writes its exam anew."""
    from znatok.run_folder import find_run
    from znatok.use.terminal import json_line, talk

    if questions is None and reading.model_fields_set:
        flag = "--" + sorted(reading.model_fields_set)[0].replace("_", "-")
        raise UsageError("exam.reads_nothing", flag=flag)
    folder = find_run(run)
    console = talk(to_stderr=options.json)
    if report_only:
        for flag, file in (("--questions", questions), ("--unknown-near", unknown_near)):
            if file is not None:
                raise UsageError("exam.report_alone", flag=flag)
        _show_again(folder, console)
    else:
        _hold(folder, console, questions, reading, unknown_near)
    if options.json:
        print(json_line({"run": str(folder.path)} | _examined(folder)))
    _report(folder, console)
    return 0


def _hold(
    folder: "RunFolder", console: "Console", questions: Path | None, reading: Reading, unknown_near: Path | None
) -> None:
    """Asks all questions, and writes and shows what came of it."""
    from znatok.exam.examine import ExamResult, write_exam
    from znatok.exam.session import hold_exam
    from znatok.run_folder import read_rows
    from znatok.training.events import ExamAdvanced
    from znatok.use.exam_screen import show_exam
    from znatok.use.loading import load_run
    from znatok.use.training_screen import TrainingScreen

    screen, summary = TrainingScreen(console), _examined(folder).get("summary")
    taught, heldout, left = (read_rows(folder, use) for use in ("trained", "heldout", "left"))
    more = list(_more_sets(folder, console, (*taught, *heldout, *left), questions, reading, unknown_near))
    talker = load_run(folder, progress=screen.fetched)
    result: ExamResult | None = None
    try:
        judge = _judge(folder, talker, taught, screen)
        for piece in hold_exam(talker.network, talker.renderer, taught, more, heldout=heldout, left=left, judge=judge):
            if isinstance(piece, ExamResult):
                result = piece
            else:
                screen.show(ExamAdvanced(piece.done, piece.total))
    finally:
        screen.close()
    assert result is not None
    write_exam(folder, result, {"summary": summary})
    show_exam(console, result.sets, result.answers, result.forgetting)


def _judge(folder: "RunFolder", talker: "Talker", rows: "Sequence[Row]", screen: "TrainingScreen") -> "Judge":
    """What decides under the policies: learned in full, if it was not yet."""
    from znatok.answering.confidence import Calibration, read_calibration
    from znatok.answering.policies import Judge
    from znatok.data.search import Search
    from znatok.exam.calibration import calibrate
    from znatok.exam.calibration_questions import in_full
    from znatok.run_folder import is_open, write_json
    from znatok.training.events import ExamAdvanced

    calibration, size = read_calibration(folder), in_full(len(rows))
    if calibration is None or calibration.questions.get("answerable", 0) < size.answerable:
        for piece in calibrate(talker.network, talker.renderer, rows, size):
            if isinstance(piece, Calibration):
                calibration = piece
            else:
                screen.show(ExamAdvanced(piece.done, piece.total))
        assert calibration is not None
        write_json(folder.confidence, calibration.describe())
    return Judge(Search(rows), talker.renderer, calibration, is_open(folder))


def _more_sets(
    folder: "RunFolder",
    console: "Console",
    rows: "Sequence[Row]",
    questions: Path | None,
    reading: Reading,
    unknown_near: Path | None,
) -> "Iterator[QuestionSet]":
    """The questions of the user's own, and those that no row answers; a file of the latter is remembered in the run."""
    from znatok.data.read import read_table
    from znatok.exam.question_file import read_questions
    from znatok.exam.sets import questions_set, unknown_far_set, unknown_near_set
    from znatok.run_folder import write_text
    from znatok.use.table_screen import show_table

    if questions:
        table = read_table(questions, reading)
        show_table(console, table)
        yield questions_set(table.rows, rows)
    if unknown_near:
        asked = read_questions(unknown_near)
        write_text(folder.unknown_near, "".join(f"{question}\n" for question in asked))
    if folder.unknown_near.is_file():
        yield unknown_near_set(read_questions(folder.unknown_near), rows)
    yield unknown_far_set(rows)


def _show_again(folder: "RunFolder", console: "Console") -> None:
    """Shows the exam that is written in the run. Raises RunError where there is none."""
    from znatok.run_folder import read_lines
    from znatok.use.exam_screen import show_exam

    written = _examined(folder)
    if not written.get("sets"):
        raise RunError("exam.not_finished", folder=folder.path)
    show_exam(console, written["sets"], list(read_lines(folder.answers)), written.get("forgetting"))


def _report(folder: "RunFolder", console: "Console") -> None:
    from znatok.use.report import write_report

    write_report(folder)
    console.print(text("exam.reported", file=folder.report))


def _examined(folder: "RunFolder") -> dict[str, Any]:
    """What `exam.json` holds; nothing where training never came to its exam. Raises RunError where it is damaged."""
    if not folder.is_finished:
        return {}
    try:
        return dict(json.loads(folder.exam.read_bytes()))
    except (TypeError, ValueError) as error:
        raise RunError("run.damaged", file=folder.exam, line=getattr(error, "lineno", 1)) from error
