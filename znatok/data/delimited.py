"""Text with delimiters becomes records of cells: the delimiter and the kind of quotes that make the most of it win."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from znatok.data.columns import Record, header_place, usual_width
from znatok.errors import TableError, UsageError

_DELIMITERS = (";", "\t", ",", "|")
_WORDS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_SIGN = re.compile(r"\t|[^\w\s\"'\\]")
_SEP_LINE = re.compile(r'"?sep=(\t|[^\w\s"])"?[;,\t ]*(?:\r\n|\r|\n|\Z)', re.IGNORECASE)
_RULE = re.compile(r":?-{3,}:?")
_SAMPLE = 1_000_000
"""So many characters are read in every dialect; the rest of a larger file only in the one that wins."""


@dataclass(frozen=True, slots=True)
class _Dialect:
    """`is_escaped`: a quote inside a cell may also be written with a backslash."""

    delimiter: str
    quote: str = '"'
    is_escaped: bool = False


@dataclass(frozen=True, slots=True)
class _Parsed:
    """The records that one dialect gives, up to the first fault."""

    dialect: _Dialect
    records: tuple[Record, ...]
    fault: TableError | None


def parse(file: str, content: str, asked: str | None = None) -> tuple[tuple[Record, ...], str]:
    """The records of a table and its delimiter: `asked`, the one that a first line `sep=;` of Excel's names, or the
    one that makes the most of it.

    Raises: TableError where there is nothing, or a record that cannot be read; UsageError where `asked` is no sign.
    """
    named = _SEP_LINE.match(content)
    table, lines_before = (content[named.end() :], 1) if named else (content, 0)
    delimiters = (_sign(asked),) if asked is not None else (named[1],) if named else _DELIMITERS
    sample = _beginning(table)
    readings = [
        _read(file, sample, dialect, lines_before, is_cut=len(sample) < len(table))
        for delimiter in delimiters
        for dialect in _dialects(sample, delimiter)
    ]
    best = max(readings, key=lambda reading: _rank(reading, sample))
    if len(sample) < len(table):
        best = _read(file, table, best.dialect, lines_before)
    usual = [reading for reading in readings if reading.dialect == _Dialect(reading.dialect.delimiter)]
    for reading in [best] if best.fault or usual_width(best.records) > 1 else usual:
        if reading.fault:
            raise reading.fault
    if not best.records:
        raise TableError("read.empty", file=file)
    return best.records, best.dialect.delimiter


def _sign(asked: str) -> str:
    """The delimiter that a user means."""
    sign = _WORDS.get(asked.lower(), asked)
    if not _SIGN.fullmatch(sign):
        raise UsageError("read.unknown_delimiter", name=asked)
    return sign


def _beginning(table: str) -> str:
    """Whole lines from the beginning of a table."""
    if len(table) <= _SAMPLE:
        return table
    end = max(table.rfind("\n", 0, _SAMPLE), table.rfind("\r", 0, _SAMPLE))
    return table[: end + 1 or _SAMPLE]


def _dialects(sample: str, delimiter: str) -> Iterator[_Dialect]:
    """The dialects that the text may be in: other quotes than doubled `"` are tried only where there are any."""
    for quote in ('"', "'"):
        if quote == '"' or _opening(delimiter, quote).search(sample):
            yield _Dialect(delimiter, quote)
            if "\\" + quote in sample:
                yield _Dialect(delimiter, quote, is_escaped=True)


def _opening(delimiter: str, quote: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|[\r{re.escape(delimiter)}]) *{quote}", re.MULTILINE)


def _read(file: str, table: str, dialect: _Dialect, lines_before: int, *, is_cut: bool = False) -> _Parsed:
    """All records but blank lines, cells stripped. Empty records as `;;` at either end, which Excel adds, are blank.

    is_cut: the text goes on, so that a quote may be open at its end.
    """
    if dialect.is_escaped:
        table = _only_needed_backslashes(table, dialect)
    records: list[Record] = []
    fault, line = None, 1
    reader = csv.reader(
        io.StringIO(table, newline=""),
        delimiter=dialect.delimiter,
        quotechar=dialect.quote,
        escapechar="\\" if dialect.is_escaped else None,
        skipinitialspace=True,
        strict=True,
    )
    try:
        for cells in reader:
            line = reader.line_num + 1
            record = [cell.strip() for cell in cells]
            if len(records) == 1 and _is_rule(record, dialect):
                continue
            if any(record) or (records and len(record) > 1):
                records.append(record)
    except csv.Error as error:
        is_end = "unexpected end" in str(error)
        fault = None if is_cut and is_end else _fault(file, str(error), line + lines_before)
    while records and not any(records[-1]):
        records.pop()
    return _Parsed(dialect, tuple(records), fault)


def _is_rule(record: Record, dialect: _Dialect) -> bool:
    """Whether this is the line of dashes under the column names of a Markdown table."""
    return dialect.delimiter == "|" and any(record) and all(_RULE.fullmatch(cell) for cell in record if cell)


def _only_needed_backslashes(table: str, dialect: _Dialect) -> str:
    """The text with every backslash doubled that stands before anything but a quote, a delimiter or another one.

    `csv` would leave such a backslash out, and `C:\\temp` is no place any more.
    """
    special = re.escape(dialect.quote + dialect.delimiter + "\\")
    return re.sub(rf"\\([{special}])|\\", lambda found: found[0] if found[1] else "\\\\", table)


def _fault(file: str, reason: str, line: int) -> TableError:
    if "field limit" in reason:
        return TableError("read.giant_cell", file=file, line=line, limit=csv.field_size_limit())
    key = "read.unclosed_quote" if "unexpected end" in reason else "read.stray_quote"
    return TableError(key, file=file, line=line)


def _rank(reading: _Parsed, sample: str) -> tuple[bool, bool, bool, float, int, float]:
    """Greater is likelier: known names, several columns, no fault, equal widths, the quotes that the text is full of,
    no space after the delimiter as after a comma."""
    width = usual_width(reading.records)
    share = sum(len(record) == width for record in reading.records) / max(1, len(reading.records)) if width > 1 else 0.0
    delimiter = reading.dialect.delimiter
    spaced = sample.count(delimiter + " ") / max(1, sample.count(delimiter))
    is_known = header_place(reading.records) is not None
    return is_known, share > 0, reading.fault is None, share, _quoting(reading, sample), -spaced


def _quoting(reading: _Parsed, sample: str) -> int:
    """How much speaks for a dialect that reads as evenly as another. Backslashes before quotes are hardly text; single
    quotes are, unless they stand around every cell with letters but those of the header."""
    points = int(reading.dialect.is_escaped)
    if reading.dialect.quote == "'":
        opened = len(_opening(reading.dialect.delimiter, "'").findall(sample))
        cells = [cell for record in reading.records[1:] for cell in record if cell]
        words = [cell for cell in cells if any(map(str.isalpha, cell))]
        points += 1 if opened >= len(words or cells) > 0 else -1
    return points
