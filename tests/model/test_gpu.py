"""Whether torch can use the GPU, and the command that mends it where it cannot."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from tests.tiny import tiny_folder
from znatok import messages
from znatok.data.read import read_table
from znatok.data.render import load_renderer
from znatok.model import gpu
from znatok.model.gpu import Driver, GpuDevice, GpuState
from znatok.model.source import find_base
from znatok.settings import make_settings
from znatok.training.plan import make_plan

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nvidia-smi is played by a shell script")

PYTHON = sys.executable
RTX_3060 = "8.6, GeForce RTX 3060"
PIP_COMMAND = "python -m pip install torch==2.13.0+cu130 --index-url https://download.pytorch.org/whl/cu130"


@pytest.fixture(autouse=True)
def programs(tmp_path, monkeypatch):
    """A folder that is the whole PATH, with Python in it; no driver, no uv, a torch 2.13.0 without CUDA."""
    folder = tmp_path / "bin"
    folder.mkdir()
    write_program(folder / "python")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("ZNATOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setattr(gpu, "DRIVER_FILES", {})
    monkeypatch.setattr(gpu, "WSL_SMI", tmp_path / "none")
    monkeypatch.setattr(gpu, "find_spec", lambda name: None)
    monkeypatch.setattr(gpu, "version", lambda name: "2.13.0+cpu")
    torch_has(monkeypatch, built=None)
    messages.set_language("en")
    return folder


def write_program(path, *lines):
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]), encoding="utf-8")
    path.chmod(0o755)


def write_smi(folder, said="CUDA Version: 13.0", *cards):
    """An nvidia-smi that says `said`, or lists `cards` when it is queried."""
    listed = "\n".join(cards or (RTX_3060,))
    write_program(
        folder / "nvidia-smi",
        'if [ "$*" = "--query-gpu=compute_cap,name --format=csv,noheader" ]; then',
        f"echo '{listed}'",
        f"else echo '| NVIDIA-SMI 580.95.05    Driver Version: 580.95.05    {said} |'; fi",
    )


def torch_has(monkeypatch, built, *devices):
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(devices))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(devices))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: devices[index])


def test_without_a_driver_there_is_nothing_to_say():
    assert gpu.gpu_state() == GpuState((), None, None)
    assert gpu.driver_without_cuda_notice() is None


@pytest.mark.parametrize(
    ("language", "notice"),
    [
        (
            "en",
            "torch was installed without CUDA, so the GPU (GeForce RTX 3060) stands idle. To put it to work: ",
        ),
        (
            "ru",
            "torch установлен без CUDA, поэтому видеокарта (GeForce RTX 3060) простаивает. Чтобы она заработала: ",
        ),
    ],
)
def test_a_driver_without_cuda_in_torch_is_told_with_the_exact_command(programs, language, notice):
    messages.set_language(language)
    write_smi(programs)
    assert gpu.gpu_state() == GpuState((), None, Driver("GeForce RTX 3060", "8.6", "13.0"))
    assert gpu.driver_without_cuda_notice() == notice + PIP_COMMAND


def test_uv_finds_the_fitting_torch_by_itself(programs, monkeypatch):
    write_smi(programs)
    write_program(programs / "uv")
    tail = "--torch-backend=auto --reinstall-package torch torch==2.13.0"
    assert gpu.cuda_install_command() == f"uv pip install --python python {tail}"
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    assert gpu.cuda_install_command() == f"uv pip install {tail}"
    (programs / "uv").unlink()
    monkeypatch.setattr(gpu, "find_spec", lambda name: name == "uv" or None)
    assert gpu.cuda_install_command() == f"python -m uv pip install {tail}"


def test_a_python_that_is_not_on_the_path_is_named_by_its_path(programs, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    assert gpu.install_command() == ".venv/bin/python -m pip install"
    monkeypatch.setattr(sys, "executable", "/opt/my tools/python")
    assert gpu.install_command() == '"/opt/my tools/python" -m pip install'


@pytest.mark.parametrize(
    ("cuda", "capability", "system", "wheel"),
    [
        ("13.0", "8.6", "win32", "cu130"),
        ("13.3", "12.0", "linux", "cu130"),
        ("12.4", "8.6", "linux", "cu126"),
        ("12.9", "8.9", "win32", "cu126"),
        ("12.9", "12.0", "linux", "cu129"),  # 12.6 has no kernels for Blackwell
        ("12.9", "12.0", "win32", "cu130"),  # 12.9 is not built for Windows
        ("13.0", "6.1", "win32", "cu126"),  # 13.0 has no kernels for a GTX 1060
        ("13.0", None, "linux", "cu130"),
        (None, None, "win32", "cu130"),
    ],
)
def test_the_wheel_fits_the_driver_and_the_card(programs, monkeypatch, cuda, capability, system, wheel):
    state = GpuState((), None, Driver("a card", capability, cuda))
    stand_in = SimpleNamespace(platform=system, executable=sys.executable, prefix=sys.prefix)
    monkeypatch.setattr(gpu, "sys", stand_in)
    command = gpu.cuda_install_command(state)
    assert command.endswith(f"torch==2.13.0+{wheel} --index-url https://download.pytorch.org/whl/{wheel}")
    write_program(programs / "uv")
    backend = "auto" if wheel == "cu130" and cuda in ("13.0", "13.3") else wheel
    assert f" --torch-backend={backend} " in gpu.cuda_install_command(state)


def test_newer_drivers_call_their_cuda_version_otherwise(programs):
    write_smi(programs, "CUDA UMD Version: 13.3")
    assert gpu.gpu_state().driver.cuda == "13.3"


def test_of_several_cards_the_strongest_counts(programs):
    write_smi(programs, "CUDA Version: 13.0", "6.1, NVIDIA GeForce GTX 1060 6GB", "12.0, NVIDIA GeForce RTX 5070")
    assert gpu.gpu_state().driver == Driver("NVIDIA GeForce RTX 5070", "12.0", "13.0")


def test_an_old_nvidia_smi_that_knows_no_capabilities_is_no_problem(programs):
    write_program(programs / "nvidia-smi", 'if [ $# -gt 0 ]; then echo "not a valid field"; exit 2; fi', "echo CUDA")
    assert gpu.gpu_state().driver == Driver()
    assert gpu.driver_without_cuda_notice().startswith("torch was installed without CUDA, so the GPU (NVIDIA) stands")


def test_a_driver_that_does_not_work_is_no_reason_to_install_anything(programs):
    write_program(programs / "nvidia-smi", "echo", "echo 'No devices were found'", "exit 6")
    assert gpu.gpu_state().driver == Driver(problem="No devices were found")
    assert gpu.driver_without_cuda_notice() is None


def test_an_nvidia_smi_that_hangs_is_given_up(programs, monkeypatch):
    monkeypatch.setattr(gpu, "SMI_SECONDS", 0.2)
    write_program(programs / "nvidia-smi", "exec /bin/sleep 20")
    assert gpu.gpu_state().driver == Driver()


def test_an_nvidia_smi_that_cannot_run_is_a_problem(programs):
    (programs / "nvidia-smi").write_bytes(b"\x7fELF")
    (programs / "nvidia-smi").chmod(0o755)
    assert "Exec format error" in gpu.gpu_state().driver.problem


def test_the_drivers_library_alone_is_a_driver_too(tmp_path, monkeypatch):
    (tmp_path / "nvcuda.dll").touch()
    monkeypatch.setenv("SystemRoot", str(tmp_path))
    monkeypatch.setattr(gpu, "DRIVER_FILES", {sys.platform: ("/nowhere", "$SystemRoot/nvcuda.dll")})
    assert gpu.gpu_state().driver == Driver()
    assert gpu.driver_without_cuda_notice().endswith(PIP_COMMAND)


def test_a_gpu_that_torch_can_use_is_described_and_no_driver_is_asked(programs, monkeypatch):
    write_program(programs / "nvidia-smi", f"echo asked > '{programs}/asked'")
    torch_has(monkeypatch, "13.0", SimpleNamespace(name="NVIDIA H100", total_memory=85_000_000_000))
    assert gpu.gpu_state() == GpuState((GpuDevice("NVIDIA H100", 85_000_000_000),), "13.0", None)
    assert gpu.driver_without_cuda_notice() is None
    assert not (programs / "asked").exists()


@pytest.mark.parametrize(
    ("language", "notice"),
    [
        (
            "en",
            "torch is built for CUDA 13.0, but the driver of the GPU (GeForce RTX 3060) supports only CUDA 12.4, "
            "so the GPU stands idle. Update the driver (https://www.nvidia.com/drivers) or install the torch that fits "
            "it: ",
        ),
        (
            "ru",
            "torch собран для CUDA 13.0, а драйвер видеокарты (GeForce RTX 3060) умеет только CUDA 12.4, поэтому она "
            "простаивает. Обновите драйвер (https://www.nvidia.com/drivers) или поставьте подходящий к нему torch: ",
        ),
    ],
)
def test_a_torch_that_is_too_new_for_the_driver_is_told_too(programs, monkeypatch, language, notice):
    messages.set_language(language)
    torch_has(monkeypatch, "13.0")
    write_smi(programs, "CUDA Version: 12.4")
    assert gpu.driver_without_cuda_notice() == notice + PIP_COMMAND.replace("cu130", "cu126")


@pytest.mark.parametrize(
    ("language", "notice"),
    [
        (
            "en",
            "The driver of the GPU (GeForce RTX 3060) is too old for torch (it supports CUDA 11.4; 12.0 or later "
            "is needed), so the GPU stands idle. Update it (https://www.nvidia.com/drivers); if there is no newer one "
            "for this GPU, it cannot be used. Then: ",
        ),
        (
            "ru",
            "Драйвер видеокарты (GeForce RTX 3060) слишком стар для torch (умеет CUDA 11.4, а нужна 12.0 или "
            "новее), поэтому она простаивает. Обновите его (https://www.nvidia.com/drivers); если нового для этой "
            "видеокарты нет, использовать её не получится. Затем: ",
        ),
    ],
)
def test_a_driver_too_old_for_any_torch_has_to_be_updated_first(programs, language, notice):
    messages.set_language(language)
    write_smi(programs, "CUDA Version: 11.4")
    assert gpu.driver_without_cuda_notice() == notice + PIP_COMMAND.replace("cu130", "cu126")


def test_a_gpu_that_is_only_hidden_from_torch_needs_no_other_torch(programs, monkeypatch):
    torch_has(monkeypatch, "13.2")
    write_smi(programs)  # its CUDA 13.0 runs what is built for 13.2
    assert not gpu.gpu_state().is_idle
    assert gpu.driver_without_cuda_notice() is None


def test_the_first_line_of_the_plan_says_that_the_gpu_stands_idle(programs, tmp_path, monkeypatch):
    table = tmp_path / "t.csv"
    table.write_text("question,answer\nWhat is it?,A part.\nWhat for?,For current.\n", encoding="utf-8")
    with monkeypatch.context() as there:
        there.setattr(sys, "executable", PYTHON)  # the chat template is rendered by a Python of its own
        source = find_base(str(tiny_folder(tmp_path / "tiny")))
        renderer = load_renderer(source.folder, source.folder / "tokenizer.json")
    settings = make_settings({"model": source.name, "dtype": "float32"})
    assert make_plan(settings, read_table(table), source, renderer).choices[0].name == "model"
    write_smi(programs)
    first = make_plan(settings, read_table(table), source, renderer).choices[0]
    assert (first.name, first.value) == ("GPU", "not used")
    assert first.reason.endswith(PIP_COMMAND)


def test_nothing_happens_at_import():
    code = "import sys, znatok.model.gpu; print('torch' in sys.modules)"
    done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
