"""Runs that are killed and gone on with, each in a process of its own; for Linux and macOS.

    python -m tests.training.kill FOLDER TIMES SEED

All libraries are loaded once, then each process is forked: a start takes moments. Prints what was found as JSON.
"""

import itertools
import json
import os
import random
import shutil
import signal
import sys
import time
from functools import partial
from pathlib import Path

import matplotlib.figure  # noqa: F401  # loaded here, once for all processes
import torch

import znatok.commands.train
import znatok.use.training_screen  # noqa: F401
from tests.tiny import tiny_folder
from tests.training.runs import LEARNS, learned, weights, write_table
from znatok import cli
from znatok.run_folder import RunFolder
from znatok.training import updates
from znatok.training.checkpoints import damaged_file

SECONDS = 120.0


class Place:
    """A table, a model, and runs in processes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.table = folder, write_table(folder)
        self.model = tiny_folder(folder / "model")

    def start(self, run: Path, *arguments: str, before=lambda: None) -> int:
        """The number of a process that trains in `run`, or goes on there."""
        command = ["train", "--run", str(run), *arguments]
        if run.exists():
            command.append("--resume")
        else:
            command += [str(self.table), "--model", str(self.model)]
            for name, value in LEARNS.items():
                command += ["--" + name.replace("_", "-"), str(value)]
        sys.stdout.flush()
        if process := os.fork():
            return process
        code = 99
        try:
            said = os.open(self.folder / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(said, 1)
            os.dup2(said, 2)
            before()
            code = cli.run(command)
        finally:
            os._exit(code)

    def to_the_end_of_training(self, run: Path) -> None:
        """Starts, or goes on, until only the exam is to come, and kills the process then."""
        process = self.start(run)
        wait(lambda: RunFolder(run).ended.exists() or ended(process) is not None)
        kill(process)


def wait(until, seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        if time.monotonic() > deadline:
            raise TimeoutError(until)
        time.sleep(0.002)


_ended: dict[int, int] = {}


def ended(process: int) -> int | None:
    """The exit code of a process, negative for a signal; None while it is at work."""
    if process not in _ended:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            _ended[process] = os.waitstatus_to_exitcode(status)
    return _ended.get(process)


def kill(process: int, number: int = signal.SIGKILL) -> int:
    """Sends the signal and waits for the end."""
    if ended(process) is None:
        os.kill(process, number)
    wait(lambda: ended(process) is not None)
    return _ended[process]


def killed_at_random(place: Place, times: int, seed: int) -> dict[str, object]:
    """Each run is killed two, three or four times at random moments, then gone on with."""
    rng = random.Random(seed)
    whole = place.folder / "whole"
    learned(place.table, place.model, whole)  # here, so that whatever is made on first use is there for all
    begun = time.monotonic()
    place.to_the_end_of_training(place.folder / "timed")
    seconds = time.monotonic() - begun
    expected, kills, differ, states = weights(whole), 0, [], []
    run = place.folder / "папка с пробелом"
    while kills < times:
        # Half of the runs save after every update: then most moments are those of a save.
        updates.SAVE_SECONDS = rng.choice((0.0, 120.0))
        moments = [rng.uniform(0.1, 1.1) * seconds for _ in range(rng.randint(2, 4))]
        for moment in moments:
            process = place.start(run)
            time.sleep(moment)
            if kill(process) == -signal.SIGKILL:
                kills += 1
                saved = sorted(path.name for path in (run / "checkpoints").glob("step-*")) if run.exists() else []
                damaged = [str(file) for path in saved if (file := damaged_file(run / "checkpoints" / path))]
                states.append([saved, damaged])
            if run.exists() and not RunFolder(run).is_begun:
                shutil.rmtree(run)  # killed before there was a plan
        updates.SAVE_SECONDS = 120.0
        place.to_the_end_of_training(run)
        if weights(run) != expected:
            differ.append(moments)
        shutil.rmtree(run)
    return {"kills": kills, "differ": differ, "states": states, "seconds": seconds}


def stopped_by_signals(place: Place) -> list[dict[str, object]]:
    """A process sends itself a signal in the middle of something, once or twice; then the run is gone on with."""
    expected = weights(place.folder / "whole")
    found = []
    for where, number, times in SENT:
        run = place.folder / f"{where} {number} {times}"
        process = place.start(run, before=partial(_arrange, where, run, number, times))
        wait(partial(_is_over, process))
        one: dict[str, object] = {"where": where, "signal": number, "times": times, "code": ended(process)}
        one["left"] = [path.name for path in run.rglob(".*")]
        one["exam"] = RunFolder(run).is_finished
        one["over"] = RunFolder(run).ended.exists()
        if not one["over"]:
            place.to_the_end_of_training(run)
        found.append(one | {"same": weights(run) == expected})
    return found


def _is_over(process: int) -> bool:
    return ended(process) is not None


def _arrange(where: str, run: Path, number: int, times: int) -> None:
    """From the chosen call of a function of torch or of the system on, the signal is on its way."""
    module, name, call = PLACES[where]
    real, calls = getattr(module, name), itertools.count(1)

    def acting(*arguments, **named):
        is_time = next(calls) == call if call else RunFolder(run).ended.exists()
        if is_time:
            setattr(module, name, real)
            for _ in range(times):
                os.kill(os.getpid(), number)
        return real(*arguments, **named)

    setattr(module, name, acting)


PLACES = {
    "forward": (torch, "softmax", 8),
    "backward": (torch, "_softmax_backward_data", 6),
    "save": (os, "fsync", 29),
    "rename": (os, "replace", 6),
    "exam": (torch, "softmax", None),  # once training is over
}
SENT = [
    ("forward", signal.SIGTERM, 1),
    ("backward", signal.SIGINT, 2),
    ("save", signal.SIGHUP, 1),
    ("save", signal.SIGTERM, 2),
    ("rename", signal.SIGHUP, 2),
    ("exam", signal.SIGTERM, 1),
    ("exam", signal.SIGINT, 2),
]


def main() -> None:
    folder, times, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    updates.POINT_SECONDS, updates.FIRST_ANSWER_TOKENS = -1.0, 8  # these runs last a second
    if hasattr(signal, "SIGHUP"):  # under nohup it is ignored, and so it should be then
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the same in the background of a shell
    place = Place(folder)
    found = killed_at_random(place, times, seed)
    found["signals"] = stopped_by_signals(place)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
