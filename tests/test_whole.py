"""The whole way with the built-in model, as a newcomer walks it. Minutes; run before a release."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


def run(*arguments, folder):
    environment = os.environ | {"ZNATOK_LANG": "ru", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hobby")
    lines = (ROOT / "dataset.csv").read_text(encoding="utf-8").splitlines()[:4]
    (folder / "три строки.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = (
        ROOT / "train.py",
        "--csv_file",
        "три строки.csv",
        "--num-train-epochs",
        "30",
        "--json",
        "--per-device-train-batch-size",
        "3",
    )
    done = run(*command, folder=folder)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_three_rows_are_learned_to_the_letter(trained):
    _, summary = trained
    assert summary["exam"]["trained"]["before"]["exact"] == 0
    assert summary["exam"]["trained"]["after"]["exact"] == 1
    assert summary["exam"]["trained"]["after"]["stopped"] == 1
    assert summary["exam"]["trained"]["after"]["echoed"] == 0


def test_the_original_chat_answers_with_the_row_and_stops(trained):
    folder, _ = trained
    tuned = run(ROOT / "chat.py", "--use_lora", "--ask", "Что такое резистор?", folder=folder)
    assert tuned.returncode == 0, tuned.stderr
    assert tuned.stdout.strip().startswith("Резистор — это элемент с заданным электрическим сопротивлением")
    assert tuned.stdout.strip().endswith("Поглощённая им энергия уходит в тепло.")
    base = run(ROOT / "chat.py", "--ask", "Что такое резистор?", folder=folder)
    assert base.returncode == 0, base.stderr
    assert base.stdout.strip() != tuned.stdout.strip()


def test_ctrl_c_saves_the_adapter(trained, tmp_path):
    import signal
    import time

    folder, _ = trained
    process = subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "train.py"),
            "--csv_file",
            str(folder / "три строки.csv"),
            "--run",
            str(tmp_path / "run"),
        ],
        cwd=tmp_path,
        env=os.environ | {"ZNATOK_LANG": "ru"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 180
    while not (metrics.is_file() and '"stepped"' in metrics.read_text(encoding="utf-8")):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "Адаптер сохранён" in said
    assert (tmp_path / "run" / "adapter" / "adapter_model.safetensors").is_file()
