"""One table, taught by TRL, by Unsloth and by us, and one exam for all: what each knows, and what it took.

    python -m bench.compare dataset.csv [--questions dataset_wordings.csv] [--json] [--epochs N] [--only NAME ...]

Each contender trains in a process of its own, alone; `seconds` are those from its start to its saved adapter. Then our
exam asks each adapter the same questions on the same base: the rows as they stand, rows in wordings that no training
showed, and, with `--questions`, those of a file. TRL and Unsloth come twice: `documented` has the number of epochs and
the rate of TRL's own guide to LoRA, `as ours` the epochs and the rate of our `learn`. Who is not installed is left out
and named.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.contenders import Recipe
from bench.surroundings import ALONE, versions
from znatok.data.read import read_table
from znatok.data.render import Renderer
from znatok.exam.examine import ExamResult
from znatok.exam.session import hold_exam
from znatok.exam.sets import questions_set
from znatok.records import QuestionSet, Row
from znatok.settings import Settings
from znatok.training.lesson import FEWEST_EXPOSURES, MORE_EXPOSURES
from znatok.training.schedule import peak_rate

DOCUMENTED = Recipe(num_train_epochs=3, learning_rate=2e-4)
"""SFTConfig's own number of epochs, and the rate that TRL's guide gives for LoRA; its default is made for full
fine-tuning and is ten times lower."""

BUILTIN_RATE = peak_rate(576)
"""Of our plan for the built-in model, which is 576 wide."""

MEASURES = ("exact", "passed", "stopped", "echoed")
PACKAGES = ("torch", "transformers", "peft", "trl", "unsloth")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Contender:
    """`recipe` is None for us: `znatok train` decides for itself."""

    name: str
    tool: str
    recipe: Recipe | None


def contenders(model: str, epochs: float = FEWEST_EXPOSURES) -> list[Contender]:
    """All that can be asked for. epochs: those of `as ours`."""
    ours = Settings()
    as_ours = Recipe(epochs, BUILTIN_RATE, ours.per_device_train_batch_size, model)
    documented = Recipe(DOCUMENTED.num_train_epochs, DOCUMENTED.learning_rate, model=model)
    return [
        Contender("znatok", "znatok", None),
        *(
            Contender(f"{tool}, {kind}", tool, recipe)
            for tool in ("trl", "unsloth")
            for kind, recipe in (("documented", documented), ("as ours", as_ours))
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--questions", type=Path)
    parser.add_argument("--model", default="builtin")
    parser.add_argument(
        "--epochs",
        type=float,
        default=FEWEST_EXPOSURES,
        help=f"of `as ours`; on a GPU our own plan takes up to {MORE_EXPOSURES}",
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="names, or their beginnings")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    chosen = [
        one
        for one in contenders(asked.model, asked.epochs)
        if not asked.only or any(one.name.startswith(name) for name in asked.only)
    ]
    result = compare(chosen, asked.table, asked.questions, asked.model, _say)
    print(json.dumps(result, ensure_ascii=False) if asked.json else _lines(result))


def compare(chosen: Sequence[Contender], table: Path, questions: Path | None, model: str, say: Say) -> dict[str, Any]:
    """What each of them came to, by name; `error` instead where one failed, and why one was left out."""
    rows = read_table(table).rows
    more = [questions_set(read_table(questions).rows, rows)] if questions else []
    known: dict[str, Any] = {}
    for one in chosen:
        if one.tool != "znatok" and find_spec(one.tool) is None:
            known[one.name] = {"error": "not installed"}
            continue
        say(f"{one.name}: training")
        with tempfile.TemporaryDirectory() as folder:
            begun = time.time()
            done = subprocess.run(
                command(one, table, Path(folder), model), env=os.environ | ALONE, capture_output=True, text=True
            )
            saved = {file.stat().st_mtime: file.parent for file in Path(folder).rglob("adapter_model.safetensors")}
            if done.returncode or not saved:
                known[one.name] = {"error": done.stderr.strip()[-600:]}
                continue
            # Not to the end of the process: ours goes on with an exam of its own.
            seconds = max(saved) - begun
            say(f"{one.name}: {seconds:.0f} s, exam")
            known[one.name] = {
                "seconds": round(seconds, 1),
                "recipe": asdict(one.recipe) if one.recipe else None,
                "sets": examined(saved[max(saved)], rows, more, model),
            }
    return {"contenders": known, "rows": len(rows), "versions": versions(PACKAGES)}


def command(one: Contender, table: Path, folder: Path, model: str) -> list[str]:
    """The process that trains `one`."""
    if one.recipe is None:
        run = folder / "run"
        return [sys.executable, "-m", "znatok", "train", str(table), "--run", str(run), "--model", model, "--json"]
    settings = json.dumps(asdict(one.recipe))
    return [sys.executable, "-m", "bench.contenders", one.tool, str(table), str(folder), settings]


def examined(adapter: Path, rows: Sequence[Row], more: Sequence[QuestionSet], model: str) -> dict[str, Any]:
    """The measures of each set, of the base with this adapter."""
    network, renderer = _loaded(adapter, model)
    *_, result = hold_exam(network, renderer, rows, more, before_sample=1, is_about_forgetting=False)
    assert isinstance(result, ExamResult)
    return {
        name: {measure: policies["after"][measure] for measure in MEASURES}
        | {"n": policies["after"]["n"], "search": policies.get("search", {}).get("passed")}
        for name, policies in result.sets.items()
    }


def _loaded(adapter: Path, model: str) -> tuple[Any, Renderer]:
    from znatok.use.loading import load_adapter_folder

    talker = load_adapter_folder(adapter, base=model)
    return talker.network, talker.renderer


def _lines(result: dict[str, Any]) -> str:
    lines = []
    for name, one in result["contenders"].items():
        lines.append(f"{name}: {one['error'] if 'error' in one else str(one['seconds']) + ' s'}")
        lines += [f"    {key}: {value}" for key, value in one.get("sets", {}).items()]
    return "\n".join(lines)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
