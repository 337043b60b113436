"""Decoding speed: one fixed cache against transformers' generate, in turns, on the questions of a table.

    python -m bench.decode [--json] [--rows 64] [--tokens 64] [--rounds 3] [--dtype bfloat16] [--adapter]

`one` is a single stream, `batch` has so many rows at once; figures are new tokens a second, medians over the rounds,
`ratio` is the median over rounds of the quotient in one round. `equal`: the share of answers that are the same to the
letter, which only float32 promises. Both decode to the limit or the end of turn. --adapter: with a LoRA on all linear
layers. Run it when nothing else runs.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from znatok.data.read import read_table
from znatok.data.render import load_renderer
from znatok.model import machine
from znatok.model.adapter import Adapter
from znatok.model.base import load_by_transformers
from znatok.model.network import Network
from znatok.model.source import find_base, tokenizer_file

Generate = Callable[[Sequence[Sequence[int]]], list[list[int]]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.decode", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"))
    parser.add_argument("--adapter", action="store_true")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--table", type=Path, default=Path("dataset.csv"))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    machine.use_cpus(machine.usable_cpus())
    source = find_base(asked.model)
    renderer = load_renderer(source.folder, tokenizer_file(source.folder))
    dtype = asked.dtype or (machine.cpu_dtype().name if asked.device == "cpu" else "bfloat16")
    network = load_by_transformers(source, dtype, asked.device)
    if asked.adapter:
        add_adapter(network)
    network.use()
    prompts = [renderer.prompt(row.question) for row in read_table(asked.table).rows[: asked.rows]]
    result = compare(network, prompts, asked.tokens, renderer.stop_id, asked.rounds)
    result |= {
        "dtype": dtype,
        "device": asked.device,
        "adapter": asked.adapter,
        "tokens": asked.tokens,
        "threads": machine.usable_cpus(),
        "cpu": machine.cpu_name(),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
        "python": platform.python_version(),
    }
    print(json.dumps(result) if asked.json else "\n".join(f"{name}: {value}" for name, value in result.items()))


def add_adapter(network: Network) -> None:
    """An adapter on all linear layers that says something."""
    import torch

    network.add_adapter(Adapter())
    for weight in network.weights():
        weight.data.add_(0.002 * torch.randn_like(weight))


def compare(
    network: Network, prompts: Sequence[Sequence[int]], tokens: int, stop_id: int, rounds: int
) -> dict[str, Any]:
    """Both ways on one prompt and on all, in turns; the first turn of each only prepares."""
    ways: dict[str, Generate] = {
        "ours": lambda rows: network.generate(rows, [tokens] * len(rows), stop_id),
        "transformers": lambda rows: network._generate_by_transformers(rows, [tokens] * len(rows), stop_id),
    }
    result: dict[str, Any] = {}
    for name, rows in (("one", prompts[:1]), ("batch", prompts)):
        answers = {way: generate(rows) for way, generate in ways.items()}
        speeds: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(rounds):
            for way, generate in ways.items():
                begun = time.perf_counter()
                found = generate(rows)
                speeds[way].append(sum(map(len, found)) / (time.perf_counter() - begun))
            said = ", ".join(f"{way} {found[-1]:.1f}" for way, found in speeds.items())
            print(f"{name}, round {number + 1}, tokens/s: {said}", file=sys.stderr, flush=True)
        pairs = list(zip(answers["ours"], answers["transformers"], strict=True))
        result[name] = {way: round(median(found), 1) for way, found in speeds.items()} | {
            "ratio": round(median(ours / theirs for ours, theirs in zip(*speeds.values(), strict=True)), 2),
            "equal": sum(one == other for one, other in pairs) / len(pairs),
            "rows": len(rows),
        }
    return result


if __name__ == "__main__":
    main()
