"""One case of `bench.gpu`: what it says is one line of JSON, the last on stdout.

    python -m bench.gpu_parts speed '{"dtype": "bfloat16", "quantization": "nf4", "rows": 8}'

With `"device": "cpu"` and `"tiny": true` the cases run without a GPU, on a model of two layers: so they are tested.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice, repeat
from pathlib import Path
from statistics import median
from typing import Any

from bench.shapes import COLUMNS, folder_of, network_of, table_rows, uniform_rows
from znatok.data.batch import make_batch
from znatok.model import machine
from znatok.model.network import Network

WARM_UP, MEASURED = 6, 24
JOB_TOKENS = 75_000
TABLE = Path("dataset.csv")

Asked = dict[str, Any]


def speed(asked: Asked) -> Asked:
    """Updates on uniform rows."""
    rows = uniform_rows(asked["rows"], asked.get("columns", COLUMNS))
    return _timed(asked, lambda _: repeat(make_batch(rows)))


def table(asked: Asked) -> Asked:
    """Updates on the rows of the table."""
    return _timed(asked, lambda _: _exposed(asked.get("rows", 8), seed=0))


def caps(asked: Asked) -> Asked:
    """The default job's updates with little memory; torch keeps what others hold on the card out of the count."""
    import torch

    whole = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, asked["cap_bytes"] / whole))
    return table(asked | {"rows": 4})


def _exposed(batch_size: int, seed: int) -> Iterator[Any]:
    from znatok.training.exposures import Exposures

    rows, renderer = table_rows(TABLE)
    return (batch for batch, _ in Exposures(rows, renderer, batch_size=batch_size, rewording=0.65, seed=seed))


def _timed(asked: Asked, batches: Callable[[Network], Iterator[Any]]) -> Asked:
    from znatok.training.step import Updater

    network = network_of(asked)
    network.train()
    updater = Updater(network, optim="adamw_torch", beta2=0.99, weight_decay=0.0, max_grad_norm=1.0)
    seconds: list[float] = []
    tokens: list[int] = []
    losses: list[float] = []
    warm_up, measured = asked.get("updates", (WARM_UP, MEASURED))
    for batch in islice(batches(network), warm_up + measured):
        begun = time.perf_counter()
        step = updater.update([batch], 1e-4)
        _wait(network)
        seconds.append(time.perf_counter() - begun)
        tokens.append(step.tokens)
        losses.append(step.loss)
    speeds = [count / one for count, one in zip(tokens[warm_up:], seconds[warm_up:], strict=True)]
    return {
        "tokens_per_second": round(median(speeds)),
        "over_all": round(sum(tokens[warm_up:]) / sum(seconds[warm_up:])),
        "first_update_seconds": round(seconds[0], 2),
        "warm_up_seconds": round(sum(seconds[:warm_up]), 2),
        "losses": [round(losses[0], 3), round(losses[-1], 3)],
        **_memory(network),
    }


def _wait(network: Network) -> None:
    import torch

    if network.device.type == "cuda":
        torch.cuda.synchronize()


def _memory(network: Network) -> Asked:
    peak = network.peak_memory_bytes()
    return {
        "peak_memory_gib": round((peak or machine.peak_rss_bytes()) / 2**30, 2),
        "is_recorded": network.is_recorded,
    }


def profile(asked: Asked) -> Asked:
    """The kernels of one update by the time they take, in milliseconds, and how many there are."""
    import torch
    from torch.profiler import ProfilerActivity

    from znatok.training.step import Updater

    network = network_of(asked)
    network.train()
    updater = Updater(network, optim="adamw_torch", beta2=0.99, weight_decay=0.0, max_grad_norm=1.0)
    batch = make_batch(uniform_rows(asked["rows"]))
    for _ in range(WARM_UP):
        updater.update([batch], 1e-4)
    is_gpu = network.device.type == "cuda"
    activity = ProfilerActivity.CUDA if is_gpu else ProfilerActivity.CPU
    with torch.profiler.profile(activities=[activity]) as seen:
        updater.update([batch], 1e-4)
        _wait(network)
    time_of = "self_device_time_total" if is_gpu else "self_cpu_time_total"
    events = sorted(seen.key_averages(), key=lambda event: -getattr(event, time_of))
    return {
        "milliseconds": round(sum(getattr(event, time_of) for event in events) / 1000, 2),
        "kernels": sum(event.count for event in events),
        "longest": {event.key[:90]: [round(getattr(event, time_of) / 1000, 3), event.count] for event in events[:25]},
    }


def decode(asked: Asked) -> Asked:
    """Recorded steps against transformers' generate, which launches kernel by kernel."""
    from bench.decode import compare

    network = network_of(asked)
    network.use()
    rng = random.Random(0)
    prompts = [[rng.randrange(3, network_vocabulary(network)) for _ in range(40)] for _ in range(asked.get("rows", 64))]
    tokens = asked.get("tokens", 100)
    begun = time.perf_counter()
    network.generate(prompts[:1], [tokens], stop_id=0)
    return {"first_seconds": round(time.perf_counter() - begun, 2)} | compare(network, prompts, tokens, 0, rounds=2)


def network_vocabulary(network: Network) -> int:
    return int(network._base.config.vocab_size)


def job(asked: Asked) -> Asked:
    """A job from the start of a process to its saved adapter; the weights were written to disk before."""
    with tempfile.TemporaryDirectory() as place:
        model = folder_of(asked, Path(place, "model"), TABLE)
        words = [str(Path(place, "run")), str(model), json.dumps(asked)]
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "bench.gpu_parts", "run_job", json.dumps({"words": words})],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        seconds = time.perf_counter() - begun
        return {"job_seconds": round(seconds, 2)} | json.loads(done.stdout.strip().splitlines()[-1])


def run_job(asked: Asked) -> Asked:
    """Trains as `znatok train` does, until the adapter is saved."""
    import psutil

    begun = psutil.Process().create_time()
    from znatok.settings import make_settings
    from znatok.training.events import ModelLoaded, Planned, Stepped, TrainingEnded
    from znatok.training.loop import train

    run, model, words = asked["words"]
    said = json.loads(words)
    settings = {
        "model": model,
        "quantization": said["quantization"],
        "per_device_train_batch_size": 8,
        "finishing_rounds": 0,
        "num_train_epochs": _epochs(said.get("job_tokens", JOB_TOKENS), TABLE),
    }
    if said.get("device") != "cpu":
        settings["dtype"] = said["dtype"]
    marks: dict[str, float] = {"imports": time.time() - begun}
    with closing(train(TABLE, make_settings(settings), Path(run))) as events:
        for event in events:
            match event:
                case Planned():
                    marks["planned"] = time.time() - begun
                case ModelLoaded():
                    marks["model"] = time.time() - begun
                case Stepped() if "first_step" not in marks:
                    marks["first_step"] = time.time() - begun
                case TrainingEnded() as ended:
                    marks["adapter_saved"] = time.time() - begun
                    break
    return {
        "after_seconds": {name: round(seconds, 2) for name, seconds in marks.items()},
        "tokens": ended.tokens,
        "steps": ended.steps,
        "tokens_per_second": round(ended.tokens / ended.seconds),
    }


def _epochs(tokens: int, path: Path) -> float:
    rows, renderer = table_rows(path)
    once = sum(len(renderer.conversation(row.question, row.answer).ids) for row in rows)
    return max(0.05, tokens / once)


def builtin(asked: Asked) -> Asked:
    """The built-in model on the table, as a user starts it."""
    with tempfile.TemporaryDirectory() as place:
        begun = time.perf_counter()
        command = [sys.executable, "-m", "znatok", "train", str(TABLE), "--model", "builtin", "--run", f"{place}/run"]
        done = subprocess.run([*command, "--json", *asked.get("more", ())], stdout=subprocess.PIPE, text=True)
        seconds = time.perf_counter() - begun
        if done.returncode:
            raise SystemExit(f"znatok train: exit code {done.returncode}")
        said = json.loads(done.stdout.strip().splitlines()[-1])
    sets = said["exam"] or {}
    shares = {name: sets[name]["after"]["exact"] for name in ("trained", "reworded") if name in sets}
    kept = ("steps", "tokens", "tokens_per_second", "train_seconds", "total_seconds", "peak_memory_bytes")
    return {"command_seconds": round(seconds, 1), "exact": shares} | {name: said[name] for name in kept}


def checks(asked: Asked) -> Asked:
    """The tests that need a GPU."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", *asked.get("more", ())]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = done.stdout.strip().splitlines()
    return {"exit_code": done.returncode, "summary": lines[-1], "failed": [x for x in lines if x.startswith("FAILED")]}


def rivals(asked: Asked) -> Asked:
    from bench.gpu_rivals import measure

    with tempfile.TemporaryDirectory() as place:
        return measure(asked, folder_of(asked | {"dtype": "bfloat16"}, Path(place, "model"), TABLE), TABLE)


CASES = {
    "speed": speed,
    "rows": table,
    "profile": profile,
    "decode": decode,
    "caps": caps,
    "job": job,
    "run_job": run_job,
    "builtin": builtin,
    "checks": checks,
    "rivals": rivals,
}


def main() -> None:
    name, words = sys.argv[1:]
    asked = json.loads(words)
    if asked.get("triton") is False:
        sys.modules["triton"] = None  # type: ignore[assignment]  # as on a system that has none
    print(json.dumps(CASES[name](asked)), flush=True)


if __name__ == "__main__":
    main()
