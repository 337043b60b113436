"""The data rows of a table as they stand in it, before anything is judged."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from znatok.data.columns import Columns, Record


@dataclass(frozen=True, slots=True)
class Fact:
    """One data row, numbered from 1. `fault`: the kind of problem met in reading it, with its `values`."""

    number: int
    question: str
    answer: str
    paraphrases: tuple[str, ...] = ()
    fault: str | None = None
    values: dict[str, Any] = field(default_factory=dict)


def facts_of(records: Sequence[Record], columns: Columns) -> Iterator[Fact]:
    """The data rows among the records of a table; blank rows of a sheet count and are none."""
    for number, cells in enumerate(records[columns.start :], start=1):
        if not cells:
            continue
        padded = cells + [""] * (columns.width - len(cells))
        question, answer = padded[columns.question], padded[columns.answer]
        wordings = [wording for place in columns.paraphrases for wording in split_wordings(padded[place])]
        is_too_wide = any(cells[columns.width :])
        yield Fact(
            number,
            question,
            answer,
            distinct(wordings, question),
            "extra_cells" if is_too_wide else None,
            {"cells": len(cells), "columns": columns.width} if is_too_wide else {},
        )


def split_wordings(cell: str) -> list[str]:
    """The wordings in one cell: a line each, or with | between them."""
    return re.split(r"[\r\n|]+", cell)


def distinct(wordings: Iterable[str], question: str) -> tuple[str, ...]:
    """The wordings without blanks, repetitions and the question itself."""
    stripped = dict.fromkeys(wording.strip() for wording in wordings)
    return tuple(wording for wording in stripped if wording and wording != question)
