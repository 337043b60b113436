"""Everything that is to be measured on one GPU, part by part, each in a process of its own with a time limit.

    python -m bench.gpu [--json] [--parts speed,rows,job] [--seconds 120] [--list]

Weights of TinyLlama-1.1B's shape are random and made on the device, adapters are LoRA r 16 on all linear layers; rows
are uniform, 160 tokens of which 120 are answer, or those of the table. What each part gives is printed as it comes
(stderr), and everything as one JSON object last: by part, then by case, with the seconds that the case took; a case
that failed or ran out of time has `error` instead. The parts:

    checks     the tests marked gpu
    speed      tokens a second and peak memory at 8 and 64 rows × 160: NF4, bf16, fp16, and NF4 without triton
    rows       the same on the rows of the table, batches of 8, shuffled and reworded as in training
    profile    which kernels an update of 8 × 160 in NF4 spends its time in
    decode     one stream and 64: recorded steps against transformers' eager generate
    caps       the default job's updates with memory capped to 5.5, 7.5 and 11.5 GiB, also without triton and in fp16
    job        a job of 75k tokens, NF4, from the start of the process to the saved adapter, with the start-up's parts
    builtin    the built-in model on the table, from start to finished exam
    rivals     TRL and Unsloth, where installed, on the uniform rows and the table's, at batches of 8, 32 and 64
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from bench.surroundings import ALONE, versions

PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "triton", "trl", "unsloth")
GIB = 1024**3

NF4 = {"dtype": "bfloat16", "quantization": "nf4"}
FORMATS: dict[str, dict[str, Any]] = {
    "nf4": NF4,
    "bf16": {"dtype": "bfloat16", "quantization": "none"},
    "fp16": {"dtype": "float16", "quantization": "none"},
    "nf4 without triton": NF4 | {"triton": False},
}
PARTS: dict[str, dict[str, dict[str, Any]]] = {
    "checks": {"tests": {}},
    "speed": {f"{name}, {rows} x 160": form | {"rows": rows} for rows in (8, 64) for name, form in FORMATS.items()},
    "rows": {name: FORMATS[name] for name in ("nf4", "bf16")},
    "profile": {"nf4, 8 x 160": NF4 | {"rows": 8}, "nf4, 64 x 160": NF4 | {"rows": 64}},
    "decode": {name: FORMATS[name] for name in ("bf16", "nf4")},
    "caps": {
        f"{cap} GiB, {name}": form | {"cap_bytes": int(cap * GIB)}
        for cap in (5.5, 7.5, 11.5)
        for name, form in FORMATS.items()
    },
    "job": {name: FORMATS[name] for name in ("nf4", "bf16")},
    "builtin": {"table": {}},
    "rivals": {
        f"{name}, {kind}, batch {rows}": {"name": name, "kind": kind, "rows": rows}
        for name in ("trl", "unsloth")
        for kind in ("uniform", "table")
        for rows in (8, 32, 64)
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parts", type=_parts, default=list(PARTS), help="out of " + ", ".join(PARTS))
    parser.add_argument("--seconds", type=float, default=120, help="the longest that one case may take")
    parser.add_argument("--list", action="store_true", help="only names what would be measured")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.list:
        print("\n".join(f"{part}: {case}" for part in asked.parts for case in PARTS[part]))
        return
    result: dict[str, Any] = {}
    for part, case, found in measure(asked.parts, asked.seconds):
        result.setdefault(part, {})[case] = found
        print(f"{part}: {case}: {json.dumps(found)}", file=sys.stderr, flush=True)
    result |= {"versions": versions(PACKAGES), "python": platform.python_version()}
    print(json.dumps(result) if asked.json else json.dumps(result, indent=1))


def _parts(words: str) -> list[str]:
    names = [name.strip() for name in words.split(",")]
    if unknown := [name for name in names if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(PARTS)}")
    return names


def measure(parts: Sequence[str], seconds: float) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Part, case and what was found, as it comes."""
    for part in parts:
        for case, asked in PARTS[part].items():
            begun = time.monotonic()
            found = run_case([sys.executable, "-m", "bench.gpu_parts", part, json.dumps(asked)], seconds)
            yield part, case, found | {"seconds": round(time.monotonic() - begun, 1)}


def run_case(command: Sequence[str], seconds: float) -> dict[str, Any]:
    """What the process says in its last line; `error` where it fails or takes too long, and is ended with its own."""
    process = subprocess.Popen(
        command,
        env=os.environ | ALONE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    try:
        said, complained = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        return {"error": f"longer than {seconds:.0f} s"}
    except BaseException:
        _end(process)
        raise
    lines = said.strip().splitlines()
    if process.returncode or not lines:
        tail = complained.strip().splitlines()[-4:]
        return {"error": " | ".join(tail) or f"exit code {process.returncode}"}
    try:
        return dict(json.loads(lines[-1]))
    except ValueError:
        return {"error": f"no JSON: {lines[-1][:200]}"}


def _end(process: "subprocess.Popen[str]") -> None:
    """Ends a process and those that it started."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, 9)
    else:
        process.kill()
    process.communicate()


if __name__ == "__main__":
    main()
