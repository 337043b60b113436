"""Reads a table of questions and answers as Excel and people save it, and says what was understood.

Nothing is dropped in silence: a data row is in `Table.rows`, is named in `Table.problems`, or both.
"""

import codecs
import csv
import difflib
import io
import math
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from znatok.errors import TableError, reason_of
from znatok.messages import settle_language, text
from znatok.records import Problem, Row, Severity, Table

_QUESTION_NAMES = frozenset({"question", "вопрос", "вопросы"})
_ANSWER_NAMES = frozenset({"answer", "ответ", "ответы"})
_DELIMITERS = (";", "\t", ",")
_SEP_LINE = re.compile(r'"?sep=(\t|[^\w\s"])"?[;,\t ]*(?:\r\n|\r|\n|\Z)', re.IGNORECASE)
_COLUMN_NAME = re.compile(r"[^\W\d]+(?:[ _-][^\W\d]+)?")

# The one that explains the bytes best wins, by `_FAVOUR` at least where it is not read: such rivals only guard against
# reading a file wrongly. In cp1251 and mac-cyrillic small letters but «я» are the same bytes, so short files are close.
_SINGLE_BYTE = ("cp1251", "cp866", "koi8-r", "mac-cyrillic", "cp1252")
_READABLE = frozenset({"cp1251"})
_SAMPLE_BYTES = 50_000
# Per cent of each letter in Russian text, none so rare that a sign outweighs it; a little for the neighbours' letters.
_LETTER_PERCENT = (
    "о11 е8.5 а8 и7.4 н6.7 т6.3 с5.5 р4.7 в4.5 л4.4 к3.5 м3.2 д3 п2.8 у2.6 я2 ы1.9 ь1.7 г1.7 з1.7 б1.6 ч1.4 й1.2 "
    "х1 ж1 ш1 ю1 ц1 щ1 э1 ф1 ъ.1 ё.3 і.1 ї.1 є.1 ў.1"
)
_SIGNS = "«»…„“”‘’№°±·•§©®™€µ²³\xa0" + "".join(map(chr, range(0xC0, 0x100)))
_SCORES = dict.fromkeys(_SIGNS, math.log(0.01)) | dict.fromkeys("—–", math.log(0.03))
_SCORES |= {entry[0]: math.log(float(entry[1:]) / 100) for entry in _LETTER_PERCENT.split()}
_ODD = re.compile("[а-яё][А-ЯЁ]|[А-ЯЁ]{2}[а-яё]|[a-zA-Z][а-яёА-ЯЁ]|[а-яёА-ЯЁ][a-zA-Z]|[\xc0-\xff]{2}")
_UNKNOWN_SCORE, _ODD_SCORE, _FAVOUR, _LEAST_LIKENESS = math.log(0.001), -4.0, 0.03, -4.7


@dataclass(frozen=True, slots=True)
class _Parsed:
    """The records that one delimiter gives, up to the first fault."""

    delimiter: str
    records: tuple[list[str], ...]
    fault: TableError | None


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where questions and answers stand; `header` is None where the first record is a fact already."""

    question: int
    answer: int
    width: int
    header: list[str] | None
    known: bool

    def name(self, index: int) -> str:
        """The name of a column, or its number from 1 where it has none."""
        return (self.header[index] if self.header and index < len(self.header) else "") or str(index + 1)


def read_table(path: Path, *, num_rows: int | None = None) -> Table:
    """The table in the CSV file `path`, or its first `num_rows` data rows, with every problem found.

    Fixes the language of messages by the table's script where nothing else names one.
    Raises: TableError where the file cannot be understood as a table; a faulty row is a problem of the table instead.
    """
    if num_rows is not None and num_rows < 2:
        raise TableError("read.few_rows_asked", num_rows=num_rows)
    decoded, encoding = _decode(path, _file_bytes(path))
    settle_language(decoded)
    parsed = _parse(path, decoded)
    columns = _columns(path, parsed.records)
    facts = parsed.records[columns.header is not None :][:num_rows]
    if len(facts) < 2:
        raise TableError("read.few_rows", file=path.name, count=len(facts))
    filled, faults = _filled_rows(path.name, facts, columns)
    rows, repeats = _distinct_rows(path.name, filled)
    return Table(
        path=path,
        rows=rows,
        problems=(*_column_notes(path.name, parsed.records, columns), *faults, *repeats),
        encoding=encoding,
        delimiter=parsed.delimiter,
        question_column=columns.name(columns.question),
        answer_column=columns.name(columns.answer),
    )


def refuse_if_untrainable(table: Table) -> None:
    """Raises: TableError with every problem that keeps the table from being trained on, all in one message."""
    faults = [problem.message for problem in table.problems if problem.severity == "error"]
    if faults:
        raise TableError("read.untrainable", file=table.path.name, problems="\n".join(faults))
    if len(table.rows) < 2:
        raise TableError("read.few_rows", file=table.path.name, count=len(table.rows))


def _file_bytes(path: Path) -> bytes:
    if os.path.isdir(path):
        raise TableError("read.folder", path=path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        names = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        for near in difflib.get_close_matches(path.name, names, n=1):
            raise TableError("read.missing_near", path=path, near=path.with_name(near)) from None
        raise TableError("read.missing", path=path) from None
    except OSError as error:
        raise TableError("read.unreadable", path=path, reason=reason_of(error)) from error
    if not content.removeprefix(codecs.BOM_UTF8).strip():
        raise TableError("read.empty", file=path.name)
    return content


def _decode(path: Path, content: bytes) -> tuple[str, str]:
    """The text of a file and its encoding: UTF-8 where every byte fits, else what the letters speak for."""
    if b"\0" in content:
        raise TableError("read.encoding", file=path.name)
    encoding = "utf-8-sig" if content.startswith(codecs.BOM_UTF8) else "utf-8"
    try:
        return content.decode(encoding), encoding
    except UnicodeDecodeError as error:
        start = max(0, error.start - 100)
        repaired = content.decode("utf-8", "replace")
        broken = repaired.count("\ufffd")
        if sum(letter > "\x7f" for letter in repaired) > 2 * broken:
            raise TableError(
                "read.damaged_utf8", file=path.name, line=1 + content.count(b"\n", 0, error.start)
            ) from None
    likeness = {name: _likeness(content, name, start) for name in _SINGLE_BYTE}
    encoding = max(_SINGLE_BYTE, key=lambda name: likeness[name] + _FAVOUR * (name in _READABLE))
    if encoding not in _READABLE or likeness[encoding] < _LEAST_LIKENESS:
        raise TableError("read.encoding", file=path.name)
    return content.decode(encoding), encoding


def _likeness(content: bytes, encoding: str, start: int) -> float:
    """How well the bytes above 127 read in `encoding`: mean log-probability, less for letters oddly joined."""
    try:
        decoded = content.decode(encoding)[start : start + _SAMPLE_BYTES]
    except UnicodeDecodeError:
        return -math.inf
    scores = [_SCORES.get(letter.lower(), _UNKNOWN_SCORE) for letter in decoded if letter > "\x7f"]
    return (sum(scores) + _ODD_SCORE * len(_ODD.findall(decoded))) / len(scores)


def _parse(path: Path, decoded: str) -> _Parsed:
    """The reading with the delimiter that makes the most of the file; a first line `sep=;` of Excel's names it."""
    named = _SEP_LINE.match(decoded)
    delimiters, table = ((named[1],), decoded[named.end() :]) if named else (_DELIMITERS, decoded)
    readings = [_records(path, table, delimiter, lines_before=int(named is not None)) for delimiter in delimiters]
    best = max(readings, key=lambda reading: _rank(reading, table))
    for reading in [best] if best.fault or _usual_width(best.records) > 1 else readings:
        if reading.fault:
            raise reading.fault
    if not best.records:
        raise TableError("read.empty", file=path.name)
    return best


def _records(path: Path, decoded: str, delimiter: str, lines_before: int) -> _Parsed:
    """All records but blank lines, cells stripped. Empty records as `;;` at either end, which Excel adds, are blank."""
    reader = csv.reader(io.StringIO(decoded, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    records: list[list[str]] = []
    fault, line = None, 1
    try:
        for cells in reader:
            line = reader.line_num + 1
            record = [cell.strip() for cell in cells]
            if any(record) or (records and len(record) > 1):
                records.append(record)
    except csv.Error as error:
        fault = _fault(path, str(error), line + lines_before)
    while records and not any(records[-1]):
        records.pop()
    return _Parsed(delimiter, tuple(records), fault)


def _fault(path: Path, reason: str, line: int) -> TableError:
    if "field limit" in reason:
        return TableError("read.giant_cell", file=path.name, line=line, limit=csv.field_size_limit())
    key = "read.unclosed_quote" if "unexpected end" in reason else "read.stray_quote"
    return TableError(key, file=path.name, line=line)


def _rank(reading: _Parsed, decoded: str) -> tuple[bool, bool, bool, float, float]:
    """Greater is likelier: known names, several columns, no fault, equal widths, no space after it as after a comma."""
    first = reading.records[0] if reading.records else []
    known = all(_position(first, names) is not None for names in (_QUESTION_NAMES, _ANSWER_NAMES))
    width = _usual_width(reading.records)
    share = sum(len(record) == width for record in reading.records) / max(1, len(reading.records)) if width > 1 else 0.0
    spaced = decoded.count(reading.delimiter + " ") / max(1, decoded.count(reading.delimiter))
    return known, share > 0, reading.fault is None, share, -spaced


def _usual_width(records: tuple[list[str], ...]) -> int:
    """The commonest number of columns, less those at the right where every cell is empty; never below two so."""
    commonest = Counter(map(len, records)).most_common(1)
    width = commonest[0][0] if commonest else 0
    while width > 2 and not any(record[width - 1] for record in records if len(record) >= width):
        width -= 1
    return width


def _position(header: list[str], names: frozenset[str]) -> int | None:
    return next((index for index, name in enumerate(header) if name.lower() in names), None)


def _columns(path: Path, records: tuple[list[str], ...]) -> _Columns:
    """Columns by their known names; without them the two that there are, in their order."""
    first, width = records[0], _usual_width(records)
    question, answer = _position(first, _QUESTION_NAMES), _position(first, _ANSWER_NAMES)
    if question is not None and answer is not None:
        return _Columns(question, answer, len(first), first, known=True)
    if width < 2:
        raise TableError("read.one_column", file=path.name, found=_shortened(" ".join(first)))
    if width > 2 or max(question or 0, answer or 0) > 1:
        raise TableError("read.no_columns", file=path.name, found=_listed(first))
    if question is not None:
        return _Columns(question, 1 - question, 2, first, known=False)
    if answer is not None:
        return _Columns(1 - answer, answer, 2, first, known=False)
    return _Columns(0, 1, 2, first if _is_header(first, records[1:]) else None, known=False)


def _is_header(first: list[str], rest: tuple[list[str], ...]) -> bool:
    """Whether the first record holds short names, each shorter than all below it; in doubt it is a fact."""
    if len(first) < 2 or not rest or not all(_COLUMN_NAME.fullmatch(name) for name in first[:2]):
        return False
    shortest = [min((len(record[i]) for record in rest if any(record[i : i + 1])), default=0) for i in (0, 1)]
    asked = sum(record[0].endswith("?") for record in rest) / len(rest)
    shorter = all(len(name) < length for name, length in zip(first, shortest, strict=False))
    return shorter and (asked >= 0.8 or 2 * len(first[0]) < shortest[0])


def _column_notes(file: str, records: tuple[list[str], ...], columns: _Columns) -> list[Problem]:
    """Notes on a header that had to be guessed and on columns that are left."""
    notes = []
    if not columns.known:
        key = "header_guessed" if columns.header else "header_absent"
        notes.append(Problem(None, "header", "note", text(f"read.{key}", file=file, first=_listed(records[0]))))
    others = sorted(set(range(columns.width)) - {columns.question, columns.answer})
    left = [index for index in others if any(any(record[index : index + 1]) for record in records)]
    if left:
        notes.append(_problem("other_columns", "note", file, None, names=_listed(map(columns.name, left))))
    return notes


def _filled_rows(file: str, facts: tuple[list[str], ...], columns: _Columns) -> tuple[list[Row], list[Problem]]:
    """The rows that have both cells and no more cells than columns, and what is wrong with the others."""
    rows, problems = [], []
    for number, cells in enumerate(facts, start=1):
        padded = cells + [""] * (columns.width - len(cells))
        row = Row(number, padded[columns.question], padded[columns.answer])
        fits = not any(cells[columns.width :])
        sound = {"empty_question": row.question, "empty_answer": row.answer, "extra_cells": fits}
        faults = [kind for kind, right in sound.items() if not right]
        problems += [_problem(kind, "error", file, number, cells=len(cells), columns=columns.width) for kind in faults]
        if not faults:
            rows.append(row)
    return rows, problems


def _distinct_rows(file: str, filled: list[Row]) -> tuple[tuple[Row, ...], list[Problem]]:
    """The rows without exact repetitions; the same question with another answer stays and is a problem to look at."""
    rows: dict[tuple[str, str], Row] = {}
    asked: dict[str, Row] = {}
    problems = []
    for row in filled:
        twin = rows.setdefault((row.question, row.answer), row)
        first = asked.setdefault(row.question, row)
        if twin is not row:
            problems.append(_problem("duplicate", "warning", file, row.number, first=twin.number))
        elif first is not row:
            problems.append(_problem("conflict", "warning", file, row.number, first=first.number))
    return tuple(rows.values()), problems


def _problem(kind: str, severity: Severity, file: str, row: int | None, **values: object) -> Problem:
    return Problem(row, kind, severity, text(f"read.{kind}", file=file, row=row, **values))


def _listed(names: Iterable[str]) -> str:
    return " | ".join(map(_shortened, names))


def _shortened(cell: str) -> str:
    line = " ".join(cell.split())
    return line if len(line) <= 60 else line[:59] + "…"
