"""Training speed on this machine's CPU: ours, TRL's and the classic recipe's, in turns on the same rows.

    python -m bench.cpu [--json] [--dtype float32|bfloat16] [--rounds 3] [--steps 8] [--batch 8]
    python -m bench.cpu --alone [--json] [--dtype float32|bfloat16] [--steps 16] [--batch 4]

Rows of the table, rendered once, go to all in the same batches of like length, shuffled anew in every round. The rounds
alternate: ours, trl, classic, ours, and so on, each in a process of its own that stands still meanwhile. `ours`, `trl`
and `classic` are tokens a second, prompt and answer without padding, medians over the updates of all rounds; the
ratios are their quotients; `spread` holds the quartiles, those of the ratios over pairs of updates on one batch. TRL is
asked for the best it can: each number format, rows padded or end to end; `tried` says what came of it. `floor` is what
the products with frozen weights alone would give. `losses`: the mean of the warm-up, the mean of the last round.

`--alone` measures our update with reworded questions, as training has it. Run either when nothing else runs; the
comparison wants some 10 GB of memory.
"""

import argparse
import json
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from bench.race import Entry, Rival, RivalError, UnequalError, enter, enter_best, run_round, spread
from bench.rivals import Setup
from bench.surroundings import versions
from bench.work import NoWorkError, Work, make_work
from znatok.data.read import read_table
from znatok.data.render import load_renderer
from znatok.errors import ZnatokError
from znatok.model import machine
from znatok.model.network import Dtype
from znatok.model.source import find_base, tokenizer_file

NAMES = ("ours", "trl", "classic")
PACKAGES = ("torch", "transformers", "peft", "accelerate", "trl", "datasets")
TRL_SETUPS = (
    Setup("float32"),
    Setup("bfloat16"),
    Setup("bfloat16", autocast=True),
    Setup("float32", autocast=True),  # what TRL does by itself
)
WARM_UP_ALONE = 3

Command = Callable[[Path, str, Setup], Sequence[str]]
"""The command line of a process that trains: from the file of the work, a name out of `NAMES` and what is asked."""


def main() -> None:
    asked = parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes are ended with this one
    machine.use_cpus(machine.usable_cpus())
    try:
        result = alone(asked) if asked.alone else compare(asked, rival_command)
    except (NoWorkError, RivalError, UnequalError, ZnatokError) as error:
        raise SystemExit(str(error)) from error
    print(json.dumps(result) if asked.json else "\n".join(f"{name}: {value}" for name, value in result.items()))
    if risen := risen_losses(result):
        raise SystemExit(f"The loss did not fall: {', '.join(risen)}")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The flags, checked."""
    parser = argparse.ArgumentParser(prog="python -m bench.cpu", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="for ours and TRL; else each takes its best")
    parser.add_argument("--rounds", type=_positive, default=3)
    parser.add_argument(
        "--steps", type=_positive, help="updates a round, at most one pass over the table (8; alone 12)"
    )
    parser.add_argument("--batch", type=_positive, default=8)
    parser.add_argument("--table", type=Path, default=Path("dataset.csv"))
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--alone", action="store_true", help="only ours")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(words)
    asked.steps = asked.steps or (12 if asked.alone else 8)
    return asked


def _positive(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word} is not a whole number above 0")
    return int(word)


def compare(asked: argparse.Namespace, command: Command) -> dict[str, Any]:
    """Everything that is printed; null stands where TRL is not installed or one of them failed."""
    source = find_base(asked.model)
    renderer = load_renderer(source.folder, tokenizer_file(source.folder))
    work = make_work(
        [renderer.conversation(row.question, row.answer) for row in read_table(asked.table).rows],
        source.folder,
        threads=machine.usable_cpus(),
        batch=asked.batch,
        steps=asked.steps,
        rounds=asked.rounds,
    )
    dtype = asked.dtype or machine.cpu_dtype().name
    trl_setups = [setup for setup in TRL_SETUPS if asked.dtype in (None, setup.numbers)]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        work_file = Path(folder, "work.json")
        work.write(work_file)

        def start(name: str, setup: Setup) -> Rival:
            rival = Rival(command(work_file, name, setup), Path(folder, f"{name} {setup}.log"))
            running.callback(rival.stop)
            return rival

        entries, tried = _enter_all(start, Setup(dtype), trl_setups)
        floors = []
        for _ in range(asked.rounds):
            floors.append(_floor(source.folder, dtype, work.trained_share))
            run_round(entries, work, _say)
        speeds = {**_figures(entries), "floor": round(median(floors))}
        return {**speeds, **_circumstances(work, entries), "rounds": asked.rounds, "tried": tried, **_machine()}


def rival_command(work_file: Path, name: str, setup: Setup) -> list[str]:
    return [sys.executable, "-m", "bench.rivals", str(work_file), name, json.dumps(asdict(setup))]


def _enter_all(
    start: Callable[[str, Setup], Rival], ours: Setup, trl: Sequence[Setup]
) -> tuple[dict[str, Entry], dict[str, float | None]]:
    """Those who can be compared, warmed up, and what was tried with TRL."""
    entries: dict[str, Entry] = {}
    tried: dict[str, float | None] = {}
    absent = [name for name in ("trl", "datasets") if find_spec(name) is None]
    if absent:
        _say(f'TRL is left out: no {" and ".join(absent)}. Add: pip install -c constraints.txt -e ".[bench]"')
    else:
        try:
            entries["trl"], tried = enter_best(partial(start, "trl"), trl, _say)
        except RivalError as error:
            _say(f"trl: {error}")
    try:
        entries["classic"] = enter(partial(start, "classic"), Setup())
    except RivalError as error:
        _say(f"classic: {error}")
    entries["ours"] = enter(partial(start, "ours"), ours)
    return {name: entries[name] for name in NAMES if name in entries}, tried


def _figures(entries: dict[str, Entry]) -> dict[str, Any]:
    """Speeds, ratios, their quartiles and the losses."""
    ours = entries["ours"]
    speeds = {name: median(entry.speeds) for name, entry in entries.items()}
    spreads = {name: spread(entry.speeds, 1) for name, entry in entries.items()}
    ratios: dict[str, float | None] = {}
    for name in NAMES[1:]:
        ratios[f"ratio_{name}"] = round(speeds["ours"] / speeds[name], 2) if name in entries else None
        if name in entries:
            pairs = zip(entries[name].seconds, ours.seconds, strict=True)
            spreads[f"ratio_{name}"] = spread([theirs / mine for theirs, mine in pairs], 2)
    return {
        **{name: round(speeds[name], 1) if name in speeds else None for name in NAMES},
        **ratios,
        "spread": {name: spreads.get(name) for name in (*NAMES, *ratios)},
        "losses": {name: [round(loss, 3) for loss in entry.losses] for name, entry in entries.items()},
    }


def _circumstances(work: Work, entries: dict[str, Entry]) -> dict[str, Any]:
    setups = {name: entries[name].setup if name in entries else None for name in NAMES}
    return {
        "peak_memory_bytes": {
            name: entries[name].rival.peak_memory_bytes if name in entries else None for name in NAMES
        },
        "dtype": {name: setup.numbers if setup else None for name, setup in setups.items()},
        "trl_setup": str(setups["trl"]) if setups["trl"] else None,
        "batch": len(work.batches[0]),
        "steps": work.steps,
        "rows": len(work.rows),
        "tokens_a_round": sum(len(row.ids) for row in work.rows),
        "threads": work.threads,
    }


def risen_losses(result: dict[str, Any]) -> list[str]:
    """Who has not learned anything, so that its speed says nothing."""
    return [name for name, (first, last) in result.get("losses", {}).items() if not last < first]


def alone(asked: argparse.Namespace) -> dict[str, Any]:
    """Our update in this process, rows reworded as in training."""
    import torch

    from znatok.model.adapter import Adapter
    from znatok.model.base import load_network
    from znatok.training.exposures import Exposures
    from znatok.training.step import Updater

    dtype = asked.dtype or machine.cpu_dtype().name
    source = find_base(asked.model)
    renderer = load_renderer(source.folder, tokenizer_file(source.folder))
    network = load_network(source, dtype, "cpu")
    network.add_adapter(Adapter())
    network.train()
    updater = Updater(network, optim="adamw_torch", beta2=0.99, weight_decay=0.0, max_grad_norm=1.0)
    rows = read_table(asked.table).rows
    stream = iter(Exposures(rows, renderer, batch_size=asked.batch, rewording=0.65, seed=0))
    speeds: list[float] = []
    trained = total = 0
    for batch, _ in islice(stream, WARM_UP_ALONE + asked.steps):
        begun = time.perf_counter()
        step = updater.update([batch], 1e-3)
        speeds.append(step.tokens / (time.perf_counter() - begun))
        trained, total = trained + len(batch.target_N), total + batch.tokens
    speeds = speeds[WARM_UP_ALONE:]
    return {
        "tokens_per_second": round(median(speeds), 1),
        "quartiles": spread(speeds, 1),
        "floor": round(_floor(source.folder, dtype, trained / total)),
        "dtype": dtype,
        "batch": asked.batch,
        "threads": torch.get_num_threads(),
        "peak_memory_bytes": machine.peak_rss_bytes(),
        **_machine(),
    }


def _floor(folder: Path, dtype: Dtype, trained_share: float) -> float:
    from znatok.model import speed

    return speed.bare_tokens_per_second(folder, dtype, trained_share)


def _machine() -> dict[str, Any]:
    return {
        "cpu": machine.cpu_name(),
        "features": sorted(machine.cpu_features()),
        "versions": versions(PACKAGES),
        "python": platform.python_version(),
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
