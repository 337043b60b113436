"""Workbooks to read: XLSX as openpyxl writes it, ODS as LibreOffice does, and the old XLS byte by byte."""

import datetime
import io
import struct
import zipfile
from xml.sax.saxutils import escape, quoteattr

import openpyxl


def xlsx(*sheets, **named):
    """An XLSX workbook of these sheets, each a list of rows."""
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for name, rows in {**{f"Лист{place}": rows for place, rows in enumerate(sheets, start=1)}, **named}.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(row)
    return saved(workbook)


def saved(workbook):
    target = io.BytesIO()
    workbook.save(target)
    return target.getvalue()


def repacked(content, parts):
    """A ZIP archive with these parts put in, in the place of those of the same name."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as source,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for name in dict.fromkeys([*source.namelist(), *parts]):
            archive.writestr(name, parts[name] if name in parts else source.read(name))
    return target.getvalue()


ODS_TYPE = "application/vnd.oasis.opendocument.spreadsheet"
_SPACES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{place}:1.0"'
    for name, place in {"office": "office", "table": "table", "text": "text"}.items()
)


def ods_cell(value):
    """A cell, with the number or moment as a Russian LibreOffice shows it."""
    match value:
        case None:
            return "<table:table-cell/>"
        case bool():
            kind, shown = f'"boolean" office:boolean-value="{str(value).lower()}"', "ИСТИНА" if value else "ЛОЖЬ"
        case int() | float():
            kind, shown = f'"float" office:value="{value}"', f"{value:g}".replace(".", ",")
        case datetime.date():
            kind, shown = f'"date" office:date-value="{value.isoformat()}"', f"{value:%d.%m.%y}"
        case (number, text):
            kind, shown = f'"percentage" office:value="{number}"', text
        case _:
            kind, shown = '"string"', str(value)
    paragraphs = "".join(f"<text:p>{escape(line)}</text:p>" for line in shown.split("\n"))
    return f"<table:table-cell office:value-type={kind}>{paragraphs}</table:table-cell>"


def ods(sheets, content=None, kind=ODS_TYPE, manifest="<manifest/>"):
    """An ODS workbook of these sheets by their names, or with this as its content.xml."""
    tables = "".join(
        f"<table:table table:name={quoteattr(name)}>"
        + "".join(f"<table:table-row>{''.join(map(ods_cell, row))}</table:table-row>" for row in rows)
        + "</table:table>"
        for name, rows in sheets.items()
    )
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", kind, zipfile.ZIP_STORED)
        archive.writestr("META-INF/manifest.xml", manifest)
        archive.writestr("content.xml", content or ods_content(tables))
    return target.getvalue()


def ods_content(tables):
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document-content {_SPACES}><office:body><office:spreadsheet>'
        f"{tables}</office:spreadsheet></office:body></office:document-content>"
    )


def _record(kind, data=b""):
    return struct.pack("<HH", kind, len(data)) + data


def _text(value, length):
    return struct.pack(length, len(value)) + b"\1" + value.encode("utf-16-le")


def _xls_cell(row, column, value):
    place = struct.pack("<HHH", row, column, 0)
    if isinstance(value, str):
        return _record(0x204, place + _text(value, "<H"))
    return _record(0x203, place + struct.pack("<d", value))


def xls(name, rows):
    """An XLS workbook of one sheet, as Excel 97 writes it. Source: [MS-XLS] and [MS-CFB]."""
    begin = struct.pack("<HHHHII", 0x600, 0x10, 0, 0, 0, 0)
    cells = [
        _xls_cell(row, column, value)
        for row, values in enumerate(rows)
        for column, value in enumerate(values)
        if value is not None
    ]
    sheet = _record(0x809, begin) + b"".join(cells) + _record(0xA)
    begin = struct.pack("<HHHHII", 0x600, 0x5, 0, 0, 0, 0)
    head = _record(0x809, begin) + _record(0x42, struct.pack("<H", 1200))
    entry = b"\0\0" + _text(name, "<B")
    start = len(head) + 4 + 4 + len(entry) + 4
    stream = head + _record(0x85, struct.pack("<I", start) + entry) + _record(0xA) + sheet
    return compound("Workbook", stream)


def compound(name, stream):
    """A compound file with one stream: header, allocation table, directory, stream, in sectors of 512 bytes."""
    stream = stream.ljust(-(-max(len(stream), 4096) // 512) * 512, b"\0")
    sectors = len(stream) // 512
    chain = [0xFFFFFFFD, 0xFFFFFFFE, *range(3, sectors + 2), 0xFFFFFFFE]
    table = struct.pack(f"<{len(chain)}I", *chain).ljust(512, b"\xff")
    assert len(table) == 512
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack(
        "<HHHHH6xIIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0, 0
    )
    return header.ljust(512, b"\xff") + table + _directory(name, len(stream)) + stream


def _directory(name, size):
    root = _entry("Root Entry", 5, child=1, start=0xFFFFFFFE, size=0)
    return root + _entry(name, 2, child=0xFFFFFFFF, start=2, size=size) + bytes(256)


def _entry(name, kind, child, start, size):
    encoded = (name + "\0").encode("utf-16-le")
    links = struct.pack("<HBBIII", len(encoded), kind, 1, 0xFFFFFFFF, 0xFFFFFFFF, child)
    return encoded.ljust(64, b"\0") + links + bytes(36) + struct.pack("<IQ", start, size)
