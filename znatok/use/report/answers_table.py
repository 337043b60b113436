"""All answers of an exam as a table that Excel opens rightly, in Russia and elsewhere."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from typing import Any

from znatok.messages import text
from znatok.use.report.answers import cause_of, set_name, verdict_on
from znatok.use.report.records import Record, found, legible

CELL_LETTERS = 32_000
"""What Excel takes in one cell is 32,767 characters; what is longer breaks the rows that follow."""

_FORMULA = re.compile(r"[\s\u200b-\u200f\u2060\ufeff]*[=+\-@＝＋－＠]|[\t\r\n]")
"""How a cell begins that Excel would calculate instead of show. Source: OWASP, CSV injection."""

_COLUMNS: dict[str, Callable[[Record], Any]] = {
    "set": lambda one: set_name(str(one.get("set"))),
    "row": lambda one: one.get("row") or None,
    "question": lambda one: one.get("question"),
    "reference": lambda one: one.get("reference"),
    "before": lambda one: one.get("before"),
    "after": lambda one: one.get("after"),
    "verdict": lambda one: verdict_on(one)[1],
    "cause": cause_of,
    "exact": lambda one: found(one, "exact", "after"),
    "passed": lambda one: one.get("passed"),
    "passed_before": lambda one: found(one, "passed_by", "before"),
    "chrf": lambda one: one.get("chrf"),
    "stopped": lambda one: one.get("stopped"),
    "logprob": lambda one: one.get("logprob"),
    "search": lambda one: one.get("search"),
    "search_row": lambda one: one.get("search_row"),
    "passed_search": lambda one: found(one, "passed_by", "search"),
    "grounded": lambda one: one.get("grounded"),
    "passed_grounded": lambda one: found(one, "passed_by", "grounded"),
    "source": lambda one: _source(one),
    "confidence": lambda one: found(one, "auto", "confidence"),
}


def _source(record: Record) -> str | None:
    """Where the answer came from under the policy `auto`, in words."""
    match found(record, "auto", "source"):
        case "row":
            return text("report.answer.row", row=record["auto"].get("row"))
        case "weights":
            return text("report.answer.from_memory")
        case "outside":
            return text("report.answer.outside")
        case "declined":
            return text("report.answer.declined")
    return None


def answers_table(records: Sequence[Record]) -> bytes:
    """The answers as CSV: UTF-8 with its mark, CRLF, `;` where the comma is the decimal sign, columns that are empty
    throughout left out. No cell begins a formula."""
    columns = {name: [_cell(value(record)) for record in records] for name, value in _COLUMNS.items()}
    filled = {name: cells for name, cells in columns.items() if any(cells)}
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=text("report.answers_table.delimiter"), lineterminator="\r\n")
    writer.writerow(text(f"report.answers_table.{name}") for name in filled)
    writer.writerows(zip(*filled.values(), strict=True))
    return written.getvalue().encode("utf-8-sig")


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return text("report.answers_table.yes" if value else "report.answers_table.no")
        case int():
            return str(value)
        case float():
            return f"{value:.3f}".rstrip("0").rstrip(".").replace(".", text("report.figures.decimal"))
    return harmless(str(value))


def harmless(said: str) -> str:
    """Text that no spreadsheet takes for a formula, with the line breaks that Excel has inside cells."""
    said = legible(said)
    said = said if len(said) <= CELL_LETTERS else said[:CELL_LETTERS] + " …"
    return "'" + said if _FORMULA.match(said) else said
