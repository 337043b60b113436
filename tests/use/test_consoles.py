"""Consoles of every encoding and width: nothing raises, every sign is shown or escaped, redirected output is UTF-8."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.security.terminals import on_a_terminal

ROOT = Path(__file__).parents[2]
TABLE = "вопрос;ответ\nСколько Ω у резистора?;От 1 Ω → до 10 МОм — по маркировке.\nА у провода?;Почти 0 Ω.\n"
SIGNS = ("Ω", "→", "—")
BARE = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "HOME") if name in os.environ} | {"ZNATOK_LANG": "ru"}
COMMANDS = (["check", "t.csv"], ["--help"], ["train", "--help"])
END = "\n==== end of a command ====\n"
ONE_AFTER_ANOTHER = f"""
import json, os, sys
from znatok import cli
for command, environment in json.loads(sys.argv[1]):
    os.environ.update(environment)
    code = cli.run(command)
    print({END!r}, end="", flush=True)
    assert code == 0, command
    for name in environment:
        del os.environ[name]
"""


def run(arguments, folder, stdout=subprocess.PIPE, program=("-m", "znatok"), **environment):
    return subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**BARE, **environment, "ZNATOK_CACHE": str(folder / "no models"), "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )


def one_after_another(commands, folder, **more):
    """One start of Python for several commands, each with something in the environment beside it."""
    return run([json.dumps(commands)], folder, program=("-c", ONE_AFTER_ANOTHER), **more)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "t.csv").write_text(TABLE, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("environment", "encoding"),
    [
        ({}, "utf-8"),
        ({"LC_ALL": "C"}, "utf-8"),
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, "utf-8"),
        ({"PYTHONIOENCODING": "utf-8"}, "utf-8"),
        ({"PYTHONIOENCODING": "cp866"}, "cp866"),
        ({"PYTHONIOENCODING": "cp1251:strict"}, "cp1251"),
        ({"PYTHONIOENCODING": "ascii"}, "ascii"),
        ({"PYTHONIOENCODING": ":replace"}, "utf-8"),
        ({"NO_COLOR": "1", "COLUMNS": "40"}, "utf-8"),
    ],
    ids=str,
)
def test_redirected_output_keeps_every_sign_or_shows_its_code(folder, environment, encoding):
    done = one_after_another([(command, {}) for command in COMMANDS], folder, **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    shown = done.stdout.decode(encoding)
    assert "\x1b" not in shown
    checked, *helped, rest = shown.replace("\r\n", "\n").split(END)
    for sign in SIGNS:
        escaped = sign.encode(encoding, "backslashreplace").decode(encoding)
        assert escaped in checked
    assert [len(help.splitlines()) > 5 for help in helped] == [True, True]
    assert rest == ""


def test_a_narrow_window_loses_no_word(folder):
    wide, narrow = (run(["check", str(ROOT / "dataset.csv")], folder, COLUMNS=width) for width in ("200", "40"))
    assert wide.returncode == narrow.returncode == 0
    assert narrow.stdout.decode().split() == wide.stdout.decode().split()


@pytest.mark.parametrize("encoding", ["utf-8", "cp866", "cp1251", "ascii"])
def test_an_error_is_readable_in_every_encoding(folder, encoding):
    done = run(["check", "нет Ω.csv"], folder, PYTHONIOENCODING=encoding)
    said = "нет Ω.csv: такого файла нет. Проверьте имя и папку.\n"
    assert done.returncode == 1
    assert done.stderr.replace(b"\r\n", b"\n") == said.encode(encoding, "backslashreplace")


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals of POSIX")
@pytest.mark.parametrize("encoding", ["utf-8", "cp866", "cp1251", "ascii"])
def test_a_terminal_shows_every_sign_or_its_code(folder, encoding):
    terminals = ({}, {"NO_COLOR": "1"}, {"COLUMNS": "40"}, {"TERM": "dumb"})
    commands = [(["check", "t.csv"], {"TERM": "xterm"} | terminal) for terminal in terminals]
    with on_a_terminal(encoding) as (its, written):
        done = one_after_another(commands, folder, stdout=its, PYTHONIOENCODING=encoding)
        shown = written()
    assert (done.returncode, done.stderr) == (0, b"")
    *screens, rest = shown.replace("\r\n", "\n").split(END)
    assert (len(screens), rest) == (len(terminals), "")
    for terminal, screen in zip(terminals, screens, strict=True):
        words = " ".join(screen.split())
        for sign in SIGNS:
            assert sign.encode(encoding, "backslashreplace").decode(encoding) in words, terminal
