"""What a file is by its first bytes, whatever its name says; files that are too large."""

import gzip
import io
import os
import threading
import zipfile

import pytest

from tests.data.tables import PAIRS, in_both_languages, pairs, written
from tests.data.workbooks import compound, ods, xlsx
from znatok.data import file_kind
from znatok.data.read import read_table
from znatok.errors import TableError


def archive(*names):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as packed:
        for name in names:
            packed.writestr(name, "content")
    return target.getvalue()


PICTURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
SHEET_2003 = b'<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?><Workbook></Workbook>'
PAGE = b"<html><body><table><tr><td>question</td></tr></table></body></html>\n"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF document"),
        (PICTURE, "a picture"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a picture"),
        (b"GIF89a\1\0\1\0", "a picture"),
        (archive("[Content_Types].xml", "word/document.xml"), "a document of Word"),
        (archive("[Content_Types].xml", "ppt/presentation.xml"), "a document of Word"),
        (ods({}, kind="application/vnd.oasis.opendocument.text"), "a document of Word"),
        (compound("WordDocument", "A Book".encode("utf-16-le")), "a document of Word"),
        (b"{\\rtf1\\ansi question}", "a document of Word"),
        (archive("dataset.csv"), "an archive"),
        (archive(), "an archive"),
        (gzip.compress(b"question,answer\n"), "an archive"),
        (b"Rar!\x1a\x07\1\0", "an archive"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "an archive"),
        (archive("xl/workbook.bin"), "a binary Excel workbook"),
        (archive("Index/Document.iwa"), "a table of Apple Numbers"),
        (b"SQLite format 3\0", "a database"),
        (b"PAR1\x15\4\x15\0PAR1", "a database"),
        (SHEET_2003, "an XML file"),
        (PAGE, "a web page"),
        (b"\xef\xbb\xbf\r\n<!DOCTYPE HTML>\n<html lang='ru'>\n<p>question</html>", "a web page"),
        (PICTURE[4:] + bytes(range(256)), "not text"),
    ],
    # Archives hold the time at which they are made, and all processes that share the tests must call them alike.
    ids=lambda value: value if isinstance(value, str) else "file",
)
@pytest.mark.parametrize("name", ["flowers.csv", "flowers.xlsx", "flowers.jsonl"])
def test_another_kind_of_file_is_named_whatever_its_name_says(refusal, content, kind, name):
    said = refusal(content, name=name)
    assert said[0].startswith(f"{name}: this is {kind}")
    assert said[1].startswith(f"{name}: это ")


@pytest.mark.parametrize("first", ["<html>", "%PDF", "PKZIP", "{\\r", "GIF", "Rar!", "<?xmlns", "PAR1"])
def test_a_table_about_files_is_text(read, first):
    rows = [(f"{first} — что это?", "Начало файла."), ("И это?", "Тоже.")]
    assert pairs(read(written(rows, ";"))) == rows


def test_a_table_of_tags_is_no_web_page(read):
    assert pairs(read("<html>;начало\n<body>;тело\n</html>;конец\n"))[0] == ("<html>", "начало")


@pytest.mark.parametrize("name", ["flowers.xlsx", "flowers.ods", "flowers", "flowers.docx"])
def test_a_table_in_text_is_read_under_any_name(read, name):
    assert pairs(read(written([("вопрос", "ответ"), *PAIRS], ";"), "cp1251", name=name)) == PAIRS


# Size


def said_of(path):
    with pytest.raises(TableError) as caught:
        read_table(path)
    return in_both_languages(caught.value)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path, english):
    path = tmp_path / "flowers.csv"
    with path.open("wb") as file:
        file.truncate(file_kind.TEXT_LIMIT_BYTES + 1)  # takes no room on the disk
    assert said_of(path) == [
        "flowers.csv: the file is larger than 200 MB. Check that it is the right one, or divide it.",
        "flowers.csv: файл больше 200 МБ. Проверьте, тот ли это файл, или разделите его.",
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such files")
def test_what_never_ends_is_not_read_for_ever(tmp_path, monkeypatch, english):
    monkeypatch.setattr(file_kind, "TEXT_LIMIT_BYTES", 3_000_000)
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def pour():
        try:
            with path.open("wb") as pipe:
                while True:
                    pipe.write(b"A?,b\n" * 10_000)
        except BrokenPipeError:
            pass

    pouring = threading.Thread(target=pour)
    pouring.start()
    assert said_of(path)[0].startswith("pipe: the file is larger than 3 MB.")
    pouring.join()


def test_a_workbook_may_be_less_large_than_a_text(refusal, monkeypatch):
    monkeypatch.setattr(file_kind, "WORKBOOK_LIMIT_BYTES", 1000)
    assert refusal(xlsx([("вопрос", "ответ"), *PAIRS]))[0].startswith("flowers.csv: the file is larger than 0 MB.")
