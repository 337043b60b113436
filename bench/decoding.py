"""Decoding speed: one fixed cache against transformers' generate, on the questions of a table.

python -m bench.decoding [--rows 40] [--tokens 120] [--json]
"""

import argparse
import json
import time
from pathlib import Path

from znatok.data.read import read_table
from znatok.data.render import load_renderer
from znatok.model import machine
from znatok.model.network import load_network
from znatok.model.source import find_base, tokenizer_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--tokens", type=int, default=120)
    parser.add_argument("--table", type=Path, default=Path("dataset.csv"))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    machine.use_cpus(machine.usable_cpus())
    source = find_base("builtin")
    renderer = load_renderer(source.folder, tokenizer_file(source.folder))
    network = load_network(source, machine.cpu_dtype().name, "cpu")
    prompts = [renderer.prompt(row.question) for row in read_table(asked.table).rows[: asked.rows]]
    result: dict[str, float] = {}
    answers = {}
    for name, rows in (("batch", prompts), ("single", prompts[:2])):
        for way in ("ours", "transformers"):
            generate = network.generate if way == "ours" else network._generate_by_transformers
            limits = [asked.tokens] * len(rows)
            begun = time.perf_counter()
            found = (
                generate(rows, limits, renderer.stop_id)
                if name == "batch"
                else [generate([row], [asked.tokens], renderer.stop_id)[0] for row in rows]
            )
            seconds = time.perf_counter() - begun
            answers[name, way] = found
            result[f"{name}_{way}_tokens_per_second"] = round(sum(map(len, found)) / seconds, 1)
        result[f"{name}_ratio"] = round(
            result[f"{name}_ours_tokens_per_second"] / result[f"{name}_transformers_tokens_per_second"], 2
        )
        pairs = zip(answers[name, "ours"], answers[name, "transformers"], strict=True)
        result[f"{name}_equal"] = sum(one == other for one, other in pairs) / len(rows)
    print(json.dumps(result) if asked.json else "\n".join(f"{name}: {value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
