"""A sheet of an XLSX, XLS or ODS workbook becomes records of cells, each the text that a person sees in it."""

import difflib
import io
import math
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import chain, islice
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

from znatok.data.columns import Asked, Record, header_place, listed
from znatok.data.file_kind import Kind
from znatok.data.workbook_xml import (
    NumberFormat,
    Place,
    ods_cells,
    refuse_bomb,
    refuse_giant,
    xlsx_cells,
    xlsx_formats,
    xlsx_lengths,
    xlsx_parts,
)
from znatok.errors import TableError, UsageError, ZnatokError

_SCRIPT_CELLS, _SCRIPT_LETTERS = 1000, 100_000
"""So many cells and letters tell the language of a sheet."""

_MOST_DIGITS = 15
"""Of a number: Excel keeps no more."""

_STDERR = 2

_HALF_A_SECOND = timedelta(microseconds=500_000)
"""Excel keeps a moment as a fraction of a day, so it is to be rounded."""

Formats = Mapping[Place, NumberFormat | str]
"""How the numbers of a sheet are shown, by their places, or what is shown there."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The records of a sheet, without blank ones at either end. `others`: the names of the sheets that are left."""

    name: str
    others: tuple[str, ...]
    records: tuple[Record, ...]


def read_workbook(file: str, content: bytes, kind: Kind, asked: str | None, columns: Asked) -> Sheet:
    """The sheet asked for, by name or by number from 1; else the first that names both columns, or that is not empty.

    Hidden sheets are read only where they are asked for, or where all are.

    Raises: TableError where the workbook is empty, damaged, locked or too large; UsageError for an unknown sheet.
    """
    with _explained(file):
        formats = _formats(file, content, kind)
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
        names = list(workbook.sheet_names)
        places = _readable(workbook) if asked is None else [_place(file, asked, names)]
        first: Sheet | None = None
        for place in places:
            shown = formats(place)  # first, since it refuses a sheet that is too large to be unpacked
            records = _records(_values(file, workbook, place), shown)
            sheet = Sheet(names[place], (*names[:place], *names[place + 1 :]), records)
            if header_place(records, columns) is not None:
                return sheet
            first = first or (sheet if records else None)
    if first is None:
        raise TableError("read.empty", file=file)
    return first


@contextmanager
def _explained(file: str) -> Iterator[None]:
    """What calamine stumbles over is a damaged workbook."""
    try:
        with _silenced():
            yield
    except ZnatokError:
        raise
    except PasswordError as error:
        raise TableError("read.password", file=file) from error
    except (CalamineError, OSError, ValueError) as error:
        raise TableError("read.damaged_workbook", file=file) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of Rust; it is no Exception, and has no name to import
            raise
        raise TableError("read.damaged_workbook", file=file) from error


@contextmanager
def _silenced() -> Iterator[None]:
    """Nothing reaches the process's stderr: Rust tells of its panics there, whatever becomes of them."""
    try:
        kept, nowhere = os.dup(_STDERR), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # there is no stderr, as in a program without a console
        yield
        return
    try:
        os.dup2(nowhere, _STDERR)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)
        os.close(nowhere)


def _formats(file: str, content: bytes, kind: Kind) -> Callable[[int], Formats]:
    """The formats of the numbers of each sheet, by its place; the old XLS does not tell them.

    Raises: TableError where what is packed in the workbook, or the sheet, is too large.
    """
    if kind == "xls":
        return lambda place: {}
    archive = zipfile.ZipFile(io.BytesIO(content))
    refuse_bomb(file, archive)
    if kind == "ods":
        shown = ods_cells(file, archive)
        return lambda place: shown[place] if place < len(shown) else {}
    parts, styles, lengths = xlsx_parts(file, archive), xlsx_formats(file, archive), xlsx_lengths(file, archive)
    return lambda place: xlsx_cells(file, archive, parts[place] if place < len(parts) else "", styles, lengths)


def _readable(workbook: CalamineWorkbook) -> list[int]:
    """The places of the sheets that hold cells: the visible ones, or all where none is."""
    sheets = [place for place, one in enumerate(workbook.sheets_metadata) if one.typ == SheetTypeEnum.WorkSheet]
    visible = [place for place in sheets if workbook.sheets_metadata[place].visible == SheetVisibleEnum.Visible]
    return visible or sheets


def _place(file: str, asked: str, names: Sequence[str]) -> int:
    """The place of the sheet that the user means."""
    known = [name.strip().casefold() for name in names]
    wanted = asked.strip().casefold()
    if wanted in known:
        return known.index(wanted)
    if wanted.isascii() and wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return int(wanted) - 1
    near = names[known.index(difflib.get_close_matches(wanted, known, n=1, cutoff=0.0)[0])]
    raise UsageError("read.unknown_sheet", file=file, name=asked, near=near, names=listed(names))


def _values(file: str, workbook: CalamineWorkbook, place: int) -> list[list[Any]]:
    """All cells of a sheet from its first row and column on."""
    sheet = workbook.get_sheet_by_index(place)
    if sheet.end:
        refuse_giant(file, sheet.end[0] + 1, sheet.end[1] + 1)
    return sheet.to_python(skip_empty_area=False)


def _records(values: list[list[Any]], formats: Formats) -> tuple[Record, ...]:
    """The cells as text, blank rows as empty records."""
    is_russian = _is_russian(values)
    records: list[Record] = []
    for row, cells in enumerate(values):
        record = [
            "" if value == "" else cell_text(value, formats.get((row, column)), is_russian)
            for column, value in enumerate(cells)
        ]
        if any(record) or records:
            records.append(record if any(record) else [])
    while records and not records[-1]:
        records.pop()
    return tuple(records)


def _is_russian(values: list[list[Any]]) -> bool:
    """Whether there are more Cyrillic letters than Latin ones."""
    texts = (value for value in chain.from_iterable(values) if isinstance(value, str) and value)
    letters = "".join(islice(texts, _SCRIPT_CELLS))[:_SCRIPT_LETTERS].lower()
    cyrillic = sum("а" <= letter <= "я" or letter == "ё" for letter in letters)
    return cyrillic > sum("a" <= letter <= "z" for letter in letters)


def cell_text(value: Any, shown: NumberFormat | str | None, is_russian: bool) -> str:
    """What a person sees in a cell: 1945 for 1945.0, 12.04.1961 for a date, 0,5 in a Russian table, else 0.5."""
    match value:
        case bool():
            return ("ИСТИНА" if value else "ЛОЖЬ") if is_russian else str(value).upper()
        case int() | float():
            return shown if isinstance(shown, str) else _number(value, shown, is_russian)
        case datetime():
            value += _HALF_A_SECOND
            return f"{_day(value)} {_clock(value.hour, value.minute, value.second)}"
        case date():
            return _day(value)
        case time():
            moment = datetime.combine(date.min, value) + _HALF_A_SECOND
            return _clock(moment.hour, moment.minute, moment.second)
        case timedelta():
            minutes, seconds = divmod(round(value.total_seconds()), 60)
            return _clock(minutes // 60, minutes % 60, seconds)
    return str(value).strip()


def _day(day: date) -> str:
    return f"{day.day:02}.{day.month:02}.{day.year}"


def _clock(hour: int, minute: int, second: int) -> str:
    return f"{hour}:{minute:02}" + (f":{second:02}" if second else "")


def _number(value: float, shown: NumberFormat | None, is_russian: bool) -> str:
    """A number in its format, or else as Excel shows it by itself."""
    if not math.isfinite(value):
        return str(value)
    digits = _formatted(value, shown) if shown and abs(value) < 10**_MOST_DIGITS else _general(value)
    return digits.translate({ord(","): " ", ord("."): ","}) if is_russian else digits


def _formatted(value: float, shown: NumberFormat) -> str:
    exact = Decimal(f"{value * 100 if shown.is_percent else value:.{_MOST_DIGITS}g}")
    rounded = exact.quantize(Decimal(1).scaleb(-shown.decimals), ROUND_HALF_UP)
    return f"{rounded:{',' if shown.is_grouped else ''}f}" + "%" * shown.is_percent


def _general(value: float) -> str:
    """Whole numbers in full, others in eleven characters; small ones with an exponent."""
    if value == round(value) and abs(value) < 10**_MOST_DIGITS:
        return str(round(value))
    digits = f"{value:.{max(0, 10 - len(str(int(abs(value)))))}f}"
    if abs(float(digits) - value) > abs(value) * 1e-6 or abs(value) >= 10**_MOST_DIGITS:
        digits = f"{value:.5E}"
    mantissa, mark, exponent = digits.partition("E")
    return (mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa) + mark + exponent
