"""Consoles of every encoding and width: nothing raises, every sign is shown or escaped, redirected output is UTF-8."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = "вопрос;ответ\nСколько Ω у резистора?;От 1 Ω → до 10 МОм — по маркировке.\nА у провода?;Почти 0 Ω.\n"
SIGNS = ("Ω", "→", "—")
BARE = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "HOME") if name in os.environ}


def run(arguments, folder, stdout=subprocess.PIPE, **environment):
    return subprocess.run(
        [sys.executable, "-m", "znatok", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={
            **BARE,
            "PYTHONPATH": str(ROOT),
            "ZNATOK_LANG": "ru",
            "ZNATOK_CACHE": str(folder / "cache"),
            **environment,
        },
        timeout=60,
        check=False,
    )


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
@pytest.mark.parametrize("command", [["check", "t.csv"], ["--help"], ["train", "--help"]], ids=" ".join)
def test_redirected_output_keeps_every_sign_or_shows_its_code(folder, command, environment, encoding):
    done = run(command, folder, **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    shown = done.stdout.decode(encoding)
    assert "\x1b" not in shown
    if command[0] == "check":
        for sign in SIGNS:
            escaped = sign.encode(encoding, "backslashreplace").decode(encoding)
            assert escaped in shown


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
@pytest.mark.parametrize("extra", [{}, {"NO_COLOR": "1"}, {"COLUMNS": "40"}, {"TERM": "dumb"}], ids=str)
def test_a_terminal_shows_every_sign_or_its_code(folder, encoding, extra):
    import pty

    mine, its = pty.openpty()
    with os.fdopen(mine, "rb", buffering=0) as screen:
        done = run(["check", "t.csv"], folder, stdout=its, **{"PYTHONIOENCODING": encoding, "TERM": "xterm", **extra})
        os.close(its)
        shown = b""
        try:
            while piece := screen.read(4096):
                shown += piece
        except OSError:  # Linux: the other end is closed and everything is read
            pass
    assert (done.returncode, done.stderr) == (0, b"")
    words = " ".join(shown.decode(encoding).split())
    for sign in SIGNS:
        assert sign.encode(encoding, "backslashreplace").decode(encoding) in words
