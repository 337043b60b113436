"""Nothing in a table, a file name or an answer acts on the screen: the real commands, to a file and to a terminal."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table as Grid
from rich.text import Text

from tests.security.hostile import acting, screen_texts, write_table
from tests.security.terminals import on_a_terminal
from tests.tiny import PEFT_TALKS, teach, tiny_folder, tiny_network
from znatok import cli
from znatok.model.adapter import Adapter
from znatok.run_folder import RunFolder, write_json, write_lines
from znatok.use.terminal import json_line, printable, talk

ROOT = Path(__file__).parents[2]
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals and such file names of POSIX")
pytestmark = [*PEFT_TALKS, pytest.mark.filterwarnings("ignore:.*torch_dtype.*:FutureWarning")]

TEXTS = screen_texts()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a table full of what would act, under a name that would, too."""
    folder = tmp_path_factory.mktemp("screen")
    write_table(folder)
    return folder


def table_in(folder):
    return next(folder.glob("*.csv")).name


def started(arguments, folder, stdout, **environment):
    return subprocess.run(
        [sys.executable, "-m", "znatok", *arguments, "--lang", "ru"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ZNATOK_CACHE": str(folder / "cache"), **environment},
        timeout=300,
        check=False,
    )


def assert_harmless(shown, least=1):
    assert acting(shown.replace("\r\n", "\n")) == []
    assert shown.count("видно") >= least


def test_there_are_dozens_of_texts_and_each_would_act_or_is_markup():
    assert len(set(TEXTS)) == len(TEXTS) >= 60
    assert all(acting(text) or "[" in text or ":" in text or "\u2028" in text for text in TEXTS)


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_a_printable_text_acts_no_more_and_keeps_its_words(text):
    assert acting(printable(text)) == []
    assert "видно" in printable(text)


def test_the_console_shows_nothing_that_acts_in_whatever_way_a_text_comes_to_it(capsys):
    console = talk()
    for text in TEXTS:
        grid = Grid(text, title=text)
        grid.add_row(Text(text))
        console.print(text, Text(text), Text.assemble((text, "bold")), grid)
    shown = capsys.readouterr().out
    assert acting(shown) == []
    assert shown.count("видно") >= 5 * len(TEXTS)
    assert "[red]видно[red]" in shown
    assert ":warning:" in shown


def test_json_names_the_signs_by_their_codes_and_reads_back_the_same(capsys):
    value = {text: [text, {"a": text}] for text in TEXTS} | {"half": "\udc80", "plain": "Ω — «5»\u00a0💡"}
    line = json_line(value)
    assert acting(line) == []
    assert "\n" not in line
    assert "Ω — «5»\u00a0💡" in line
    assert json.loads(line) == value


@POSIX
def test_check_shows_a_hostile_table_to_a_file(folder):
    assert_harmless(started(["check", table_in(folder)], folder, subprocess.PIPE).stdout.decode("utf-8"), 4)


@POSIX
def test_check_shows_a_hostile_table_on_a_terminal(folder):
    with on_a_terminal() as (its, shown):
        started(["check", table_in(folder)], folder, its, TERM="dumb", COLUMNS="100")
        assert_harmless(shown(), 4)


@POSIX
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "нет\x1b]0;x\x07видно.csv"],
        ["train", "нет\x1b[35m\u202eвидно.csv"],
        ["check", "t.csv", "--model", "нет\x1b]52;c;eA==\x07видно"],
        ["chat", "нет\x9d52;c;eA==\x9cвидно"],
        ["видно\x1b[2J"],
        ["check", "--видно\x1b[2J\u202e"],
        ["check", "t.csv", "--encoding", "видно\x1b[2J"],
        ["chat", "нет\x1b]0;x\x07видно", "--debug"],
        ["exam", "нет\x1b]0;x\x07видно"],
    ],
    ids=ascii,
)
def test_what_is_typed_wrongly_does_not_act_when_it_is_repeated(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("вопрос;ответ\nЧто?;То.\nКто?;Он.\n", encoding="utf-8")
    assert cli.run(arguments) in (1, 2)
    captured = capsys.readouterr()
    assert acting(captured.out) == []
    assert_harmless(captured.err)


SAID = "видно\x1b]52;c;eA==\x07 \x1b[35mкрасно\x1b[2J\u202e \x9b5n[red]конец"


@pytest.fixture(scope="module")
def speaker(tmp_path_factory):
    """A run whose model answers with what would act."""
    home = tmp_path_factory.mktemp("speaker")
    from znatok.model.source import find_base

    source = find_base(str(tiny_folder(home / "base")))
    network, renderer = tiny_network()
    network.source = source
    network.add_adapter(Adapter())
    teach(network, [renderer.conversation("Что?", SAID)], 40)
    run = RunFolder(home / "run\x1b]0;x\x07" if sys.platform != "win32" else home / "run")
    run.path.mkdir()
    network.save_adapter(run.adapter)
    recorded = {"name": source.name, "public_id": source.public_id, "revision": None, "is_builtin": False}
    write_json(run.plan, {"source": recorded, "dtype": "float32", "quantization": "none", "threads": 1})
    write_lines(run.rows, [{"row": 1, "question": "Что?", "answer": SAID, "use": "trained"}])
    prompt = renderer.prompt("Что?")
    assert renderer.decode(list(network.stream(prompt, 200, renderer.stop_id))) == SAID
    return run


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_model_that_learned_to_send_escapes_sends_none(speaker, capsys, more):
    assert cli.run(["chat", str(speaker.path), "--ask", "Что?", *more]) == 0
    captured = capsys.readouterr()
    assert_harmless(captured.out)
    assert acting(captured.err) == []
    answer = json.loads(captured.out)["answer"] if more else captured.out.strip()
    assert answer == "видно красно [red]конец"


@POSIX
def test_a_conversation_on_a_terminal_sends_none(speaker, monkeypatch, capsys):
    with on_a_terminal() as (its, shown):
        with os.fdopen(os.dup(its), "w", encoding="utf-8") as screen:
            monkeypatch.setattr(
                sys, "stdin", io.StringIO("Что?\n\x1b]0;x\x07видно?\n/\x1b[2Jx\n/history on\nЧто?\nвыход\n")
            )
            monkeypatch.setattr(sys, "stdout", screen)
            monkeypatch.setattr(sys, "stderr", screen)
            code = cli.run(["chat", str(speaker.path)])
            monkeypatch.undo()
        said = shown()
    assert code == 0
    assert_harmless(said, 3)


def test_a_run_named_like_a_row_of_a_hostile_table_is_a_plain_folder(folder, tmp_path, monkeypatch):
    from znatok.run_folder import new_run

    monkeypatch.chdir(tmp_path)
    for name in (table_in(folder), "..\\..\\x.csv", "\u202eg.csv", "x\ny.csv", "-rf.csv", "con.csv" * 3):
        made = new_run(None, Path(name)).path
        assert made.parent == Path("runs")
        assert acting(made.name) == []
        assert "\n" not in made.name
    shutil.rmtree("runs")
