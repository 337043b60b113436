"""What this machine can do, what is installed and what is missing: looked up without a network, and shown."""

import os
import platform
import shutil
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from znatok import __version__
from znatok.messages import text
from znatok.model import gpu, machine
from znatok.model.gpu import GpuState
from znatok.model.source import BASE_MODELS, BaseModel, is_cached
from znatok.use.terminal import printable

LIBRARIES = ("transformers", "peft", "tokenizers", "safetensors")
LABEL_WIDTH = 16


@dataclass(frozen=True, slots=True)
class Python:
    """The interpreter that runs us."""

    version: str
    path: str


@dataclass(frozen=True, slots=True)
class Torch:
    """torch as installed; `problem` says why it does not start."""

    version: str | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Processor:
    """The processor. `dtype` is the number format for weights on it; None where torch does not start."""

    name: str
    features: tuple[str, ...]
    usable_cpus: int
    dtype: str | None
    dtype_reason: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """An optional part; `command` adds it where it is missing."""

    name: str
    is_here: bool
    version: str | None
    command: str | None


@dataclass(frozen=True, slots=True)
class KnownBase:
    """A base model with a short name, and whether it can be used without a network."""

    name: str
    is_here: bool
    facts: BaseModel


@dataclass(frozen=True, slots=True)
class Cache:
    """The cache folder, which may not be there yet."""

    folder: str
    bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that `znatok doctor` says. Texts are in the language in force."""

    znatok: str
    python: Python
    torch: Torch
    libraries: dict[str, str | None]
    cpu: Processor
    memory_bytes: int
    gpu: GpuState | None
    gpu_notice: str | None
    cuda_install_command: str | None
    parts: tuple[Part, ...]
    warnings: tuple[str, ...]
    models: tuple[KnownBase, ...]
    cache: Cache

    def describe(self) -> dict[str, Any]:
        """What `--json` prints: the same names, each model flat."""
        models = [{"name": known.name, "is_here": known.is_here, **asdict(known.facts)} for known in self.models]
        return asdict(self) | {"models": models}


def diagnose() -> Diagnosis:
    """Looks at this machine; nothing that is missing or broken stops it."""
    state, problem = _gpu_and_torch()
    return Diagnosis(
        znatok=__version__,
        python=Python(platform.python_version(), sys.executable),
        torch=Torch(_version("torch"), problem),
        libraries={name: _version(name) for name in LIBRARIES},
        cpu=_processor(has_torch=problem is None),
        memory_bytes=machine.memory_bytes(),
        gpu=state,
        gpu_notice=gpu.driver_without_cuda_notice(state) if state else None,
        cuda_install_command=gpu.cuda_install_command(state) if state and state.is_idle else None,
        parts=_parts(),
        warnings=_warnings(),
        models=tuple(KnownBase(name, is_cached(name), facts) for name, facts in BASE_MODELS.items()),
        cache=_cache(machine.cache_folder()),
    )


def show_diagnosis(console: Console, found: Diagnosis) -> None:
    """Prints a diagnosis, every command on a line of its own."""
    _say(console, "Python", f"{found.python.version}, {found.python.path}")
    _say(console, "znatok", found.znatok)
    _say(console, "torch", _torch_in_words(found))
    libraries = ", ".join(f"{name} {number or '—'}" for name, number in found.libraries.items())
    _say(console, text("doctor.libraries"), libraries)
    cpu = found.cpu
    features = ", ".join(cpu.features) or "—"
    _say(console, text("doctor.cpu"), text("doctor.cpus", name=cpu.name, count=cpu.usable_cpus, features=features))
    _say(console, text("plan.dtype"), cpu.dtype_reason or "—")
    _say(console, text("plan.memory"), _gigabytes(found.memory_bytes))
    _show_gpu(console, found)
    _show_parts(console, found)
    _show_models(console, found)
    cache = found.cache
    sizes = {"size": _gigabytes(cache.bytes), "free": _gigabytes(cache.free_bytes)}
    _say(console, text("doctor.cache"), text("doctor.cache_line", folder=cache.folder, **sizes))


def _gpu_and_torch() -> tuple[GpuState | None, str | None]:
    """What torch says of the GPU, or why torch does not start; on Windows a missing DLL is an OSError."""
    try:
        return gpu.gpu_state(), None
    except (ImportError, OSError) as error:
        return None, next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _processor(has_torch: bool) -> Processor:
    # Elsewhere than on Linux torch is asked for the instruction sets too.
    features = tuple(sorted(machine.cpu_features())) if has_torch or sys.platform == "linux" else ()
    choice = machine.cpu_dtype() if has_torch else None
    dtype, reason = (choice.name, choice.reason) if choice else (None, None)
    return Processor(machine.cpu_name(), features, machine.usable_cpus(), dtype, reason)


def _parts() -> tuple[Part, ...]:
    # Looked up and never imported: bitsandbytes may ask the network for code at its import.
    packages = ["bitsandbytes"] + (["liger-kernel"] if sys.platform == "linux" else [])
    parts = [_part(name, find_spec(name.replace("-", "_")) is not None, gpu.install_command()) for name in packages]
    parts.append(_part("uv", gpu.has_uv(), gpu.install_command()))
    if not gpu.has_uv() and find_spec("pip") is None:  # the commands above need it
        parts.insert(0, Part("pip", False, None, f"{gpu.python_command()} -m ensurepip"))
    return tuple(parts)


def _part(name: str, is_here: bool, install: str) -> Part:
    return Part(name, is_here, _version(name), None if is_here else f"{install} {name}")


def _warnings() -> tuple[str, ...]:
    if find_spec("kernels") is None:
        return ()
    return (text("doctor.kernels", command=f"{gpu.install_command('uninstall')} kernels"),)


def _cache(folder: Path) -> Cache:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return Cache(str(folder), _bytes_under(folder), shutil.disk_usage(there).free)


def _bytes_under(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # removed while we looked
                total += os.lstat(os.path.join(place, name)).st_size
    return total


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _torch_in_words(found: Diagnosis) -> str:
    number = found.torch.version
    if found.torch.problem:
        wanted = f"torch=={number}" if number else "torch"
        command = f"{gpu.install_command()} --force-reinstall {wanted}"
        return text("doctor.torch_broken", version=number or "—", reason=found.torch.problem, command=command)
    cuda = found.gpu.torch_cuda if found.gpu else None
    return text("doctor.torch_cuda", version=number, cuda=cuda) if cuda else text("doctor.torch_cpu", version=number)


def _show_gpu(console: Console, found: Diagnosis) -> None:
    label, state = text("plan.gpu"), found.gpu
    if found.gpu_notice:
        # The terminal breaks this line, not we: the command in it must stay whole when it is copied.
        console.print(Text(f"{label:<{LABEL_WIDTH}}{printable(found.gpu_notice)}", style="yellow"), soft_wrap=True)
    elif state and state.devices:
        for device in state.devices:
            _say(console, label, f"{device.name}, {_gigabytes(device.memory_bytes)}")
    elif state and state.driver and state.driver.problem:
        _say(console, label, text("doctor.gpu_driver_fails", reason=state.driver.problem.rstrip(".")))
    elif state and state.driver:
        _say(console, label, text("doctor.gpu_hidden", cuda=state.torch_cuda))
    else:
        _say(console, label, text("doctor.gpu_none"))


def _show_parts(console: Console, found: Diagnosis) -> None:
    here = [f"{part.name} {part.version or ''}".strip() for part in found.parts if part.is_here]
    _say(console, text("doctor.parts"), ", ".join(here) or "—")
    for part in found.parts:
        if part.command:
            purpose = text(f"doctor.part.{part.name}")
            console.print(printable(text("doctor.missing", name=part.name, purpose=purpose)))
            console.print(Text("    " + printable(part.command), style="bold"), soft_wrap=True)
    for warning in found.warnings:
        console.print(Text(printable(warning), style="yellow"), soft_wrap=True)


def _show_models(console: Console, found: Diagnosis) -> None:
    grid = Grid(title=text("doctor.models"), title_justify="left", box=None, padding=(0, 2, 0, 0))
    for heading in ("name", "size", "licence", "tokens", "here"):
        is_number = heading in ("size", "tokens")
        column = text(f"doctor.column.{heading}")
        grid.add_column(column, justify="right" if is_number else "left", no_wrap=heading not in ("tokens", "here"))
    for known in found.models:
        tokens = known.facts.tokens_per_russian_word
        grid.add_row(
            known.name,
            text("doctor.gigabytes", gigabytes=f"{known.facts.gigabytes:.1f}"),
            known.facts.licence,
            "—" if tokens is None else f"{tokens:.1f}",
            text("doctor.yes" if known.is_here else "doctor.no"),
        )
    console.print()
    console.print(grid)
    console.print(text("doctor.tokens_note"))
    for known in found.models:
        if known.facts.has_plain_roles:
            console.print(text("doctor.plain_roles", name=known.name))
    console.print(text("doctor.gated", names=", ".join(known.name for known in found.models if known.facts.is_gated)))
    console.print()


def _say(console: Console, label: str, value: str) -> None:
    console.print(Text(f"{label:<{LABEL_WIDTH}}{printable(value)}"))


def _gigabytes(count: int) -> str:
    return text("doctor.gigabytes", gigabytes=f"{count / 1e9:.1f}")
