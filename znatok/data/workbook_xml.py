"""What calamine does not tell of a workbook: how large it is before it is unpacked, and how its numbers are shown.

Calamine keeps every cell between the first and the last, so one stray cell in the last row of a sheet may cost
gigabytes; and it gives 0.21 for a cell that shows 21 %.
"""

import posixpath
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from xml.parsers import expat

from znatok.data.file_kind import MEGABYTE, UNPACKED_LIMIT_BYTES, ZIP_FAULTS
from znatok.errors import TableError

Place = tuple[int, int]
"""Row and column of a cell, from 0."""

MOST_CELLS = 5_000_000
"""Of a sheet, empty ones between the filled ones included."""

_MOST_REPEATS = 1000
"""Equal cells in a row are one entry in an ODS file; of longer ranges the shown numbers are not kept."""

_CODE = re.compile(r"(#,##)?0(?:\.(0{1,10}))?(%)?")
_BUILT_IN = {1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%"}
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")

Attributes = dict[str, str]


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """How a number is shown: with so many decimals, thousands apart, as per cent."""

    decimals: int
    is_grouped: bool
    is_percent: bool


def refuse_bomb(file: str, archive: zipfile.ZipFile) -> None:
    """Unpacks every part without keeping it: what an archive says of its sizes need not be true.

    Raises: TableError where all parts together are too large, or where one is damaged.
    """
    total = 0
    for part in archive.infolist():
        part.file_size = 2 * UNPACKED_LIMIT_BYTES  # else reading ends at the size that the archive claims
        try:
            with archive.open(part) as content:
                while (piece := content.read(MEGABYTE)) and total <= UNPACKED_LIMIT_BYTES:
                    total += len(piece)
        except ZIP_FAULTS as error:
            raise TableError("read.damaged_workbook", file=file) from error
        _refuse_swollen(file, total)


def xlsx_parts(file: str, archive: zipfile.ZipFile) -> list[str]:
    """The part of the archive that holds each sheet of an XLSX workbook, in their order."""
    ids: list[str] = []
    targets: dict[str, str] = {}

    def sheet(tag: str, attributes: Attributes) -> None:
        if tag == "sheet":
            ids.append(attributes.get("id", ""))

    def relationship(tag: str, attributes: Attributes) -> None:
        if tag == "Relationship":
            target = attributes.get("Target", "").replace("\\", "/")
            targets[attributes.get("Id", "")] = posixpath.normpath(posixpath.join("/xl", target)).lstrip("/")

    _parse(file, archive, "xl/workbook.xml", sheet)
    _parse(file, archive, "xl/_rels/workbook.xml.rels", relationship)
    return [targets.get(identity, "") for identity in ids]


def xlsx_formats(file: str, archive: zipfile.ZipFile) -> list[NumberFormat | None]:
    """The number format of each cell style of the workbook; None where it is none of those that are shown."""
    codes, styles = dict(_BUILT_IN), []
    inside = False

    def start(tag: str, attributes: Attributes) -> None:
        nonlocal inside
        if tag == "numFmt":
            codes[int(attributes.get("numFmtId", -1))] = attributes.get("formatCode", "")
        elif tag == "cellXfs":
            inside = True
        elif tag == "xf" and inside:
            styles.append(int(attributes.get("numFmtId", 0)))

    def end(tag: str) -> None:
        nonlocal inside
        inside = inside and tag != "cellXfs"

    if "xl/styles.xml" in archive.namelist():
        _parse(file, archive, "xl/styles.xml", start, end)
    return [_format(codes.get(style, "")) for style in styles]


def _format(code: str) -> NumberFormat | None:
    found = _CODE.fullmatch(code.split(";")[0])
    return NumberFormat(len(found[2] or ""), bool(found[1]), bool(found[3])) if found else None


def xlsx_lengths(file: str, archive: zipfile.ZipFile) -> list[int]:
    """The lengths of the strings that cells share."""
    lengths: list[int] = []

    def start(tag: str, attributes: Attributes) -> None:
        if tag == "si":
            lengths.append(0)

    def text(piece: str) -> None:
        if lengths:
            lengths[-1] += len(piece)

    if "xl/sharedStrings.xml" in archive.namelist():
        _parse(file, archive, "xl/sharedStrings.xml", start, text=text)
    return lengths


def xlsx_cells(
    file: str, archive: zipfile.ZipFile, part: str, formats: list[NumberFormat | None], lengths: list[int]
) -> dict[Place, NumberFormat]:
    """The number formats of the filled cells of one sheet. Raises: TableError where the sheet is too large."""
    found: dict[Place, NumberFormat] = {}
    row = column = -1
    rows = columns = 0
    style, letters = 0, 0
    shared: list[str] | None = None

    def start(tag: str, attributes: Attributes) -> None:
        nonlocal row, column, rows, columns, style, shared
        if tag == "row":
            row, column = int(attributes.get("r", row + 2)) - 1, -1
        elif tag == "c":
            row, column = _place(attributes.get("r", "")) or (row, column + 1)
            style, shared = int(attributes.get("s", 0)), [] if attributes.get("t") == "s" else None
        elif tag in ("v", "is"):
            rows, columns = max(rows, row + 1), max(columns, column + 1)
            refuse_giant(file, rows, columns)
            shown = formats[style] if style < len(formats) else None
            if shown:
                found[row, column] = shown

    def text(piece: str) -> None:
        if shared is not None:
            shared.append(piece)

    def end(tag: str) -> None:
        nonlocal letters, shared
        if tag == "c" and shared:
            letters += lengths[int("".join(shared))]
            shared = None
            _refuse_swollen(file, letters)

    _parse(file, archive, part, start, end, text)
    return found


def _place(reference: str) -> Place | None:
    """Row and column of a cell reference such as B7."""
    found = _REFERENCE.fullmatch(reference.upper())
    if not found:
        return None
    column = 0
    for letter in found[1]:
        column = column * 26 + ord(letter) - ord("A") + 1
    return int(found[2]) - 1, column - 1


def ods_cells(file: str, archive: zipfile.ZipFile) -> list[dict[Place, str]]:
    """The numbers of each sheet as the program that saved it shows them. Raises: TableError where one is too large."""
    sheets: list[dict[Place, str]] = []
    texts: list[str] = []
    kind = ""
    row = column = row_repeats = repeats = notes = letters = 0

    def start(tag: str, attributes: Attributes) -> None:
        nonlocal kind, row, column, row_repeats, repeats, notes
        if tag == "table":
            sheets.append({})
            row = 0
        elif tag == "table-row":
            row_repeats, column = int(attributes.get("number-rows-repeated", 1)), 0
        elif tag in ("table-cell", "covered-table-cell"):
            repeats, kind = int(attributes.get("number-columns-repeated", 1)), attributes.get("value-type", "")
            texts.clear()
        elif tag == "annotation":
            notes += 1
        elif tag == "p" and not notes:
            texts.append("")

    def text(piece: str) -> None:
        if texts and not notes:
            texts[-1] += piece

    def end(tag: str) -> None:
        nonlocal row, column, notes, letters
        if tag == "annotation":
            notes -= 1
        elif tag in ("table-cell", "covered-table-cell"):
            if kind or texts:
                refuse_giant(file, row + row_repeats, column + repeats)
                letters += sum(map(len, texts)) * row_repeats * repeats
                _refuse_swollen(file, letters)
            if kind in ("float", "percentage", "currency") and texts and row_repeats * repeats <= _MOST_REPEATS:
                places = product(range(row, row + row_repeats), range(column, column + repeats))
                sheets[-1] |= dict.fromkeys(places, "".join(texts).strip())
            column += repeats
            texts.clear()
        elif tag == "table-row":
            row += row_repeats

    _parse(file, archive, "content.xml", start, end, text)
    return sheets


def _refuse_swollen(file: str, unpacked: int) -> None:
    """Raises: TableError where so many bytes or letters are too much: cells may share one long text."""
    if unpacked > UNPACKED_LIMIT_BYTES:
        raise TableError("read.bomb", file=file, limit=UNPACKED_LIMIT_BYTES // MEGABYTE)


def refuse_giant(file: str, rows: int, columns: int) -> None:
    """Raises: TableError where so many rows and columns are too much."""
    if rows * columns > MOST_CELLS:
        raise TableError("read.giant_sheet", file=file, rows=rows, columns=columns)


def _parse(
    file: str,
    archive: zipfile.ZipFile,
    part: str,
    start: Callable[[str, Attributes], None],
    end: Callable[[str], None] | None = None,
    text: Callable[[str], None] | None = None,
) -> None:
    """Reads one part as XML, names without their prefixes. Raises: TableError where it is damaged or not there."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = lambda tag, attributes: start(
        tag.rpartition(":")[2], {name.rpartition(":")[2]: value for name, value in attributes.items()}
    )
    if end:
        parser.EndElementHandler = lambda tag, ended=end: ended(tag.rpartition(":")[2])
    parser.CharacterDataHandler = text
    try:
        with archive.open(part) as content:
            parser.ParseFile(content)
    except TableError:
        raise
    except (expat.ExpatError, *ZIP_FAULTS) as error:
        raise TableError("read.damaged_workbook", file=file) from error
