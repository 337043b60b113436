"""`znatok exam`: a run's model examined again, in full, and on questions of the user's own."""

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from znatok.commands.options import Options
from znatok.messages import text

_DEFAULTS = Options()


def exam(
    run: Annotated[Path | None, Parameter(name=["RUN", "--run"], help=text("exam.run"))] = None,
    *,
    questions: Annotated[Path | None, Parameter(help=text("exam.questions"))] = None,
    options: Options = _DEFAULTS,
) -> int:
    """Examines the model of RUN, or of the newest finished run, and writes its exam anew."""
    from znatok.data.read import read_table
    from znatok.exam.examine import ExamResult, examine, write_exam
    from znatok.exam.sets import heldout_set, questions_set, reworded_set, trained_set
    from znatok.run_folder import find_run, read_rows
    from znatok.training.events import ExamAdvanced
    from znatok.use.loading import load_run
    from znatok.use.terminal import talk
    from znatok.use.training_screen import TrainingScreen

    folder = find_run(run)
    screen = TrainingScreen(talk(to_stderr=options.json))
    trained, heldout = read_rows(folder, "trained"), read_rows(folder, "heldout")
    sets = [trained_set(trained), reworded_set(trained)]
    if heldout:
        sets.append(heldout_set(heldout))
    if questions:
        sets.append(questions_set(read_table(questions).rows, trained))
    talker = load_run(folder, progress=screen.fetched)
    answers = [row.answer for row in trained + heldout]
    result: ExamResult | None = None
    for piece in examine(talker.network, talker.renderer, sets, answers):
        if isinstance(piece, ExamResult):
            result = piece
        else:
            screen.show(ExamAdvanced(piece.done, piece.total))
    assert result is not None
    write_exam(folder, result, {"summary": _summary(folder.exam)})
    screen.show_exam(result.sets, result.answers)
    if options.json:
        print(json.dumps({"run": str(folder.path), "sets": result.sets}, ensure_ascii=False))
    return 0


def _summary(file: Path) -> Any:
    """What the exam inside `train` said of the training; None where that one never ended."""
    return json.loads(file.read_text(encoding="utf-8")).get("summary") if file.is_file() else None
