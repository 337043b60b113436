"""What this machine is: processors, memory, number format and the cache folder, each read at the moment of the call."""

import ctypes
import json
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Literal

from znatok.messages import text

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")
OWN_STATUS = Path("/proc/self/status")
CPUINFO = Path("/proc/cpuinfo")
# The instruction sets that make bfloat16 products fast; with others they are 44 to 500 times slower than float32.
BFLOAT16_INSTRUCTIONS = ("amx_bf16", "avx512_bf16")
FEATURES = frozenset({"avx2", "avx512f", "neon", *BFLOAT16_INSTRUCTIONS})
# mallopt(3): M_MMAP_THRESHOLD and M_TRIM_THRESHOLD, in bytes.
_KEEP_FREED_MEMORY = ((-3, 1 << 30), (-1, 2**31 - 1))
PROBE_ROWS, PROBE_INPUTS, PROBE_OUTPUTS = 512, 576, 1536
PROBE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class DtypeChoice:
    """The number format for weights on the CPU, and why, in the language of the moment."""

    name: Literal["float32", "bfloat16"]
    reason: str


def usable_cpus() -> int:
    """Processors this process may use: its affinity, limited by the control group's quota; at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *map(math.ceil, _cpu_quotas())]))


def use_cpus(threads: int) -> None:
    """Makes torch compute with so many threads, and this process keep the memory that it frees.

    glibc gives large blocks back to the system at once, and an update asks for the same ones again: making the pages
    anew took a tenth of the time (docs/log.md). Other systems' allocators are left as they are.
    """
    import torch

    torch.set_num_threads(threads)
    if sys.platform == "linux":
        keep = getattr(ctypes.CDLL(None), "mallopt", None)
        for option, value in _KEEP_FREED_MEMORY:
            if keep is not None:
                keep(option, value)


def give_same_bits() -> None:
    """Has torch take only algorithms that give the same bits every time; before the GPU first multiplies.

    Source: https://docs.pytorch.org/docs/stable/notes/randomness.html, https://docs.nvidia.com/cuda/cublas (workspace).
    """
    import torch
    import torch.utils.deterministic

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # All memory is written before it is read.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def memory_bytes() -> int:
    """Memory this process may fill: the machine's, limited by the control group."""
    import psutil

    # Version 1 writes a number near 2**63 for "no limit"; the minimum takes care of it.
    return min([int(psutil.virtual_memory().total), *_memory_limits()])


def peak_rss_bytes() -> int:
    """The most memory this process has held so far."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    # On Linux getrusage starts from the peak of the process that started us: read our own mark where it is shown.
    for line in _read(OWN_STATUS).splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts in bytes, others in KiB


def cpu_features() -> frozenset[str]:
    """The instruction sets that matter to us, by Linux's names: avx2, avx512f, avx512_bf16, amx_bf16, neon."""
    if sys.platform == "linux":
        words = set(f"{_cpuinfo('flags')} {_cpuinfo('Features')}".split())
        return FEATURES & (words | ({"neon"} if "asimd" in words else set()))
    if platform.machine().lower() in ("arm64", "aarch64"):
        return frozenset({"neon"})
    return _features_from_torch()


def cpu_name() -> str:
    """The processor's name, as far as the system tells it."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def cpu_dtype(cache_folder: Path | None = None) -> DtypeChoice:
    """bfloat16 where the processor has instructions for it and a short measurement agrees, else float32."""
    features = cpu_features()
    instructions = next((name for name in BFLOAT16_INSTRUCTIONS if name in features), None)
    if instructions is None:
        return DtypeChoice("float32", text("machine.no_bfloat16_instructions"))
    ratio = _remembered_ratio(_machine_file(cache_folder), features)
    if ratio < 1:
        return DtypeChoice("float32", text("machine.bfloat16_measured_slower", instructions=instructions, ratio=ratio))
    return DtypeChoice("bfloat16", text("machine.bfloat16_measured_faster", instructions=instructions, ratio=ratio))


def cache_folder() -> Path:
    """The user's cache: ZNATOK_CACHE, else XDG_CACHE_HOME/znatok, else the place the system has for it."""
    if own := os.environ.get("ZNATOK_CACHE"):
        return Path(own).expanduser().absolute()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).expanduser().absolute() / "znatok"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "znatok" / "cache"
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "znatok"


def measure_bfloat16() -> float:
    """How many times as fast as float32 a bfloat16 product of the built-in model's size is; under half a second."""
    import torch

    def product(rows: int, dtype: torch.dtype) -> Callable[[], Any]:
        inputs, weight = (
            torch.ones(rows, PROBE_INPUTS, dtype=dtype),
            torch.ones(PROBE_OUTPUTS, PROBE_INPUTS, dtype=dtype),
        )
        return lambda: torch.nn.functional.linear(inputs, weight)

    ratio = 0.0
    with torch.no_grad():
        for rows in (PROBE_ROWS // 16, PROBE_ROWS):
            plain = _median_seconds(product(rows, torch.float32))
            ratio = plain / _median_seconds(product(rows, torch.bfloat16))
            if ratio < 0.25:  # hopeless already at a few rows: the full size would take seconds
                break
    return ratio


def _median_seconds(run: Callable[[], Any]) -> float:
    run()  # the first call compiles its kernel
    seconds: list[float] = []
    until = time.perf_counter() + PROBE_SECONDS / 4
    while not seconds or (len(seconds) < 9 and time.perf_counter() < until):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def _machine_file(folder: Path | None) -> Path:
    return (folder or cache_folder()) / "machine.json"


def _remembered_ratio(file: Path, features: frozenset[str]) -> float:
    """The measured ratio for this processor, torch and number of CPUs, from `file` where it is known there."""
    machine = " | ".join([cpu_name(), " ".join(sorted(features)), f"torch {version('torch')}", f"{usable_cpus()} CPUs"])
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        return float(known["bfloat16_speed"][machine])
    except (OSError, ValueError, KeyError, TypeError):
        ratio = measure_bfloat16()
    _remember(file, {"bfloat16_speed": {machine: ratio}})
    return ratio


def _remember(file: Path, facts: dict[str, Any]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=file.parent, prefix=file.name)
        with open(handle, "w", encoding="utf-8") as out:
            json.dump(facts, out, indent=1)
        os.replace(beside, file)
    except OSError:
        pass  # a cache that cannot be written costs a measurement each time, nothing else


def _cpuinfo(name: str) -> str:
    """The first value of `name` in /proc/cpuinfo, or nothing."""
    for line in _read(CPUINFO).splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _features_from_torch() -> frozenset[str]:
    """Windows and Intel Macs: torch knows. Its functions are private, so each may be missing."""
    import torch

    asked = {
        "avx2": "_is_avx2_supported",
        "avx512f": "_is_avx512_supported",
        "avx512_bf16": "_is_avx512_bf16_supported",
        "amx_bf16": "_is_amx_tile_supported",
    }
    return frozenset(name for name, function in asked.items() if getattr(torch.cpu, function, bool)())


def _cpu_quotas() -> list[float]:
    """Every CPU quota that holds for this process, in processors."""
    quotas: list[float] = []
    for file in _cgroup_files("", "cpu.max"):  # "200000 100000" or "max 100000"
        quota, _, period = _read(file).partition(" ")
        quotas += [int(quota) / int(period)] if quota.isdigit() else []
    for file in _cgroup_files("cpu", "cpu.cfs_quota_us"):  # -1 where there is none
        quota, period = _read(file), _read(file.with_name("cpu.cfs_period_us"))
        quotas += [int(quota) / int(period)] if quota.isdigit() and period.isdigit() else []
    return quotas


def _memory_limits() -> list[int]:
    files = _cgroup_files("", "memory.max") + _cgroup_files("memory", "memory.limit_in_bytes")
    return [int(limit) for file in files if (limit := _read(file)).isdigit()]


def _cgroup_files(controller: str, name: str) -> list[Path]:
    """The files `name` of this process's control group and of all groups above it; controller "" is version 2.

    Inside a container the path may be the host's, of which only the root is mounted: what does not exist is left out.
    """
    files: list[Path] = []
    for line in _read(OWN_CGROUP).splitlines():  # "0::/user.slice" (version 2), "4:cpu,cpuacct:/docker/1f" (1)
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            group = CGROUPS / controller / path.strip("/")
            top = CGROUPS / controller
            files += [folder / name for folder in (group, *group.parents) if folder.is_relative_to(top)]
    return [file for file in files if file.is_file()]


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
