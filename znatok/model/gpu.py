"""The NVIDIA GPU: whether torch can use it, and where it cannot, the command that mends it."""

import os
import re
import shutil
import subprocess
import sys
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from znatok.messages import text

SMI_SECONDS = 3.0  # nvidia-smi waits for ever on a driver that hangs
# Where a driver shows itself when nvidia-smi is not on the PATH.
DRIVER_FILES = {
    "linux": (
        "/proc/driver/nvidia/version",
        "/usr/lib/wsl/lib/libcuda.so.1",
        "/usr/lib/x86_64-linux-gnu/libcuda.so.1",
        "/usr/lib/aarch64-linux-gnu/libcuda.so.1",
        "/usr/lib64/libcuda.so.1",
        "/usr/lib/libcuda.so.1",
    ),
    "win32": (r"%SystemRoot%\System32\nvcuda.dll",),
}
WSL_SMI = Path("/usr/lib/wsl/lib/nvidia-smi")  # there, but not always on the PATH
PYTORCH_INDEX = "https://download.pytorch.org/whl"
# Compute capabilities at which PyTorch's wheels part: CUDA 13 begins with Turing, CUDA 12.6 ends before Blackwell.
TURING, BLACKWELL = (7, 5), (10, 0)


@dataclass(frozen=True, slots=True)
class GpuDevice:
    """A GPU that torch can use."""

    name: str
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Driver:
    """An NVIDIA driver, as far as nvidia-smi describes it; `problem` is what nvidia-smi says where it fails."""

    gpu: str | None = None
    compute_capability: str | None = None
    cuda: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class GpuState:
    """The GPUs that torch can use; where there is none, the driver, if any. `torch_cuda` None: built without CUDA."""

    devices: tuple[GpuDevice, ...]
    torch_cuda: str | None
    driver: Driver | None

    @property
    def is_idle(self) -> bool:
        """Whether there is a working driver whose GPU this torch cannot use."""
        if self.devices or self.driver is None or self.driver.problem:
            return False
        # Within one major version of CUDA an older driver runs what is built for a newer one.
        major = _numbers(self.driver.cuda)[:1]
        return self.torch_cuda is None or (major != () and major < _numbers(self.torch_cuda)[:1])


def gpu_state() -> GpuState:
    """What torch and the driver say. Raises: ImportError or OSError where torch does not start."""
    import torch

    if not _torch_has_gpu():
        return GpuState((), torch.version.cuda, _driver())
    found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return GpuState(tuple(GpuDevice(gpu.name, gpu.total_memory) for gpu in found), torch.version.cuda, None)


def driver_without_cuda_notice(state: GpuState | None = None) -> str | None:
    """Why a GPU stands idle and the command that puts it to work, in the language in force; None where none does."""
    if state is None:
        if _torch_has_gpu():
            return None
        state = gpu_state()
    if not state.is_idle or state.driver is None:
        return None
    driver, command = state.driver, cuda_install_command(state)
    _, needed = _wheel(driver)
    facts = {"gpu": driver.gpu or "NVIDIA", "command": command}
    if driver.cuda and _numbers(driver.cuda) < _numbers(needed):
        return text("gpu.driver_too_old", driver=driver.cuda, needed=needed, **facts)
    if state.torch_cuda:
        return text("gpu.idle_new_build", built=state.torch_cuda, driver=driver.cuda, **facts)
    return text("gpu.idle_cpu_build", **facts)


def cuda_install_command(state: GpuState | None = None) -> str:
    """The command that replaces this torch by the same version with CUDA that fits the driver and the GPU."""
    driver = (state or gpu_state()).driver or Driver()
    wheel, _ = _wheel(driver)
    torch_version = version("torch").partition("+")[0]
    if not has_uv():
        # A plain `torch` or `torch==2.13.0` would be "already satisfied" by the build that is here.
        return f"{install_command()} torch=={torch_version}+{wheel} --index-url {PYTORCH_INDEX}/{wheel}"
    # uv looks at the driver's version alone: it would give old GPUs a torch without kernels for them, and on Windows
    # look for CUDA 12.9, which is not built there.
    backend = "auto" if wheel == "cu130" and _numbers(driver.cuda) >= (13, 0) else wheel
    return f"{install_command()} --torch-backend={backend} --reinstall-package torch torch=={torch_version}"


def has_uv() -> bool:
    """Whether uv can be run, by itself or as a module of this Python."""
    return shutil.which("uv") is not None or find_spec("uv") is not None


def install_command(action: str = "install") -> str:
    """How a command begins that installs (or uninstalls) packages in this environment: with uv where it is there."""
    if not has_uv():
        return f"{python_command()} -m pip {action}"
    uv = "uv" if shutil.which("uv") else f"{python_command()} -m uv"
    is_active = os.path.normcase(os.environ.get("VIRTUAL_ENV", "")) == os.path.normcase(sys.prefix)
    return f"{uv} pip {action}" + ("" if is_active else f" --python {python_command()}")


def python_command() -> str:
    """How this Python is called from here: `python` where that is it, else its path, relative inside this folder."""
    own = Path(sys.executable)
    for name in ("python", "python3"):
        # Not resolved: an environment's Python is a link to one outside it.
        if (found := shutil.which(name)) and Path(found).parent == own.parent:
            return name
    shown = str(own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own)
    return f'"{shown}"' if " " in shown else shown


def _torch_has_gpu() -> bool:
    import torch

    with warnings.catch_warnings():  # torch complains of an old driver; we say it in our words
        warnings.simplefilter("ignore")
        return torch.cuda.is_available()


def _wheel(driver: Driver) -> tuple[str, str]:
    """PyTorch's wheel for a driver and its GPU, and the CUDA version that the driver must have for it.

    torch 2.13 is built for CUDA 12.6, 12.9 (Linux alone), 13.0 and 13.2; 12.6 and 13.0 have been there since 2.10. 13.0
    is PyTorch's own default, 12.6 runs on every driver of CUDA 12 and is the last with kernels for GPUs older than
    Turing, 12.9 is the one of CUDA 12 with kernels for Blackwell.
    Source: pytorch/pytorch, .github/scripts/generate_binary_build_matrix.py, and issue 157517 for the kernels.
    """
    compute = _numbers(driver.compute_capability) or TURING
    has_cuda_13 = driver.cuda is None or _numbers(driver.cuda) >= (13, 0)
    if compute < TURING or (compute < BLACKWELL and not has_cuda_13):
        return "cu126", "12.0"
    if not has_cuda_13 and sys.platform == "linux":
        return "cu129", "12.0"
    return "cu130", "13.0"


def _driver() -> Driver | None:
    """The NVIDIA driver of this machine, if there is one."""
    program = shutil.which("nvidia-smi") or (str(WSL_SMI) if WSL_SMI.is_file() else None)
    if program is None:
        files = map(os.path.expandvars, DRIVER_FILES.get(sys.platform, ()))
        return Driver() if any(map(os.path.exists, files)) else None
    code, said = _ask(program)
    if code is None:
        return Driver()
    if code:
        return Driver(problem=next((line.strip() for line in said.splitlines() if line.strip()), f"exit code {code}"))
    # "CUDA Version: 12.4"; newer drivers write "CUDA UMD Version: 13.3".
    cuda = re.search(r"CUDA (?:UMD )?Version\s*:\s*(\d+\.\d+)", said)
    code, said = _ask(program, "--query-gpu=compute_cap,name", "--format=csv,noheader")
    cards = re.findall(r"^\s*(\d+\.\d+)\s*,\s*(.+?)\s*$", said, re.MULTILINE) if code == 0 else []
    capability, name = max(cards, key=lambda card: _numbers(card[0]), default=(None, None))
    return Driver(name, capability, cuda[1] if cuda else None)


def _ask(program: str, *arguments: str) -> tuple[int | None, str]:
    """The exit code of nvidia-smi and all it says; no code where it does not answer in time."""
    try:
        done = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SMI_SECONDS,
            encoding="utf-8",
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        return None, ""
    except OSError as error:
        return 1, str(error)
    return done.returncode, done.stdout


def _numbers(dotted: str | None) -> tuple[int, ...]:
    """The numbers of a version, (12, 4) for "12.4"; none where it is not known."""
    return tuple(int(part) for part in (dotted or "").split(".") if part.isdigit())
