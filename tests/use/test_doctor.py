"""`znatok doctor`: what it says in both languages, its JSON, and that it needs no network and no heavy library."""

import json
import socket
import subprocess
import sys

import pytest

from znatok import cli
from znatok.model import gpu
from znatok.model.source import BASE_MODELS
from znatok.use import doctor_screen

PYTHON = sys.executable
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Empty caches of ours and of the hub, no driver, a plain pip, and a network that must not be touched."""
    monkeypatch.setenv("ZNATOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(gpu, "DRIVER_FILES", {})
    monkeypatch.setattr(gpu, "WSL_SMI", tmp_path / "none")
    monkeypatch.setattr(sys, "executable", "/venv/bin/python")
    has(monkeypatch, "bitsandbytes", "liger_kernel", "uv", "pip")
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was touched"))
    return tmp_path


def has(monkeypatch, *packages):
    """These packages are installed; the others that doctor looks for are not."""
    for module in (gpu, doctor_screen):
        monkeypatch.setattr(module, "find_spec", lambda name: True if name in packages else None)


def run(*arguments, capsys):
    code = cli.run(["doctor", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def words(printed):
    """What was printed, however it was broken into lines and columns."""
    return " ".join(printed.split())


def put_qwen(place):
    """Qwen3-0.6B as a complete snapshot in the hub's cache."""
    kept = place / "hub" / "models--Qwen--Qwen3-0.6B"
    (kept / "snapshots" / COMMIT).mkdir(parents=True)
    (kept / "snapshots" / COMMIT / "config.json").write_bytes(b"{}")
    # A safetensors file without tensors: the length of its header, and the header.
    (kept / "snapshots" / COMMIT / "model.safetensors").write_bytes(b"\x02" + bytes(7) + b"{}")
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(COMMIT, encoding="utf-8")


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        (
            "en",
            [
                "GPU none was found; training runs on the processor",
                "Base models (znatok train --model NAME):",
                "builtin 0.1 GB Apache-2.0 6.5 no",
                "tinyllama 2.2 GB Apache-2.0 3.4 no",
                "qwen2.5-0.5b 1.0 GB Apache-2.0 — no",
                "qwen3-0.6b 1.5 GB Apache-2.0 3.1 yes",
                "gemma3-1b 2.0 GB Gemma Terms of Use 2.3 no",
                "tinyllama: its role marks (<|user|>, <|assistant|>) are plain text, so such words typed in a question "
                "look like marks to it; its real control tokens stay text.",
                "llama3.2-1b, gemma3-1b: the hub gives them out after their owners' terms are accepted there.",
            ],
        ),
        (
            "ru",
            [
                "видеокарта не найдена; обучение идёт на процессоре",
                "Базовые модели (znatok train --model ИМЯ):",
                "builtin 0.1 ГБ Apache-2.0 6.5 нет",
                "tinyllama 2.2 ГБ Apache-2.0 3.4 нет",
                "qwen2.5-0.5b 1.0 ГБ Apache-2.0 — нет",
                "qwen3-0.6b 1.5 ГБ Apache-2.0 3.1 есть",
                "gemma3-1b 2.0 ГБ Gemma Terms of Use 2.3 нет",
                "tinyllama: метки ролей (<|user|>, <|assistant|>) у неё — обычный текст, и набранные в вопросе такие "
                "же слова она примет за метки; её настоящие служебные токены остаются текстом.",
                "llama3.2-1b, gemma3-1b: хаб выдаёт их после того, как там приняты условия владельцев.",
            ],
        ),
    ],
)
def test_doctor_describes_the_machine_and_the_base_models(capsys, place, language, lines):
    put_qwen(place)
    code, out, err = run("--lang", language, capsys=capsys)
    assert (code, err) == (0, "")
    for line in lines:
        assert line in words(out)
    for value in (sys.version.split()[0], "/venv/bin/python", "float", str(place / "cache")):
        assert value in out


@pytest.mark.skipif(sys.platform != "linux", reason="liger-kernel is offered on Linux alone")
@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "bitsandbytes is missing: 4-bit and 8-bit models, --preset classic. To add it:"),
        ("ru", "Нет bitsandbytes (4- и 8-битные модели, --preset classic). Добавить:"),
    ],
)
def test_each_missing_part_comes_with_the_command_that_adds_it(capsys, monkeypatch, language, said):
    has(monkeypatch, "pip")
    code, out, _ = run("--lang", language, capsys=capsys)
    assert code == 0
    assert said in words(out)
    lines = [line.strip() for line in out.splitlines()]
    for name in ("bitsandbytes", "liger-kernel", "uv"):
        assert f"/venv/bin/python -m pip install {name}" in lines


def test_where_nothing_installs_packages_pip_comes_first(capsys, monkeypatch):
    has(monkeypatch)
    _, out, _ = run("--lang", "en", capsys=capsys)
    assert out.index("/venv/bin/python -m ensurepip") < out.index("/venv/bin/python -m pip install bitsandbytes")


@pytest.mark.skipif(sys.platform == "win32", reason="nvidia-smi is played by a shell script")
def test_a_gpu_that_stands_idle_is_told_with_the_command(capsys, place, monkeypatch):
    import torch

    (place / "bin").mkdir()
    script = '#!/bin/sh\n[ $# -gt 0 ] && echo "8.6, NVIDIA GeForce RTX 3060" || echo "CUDA Version: 13.0"\n'
    (place / "bin" / "nvidia-smi").write_text(script, encoding="utf-8")
    (place / "bin" / "nvidia-smi").chmod(0o755)
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(gpu, "version", lambda name: "2.13.0")
    has(monkeypatch, "pip")
    code, out, err = run("--lang", "ru", "--json", capsys=capsys)
    found = json.loads(out)
    assert code == 0
    command = "/venv/bin/python -m pip install torch==2.13.0+cu130 --index-url https://download.pytorch.org/whl/cu130"
    assert found["cuda_install_command"] == command
    assert found["gpu"]["driver"]["gpu"] == "NVIDIA GeForce RTX 3060"
    notice = (
        "torch установлен без CUDA, поэтому видеокарта (NVIDIA GeForce RTX 3060) простаивает. Чтобы она заработала: "
    )
    assert found["gpu_notice"] == notice + command
    assert "видеокарта " + notice + command in words(err)


def test_json_is_one_object_and_the_talk_goes_to_stderr(capsys, place):
    (place / "cache").mkdir()
    (place / "cache" / "kept").write_bytes(b"x" * 1000)
    code, out, err = run("--json", "--lang", "en", capsys=capsys)
    found = json.loads(out)
    assert code == 0
    assert "Base models" in err
    assert list(found) == [
        *("znatok", "python", "torch", "libraries", "cpu", "memory_bytes", "gpu", "gpu_notice", "cuda_install_command"),
        *("parts", "warnings", "models", "cache"),
    ]
    assert found["cpu"]["dtype"] in ("float32", "bfloat16")
    assert found["cache"]["free_bytes"] > 0
    assert found["cache"]["bytes"] >= 1000
    assert [model["name"] for model in found["models"]] == list(BASE_MODELS)
    assert found["models"][1] == {
        "name": "tinyllama",
        "is_here": False,
        "hub_id": "TinyLlama/TinyLlama-1.1B-Chat-v1.0",
        "gigabytes": 2.2,
        "licence": "Apache-2.0",
        "tokens_per_russian_word": 3.4,
        "is_gated": False,
        "has_plain_roles": True,
    }
    assert all(set(part) == {"name", "is_here", "version", "command"} for part in found["parts"])


def test_only_measured_numbers_of_tokens_are_told():
    assert {facts.tokens_per_russian_word for facts in BASE_MODELS.values()} == {6.5, 3.4, 3.1, 2.3, None}


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ": it does not start (import of torch halted; None in sys.modules). Install it again: "),
        ("ru", ": не запускается (import of torch halted; None in sys.modules). Установите заново: "),
    ],
)
def test_a_torch_that_does_not_start_is_explained_and_the_rest_is_told(capsys, monkeypatch, language, said):
    monkeypatch.setitem(sys.modules, "torch", None)
    code, out, _ = run("--lang", language, capsys=capsys)
    assert code == 1
    assert said in words(out)
    assert "tinyllama 2.2" in words(out)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "The package kernels is installed, and through it bitsandbytes may fetch code over the network."),
        ("ru", "Установлен пакет kernels: через него bitsandbytes может загружать код из сети."),
    ],
)
def test_the_package_that_fetches_code_is_pointed_out(capsys, monkeypatch, language, said):
    has(monkeypatch, "kernels", "pip")
    _, out, _ = run("--lang", language, capsys=capsys)
    assert said in words(out)
    assert "/venv/bin/python -m pip uninstall kernels" in out


def test_doctor_imports_none_of_the_model_libraries():
    heavy = "{'transformers', 'peft', 'bitsandbytes', 'gguf', 'matplotlib', 'pymorphy3'}"
    code = f"import sys; from znatok import cli; cli.run(['doctor']); print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, encoding="utf-8", check=True)
    assert done.stdout.splitlines()[-1] == "[]"
