"""Training speed on this machine's CPU: real rows, real wordings, the real update.

    python -m bench.cpu [--dtype float32|bfloat16] [--steps 12] [--batch 4] [--json]

`tokens_per_second` counts prompt and answer tokens without padding, over the median update. `floor` is what the
products with frozen weights alone would give. Run it when nothing else runs.
"""

import argparse
import json
import platform
import time
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from statistics import median, quantiles

import torch

from znatok.data.read import read_table
from znatok.data.render import load_renderer
from znatok.model import machine, speed
from znatok.model.network import Adapter, load_network
from znatok.model.source import find_base, tokenizer_file
from znatok.training.exposures import Exposures
from znatok.training.step import Updater

WARM_UP = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", choices=("float32", "bfloat16"))
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--table", type=Path, default=Path("dataset.csv"))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    machine.use_cpus(machine.usable_cpus())
    dtype = asked.dtype or machine.cpu_dtype().name
    source = find_base("builtin")
    renderer = load_renderer(source.folder, tokenizer_file(source.folder))
    network = load_network(source, dtype, "cpu")
    network.add_adapter(Adapter())
    network.train()
    updater = Updater(network, optim="adamw_torch", beta2=0.99, weight_decay=0.0, max_grad_norm=1.0)
    rows = read_table(asked.table).rows
    stream = iter(Exposures(rows, renderer, batch_size=asked.batch, rewording=0.65, seed=0))
    speeds: list[float] = []
    trained = total = 0
    for batch, _ in islice(stream, WARM_UP + asked.steps):
        begun = time.perf_counter()
        step = updater.update([batch], 1e-3)
        speeds.append(step.tokens / (time.perf_counter() - begun))
        trained, total = trained + len(batch.target_N), total + batch.tokens
    speeds = speeds[WARM_UP:]
    low, _, high = quantiles(speeds, n=4)
    result = {
        "tokens_per_second": round(median(speeds), 1),
        "quartiles": [round(low, 1), round(high, 1)],
        "floor": round(speed.forecast_tokens_per_second(source.folder, dtype, trained / total) / speed.REACHED[dtype]),
        "dtype": dtype,
        "batch": asked.batch,
        "threads": torch.get_num_threads(),
        "peak_memory_bytes": machine.peak_rss_bytes(),
        "cpu": machine.cpu_name(),
        "features": sorted(machine.cpu_features()),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
        "python": platform.python_version(),
    }
    print(json.dumps(result) if asked.json else "\n".join(f"{name}: {value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
