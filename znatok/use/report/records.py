"""What a run folder holds, read as far as it is there: an interrupted run has no exam, an older one fewer measures."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from znatok.errors import RunError
from znatok.run_folder import RunFolder, read_lines

Record = dict[str, Any]

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class RunRecords:
    """The files of a run, parsed; what is not there is empty."""

    name: str
    settings: str
    plan: Record
    rows: Sequence[Record]
    metrics: Sequence[Record]
    exam: Record
    answers: Sequence[Record]


def read_records(run: RunFolder) -> RunRecords:
    """All of a run. Raises RunError where a file is damaged; OSError where one that is there cannot be read."""
    return RunRecords(
        name=run.path.resolve().name,
        settings=run.settings.read_text(encoding="utf-8", errors="replace") if run.settings.is_file() else "",
        plan=_json(run, "plan"),
        rows=_lines(run, "rows"),
        metrics=_lines(run, "metrics"),
        exam=_json(run, "exam"),
        answers=_lines(run, "answers"),
    )


def found(tree: Any, *keys: str) -> Any:
    """What stands under these keys; None where one of them is absent or null."""
    for key in keys:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def legible(said: str) -> str:
    """Text without the characters that neither HTML nor a spreadsheet may hold; its line breaks are \\n."""
    return _UNPRINTABLE.sub("\ufffd", said.replace("\r\n", "\n").replace("\r", "\n"))


def _json(run: RunFolder, name: str) -> Record:
    path = getattr(run, name)
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise RunError("run.damaged", file=path, line=getattr(error, "lineno", 1)) from error
    if not isinstance(content, dict):
        raise RunError("run.damaged", file=path, line=1)
    return content


def _lines(run: RunFolder, name: str) -> list[Record]:
    path = getattr(run, name)
    return list(read_lines(path)) if path.is_file() else []
