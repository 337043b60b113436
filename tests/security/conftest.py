"""The whole way from a hostile table to an answer, gone once for all tests: watched, on a terminal, among secrets."""

import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.security.hostile import screen_texts
from tests.security.terminals import on_a_terminal
from tests.security.watching import NETWORK, PICKLES, PROGRAMS, watched
from tests.tiny import tiny_folder

POSIX = sys.platform != "win32"
TABLE_NAME = "т\x1b]0;x\x07\x1b[35m\u202e[red]видно.csv" if POSIX else "т[red]видно.csv"
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
    json.dump([codes, printed, "torch" in sys.modules], file)
"""


@dataclass(frozen=True)
class Way:
    """What came of it. `shown`: all that was written to the terminal.  `events`: as [name, arguments]."""

    home: Path
    codes: list
    printed: list
    shown: str
    events: list


def write_table(folder):
    """A table full of what would act on a screen, under a name that would, too."""
    rows = [
        (f"Вопрос {place} {said}", f"{said} {place}") for place, said in enumerate(screen_texts()) if "\0" not in said
    ]
    with (folder / TABLE_NAME).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("вопрос", "ответ"), *rows])
    return folder / TABLE_NAME


@pytest.fixture(scope="session")
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
    codes, printed, has_torch = json.loads((home / "codes.json").read_text(encoding="utf-8"))
    assert has_torch
    return Way(home, codes, printed, shown, events)
