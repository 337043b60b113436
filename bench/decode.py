"""Decoding speed: one fixed cache against transformers' generate, in turns, on the questions of a table.

    python -m bench.decode [--json] [--rows 64] [--tokens 64] [--rounds 3] [--dtype bfloat16] [--adapter]
    python -m bench.decode --run RUN [--questions FILE] [--guessed 8]

`one` is a single stream, `batch` has so many rows at once; figures are new tokens a second, medians over the rounds,
`ratio` is the median over rounds of the quotient in one round. `equal`: the share of answers that are the same to the
letter, which only float32 promises. Both decode to the limit or the end of turn. --adapter: with a LoRA on all linear
layers. --run: with the adapter of a run, on its rows; then there is `guessed`, too: so many of its questions, or of
a file's, one after another as the chat has them, where the answers of its rows are guesses at what will be said;
`unguessed` is the same without. Run it when nothing else runs.
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

from znatok.answering.guesses import Guesses
from znatok.data.read import read_table
from znatok.data.render import Renderer, load_renderer
from znatok.exam.question_file import read_questions
from znatok.model import machine
from znatok.model.adapter import Adapter
from znatok.model.base import load_by_transformers
from znatok.model.decode import Guess, no_guess
from znatok.model.network import Network
from znatok.model.source import find_base, tokenizer_file
from znatok.records import Row
from znatok.run_folder import find_run, read_rows

LONGEST_ANSWER = 400
"""Where an answer of a run that does not stop by itself is cut."""

Generate = Callable[[Sequence[Sequence[int]]], list[list[int]]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.decode", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"))
    parser.add_argument("--adapter", action="store_true")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--questions", type=Path)
    parser.add_argument("--guessed", type=int, default=8)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--table", type=Path, default=Path("dataset.csv"))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.questions and not asked.run:
        parser.error("--questions wants --run")
    machine.use_cpus(machine.usable_cpus())
    source = find_base(asked.model)
    renderer = load_renderer(source.folder, tokenizer_file(source.folder))
    dtype = asked.dtype or (machine.cpu_dtype().name if asked.device == "cpu" else "bfloat16")
    network = load_by_transformers(source, dtype, asked.device)
    if asked.adapter:
        add_adapter(network)
    rows = read_table(asked.table).rows
    if asked.run:
        run = find_run(asked.run)
        network.load_adapter(run.adapter)
        rows = read_rows(run, "trained")
    network.use()
    prompts = [renderer.prompt(row.question) for row in rows[: asked.rows]]
    result = compare(network, prompts, asked.tokens, renderer.stop_id, asked.rounds)
    if asked.run:
        questions = read_questions(asked.questions) if asked.questions else [row.question for row in rows]
        result |= compare_guessed(network, renderer, questions[: asked.guessed], rows, asked.rounds)
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
    return {name: _race(name, ways, rows, rounds) for name, rows in (("one", prompts[:1]), ("batch", prompts))}


def compare_guessed(
    network: Network, renderer: Renderer, questions: Sequence[str], rows: Sequence[Row], rounds: int
) -> dict[str, Any]:
    """The questions one after another, to the end of each answer, with guesses at it from the rows and without."""
    guesses, stop_id = Guesses(rows, renderer), renderer.stop_id

    def one_by_one(prompts: Sequence[Sequence[int]], guesses: Sequence[Guess]) -> list[list[int]]:
        streams = (
            network.stream_scored(prompt, LONGEST_ANSWER, stop_id, guess)
            for prompt, guess in zip(prompts, guesses, strict=True)
        )
        return [[id for id, _ in stream] for stream in streams]

    ways: dict[str, Generate] = {
        "guessed": lambda prompts: one_by_one(prompts, [guesses.at(question) for question in questions]),
        "unguessed": lambda prompts: one_by_one(prompts, [no_guess] * len(prompts)),
        "transformers": lambda prompts: [
            network._generate_by_transformers([prompt], [LONGEST_ANSWER], stop_id)[0] for prompt in prompts
        ],
    }
    return {"guessed": _race("guessed", ways, [renderer.prompt(question) for question in questions], rounds)}


def _race(name: str, ways: dict[str, Generate], prompts: Sequence[Sequence[int]], rounds: int) -> dict[str, Any]:
    """The ways in turns; `ratio` and `equal` are those of the first one against the last."""
    answers = {way: generate(prompts) for way, generate in ways.items()}
    speeds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds):
        for way, generate in ways.items():
            begun = time.perf_counter()
            found = generate(prompts)
            speeds[way].append(sum(map(len, found)) / (time.perf_counter() - begun))
        said = ", ".join(f"{way} {found[-1]:.1f}" for way, found in speeds.items())
        print(f"{name}, round {number + 1}, tokens/s: {said}", file=sys.stderr, flush=True)
    first, *_, last = ways
    equal = [one == other for one, other in zip(answers[first], answers[last], strict=True)]
    ratios = [ours / theirs for ours, theirs in zip(speeds[first], speeds[last], strict=True)]
    return {way: round(median(found), 1) for way, found in speeds.items()} | {
        "ratio": round(median(ratios), 2),
        "equal": sum(equal) / len(equal),
        "rows": len(prompts),
    }


if __name__ == "__main__":
    main()
