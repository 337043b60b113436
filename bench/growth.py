"""How the cost of an update grows: with rows, with their length, with the rank and with the size of the model.

    python -m bench.growth [--device cpu|cuda] [--only rows,length,rank,model] [--json]

Around one middle point, 8 rows of 160 tokens, r 16, the built-in model's shape, one thing at a time takes three values.
Weights are random, the number format is the device's own (bfloat16 on a GPU), each point is a process of its own:
tokens a second, milliseconds an update and peak memory. Run it when nothing else runs.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from bench.gpu import run_case
from bench.shapes import COLUMNS, SHAPES
from bench.surroundings import versions
from znatok.model import machine

MIDDLE: dict[str, Any] = {"rows": 8, "columns": COLUMNS, "r": 16, "shape": "SmolLM2-135M"}
GROWING: dict[str, tuple[str, tuple[Any, ...]]] = {
    "rows": ("rows", (2, 8, 32)),
    "length": ("columns", (40, 160, 640)),
    "rank": ("r", (4, 16, 64)),
    "model": ("shape", tuple(SHAPES)),
}
UPDATES = {"cpu": (2, 5), "cuda": (6, 24)}
"""Those that warm up, and those that are measured."""

SECONDS = 600.0
"""The longest that one point may take."""


def main() -> None:
    asked = parse(sys.argv[1:])
    found: dict[str, Any] = {}
    for thing, value, result in measure(asked.only, asked.device):
        found.setdefault(thing, {})[str(value)] = result
        print(f"{thing} {value}: {json.dumps(result)}", file=sys.stderr, flush=True)
    found |= {"middle": MIDDLE, "versions": versions(("torch", "transformers"))}
    print(json.dumps(found) if asked.json else json.dumps(found, indent=1))


def parse(words: list[str]) -> argparse.Namespace:
    """The flags, checked."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=tuple(UPDATES), default=None)
    parser.add_argument("--only", type=_things, default=list(GROWING), help="out of " + ", ".join(GROWING))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(words)
    if asked.device is None:
        import torch

        asked.device = "cuda" if torch.cuda.is_available() else "cpu"
    return asked


def _things(words: str) -> list[str]:
    things = [word.strip() for word in words.split(",")]
    if unknown := [thing for thing in things if thing not in GROWING]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(GROWING)}")
    return things


def measure(things: list[str], device: str) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """What grows, its value and what was found, as it comes; the middle point, which all share, is measured once."""
    dtype = machine.cpu_dtype().name if device == "cpu" else "bfloat16"
    once: dict[str, dict[str, Any]] = {}
    for thing in things:
        name, values = GROWING[thing]
        for value in values:
            point = MIDDLE | {name: value}
            if (key := json.dumps(point)) not in once:
                once[key] = _point(point | {"device": device, "dtype": dtype}, device)
            yield thing, value, once[key]


def _point(point: dict[str, Any], device: str) -> dict[str, Any]:
    asked = point | {"quantization": "none", "updates": UPDATES[device]}
    found = run_case([sys.executable, "-m", "bench.gpu_parts", "speed", json.dumps(asked)], SECONDS)
    if "error" in found:
        return found
    tokens = point["rows"] * point["columns"]
    kept = {name: found[name] for name in ("tokens_per_second", "peak_memory_gib")}
    return kept | {"milliseconds": round(1000 * tokens / found["tokens_per_second"], 1)}


if __name__ == "__main__":
    main()
