"""What the recipe teaches: runs of `znatok train`, each with its exam, for variants of the settings on several tables.

    python -m bench.recipe [--json] [--tables dataset,beekeeping,aquarium] [--seeds 0,1,2] [--jobs 1]
        [--variant "NAME: --setting value …"]… [--model builtin] [--results runs/recipe.jsonl]

A table is one of these names, or a file, such as one of `bench.facts`. What lies beside it is asked in the exam:
TABLE_wordings.csv as the set `questions`, TABLE_unknown_near.csv as `unknown_near`. Without `--variant` the default
settings are measured. Printed are, for every variant and table, the measures of `bench.targets`: the worst of the
seeds, the median, and which targets the worst reaches.

A run is two processes and a folder that is removed afterwards. Its results are added to the file of results as soon as
it ends, and what stands there (the same variant, flags, model, seed, and the same content of the table's files) is not
run again, whatever has become of the code: every result names its commit, and new code wants another file or another
name for the variant. `--jobs` runs go on side by side, on one GPU, or on the processors, which they share; the seconds
are worth something with one job alone, when nothing else runs.
"""

import argparse
import hashlib
import json
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from bench.runs import ROOT, Asked, Run, RunFailedError, Variant, Workplace
from bench.targets import Record, in_lines, summed
from znatok.data.read import read_table
from znatok.data.reword import language_of
from znatok.errors import ZnatokError
from znatok.exam.sets import unknown_near_file
from znatok.run_folder import append_line, read_lines

HOBBIES = ROOT / "tests" / "data" / "hobbies"
TABLES = {
    "dataset": ROOT / "dataset.csv",
    "beekeeping": HOBBIES / "beekeeping.csv",
    "aquarium": HOBBIES / "aquarium.csv",
}
DEFAULT = Variant("default")
OURS = ("--seed", "--run", "--resume", "--json")
"""Flags that no variant may have: the bench gives them, or does without."""


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes are ended with this one
    asked = parse(sys.argv[1:])
    try:
        done, failed = run_all(asked, Workplace(asked.jobs))
    except (OSError, ZnatokError) as error:
        raise SystemExit(str(error)) from error
    results = summed(done)
    if asked.json:
        print(json.dumps({"results": results, "failed": failed}, ensure_ascii=False))
    else:
        print("\n\n".join("\n".join(in_lines(result)) for result in results))
    if failed:
        raise SystemExit(f"{len(failed)} of {len(done) + len(failed)} runs failed.")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The flags, checked."""
    parser = argparse.ArgumentParser(prog="python -m bench.recipe", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tables", type=_tables, default=",".join(TABLES), help="names or files, with commas between")
    parser.add_argument("--seeds", type=_seeds, default="0,1,2")
    parser.add_argument("--variant", dest="variants", type=_variant, action="append", metavar="'NAME: FLAGS'")
    parser.add_argument("--model", default="builtin", help="unless a variant has a --model of its own")
    parser.add_argument("--jobs", type=_positive, default=1, help="runs side by side")
    parser.add_argument("--results", type=Path, default=Path("runs/recipe.jsonl"))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(words)
    asked.variants = asked.variants or [DEFAULT]
    for kind, several in (("variants", asked.variants), ("tables", asked.tables)):
        names = [one.name for one in several]
        if twice := {name for name in names if names.count(name) > 1}:
            parser.error(f"two {kind} are called {', '.join(sorted(twice))}")
    return asked


def _tables(word: str) -> list[Asked]:
    return [_table(name.strip()) for name in word.split(",")]


def _table(name: str) -> Asked:
    table = TABLES.get(name, Path(name)).resolve()
    if not table.is_file():
        raise argparse.ArgumentTypeError(f"“{name}” is neither a file nor one of {', '.join(TABLES)}")
    try:
        rows = read_table(table).rows
    except ZnatokError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    beside = (table.with_name(f"{table.stem}_wordings.csv"), unknown_near_file(table))
    wordings, near = (file if file.is_file() else None for file in beside)
    language = language_of(" ".join(row.question for row in rows))
    files = [file for file in (table, wordings, near) if file]
    digest = hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()
    return Asked(name if name in TABLES else table.stem, table, wordings, near, language, digest[:12])


def _seeds(word: str) -> list[int]:
    seeds = word.split(",")
    if not all(seed.isdecimal() for seed in seeds) or len(set(seeds)) < len(seeds):
        raise argparse.ArgumentTypeError(f"{word} is no list of different whole numbers, such as 0,1,2")
    return [int(seed) for seed in seeds]


def _variant(word: str) -> Variant:
    name, colon, flags = word.partition(":")
    if not colon or not name.strip() or name.strip().startswith("-"):
        raise argparse.ArgumentTypeError(f"“{word}” has no name: write NAME: --setting value")
    variant = Variant(name.strip(), tuple(shlex.split(flags)))
    if ours := [flag for flag in OURS if variant.value(flag) is not None]:
        raise argparse.ArgumentTypeError(f"“{word}” has {ours[0]}, which is not a variant's to say")
    return variant


def _positive(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word} is not a whole number above 0")
    return int(word)


def run_all(asked: argparse.Namespace, workplace: Workplace) -> tuple[list[Record], list[dict[str, Any]]]:
    """The results of all runs, found or made, in the order asked for; and the runs that failed, each with its reason.

    Raises RunError where the file of results is damaged.
    """
    runs = list(_runs(asked))
    done = _found(asked.results, runs)
    _say(f"{len(runs)} runs, {len(done)} of them are in {asked.results}")
    asked.results.parent.mkdir(parents=True, exist_ok=True)
    failed = []
    with ThreadPoolExecutor(workplace.jobs) as pool:
        begun: dict[Future[Record], Run] = {pool.submit(workplace.measure, run): run for run in runs if run not in done}
        try:
            for future in as_completed(begun):
                run = begun[future]
                try:
                    done[run] = future.result()
                except RunFailedError as error:
                    failed.append(run.identity | {"reason": str(error)})
                    _say(f"{run}: {error}")
                else:
                    append_line(asked.results, done[run])
                    _say(f"{run}: {done[run]['seconds']['train']} s")
        finally:  # where it is interrupted, nothing is left to wait for
            for future in begun:
                future.cancel()
            workplace.close()
    return [done[run] for run in runs if run in done], failed


def _runs(asked: argparse.Namespace) -> Iterator[Run]:
    """The first seed of everything comes first, so that a stopped bench has something to say of every variant."""
    for seed in asked.seeds:
        for table in asked.tables:
            for variant in asked.variants:
                yield Run(variant, table, seed, asked.model)


def _found(results: Path, runs: Sequence[Run]) -> dict[Run, Record]:
    """The results that are there already."""
    written = list(read_lines(results)) if results.is_file() else []
    return {run: one for one in written for run in runs if run.identity.items() <= one.items()}


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
