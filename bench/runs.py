"""Runs of `znatok train` and `znatok exam`, several side by side, and what is kept of each."""

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.surroundings import ALONE
from bench.targets import Record

ROOT = Path(__file__).parent.parent
ZNATOK = (sys.executable, "-m", "znatok")


class RunFailedError(Exception):
    """A run came to no result; the text is the last that it said."""


@dataclass(frozen=True, slots=True)
class Variant:
    """Settings under a name."""

    name: str
    flags: tuple[str, ...] = ()

    def value(self, flag: str) -> str | None:
        """What stands behind a flag; None where the flag is not there."""
        for place, word in enumerate(self.flags):
            name, equals, value = word.partition("=")
            if name.replace("_", "-") == flag:
                return value if equals else next(iter(self.flags[place + 1 : place + 2]), "")
        return None


@dataclass(frozen=True, slots=True)
class Asked:
    """A table and the questions beside it. `digest`: of all these files, so that changed ones are others."""

    name: str
    table: Path
    wordings: Path | None
    unknown_near: Path | None
    language: str
    digest: str


@dataclass(frozen=True, slots=True)
class Run:
    """What one run is asked to do."""

    variant: Variant
    asked: Asked
    seed: int
    model: str

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it the same run as one whose results are there."""
        return {
            "variant": self.variant.name,
            "flags": list(self.variant.flags),
            "model": self.model,
            "table": self.asked.name,
            "digest": self.asked.digest,
            "seed": self.seed,
        }

    def __str__(self) -> str:
        return f"{self.variant.name}, {self.asked.name}, seed {self.seed}"

    def training(self) -> Iterator[str]:
        """What `train` is told beside the folder of the run."""
        yield from (str(self.asked.table), "--seed", str(self.seed), *self.variant.flags)
        if self.variant.value("--model") is None:
            yield from ("--model", self.model)

    def examination(self) -> Iterator[str]:
        """What `exam` is told, likewise."""
        for flag, file in (("--questions", self.asked.wordings), ("--unknown-near", self.asked.unknown_near)):
            if file:
                yield from (flag, str(file))


class Workplace:
    """Room for so many runs side by side, each on its share of the processors."""

    def __init__(self, jobs: int = 1, command: Sequence[str] = ZNATOK) -> None:
        self.jobs = jobs
        self._command = command
        self._is_closed = False
        self._starting = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._shares: queue.Queue[int] = queue.Queue()
        for share in range(jobs):
            self._shares.put(share)

    def measure(self, run: Run) -> Record:
        """Trains and examines, in a folder that is removed afterwards. For a thread of its own.

        Raises RunFailedError where a command fails, or the training came to no exam.
        """
        share = self._shares.get()
        try:
            with tempfile.TemporaryDirectory(prefix="znatok-recipe-") as folder:
                path = Path(folder, "run")
                log = Path(folder, "log")
                begun = time.monotonic()
                trained = self._said(["train", *run.training(), "--run", str(path)], log, share)
                if trained["exam"] is None:
                    raise RunFailedError(f"no exam, stopped because: {trained['stopped_because']}")
                between = time.monotonic()
                examined = self._said(["exam", str(path), *run.examination()], log, share)
                seconds = {"train": between - begun, "exam": time.monotonic() - between}
                plan = json.loads((path / "plan.json").read_text(encoding="utf-8"))
                return make_record(run, trained, examined, plan) | {
                    "seconds": {name: round(value, 1) for name, value in seconds.items()},
                    "jobs": self.jobs,
                }
        finally:
            self._shares.put(share)

    def close(self) -> None:
        """Ends what still goes on; nothing new is begun."""
        with self._starting:
            self._is_closed = True
        for process in list(self._running):
            process.kill()

    def _said(self, words: Sequence[str], log: Path, share: int) -> dict[str, Any]:
        """What a command printed as JSON."""
        with log.open("wb") as said_besides:
            process = self._start([*self._command, *words, "--json"], said_besides)
            self._give_processors(process, share)
            said, _ = process.communicate()
            self._running.discard(process)
        if process.returncode:
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise RunFailedError(lines[-1] if lines else f"exit code {process.returncode}")
        return dict(json.loads(said))

    def _start(self, command: Sequence[str], log: Any) -> "subprocess.Popen[str]":
        with self._starting:
            if self._is_closed:
                raise RunFailedError("not begun")
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | ALONE,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
            )
            self._running.add(process)
            return process

    def _give_processors(self, process: "subprocess.Popen[str]", share: int) -> None:
        """Two runs that want all processors would wait for each other: each counts the ones it may use."""
        if self.jobs > 1 and hasattr(os, "sched_setaffinity"):
            processors = sorted(os.sched_getaffinity(0))
            with suppress(ProcessLookupError):  # it has ended already
                os.sched_setaffinity(process.pid, processors[share :: self.jobs] or processors)


def make_record(run: Run, trained: dict[str, Any], examined: dict[str, Any], plan: dict[str, Any]) -> Record:
    """What is kept of a run: from what `train --json` and `exam --json` printed, and from its plan."""
    return {
        **run.identity,
        "language": run.asked.language,
        "commit": _commit(),
        "scope": trained.get("scope") or plan.get("scope") or run.variant.value("--scope"),
        "device": plan["device"],
        "dtype": plan["dtype"],
        "summary": {name: value for name, value in trained.items() if name not in ("exam", "run")},
        "sets": examined["sets"],
        "forgetting": examined.get("forgetting"),
        "auroc": examined.get("auroc"),
    }


def _commit() -> str | None:
    """The code's, with a mark where files differ from it; None outside of git."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
