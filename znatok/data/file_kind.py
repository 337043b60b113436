"""The bytes of a table file, and what they are: text, a workbook, or something that is no table."""

import difflib
import io
import os
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, Literal

from znatok.errors import TableError, reason_of

Kind = Literal["text", "xlsx", "xls", "ods"]

TEXT_LIMIT_BYTES = 200_000_000
WORKBOOK_LIMIT_BYTES = 50_000_000
UNPACKED_LIMIT_BYTES = 200_000_000
"""Of all parts of a workbook together: a few kilobytes can unpack to gigabytes."""

MEGABYTE = 1_000_000
ZIP_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    NotImplementedError,
    RuntimeError,
)
"""What `zipfile` raises for an archive that is damaged, locked or packed in a way that it does not know."""

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SIGNATURES = (
    (b"%PDF-", "pdf"),
    (b"\x89PNG\r\n", "picture"),
    (b"\xff\xd8\xff", "picture"),
    (b"GIF87a", "picture"),
    (b"GIF89a", "picture"),
    (b"II*\0", "picture"),
    (b"{\\rtf", "document"),
    (b"PK\x05\x06", "archive"),
    (b"Rar!\x1a\x07", "archive"),
    (b"7z\xbc\xaf\x27\x1c", "archive"),
    (b"\x1f\x8b\x08", "archive"),
    (b"\xfd7zXZ\0", "archive"),
    (b"\x28\xb5\x2f\xfd", "archive"),
    (b"SQLite format 3\0", "database"),
)
_ZIP_KINDS = {"xl/workbook.bin": "xlsb", "word/": "document", "ppt/": "document", "index/document.iwa": "numbers"}
_HTML = re.compile(rb"\s*<(?:!doctype\s+html|html|head|body|table|meta)[\s>].*</(?:html|body|table)>\s*", re.I | re.S)


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises: TableError where there is none, where it cannot be read, or where it is larger than any table may be.
    """
    if os.path.isdir(path):
        raise TableError("read.folder", path=path)
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > TEXT_LIMIT_BYTES:
                raise _giant_file(path.name, TEXT_LIMIT_BYTES)
            content = _limited(file)
    except FileNotFoundError:
        names = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        for near in difflib.get_close_matches(path.name, names, n=1):
            raise TableError("read.missing_near", path=path, near=path.with_name(near)) from None
        raise TableError("read.missing", path=path) from None
    except OSError as error:
        raise TableError("read.unreadable", path=path, reason=reason_of(error)) from error
    if len(content) > TEXT_LIMIT_BYTES:
        raise _giant_file(path.name, TEXT_LIMIT_BYTES)
    return content


def _limited(file: BinaryIO) -> bytes:
    """The content, and of more than a table may have not much more: a pipe or a device does not say how large it is."""
    content = bytearray()
    while len(content) <= TEXT_LIMIT_BYTES and (piece := file.read(MEGABYTE)):
        content += piece
    return bytes(content)


def _giant_file(file: str, limit_bytes: int) -> TableError:
    return TableError("read.giant_file", file=file, limit=limit_bytes // MEGABYTE)


def kind_of(file: str, content: bytes) -> Kind:
    """What a file is by its content, whatever its name says.

    Raises: TableError naming the kind where it is none that holds a table, or where a workbook is too large.
    """
    kind: Kind = "text"
    if content.startswith(_ZIP):
        kind = _zip_kind(file, content)
    elif content.startswith(_OLE):
        kind = _ole_kind(file, content)
    elif other := _other_kind(content):
        raise TableError(f"read.kind.{other}", file=file)
    if kind != "text" and len(content) > WORKBOOK_LIMIT_BYTES:
        raise _giant_file(file, WORKBOOK_LIMIT_BYTES)
    return kind


def _zip_kind(file: str, content: bytes) -> Kind:
    """The workbook that a ZIP archive is."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [name.lower() for name in archive.namelist()]
            described = _start(archive, "mimetype")
            is_locked = b"encryption-data" in _start(archive, "META-INF/manifest.xml")
    except ZIP_FAULTS as error:
        raise TableError("read.damaged_workbook", file=file) from error
    if b"opendocument" in described:
        if is_locked:
            raise TableError("read.password", file=file)
        if b"spreadsheet" in described:
            return "ods"
        raise TableError("read.kind.document", file=file)
    if "xl/workbook.xml" in names:
        return "xlsx"
    found = (kind for part, kind in _ZIP_KINDS.items() if any(name.startswith(part) for name in names))
    raise TableError(f"read.kind.{next(found, 'archive')}", file=file)


def _start(archive: zipfile.ZipFile, name: str) -> bytes:
    """The beginning of a part, enough to know it by; nothing where there is none."""
    if name not in archive.namelist():
        return b""
    with archive.open(name) as part:
        return part.read(MEGABYTE)


def _ole_kind(file: str, content: bytes) -> Kind:
    """The workbook that a file of Office 97 is, by the names of its streams."""
    if _has_stream(content, "EncryptedPackage"):
        raise TableError("read.password", file=file)
    if not (_has_stream(content, "Workbook") or _has_stream(content, "Book")):
        raise TableError("read.kind.document", file=file)
    return "xls"


def _has_stream(content: bytes, name: str) -> bool:
    """Whether there is a stream of this name: an entry of the directory takes 128 bytes and begins with the name."""
    entry = re.escape(name.encode("utf-16-le") + b"\0\0")
    return any(found.start() % 128 == 0 for found in re.finditer(entry, content))


def _other_kind(content: bytes) -> str | None:
    """What a file is that is neither text nor a workbook; None for all that may be text."""
    for signature, kind in _SIGNATURES:
        if content.startswith(signature):
            return kind
    if content.startswith(b"PAR1") and content.endswith(b"PAR1"):
        return "database"
    text = content.removeprefix(b"\xef\xbb\xbf")
    if text[:1000].lstrip().startswith(b"<?xml "):
        return "xml"
    return "page" if _HTML.fullmatch(text) else None
