"""What this machine is: quotas, instruction sets, the number format and the cache folder."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from znatok.model import machine


@pytest.fixture
def cgroup(tmp_path, monkeypatch):
    """An empty control group tree; returns a function that writes a file of it."""
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "OWN_CGROUP", tmp_path / "own")

    def write(path: str, content: str) -> None:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")

    return write


@pytest.fixture
def claims(monkeypatch):
    """Sets what the instruction set claims and what the probe measures; counts the measurements."""
    measured: list[float] = []

    def claim(features: set[str], ratio: float = 0.0) -> list[float]:
        def measure() -> float:
            measured.append(ratio)
            return ratio

        monkeypatch.setattr(machine, "cpu_features", lambda: frozenset(features))
        monkeypatch.setattr(machine, "measure_bfloat16", measure)
        return measured

    return claim


def eight_cpus(monkeypatch):
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def test_the_quota_of_version_2_limits_the_cpus_and_is_rounded_up(cgroup, monkeypatch):
    eight_cpus(monkeypatch)
    cgroup("own", "0::/user.slice/job\n")
    cgroup("cgroup/user.slice/job/cpu.max", "max 100000\n")
    assert machine.usable_cpus() == 8
    cgroup("cgroup/user.slice/cpu.max", "250000 100000\n")  # a group above counts too
    assert machine.usable_cpus() == 3


def test_the_quota_of_version_1_limits_the_cpus_and_minus_one_is_none(cgroup, monkeypatch):
    eight_cpus(monkeypatch)
    cgroup("own", "4:cpu,cpuacct:/docker/1f\n3:memory:/docker/1f\n")
    cgroup("cgroup/cpu/cpu.cfs_period_us", "100000\n")
    cgroup("cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    assert machine.usable_cpus() == 8
    cgroup("cgroup/cpu/cpu.cfs_quota_us", "50000\n")  # inside a container only the root is mounted
    assert machine.usable_cpus() == 1


def test_without_control_groups_the_affinity_counts(cgroup, monkeypatch):
    eight_cpus(monkeypatch)
    assert machine.usable_cpus() == 8


def test_the_control_group_limits_the_memory(cgroup):
    everything = machine.memory_bytes()
    cgroup("own", "0::/\n3:memory:/a\n")
    cgroup("cgroup/memory.max", "max\n")
    cgroup("cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert machine.memory_bytes() == everything > 1 << 20
    cgroup("cgroup/memory.max", "1048576\n")
    assert machine.memory_bytes() == 1 << 20


def test_instruction_sets_are_read_from_linux(tmp_path, monkeypatch):
    monkeypatch.setattr(machine.sys, "platform", "linux")
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    machine.CPUINFO.write_text("model name\t: Some CPU\nflags\t\t: fpu avx2 avx512f amx_bf16\n", encoding="utf-8")
    assert machine.cpu_features() == {"avx2", "avx512f", "amx_bf16"}
    assert machine.cpu_name() == "Some CPU"
    machine.CPUINFO.write_text("Features\t: fp asimd bf16\n", encoding="utf-8")
    assert machine.cpu_features() == {"neon"}


def test_instruction_sets_elsewhere_come_from_torch(monkeypatch):
    import torch  # noqa: F401  (before the system is renamed)

    monkeypatch.setattr(machine.sys, "platform", "win32")
    monkeypatch.setattr(machine.platform, "machine", lambda: "AMD64")
    assert machine.cpu_features() <= machine.FEATURES
    monkeypatch.setattr(machine.platform, "machine", lambda: "ARM64")
    assert machine.cpu_features() == {"neon"}


def test_without_its_instructions_bfloat16_is_not_even_measured(claims, tmp_path):
    measured = claims({"avx2", "avx512f"}, ratio=9.0)
    assert machine.cpu_dtype(tmp_path).name == "float32"
    assert measured == []


@pytest.mark.parametrize("instructions", ["amx_bf16", "avx512_bf16"])
def test_bfloat16_is_chosen_where_claimed_and_measured(claims, tmp_path, instructions):
    claims({"avx2", instructions}, ratio=3.25)
    choice = machine.cpu_dtype(tmp_path)
    assert choice.name == "bfloat16"
    assert instructions in choice.reason
    assert "3.2" in choice.reason


def test_a_slow_measurement_vetoes_bfloat16_and_says_so(claims, tmp_path, monkeypatch):
    monkeypatch.setenv("ZNATOK_LANG", "ru")
    claims({"avx512_bf16"}, ratio=0.5)
    choice = machine.cpu_dtype(tmp_path)
    assert choice.name == "float32"
    assert "лишь 0.50 скорости float32" in choice.reason


def test_the_measurement_is_made_once_for_a_machine(claims, tmp_path, monkeypatch):
    measured = claims({"amx_bf16"}, ratio=2.0)
    assert machine.cpu_dtype(tmp_path) == machine.cpu_dtype(tmp_path)
    assert len(measured) == 1
    monkeypatch.setattr(machine, "usable_cpus", lambda: 999)  # another machine, for this purpose
    machine.cpu_dtype(tmp_path)
    assert len(measured) == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"bfloat16_speed": 3}', "\x00\xff"])
def test_a_corrupt_cache_is_ignored_and_rewritten(claims, tmp_path, content):
    measured = claims({"amx_bf16"}, ratio=2.0)
    (tmp_path / "machine.json").write_bytes(content.encode("latin-1"))
    assert machine.cpu_dtype(tmp_path).name == "bfloat16"
    assert machine.cpu_dtype(tmp_path).name == "bfloat16"
    assert len(measured) == 1
    assert list(json.loads((tmp_path / "machine.json").read_text(encoding="utf-8"))["bfloat16_speed"].values()) == [2.0]
    assert [file.name for file in tmp_path.iterdir()] == ["machine.json"]


def test_a_cache_that_cannot_be_written_costs_only_the_measurement(claims, tmp_path):
    claims({"amx_bf16"}, ratio=2.0)
    (tmp_path / "file").touch()
    assert machine.cpu_dtype(tmp_path / "file").name == "bfloat16"


def test_the_probe_measures_a_ratio():
    assert machine.measure_bfloat16() > 0


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("ZNATOK_CACHE", raising=False)
    assert machine.cache_folder() == tmp_path / "znatok"
    monkeypatch.setenv("ZNATOK_CACHE", str(tmp_path / "own"))
    assert machine.cache_folder() == tmp_path / "own"


@pytest.mark.parametrize(
    ("system", "place"), [("linux", ".cache/znatok"), ("darwin", "Library/Caches/znatok"), ("win32", "L/znatok/cache")]
)
def test_each_system_has_its_own_place_for_the_cache(monkeypatch, system, place):
    for name in ("XDG_CACHE_HOME", "ZNATOK_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(machine.sys, "platform", system)
    monkeypatch.setenv("LOCALAPPDATA", str(Path.home() / "L"))
    assert machine.cache_folder() == Path.home() / place


@pytest.mark.skipif(sys.platform != "linux", reason="the inheritance is Linux's")
def test_peak_memory_is_our_own_and_not_inherited():
    ballast = bytearray(b"x" * 300_000_000)
    code = "from znatok.model.machine import peak_rss_bytes; print(peak_rss_bytes())"
    peak = int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)
    assert 5_000_000 < peak < 100_000_000
    assert machine.peak_rss_bytes() > len(ballast)
