"""`znatok exam` on a run that `train` made from a table with unknown questions beside it."""

import contextlib
import io
import json
import shutil

import pytest

from tests.tiny import PEFT_TALKS, tiny_folder
from znatok import cli, messages
from znatok.answering.confidence import read_calibration
from znatok.exam.calibration_questions import IN_TRAIN, in_full
from znatok.run_folder import RunFolder, read_lines, write_json
from znatok.settings import make_settings
from znatok.training.events import Finished
from znatok.training.loop import train

pytestmark = [*PEFT_TALKS, pytest.mark.filterwarnings("ignore:.*torch_dtype.*:FutureWarning")]

TABLE = """вопрос;ответ
Что такое резистор?;Резистор — это деталь, она ограничивает ток.
Зачем нужен конденсатор?;Конденсатор запасает заряд, сглаживает напряжение.
Чему равен ток при 12 В и 6 Ом?;Ток равен 2 А.
"""
LONGER = TABLE + "".join(f"Что такое деталь {letter}?;Деталь {letter} — это часть.\n" for letter in "абвгдежзиклмнопр")
NEAR = "question\nЧто такое варикап?\nЧто такое резистор?\n"
LEARNS = {"num_train_epochs": 2.0, "per_device_train_batch_size": 8, "warmup_steps": 1, "finishing_rounds": 0, "r": 4}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run, and what its training said at the end."""
    home = tmp_path_factory.mktemp("exam")
    (home / "детали.csv").write_text(LONGER, encoding="utf-8")
    (home / "детали_unknown_near.csv").write_text(NEAR, encoding="utf-8")
    settings = make_settings({"model": str(tiny_folder(home / "tiny"))} | LEARNS)
    *_, ended = train(home / "детали.csv", settings, home / "run")
    assert isinstance(ended, Finished)
    return home / "run", ended


@pytest.fixture(scope="module")
def examined(finished, tmp_path_factory):
    """A copy of the run, examined once more before anyone knew how sure it may be, and what was printed as JSON."""
    run = RunFolder(shutil.copytree(finished[0], tmp_path_factory.mktemp("examined") / "run"))
    run.confidence.unlink()
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert exam(run, "--json") == 0
    return run, json.loads(out.getvalue())


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the run to examine."""
    messages.set_language("en")
    run = RunFolder(shutil.copytree(finished[0], tmp_path / "run"))
    calibration = json.loads(run.confidence.read_bytes())
    write_json(run.confidence, calibration | {"questions": {"answerable": 999}})  # no need to learn it again each time
    return run


def exam(run, *arguments):
    return cli.run(["exam", str(run.path), *map(str, arguments)])


def counts(sets):
    return {name: policies["after"]["n"] for name, policies in sets.items()}


def test_training_ends_with_an_exam_that_asks_a_sample_of_the_unknown(finished):
    path, ended = finished
    sets = ended.summary["exam"]
    assert counts(sets) == {"trained": 19, "reworded": 19, "unknown_near": 1, "unknown_far": 9}
    assert sets["trained"]["search"]["passed"] == 1
    assert set(ended.forgetting["bits_per_byte"]) == {"ru", "en"}
    written = json.loads(RunFolder(path).exam.read_text(encoding="utf-8"))
    assert set(written) == {"summary", "sets", "mcnemar", "auroc", "forgetting"}
    assert written["sets"] == sets
    assert RunFolder(path).unknown_near.read_text(encoding="utf-8").splitlines() == NEAR.splitlines()[1:]


def test_the_exam_of_the_shortest_lesson_asks_its_own_rows_alone(finished, tmp_path):
    (tmp_path / "детали.csv").write_text(TABLE, encoding="utf-8")
    settings = make_settings({"model": str(finished[0].parent / "tiny")} | LEARNS)
    *_, ended = train(tmp_path / "детали.csv", settings, tmp_path / "run")
    assert counts(ended.summary["exam"]) == {"trained": 3, "reworded": 3}
    assert ended.forgetting is None


def test_the_exam_asks_all_unknown_questions_and_prints_all_of_it(examined):
    run, printed = examined
    written = json.loads(run.exam.read_text(encoding="utf-8"))
    assert printed == {"run": str(run.path)} | written
    assert counts(written["sets"])["unknown_near"] == 1
    assert counts(written["sets"])["unknown_far"] >= 60
    assert written["summary"]["steps"] > 0
    assert sum(written["forgetting"]["n"].values()) > 12
    assert run.report.stat().st_size > 0
    assert len(list(read_lines(run.answers))) == sum(counts(written["sets"]).values())


def test_questions_of_ones_own_are_asked_and_unknown_ones_remembered(run, tmp_path, capsys):
    (tmp_path / "свои.csv").write_text("question,answer\nТок при 12 В и 6 Ом?,Ток равен 2 А.\nЧто?,То.\n", "utf-8")
    (tmp_path / "новые.txt").write_text("Что такое вариконд?\nЧто такое варистор?\n", "utf-8")
    assert exam(run, "--questions", tmp_path / "свои.csv", "--unknown-near", tmp_path / "новые.txt") == 0
    assert str(run.report) in "".join(capsys.readouterr().out.split())
    written = json.loads(run.exam.read_text(encoding="utf-8"))
    assert counts(written["sets"]) | {"unknown_far": 0} == {
        "trained": 19,
        "reworded": 19,
        "questions": 2,
        "unknown_near": 2,
        "unknown_far": 0,
    }
    own = [record for record in read_lines(run.answers) if record["set"] == "questions"]
    assert [record["row"] for record in own] == [3, 0]
    assert own[0]["search_row"] == 3
    assert "Что такое вариконд?" in run.unknown_near.read_text(encoding="utf-8")


def test_the_report_alone_needs_no_model(run, capsys):
    shutil.rmtree(run.adapter)
    before = run.exam.read_bytes(), run.answers.read_bytes()
    assert exam(run, "--report-only", "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["sets"]["trained"]["after"]["n"] == 19
    assert "as in the table (19)" in said.err
    assert run.report.stat().st_size > 0
    assert before == (run.exam.read_bytes(), run.answers.read_bytes())


def test_a_report_of_an_exam_that_never_was_is_refused(run, capsys):
    run.exam.write_text("{}", encoding="utf-8")
    assert exam(run, "--report-only") == 1
    run.exam.unlink()
    assert exam(run, "--report-only") == 1
    assert capsys.readouterr().err.count("no exam yet") == 2
    assert not run.report.exists()


@pytest.mark.parametrize("flags", [[], ["--report-only"]])
def test_a_damaged_exam_is_told_before_anything_is_done(run, capsys, flags):
    run.exam.write_text('{"sets": ', encoding="utf-8")
    shutil.rmtree(run.adapter)
    assert exam(run, *flags) == 1
    assert "exam.json, line 1" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--questions", "--unknown-near"])
def test_the_report_alone_asks_no_questions(run, tmp_path, capsys, flag):
    assert exam(run, "--report-only", flag, tmp_path / "any.csv") == 2
    assert flag in capsys.readouterr().err


def test_a_file_of_unknown_questions_that_is_not_there_is_refused_before_the_model_is_loaded(run, tmp_path, capsys):
    shutil.rmtree(run.adapter)
    assert exam(run, "--unknown-near", tmp_path / "none.csv") == 1
    assert "none.csv" in capsys.readouterr().err


def test_a_faulty_file_of_unknown_questions_ends_training_before_it_begins(tmp_path, finished):
    (tmp_path / "детали.csv").write_text(TABLE, encoding="utf-8")
    (tmp_path / "детали_unknown_near.csv").write_text("question\n", encoding="utf-8")
    settings = make_settings({"model": str(finished[0].parent / "tiny")} | LEARNS)
    with pytest.raises(Exception, match="unknown_near"):
        list(train(tmp_path / "детали.csv", settings, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


# ---- how sure answers are --------------------------------------------------------------------------------------------


def test_training_learns_how_sure_the_model_may_be_and_examines_what_rows_add(finished):
    path, ended = finished
    calibration = read_calibration(RunFolder(path))
    assert calibration.questions["answerable"] == IN_TRAIN.answerable
    sets = ended.summary["exam"]
    assert list(sets["reworded"]) == ["before", "after", "grounded", "auto", "search"]
    assert sets["reworded"]["auto"]["n_generated"] == 19
    assert sets["unknown_far"]["auto"]["n_generated"] == 9
    assert 0 <= sets["reworded"]["auto"]["declined"] <= 1
    assert 0 <= sets["reworded"]["auto"]["among_three"] <= 1
    told = [record for record in ended.answers if "auto" in record]
    assert {record["auto"]["source"] for record in told} <= {"weights", "row", "declined"}


def test_the_exam_calibrates_in_full_once(examined, tmp_path, capsys):
    messages.set_language("en")
    run = RunFolder(shutil.copytree(examined[0].path, tmp_path / "run"))
    assert read_calibration(run).questions["answerable"] == in_full(19).answerable == 76
    first, learned = run.confidence.read_bytes(), run.confidence.stat().st_mtime_ns
    written = run.exam.read_bytes()
    assert exam(run) == 0
    assert (run.confidence.read_bytes(), run.confidence.stat().st_mtime_ns) == (first, learned)
    assert run.exam.read_bytes() == written
    said = capsys.readouterr().out
    assert messages.catalogue("en")["report.line.weights"] in said
    assert messages.catalogue("en")["report.line.search"] in said
