"""Processes that train in turns, and what their updates say about their speed."""

import json
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median, quantiles

from bench.rivals import Setup, Update
from bench.surroundings import ALONE
from bench.work import WARM_UP, Work

KIND_SECONDS = 10
"""How long a process may take to end when it is no longer needed."""

SLOW, GRACE_SECONDS = 1.5, 10
"""How many times as long as the best so far another setup may take, and so many seconds more, before it is given up."""

Tell = Callable[[str], None]


class RivalError(Exception):
    """A process ended of itself, or was ended because it was too slow; the text says which."""


class UnequalError(Exception):
    """One of them trained other tokens than it was given, so that its speed says nothing."""


class Rival:
    """A process that trains when it is told to. Starting it takes until its model is loaded."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        """log: the file for what the process has to say besides.

        Raises RivalError where the process does not get so far.
        """
        self._log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command,
                cwd=Path(__file__).parent.parent,
                env=os.environ | ALONE,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                text=True,
                encoding="utf-8",
            )
        assert self._process.stdin
        assert self._process.stdout
        self._asked, self._answers = self._process.stdin, self._process.stdout
        self.peak_memory_bytes = 0
        try:
            self._answer(None)
        except BaseException:
            self.stop()
            raise

    def train(self, updates: int, limit_seconds: float | None = None) -> list[Update]:
        """Trains so many updates.

        Raises RivalError where the process dies, or takes longer than the limit and is ended.
        """
        with suppress(OSError):  # where it is dead, its last words are read below
            print(updates, file=self._asked, flush=True)
        return self._answer(limit_seconds)

    def stop(self) -> None:
        """Ends the process, kindly at first. May be called again."""
        try:
            self._asked.close()
            self._process.wait(KIND_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._answers.close()

    def _answer(self, limit_seconds: float | None) -> list[Update]:
        is_late = threading.Event()

        def give_up() -> None:
            is_late.set()
            self._process.kill()

        timer = threading.Timer(limit_seconds or 0, give_up)
        if limit_seconds is not None:
            timer.start()
        try:
            line = self._answers.readline()
        finally:
            timer.cancel()  # or Python would wait for it at its end
        if is_late.is_set():
            raise RivalError(f"given up after {limit_seconds:.0f} s")
        if not line:
            self._process.wait()
            said = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise RivalError(said[-1] if said else f"exit code {self._process.returncode}")
        answer = json.loads(line)
        self.peak_memory_bytes = answer["peak_memory_bytes"]
        return [Update(**update) for update in answer["updates"]]


@dataclass(slots=True)
class Entry:
    """One of those who are compared, and what it has done: the warm-up, then the updates of every round."""

    setup: Setup
    rival: Rival
    warm_up: list[Update]
    rounds: list[list[Update]] = field(default_factory=list)

    @property
    def warm_up_seconds(self) -> float:
        return sum(update.seconds for update in self.warm_up)

    @property
    def seconds(self) -> list[float]:
        """Of every update after the warm-up, in their order."""
        return [update.seconds for one in self.rounds for update in one]

    @property
    def speeds(self) -> list[float]:
        """Tokens a second, likewise."""
        return [update.tokens / update.seconds for one in self.rounds for update in one]

    @property
    def losses(self) -> tuple[float, float]:
        """The mean loss of the warm-up, and of the last round."""
        return mean(update.loss for update in self.warm_up), mean(update.loss for update in self.rounds[-1])


def spread(values: Sequence[float], digits: int) -> list[float]:
    """The lower and the upper quartile."""
    low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3
    return [round(low, digits), round(high, digits)]


Start = Callable[[Setup], Rival]


def enter(start: Start, setup: Setup, limit_seconds: float | None = None) -> Entry:
    """Started and warmed up. Raises RivalError."""
    rival = start(setup)
    return Entry(setup, rival, rival.train(WARM_UP, limit_seconds))


def enter_best(start: Start, setups: Sequence[Setup], tell: Tell) -> tuple[Entry, dict[str, float | None]]:
    """The fastest of `setups` by its warm-up, and tokens a second of each: None where one failed or was far behind.

    After them the best is tried without padding. A number format that failed once is not tried in another form.

    Raises RivalError where none works.
    """
    best: Entry | None = None
    tried: dict[str, float | None] = {}
    failed: dict[str, RivalError] = {}
    waiting = list(setups)
    while waiting:
        setup = waiting.pop(0)
        tried[str(setup)] = None
        if setup.numbers not in failed:
            try:
                entry = enter(start, setup, SLOW * best.warm_up_seconds + GRACE_SECONDS if best else None)
            except RivalError as error:
                failed[setup.numbers] = error
                tell(f"trl, {setup}: {error}")
            else:
                tried[str(setup)] = round(_warm_speed(entry), 1)
                tell(f"trl, {setup}: {_warm_speed(entry):.0f} tokens/s")
                best = entry if best is None else _faster(best, entry)
        if best and not waiting and not setup.padding_free:
            waiting.append(Setup(best.setup.dtype, best.setup.autocast, padding_free=True))
    if best is None:
        raise next(iter(failed.values()))
    return best, tried


def _faster(one: Entry, other: Entry) -> Entry:
    """The faster of two; the other's process is ended."""
    faster, slower = (one, other) if _warm_speed(one) >= _warm_speed(other) else (other, one)
    slower.rival.stop()
    return faster


def _warm_speed(entry: Entry) -> float:
    """Tokens a second; the first update is left out, it prepares kernels."""
    return median(update.tokens / update.seconds for update in entry.warm_up[1:])


def run_round(entries: dict[str, Entry], work: Work, tell: Tell) -> None:
    """One pass over the rows by each in turn. Who fails is taken out of `entries`.

    Raises RivalError where ours fails, UnequalError where one trained other tokens than those of its batches.
    """
    number = len(entries["ours"].rounds)
    first = WARM_UP + number * work.steps
    given = [work.tokens(batch) for batch in range(first, first + work.steps)]
    said = []
    for name, entry in list(entries.items()):
        try:
            entry.rounds.append(entry.rival.train(work.steps))
        except RivalError as error:
            if name == "ours":
                raise
            del entries[name]
            tell(f"{name}: {error}")
            continue
        trained = [update.tokens for update in entry.rounds[-1]]
        if trained != given:
            raise UnequalError(f"{name} trained {trained} tokens instead of {given}")
        said.append(f"{name} {median(entry.speeds[-work.steps :]):.0f}")
    tell(f"round {number + 1}, tokens/s: {', '.join(said)}")
