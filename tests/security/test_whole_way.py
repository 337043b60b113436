"""The whole way from a hostile table to an answer, gone once for all tests: watched, on a terminal, among secrets."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.security.hostile import _ESCAPES, acting, write_table
from tests.security.terminals import on_a_terminal
from tests.security.watching import NETWORK, PICKLES, PROGRAMS, watched
from tests.tiny import tiny_folder

POSIX = sys.platform != "win32"
SECRETS = {
    "HF_TOKEN": "hf_geheimAlphaOne",
    "HUGGING_FACE_HUB_TOKEN": "hf_geheimBetaTwo",
    "PIP_INDEX_URL": "https://user:geheimGammaThree@index.example/simple",
    "OPENAI_API_KEY": "sk-geheimDeltaFour",
    "AWS_SECRET_ACCESS_KEY": "geheimEpsilonFive",
}
SETTINGS = "--num-rows 6 --learning-rate 0.02 --num-train-epochs 1 --per-device-train-batch-size 3 --r 4 --lang ru"
WHOLE_WAY = """
import contextlib, io, json
from znatok import cli
table, model, run = sys.argv[1:4]
codes, printed = [], []
def go(*command):
    out = io.StringIO()
    with contextlib.redirect_stdout(out) if "--json" in command else contextlib.nullcontext():
        codes.append([command[0], cli.run(command)])
    printed.append(out.getvalue())
go("check", table, "--model", model, "--show", "1", "--lang", "ru")
go("train", table, "--model", model, "--run", run, "--json", *sys.argv[4:])
go("exam", run, "--lang", "ru")
go("chat", run, "--ask", "Что\\x1b[2J?", "--lang", "ru")
go("chat", run, "--base", "--ask", "Что?", "--json")
go("doctor")
with open("codes.json", "w") as file:
    json.dump([codes, printed, list(sys.modules)], file)
"""


@dataclass(frozen=True)
class Way:
    """What came of it. `shown`: all that was written to the terminal.  `events`: as [name, arguments].
    `modules`: the names of all that were imported."""

    home: Path
    codes: list
    printed: list
    shown: str
    events: list
    modules: frozenset


@pytest.fixture(scope="module")
def way(tmp_path_factory):
    home = tmp_path_factory.mktemp("way")
    given = (write_table(home).name, tiny_folder(home / "tiny").name, "run", *SETTINGS.split())
    place = {"cwd": home, "events": (*NETWORK, *PICKLES, *PROGRAMS), "ZNATOK_CACHE": str(home / "cache"), **SECRETS}
    if POSIX:
        with on_a_terminal() as (its, written):
            done, events = watched(WHOLE_WAY, *given, **place, stdout=its, TERM="xterm-256color", COLUMNS="100")
            shown = written()
    else:
        done, events = watched(WHOLE_WAY, *given, **place)
        shown = (done.stdout + done.stderr).decode("utf-8")
    assert done.returncode == 0, shown[-3000:]
    codes, printed, modules = json.loads((home / "codes.json").read_text(encoding="utf-8"))
    assert "torch" in modules
    return Way(home, codes, printed, shown, events, frozenset(modules))


def test_the_whole_way_is_gone(way):
    assert way.codes == [[name, 0] for name in "check train exam chat chat doctor".split()]


HEAVY = {"transformers", "peft", "accelerate", "bitsandbytes", "torch._dynamo", "sympy"}
"""Each takes up to seconds to import."""


def test_a_model_is_trained_and_asked_without_transformers_and_peft(way):
    assert HEAVY & way.modules == set()


def test_no_one_is_asked_over_a_network(way):
    assert [event for event in way.events if event[0] in NETWORK] == []


def test_nothing_pickled_is_loaded(way):
    assert [event for event in way.events if event[0] == "pickle.find_class"] == []


def test_no_program_is_started_but_the_ones_we_know(way):
    """A look at the graphics card, and nothing that a file named."""
    started = [arguments for event, arguments in way.events if event in PROGRAMS]
    assert [arguments for arguments in started if not any(name in arguments for name in KNOWN_PROGRAMS)] == []


KNOWN_PROGRAMS = ("template_sandbox", "nvidia-smi")


def test_no_secret_is_kept_shown_or_handed_on(way):
    kept = {str(file): file.read_bytes() for file in way.home.rglob("*") if file.is_file()}
    kept |= {"shown": way.shown.encode(), "printed": "".join(way.printed).encode()}
    kept |= {f"{place}: {event}": arguments.encode() for place, (event, arguments) in enumerate(way.events)}
    assert any("report.html" in name for name in kept)
    assert [name for name, content in kept.items() if b"geheim" in content] == []


LONG = [escape for escape in _ESCAPES if len(escape) > 2]
"""Escapes that rich itself never sends: where one of them arrives, a text has sent it."""


def assert_rich_alone_acts(shown, least=1):
    assert [escape for escape in LONG if escape in shown] == []
    assert "\u202e" not in shown
    assert shown.count("видно") >= least


@pytest.mark.skipif(not POSIX, reason="a pseudo-terminal of POSIX")
def test_the_whole_way_from_a_hostile_table_to_an_answer_shows_nothing_that_acts(way):
    assert_rich_alone_acts(way.shown, 20)
    assert "[red]видно" in way.shown
    for printed in way.printed:
        assert acting(printed) == []
    assert json.loads(way.printed[1])["exam"]["trained"]["after"]["n"] == 6
