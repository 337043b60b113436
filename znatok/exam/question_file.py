"""Reads a file of questions without answers: a column `question` of any table, or one question a line."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from znatok.data.columns import Record, normal_name
from znatok.data.delimited import parse
from znatok.data.encoding import decode
from znatok.data.file_kind import kind_of, read_bytes
from znatok.data.read import read_table
from znatok.errors import TableError

_NAMES = frozenset({"question", "questions", "вопрос", "вопросы"})
_BETWEEN_CELLS = re.compile(r"[;,\t|]")
_NO_DELIMITER = "\x1f"


def read_questions(path: Path) -> tuple[str, ...]:
    """The questions of the file `path`, each once.

    Raises TableError where it cannot be read or holds none.
    """
    content = read_bytes(path)
    kind = kind_of(path.name, content)
    if kind != "text":
        from znatok.data.spreadsheet import read_workbook

        return _questions(path.name, read_workbook(path.name, content, kind, None, (None, None)).records)
    if path.suffix.lower() in (".jsonl", ".json"):
        return tuple(row.question for row in read_table(path).rows)
    decoded, _ = decode(path.name, content)
    # A delimiter that no text has: each line is one cell, and the quotes around it are taken off.
    lines: list[Record] = list(csv.reader(io.StringIO(decoded, newline=""), delimiter=_NO_DELIMITER))
    first = next((line[0] for line in lines if line), "")
    names = _BETWEEN_CELLS.split(first)
    is_table = len(names) > 1 and any(_is_name(name.strip(' "')) for name in names)
    return _questions(path.name, parse(path.name, decoded)[0] if is_table else lines)


def _questions(file: str, records: Sequence[Record]) -> tuple[str, ...]:
    """The cells of the column that is named so; of the first one where none is."""
    filled = [record for record in records if any(cell.strip() for cell in record)]
    named = next((place for place, cell in enumerate(filled[0]) if _is_name(cell)), None) if filled else None
    cells = (record[named or 0].strip() for record in filled[named is not None :] if len(record) > (named or 0))
    questions = tuple(dict.fromkeys(filter(None, cells)))
    if not questions:
        raise TableError("exam.no_questions", file=file)
    return questions


def _is_name(cell: str) -> bool:
    return normal_name(cell) in _NAMES
