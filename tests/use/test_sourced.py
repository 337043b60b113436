"""The chat with sources: from memory, by a row, or not at all, and how sure it is."""

import io
import json
import re
import sys
from dataclasses import replace

import pytest
import torch

from tests.answering.taught import AGREES, FINDS, KNOWN, NEVER, OTHER, ROWS, STRANGE, judge_of, taught_network
from tests.tiny import PEFT_TALKS
from tests.use.test_loading import LEARNED, QUESTION, save_run
from znatok import messages
from znatok.answering.confidence import Calibration
from znatok.cli import run as run_command
from znatok.run_folder import RunFolder, write_json, write_lines
from znatok.use.chat import converse
from znatok.use.loading import Talker, load_judge, load_run

pytestmark = PEFT_TALKS


@pytest.fixture(autouse=True)
def english():
    messages.set_language("en")
    yield
    messages.set_language(None)


@pytest.fixture(scope="module")
def talker():
    return Talker(*taught_network(), "tiny", None)


FAR = "ξψ"
"""Has nothing in common with the table, and the taught model answers it as no row begins."""


def typed(talker, *lines, weights=AGREES, search=FINDS, policy="auto", far=None, **named):
    left = iter(lines)

    def ask():
        try:
            return next(left)
        except StopIteration:
            raise EOFError from None

    judge = judge_of(talker.network, talker.renderer, weights, search, far=far)
    converse(talker, words_for_user="You:", words_for_model="Model:", judge=judge, policy=policy, ask=ask, **named)


def test_every_answer_shows_its_source_and_how_sure_it_is(talker, capsys):
    typed(talker, KNOWN.question, STRANGE)
    shown = capsys.readouterr()
    assert shown.out == f"Model: {KNOWN.answer}\nModel: {OTHER.answer}\n"
    assert shown.err.splitlines()[-2:] == ["(from the model's memory, 99%)", "(by row 2, 99%)"]
    assert messages.text("chat.policy.auto") in shown.err


def test_the_source_is_told_in_russian(talker, capsys):
    messages.set_language("ru")
    typed(talker, KNOWN.question, STRANGE)
    assert capsys.readouterr().err.splitlines()[-2:] == ["(из памяти модели, 99 %)", "(по строке 2, 99 %)"]


def test_a_decline_names_the_closest_questions_and_a_number_chooses_one(talker, capsys):
    typed(talker, STRANGE, "1", search=NEVER)
    shown = capsys.readouterr()
    declined, chosen = shown.out.removeprefix("Model: ").split("Model: ")
    assert declined.splitlines()[0] == messages.text("chat.declined")
    assert declined.splitlines()[1] == f"  1. {OTHER.question}"
    assert f"\n{OTHER.question}\n" in shown.err
    assert chosen.strip()  # answered, whatever the judge thinks of it


def test_a_number_chooses_only_what_was_just_offered(talker, capsys):
    typed(talker, "1", STRANGE, KNOWN.question, "1", STRANGE, "7", search=NEVER)
    err = capsys.readouterr().err
    assert err.count(f"\n{OTHER.question}\n") == 0


def test_where_nothing_is_close_the_decline_says_so(talker, capsys):
    typed(talker, "ξψ", weights=NEVER, search=NEVER)
    assert capsys.readouterr().out == f"Model: {messages.text('chat.declined_alone')}\n"


def test_an_answer_from_outside_the_table_says_so_in_both_languages(talker, capsys):
    typed(talker, FAR, weights=NEVER, search=NEVER, far=0.9)
    messages.set_language("ru")
    typed(talker, FAR, weights=NEVER, search=NEVER, far=0.9)
    shown = capsys.readouterr()
    assert "not from the table" in shown.err
    assert "(не из таблицы; отвечает базовая память модели)" in shown.err.splitlines()
    one, other = shown.out.splitlines()
    assert one == other
    assert one != f"Model: {messages.text('chat.declined_alone')}"


def test_grounded_always_answers_and_weights_never_look(talker, capsys):
    typed(talker, STRANGE, weights=NEVER, search=NEVER, policy="grounded")
    typed(talker, STRANGE, policy="weights")
    shown = capsys.readouterr()
    assert re.fullmatch(rf"Model: .+\nModel: {re.escape(KNOWN.answer)}\n", shown.out)
    assert re.search(r"\(by row \d, 0%\)", shown.err)
    assert int(re.search(r"from the model.s memory, (\d+)%", shown.err)[1]) < 50


def test_the_base_has_no_source(talker, capsys):
    typed(talker, KNOWN.question, "/adapter", KNOWN.question, use_adapter=False)
    shown = capsys.readouterr()
    assert shown.err.count("from the model's memory") == 1
    assert shown.out.endswith(f"Model: {KNOWN.answer}\n")


def test_a_decline_is_not_remembered(talker, capsys):
    typed(talker, "/history on", STRANGE, KNOWN.question, search=NEVER)
    assert capsys.readouterr().out.endswith(f"Model: {KNOWN.answer}\n")


def test_cells_of_the_table_cannot_touch_the_terminal(capsys, talker):
    bad = replace(OTHER, question="Зачем \x1b[31mзапасает заряд\x07?")
    judge = judge_of(talker.network, talker.renderer, NEVER, NEVER, rows=[KNOWN, bad])
    asked = iter([STRANGE, "1", "exit"])
    words = {"words_for_user": "You:", "words_for_model": "Model:"}
    converse(talker, **words, judge=judge, policy="auto", ask=lambda: next(asked))
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err
    assert "\x07" not in shown.out + shown.err


# ---- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("sourced")
    save_run(home)
    return home


@pytest.fixture
def run(home):
    run = RunFolder(home / "run")
    calibrated(run)
    yield run
    run.confidence.unlink(missing_ok=True)


def calibrated(run, weights=AGREES, search=FINDS, far=None):
    write_json(run.confidence, Calibration(weights, search, 0.5, 0.5, far, {"answerable": 1}).describe())


@pytest.fixture
def command(home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    threads = torch.get_num_threads()

    def command(*arguments):
        monkeypatch.setattr(sys, "stdin", io.StringIO(""))
        code = run_command([*arguments, "--lang", "en"])
        return code, *capsys.readouterr()

    yield command
    torch.set_num_threads(threads)


def test_ask_prints_the_answer_alone_and_its_source_beside(run, command):
    code, out, err = command("chat", "run", "--ask", QUESTION)
    assert (code, out) == (0, LEARNED + "\n")
    assert err.splitlines()[-1] == "from the model's memory, 99%"


def test_ask_as_json_has_source_and_confidence(run, command):
    code, out, _ = command("chat", "run", "--ask", QUESTION, "--json")
    record = json.loads(out)
    assert code == 0
    assert record["answer"] == LEARNED
    assert (record["source"], record["row"]) == ("weights", None)
    assert record["confidence"] > 0.99
    assert record["closest"] == [{"row": 1, "question": QUESTION}]


def test_a_declined_question_leaves_stdout_empty(run, command):
    calibrated(run, NEVER, NEVER)
    code, out, err = command("chat", "run", "--ask", f"{QUESTION} Да?")
    assert (code, out) == (0, "")
    # Nothing can be chosen where nothing more is asked.
    assert err.splitlines()[-2:] == [messages.text("chat.declined_once"), f"  1. {QUESTION}"]
    record = json.loads(command("chat", "run", "--ask", f"{QUESTION} Да?", "--json")[1])
    assert (record["answer"], record["stopped"], record["source"]) == (None, None, "declined")
    assert command("chat", "run", "--ask", f"{QUESTION} Да?", "--policy", "grounded")[1].strip()


@pytest.mark.parametrize("scope", ["open", "strict"])
def test_a_question_far_from_the_table_is_answered_under_open_alone(run, command, scope):
    calibrated(run, NEVER, NEVER, far=0.9)
    plan = json.loads(run.plan.read_bytes())
    write_json(run.plan, plan | {"scope": scope})
    code, out, err = command("chat", "run", "--ask", FAR)
    record = json.loads(command("chat", "run", "--ask", FAR, "--json")[1])
    write_json(run.plan, plan)
    assert code == 0
    if scope == "open":
        assert out.strip()
        assert err.splitlines()[-1] == messages.catalogue("en")["chat.source.outside"]
        assert (record["answer"], record["source"]) == (out.strip(), "outside")
        assert record["row"] is record["confidence"] is None
    else:
        assert (out, record["answer"], record["source"]) == ("", None, "declined")


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_run_without_a_calibration_answers_from_its_weights_and_says_so(run, command, damage):
    run.confidence.unlink()
    if damage == "damaged":
        run.confidence.write_text("{", encoding="utf-8")
    code, out, err = command("chat", "run", "--ask", QUESTION)
    assert (code, out) == (0, LEARNED + "\n")
    assert messages.catalogue("en")["chat.no_calibration"] in err
    record = json.loads(command("chat", "run", "--ask", QUESTION, "--json")[1])
    assert (record["source"], record["row"], record["confidence"]) == ("weights", None, None)
    assert "no_calibration" not in command("chat", "run", "--ask", QUESTION, "--policy", "weights")[2]


def test_with_base_there_is_nothing_of_it(run, command):
    code, out, err = command("chat", "run", "--base", "--ask", QUESTION, "--json")
    assert code == 0
    assert list(json.loads(out)) == ["question", "answer", "stopped", "run", "model"]
    assert messages.catalogue("en")["chat.no_calibration"] not in err
    assert command("chat", "run", "--base", "--policy", "auto")[0] == 2


def test_the_original_command_is_weights_only(run, command):
    code, out, err = command("chat-original", "--use_lora", "--lora_path", "run", "--ask", QUESTION)
    assert (code, out) == (0, LEARNED + "\n")
    assert "%" not in err


def test_a_policy_that_there_is_not_is_answered_with_the_nearest(run, command):
    code, out, err = command("chat", "run", "--policy", "grouned", "--ask", "?")
    assert (code, out) == (2, "")
    assert "grounded" in err


def test_a_judge_searches_the_rows_that_were_taught(run):
    write_lines(
        run.rows,
        [
            {"row": 1, "question": QUESTION, "answer": LEARNED, "use": "trained"},
            {"row": 2, "question": ROWS[1].question, "answer": ROWS[1].answer, "use": "heldout"},
        ],
    )
    judge = load_judge(load_run(run))
    assert [found.row.number for found in judge.closest("резистор и конденсатор")] == [1]
    run.rows.write_text("{", encoding="utf-8")
    assert load_judge(load_run(run)) is None
    write_lines(run.rows, [{"row": 1, "question": QUESTION, "answer": LEARNED, "use": "trained"}])
