"""A run that was begun before, read back from its folder, and held against what is asked of it now."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from znatok.data.read import read_table
from znatok.data.render import Renderer, load_renderer
from znatok.errors import RunError, ZnatokError
from znatok.exam.question_file import read_questions
from znatok.messages import text
from znatok.model.adapter import Adapter
from znatok.model.conversion import Progress
from znatok.model.source import BaseSource, find_base, tokenizer_file
from znatok.records import Row, Table
from znatok.run_folder import RUNS, RunFolder, read_lines, read_rows
from znatok.settings import Settings, make_settings, read_settings
from znatok.training.lesson import validation_set
from znatok.training.lock import owner_of
from znatok.training.plan import Choice, Plan

SHOWN_DIFFERENCES = 3
"""Rows that are shown of a table that differs."""

_WRITTEN = ("settings.toml", "plan.json", "rows.jsonl", "metrics.jsonl", "unknown_near.txt", "adapter", "ended.json")
_WRITTEN_LATER = (
    "confidence.json",
    "exam.json",
    "answers.jsonl",
    "train_graph.png",
    "report.html",
    "answers.csv",
    "training.lock",
)
"""What is written whole: beside, under a name with a dot before it, and renamed."""

_AT_TABLE = ("trained", "heldout", "left")
"""Uses of rows of the table that were taken."""


@dataclass(frozen=True, slots=True)
class Begun:
    """All that was known before training."""

    settings: Settings
    plan: Plan
    table: Table
    renderer: Renderer
    near: tuple[str, ...]
    """Unknown questions that stood beside the table."""


# ---- which run -------------------------------------------------------------------------------------------------------


def find_begun(asked: Path | None, data: Path | None) -> RunFolder:
    """The run to go on with: the one asked for, else the newest unfinished one in `runs/`, of a table with the name of
    `data` if there is one; where none is unfinished, the newest.

    Raises RunError where there is none.
    """
    if asked is not None:
        if not RunFolder(asked).is_begun:
            raise RunError("run.not_begun", folder=asked)
        return RunFolder(asked)
    begun = _begun_runs()
    unfinished = [run for run in begun if not is_over(run)]
    of_table = [run for run in unfinished if data is not None and _table_of(run) == data.name]
    if not begun:
        raise RunError("run.none_begun", folder=RUNS)
    return (of_table or unfinished or begun)[-1]


def is_over(run: RunFolder) -> bool:
    """Whether nothing is left to do. A run that was stopped while it learned may have been examined since."""
    return run.is_finished and (run.ended.is_file() or not any(run.checkpoints.glob("step-*/manifest.json")))


def unfinished_run_of(table: Table) -> RunFolder | None:
    """The newest run in `runs/` that learned from the same table, can be gone on with and is not at work now."""
    for run in reversed(_begun_runs()):
        with suppress(ZnatokError, OSError, ValueError, KeyError, TypeError):
            is_same = _table_of(run) == table.path.name and not any(_row_differences(run, table))
            if is_same and not is_over(run) and any(run.checkpoints.glob("step-*")) and owner_of(run) is None:
                return run
    return None


def _begun_runs() -> list[RunFolder]:
    """The runs in `runs/` that were begun, the newest last."""
    found = [RunFolder(path) for path in RUNS.iterdir()] if RUNS.is_dir() else []
    return sorted((run for run in found if run.is_begun), key=_changed)


def _changed(run: RunFolder) -> float:
    return max(file.stat().st_mtime for file in (run.plan, run.metrics, run.exam) if file.is_file())


def _table_of(run: RunFolder) -> str | None:
    """The name of the table's file; None where the plan cannot be read."""
    with suppress(ValueError, KeyError, TypeError):
        return str(json.loads(run.plan.read_bytes())["table"])
    return None


def clear_unfinished(run: RunFolder) -> None:
    """Removes what a process that was killed was just writing or removing."""
    begun = (".step-", *(f".{name}." for name in (*_WRITTEN, *_WRITTEN_LATER)))
    for folder in (run.path, run.checkpoints):
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name.startswith(begun):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


# ---- what it was begun with ------------------------------------------------------------------------------------------


def read_begun(run: RunFolder, asked: Mapping[str, Any], data: Path | None, progress: Progress | None) -> Begun:
    """What the run was begun with, and nothing decided anew.

    Raises RunError where `asked` names other settings, `data` has other rows, the base or its chat template is another,
    or a file of the run is damaged; ModelError where the base cannot be found.
    """
    settings = make_settings(read_settings(run.settings))
    record = _read_plan(run)
    differences = [*_setting_differences(settings, asked)]
    if data is not None:
        differences += islice(_row_differences(run, read_table(data, settings)), SHOWN_DIFFERENCES)
    _refuse(run, differences)
    try:
        name = asked.get("model", "auto")
        source = find_base(record["source"]["name"] if name == "auto" else name, progress)
        renderer = load_renderer(source.folder, tokenizer_file(source.folder))
        _refuse(run, [*_base_differences(record["source"], source), *_template_differences(record, renderer)])
        rows, heldout, left = (read_rows(run, use) for use in _AT_TABLE)
        plan = _plan(record, source, rows, tuple(replace(row, paraphrases=()) for row in heldout))
        file = Path(record["table"])
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, ZnatokError):
            raise
        raise RunError("run.unreadable", file=run.plan) from error
    _refuse_without_gpu(run, plan)
    every = tuple(sorted((*rows, *heldout, *left), key=lambda row: row.number))
    table = Table(file, every, (), None, None, "question", "answer")
    near = read_questions(run.unknown_near) if run.unknown_near.is_file() else ()
    return Begun(settings, plan, table, renderer, near)


def _read_plan(run: RunFolder) -> dict[str, Any]:
    try:
        return dict(json.loads(run.plan.read_bytes()))
    except (TypeError, ValueError) as error:
        raise RunError("run.unreadable", file=run.plan) from error


def _plan(record: dict[str, Any], source: BaseSource, rows: tuple[Row, ...], heldout: tuple[Row, ...]) -> Plan:
    """The plan as it was made."""
    as_it_was = {name: record[name] for name in Plan.__dataclass_fields__ if name != "source"}
    adapter = record["adapter"] | {"target_modules": tuple(record["adapter"]["target_modules"])}
    return Plan(
        **as_it_was
        | {
            "source": source,
            "adapter": Adapter(**adapter),
            "rewording_mix": tuple(record["rewording_mix"]),
            "rows": rows,
            "heldout": heldout,
            "validation": validation_set(rows, heldout, record["exposures"]),
            "choices": tuple(Choice(**choice) for choice in record["choices"]),
        }
    )


def _refuse_without_gpu(run: RunFolder, plan: Plan) -> None:
    import torch

    if plan.device == "cuda" and not torch.cuda.is_available():
        raise RunError("run.no_gpu", folder=run.path)


# ---- what differs ----------------------------------------------------------------------------------------------------


def _refuse(run: RunFolder, differences: list[str]) -> None:
    if differences:
        raise RunError("run.other", folder=run.path, differences="\n".join(f"  {one}" for one in differences))


def _setting_differences(settings: Settings, asked: Mapping[str, Any]) -> Iterator[str]:
    now = make_settings(dict(asked))
    for name in asked:
        was, wanted = getattr(settings, name), getattr(now, name)
        if was != wanted and name != "model":  # one model has several names; it is looked at once it is found
            yield _difference("--" + name.replace("_", "-"), was, wanted)


def _base_differences(was: dict[str, Any], now: BaseSource) -> Iterator[str]:
    if was["public_id"] != now.public_id:
        yield _difference(text("plan.model"), was["public_id"], now.public_id)
    elif was["revision"] != now.revision:
        yield _difference(text("run.difference.revision", model=now.public_id), was["revision"], now.revision)


def _template_differences(record: dict[str, Any], renderer: Renderer) -> Iterator[str]:
    now = json.loads(json.dumps(renderer.describe()))
    for name in now.keys() | record["template"].keys():
        was, is_ = record["template"].get(name), now.get(name)
        if was != is_:
            yield _difference(text("run.difference.template", name=name), repr(was), repr(is_))


def _row_differences(run: RunFolder, table: Table) -> Iterator[str]:
    """What differs between the rows of the run and those of `table`: first how many there are, then row by row."""
    was = {record["row"]: _cells(record) for record in read_lines(run.rows) if record["use"] in _AT_TABLE}
    now = {row.number: (row.question, row.answer, *row.paraphrases) for row in table.rows}
    if len(was) != len(now):
        yield _difference(text("run.difference.rows"), len(was), len(now))
    for number in sorted(was.keys() | now.keys()):
        if was.get(number) != now.get(number):
            cells = zip_longest(was.get(number, ()), now.get(number, ()), fillvalue="—")
            one, other = next((one, other) for one, other in cells if one != other)
            yield _difference(text("run.difference.row", row=number), one, other)


def _cells(record: dict[str, Any]) -> tuple[str, ...]:
    return record["question"], record["answer"], *(one["wording"] for one in record.get("paraphrases", ()))


def _difference(name: str, was: object, now: object) -> str:
    shown = ["—" if value is None else str(value) for value in (was, now)]
    return text("run.difference.values", name=name, was=shown[0], now=shown[1])
