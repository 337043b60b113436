"""The README's commands, run as they stand on a small table. Minutes; the built-in model is needed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NEEDS_A_HUB = "tinyllama"
pytestmark = pytest.mark.slow


def commands(readme):
    """The command lines of the POSIX blocks, without those that set up an environment or need a hub."""
    blocks = re.findall(r"```sh\n(.*?)```", readme.read_text(encoding="utf-8"), flags=re.DOTALL)
    parts = [part.strip() for block in blocks for line in block.splitlines() for part in line.split("&&")]
    return [
        part
        for part in parts
        if part.startswith(("python train.py", "python chat.py", "znatok ")) and NEEDS_A_HUB not in part
    ]


def run(command, folder):
    words = shlex.split(command)
    program = [sys.executable, "-m", "znatok"] if words[0] == "znatok" else [sys.executable, str(ROOT / words[1])]
    rest = words[1:] if words[0] == "znatok" else words[2:]
    return subprocess.run(
        program + rest,
        cwd=folder,
        env=os.environ | {"ZNATOK_LANG": "ru", "PYTHONPATH": str(ROOT)},
        input="Что такое резистор?\nвыход\n",
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def test_every_command_of_the_readme_does_what_it_says(tmp_path):
    for name in ("dataset.csv", "dataset_wordings.csv"):
        some = (ROOT / name).read_text(encoding="utf-8").splitlines()[:4]
        (tmp_path / name).write_text("\n".join(some) + "\n", encoding="utf-8")
    asked = [command for command in commands(ROOT / "README.md") if "--minutes" not in command]
    assert any("--csv_file" in command for command in asked)
    assert "python chat.py --use_lora" in asked
    for command in asked:
        done = run(command, tmp_path)
        assert done.returncode == 0, (command, done.stderr)
        if "train.py" in command:
            assert "Экзамен" in done.stdout
        elif "chat.py" in command:
            assert "Вы: Что такое резистор?\nМодель: " in done.stdout
    assert (tmp_path / "runs" / "dataset" / "train_graph.png").stat().st_size > 10_000
