"""Reads a table of questions and answers as people have it, and says what was understood.

Nothing is dropped in silence: a data row is in `Table.rows` or in `Table.refused`, and a refused one has its problem.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from znatok.data.columns import Columns, Record, find_columns, listed
from znatok.data.delimited import parse
from znatok.data.encoding import decode
from znatok.data.facts import Fact, facts_of
from znatok.data.file_kind import Kind, kind_of, read_bytes
from znatok.data.jsonl import is_json, read_records
from znatok.errors import TableError
from znatok.messages import settle_language, text
from znatok.records import Problem, Refused, Row, Severity, Table
from znatok.settings import Reading

_SCRIPT_LETTERS, _SCRIPT_ROWS = 100_000, 1000
"""So many letters of a text and rows of a sheet tell the language."""

_FOUND_OUT = Reading()
_NAMED = 20
"""So many column or sheet names are listed in a note."""


@dataclass(frozen=True, slots=True)
class _Understood:
    """What a file of any kind gives."""

    facts: Iterable[Fact]
    columns: Columns
    notes: list[Problem]
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None


def read_table(path: Path, reading: Reading = _FOUND_OUT) -> Table:
    """The table in a CSV, XLSX, XLS, ODS or JSONL file, with every problem found in reading it.

    Fixes the language of messages by the table's script where nothing else names one.
    Raises: TableError where the file cannot be understood as a table, UsageError where `reading` asks for what is not
    there; a faulty row is a problem of the table instead.
    """
    content = read_bytes(path)
    kind = kind_of(path.name, content)
    found = _text_table(path, content, reading) if kind == "text" else _workbook(path, content, kind, reading)
    facts = list(islice(found.facts, reading.num_rows))
    if len(facts) < 2:
        raise TableError("read.few_rows", file=path.name, count=len(facts))
    rows, refused, problems = _judged(path.name, facts)
    return Table(
        path=path,
        rows=rows,
        problems=(*_unused(path.name, found, reading), *found.notes, *problems),
        encoding=found.encoding,
        delimiter=found.delimiter,
        question_column=found.columns.name(found.columns.question),
        answer_column=found.columns.name(found.columns.answer),
        sheet=found.sheet,
        refused=refused,
    )


def refuse_if_untrainable(table: Table) -> None:
    """Raises: TableError with every problem that keeps the table from being trained on, all in one message."""
    faults = [problem.message for problem in table.problems if problem.severity == "error"]
    if faults:
        raise TableError("read.untrainable", file=table.path.name, problems="\n".join(faults))
    if len(table.rows) < 2:
        raise TableError("read.few_rows", file=table.path.name, count=len(table.rows))


def _text_table(path: Path, content: bytes, reading: Reading) -> _Understood:
    """The table in a file of text: JSON records, or cells with delimiters."""
    decoded, encoding = decode(path.name, content, reading.encoding)
    settle_language(decoded[:_SCRIPT_LETTERS])
    asked = (reading.question_column, reading.answer_column)
    if is_json(path, decoded):
        found = read_records(path.name, decoded, asked)
        notes = _column_notes(path.name, None, found.columns, found.left)
        if found.systems:
            notes.append(_problem("system_messages", "note", path.name, None, count=found.systems))
        return _Understood(found.facts, found.columns, notes, encoding)
    records, delimiter = parse(path.name, decoded, reading.delimiter)
    columns = find_columns(path.name, records, asked)
    notes = _column_notes(path.name, records, columns, _other_columns(records, columns))
    return _Understood(facts_of(records, columns), columns, notes, encoding, delimiter)


def _workbook(path: Path, content: bytes, kind: Kind, reading: Reading) -> _Understood:
    """The table in a sheet of a workbook."""
    from znatok.data.spreadsheet import read_workbook

    asked = (reading.question_column, reading.answer_column)
    sheet = read_workbook(path.name, content, kind, reading.sheet, asked)
    settle_language(" ".join(chain.from_iterable(sheet.records[:_SCRIPT_ROWS]))[:_SCRIPT_LETTERS])
    columns = find_columns(path.name, sheet.records, asked, "sheet")
    notes = _column_notes(path.name, sheet.records, columns, _other_columns(sheet.records, columns))
    if sheet.others:
        notes.append(_problem("other_sheets", "note", path.name, None, sheet=sheet.name, names=_named(sheet.others)))
    return _Understood(facts_of(sheet.records, columns), columns, notes, sheet=sheet.name)


def _column_notes(
    file: str, records: Sequence[Record] | None, columns: Columns, others: Sequence[str]
) -> list[Problem]:
    """Notes on a header that had to be guessed, on titles above it, on columns told by content, and on those left."""
    notes = []
    if records and not columns.is_sure:
        key = "header_guessed" if columns.header else "header_absent"
        notes.append(Problem(None, "header", "note", text(f"read.{key}", file=file, first=listed(records[0]))))
    titles = list(filter(None, chain.from_iterable((records or [])[: max(0, columns.start - 1)])))
    if titles:
        notes.append(_problem("title", "note", file, None, names=_named(titles)))
    if columns.guessed:
        question, answer = columns.name(columns.question), columns.name(columns.answer)
        notes.append(_problem("columns_guessed", "note", file, None, question=question, answer=answer))
    if others:
        notes.append(_problem("other_columns", "note", file, None, names=_named(others)))
    return notes


def _other_columns(records: Sequence[Record], columns: Columns) -> list[str]:
    """The names of the columns that hold something and are not used."""
    used = {columns.question, columns.answer, *columns.paraphrases}
    body = records[max(0, columns.start - 1) :]
    others = [place for place in range(columns.width) if place not in used]
    return [columns.name(place) for place in others if any(any(record[place : place + 1]) for record in body)]


def _unused(file: str, found: _Understood, reading: Reading) -> list[Problem]:
    """Notes on settings that change nothing for a file of this kind."""
    applies = {
        "encoding": found.encoding is not None,
        "delimiter": found.delimiter is not None,
        "sheet": found.sheet is not None,
    }
    names = [f"--{name}" for name, does in applies.items() if not does and getattr(reading, name) is not None]
    return [_problem("unused_setting", "note", file, None, name=name) for name in names]


def _judged(file: str, facts: Sequence[Fact]) -> tuple[tuple[Row, ...], tuple[Refused, ...], list[Problem]]:
    """The rows to take, the ones that are not, and what is to be said about them."""
    filled, refused, problems = [], [], []
    for fact in facts:
        _refuse_giant(file, fact)
        kinds = _faults(fact)
        problems += [_problem(kind, "error", file, fact.number, **fact.values) for kind in kinds]
        if kinds:
            refused.append(Refused(fact.number, fact.question, fact.answer, kinds[0]))
        else:
            filled.append(Row(fact.number, fact.question, fact.answer, fact.paraphrases))
    rows, repeated, repeats = _distinct_rows(file, filled)
    return rows, tuple(sorted(refused + repeated, key=lambda row: row.number)), problems + repeats


def _faults(fact: Fact) -> list[str]:
    """Everything that keeps a row from being taken."""
    if fact.fault not in (None, "extra_cells"):
        return [fact.fault]
    empty = {"empty_question": not fact.question, "empty_answer": not fact.answer, "extra_cells": bool(fact.fault)}
    return [kind for kind, is_so in empty.items() if is_so]


def _refuse_giant(file: str, fact: Fact) -> None:
    """Raises: TableError for a cell that is longer than any question or answer."""
    limit = csv.field_size_limit()
    if max(map(len, (fact.question, fact.answer, *fact.paraphrases))) > limit:
        raise TableError("read.giant_cell_row", file=file, row=fact.number, limit=limit)


def _distinct_rows(file: str, filled: list[Row]) -> tuple[tuple[Row, ...], list[Refused], list[Problem]]:
    """The rows without exact repetitions; the same question with another answer stays and is a problem to look at."""
    rows: dict[tuple[str, str], Row] = {}
    asked: dict[str, Row] = {}
    refused, problems = [], []
    for row in filled:
        twin = rows.setdefault((row.question, row.answer), row)
        first = asked.setdefault(row.question, row)
        if twin is not row:
            refused.append(Refused(row.number, row.question, row.answer, "duplicate"))
            problems.append(_problem("duplicate", "warning", file, row.number, first=twin.number))
        elif first is not row:
            problems.append(_problem("conflict", "warning", file, row.number, first=first.number))
    return tuple(rows.values()), refused, problems


def _problem(kind: str, severity: Severity, file: str, row: int | None, **values: object) -> Problem:
    return Problem(row, kind, severity, text(f"read.{kind}", file=file, row=row, **values))


def _named(names: Sequence[str]) -> str:
    """Names in one line, the first ones where there are too many."""
    return listed(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")
