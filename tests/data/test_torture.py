"""Hundreds of tables as people save them: encodings, delimiters, quotes, line ends and headers in every combination."""

import csv
import io
import json
from itertools import product

import pytest

from tests.data.tables import pairs
from tests.data.workbooks import ods, xls, xlsx

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1251", "cp866", "koi8-r")
DELIMITERS = (",", ";", "\t", "|")
LINE_ENDS = ("\r\n", "\n", "\r")
ALL, BACKSLASHES = {"quoting": csv.QUOTE_ALL}, {"doublequote": False, "escapechar": "\\"}
DIALECTS = {
    "minimal": {},
    "all quoted": ALL,
    "backslashes": ALL | BACKSLASHES,
    "single quotes": ALL | {"quotechar": "'"},
    "single quotes, backslashes": ALL | BACKSLASHES | {"quotechar": "'"},
}
FACTS = [
    ('Кто написал роман "Война и мир"?', "Лев Толстой; граф, писатель"),
    ("Что такое 'электрон', коротко?", "Частица с зарядом -1,6e-19 Кл | отрицательным"),
    ("Где стоит Эйфелева башня?", "В Париже,\nво Франции"),
    ("Сколько будет 2 * 2?", "4"),
]
HEADERS = {
    "russian": [("вопрос", "ответ")],
    "english capitals": [("QUESTION", "Answer")],
    "under a title": [("Викторина", ""), ("", ""), ("Вопрос", "Ответ")],
    "other names": [("Термин", "Определение")],
    "none": [],
}


def lay_out(delimiter, dialect, end, header):
    target = io.StringIO(newline="")
    facts = [(question, answer.replace("\n", end)) for question, answer in FACTS]
    csv.writer(target, delimiter=delimiter, lineterminator=end, **dialect).writerows([*header, *facts])
    return target.getvalue(), facts


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_table_is_read_right_in_every_encoding_and_dialect(read, encoding, dialect):
    for delimiter, end in product(DELIMITERS, LINE_ENDS):
        content, facts = lay_out(delimiter, DIALECTS[dialect], end, HEADERS["russian"])
        table = read(content, encoding)
        told = pairs(table), table.encoding, table.delimiter, table.problems
        assert told == (facts, encoding, delimiter, ()), (delimiter, end)


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_table_is_read_right_under_every_header(read, header, dialect):
    for delimiter, encoding in product(DELIMITERS, ("utf-8", "cp1251")):
        content, facts = lay_out(delimiter, DIALECTS[dialect], "\r\n", HEADERS[header])
        table = read(content, encoding)
        assert (pairs(table), table.refused) == (facts, ()), (delimiter, encoding)
        assert [problem.severity for problem in table.problems] in ([], ["note"]), (delimiter, encoding)


def extra(rows):
    """The rows with a number before each and a remark behind it."""
    return [(place, *row, "") for place, row in enumerate(rows)]


FORMATS = {
    "xlsx": lambda rows: xlsx(rows),
    "ods": lambda rows: ods({"Лист1": rows}),
    "xls": lambda rows: xls("Лист1", rows),
    "xlsx, second sheet": lambda rows: xlsx([("о", "книге")], rows),
    "xlsx, more columns": lambda rows: xlsx(extra(rows)),
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("header", [name for name in HEADERS if name != "none"])
def test_a_workbook_is_read_right_under_every_header(read, form, header):
    rows = [[cell or None for cell in row] for row in [*HEADERS[header], *FACTS]]
    table = read(FORMATS[form](rows))
    assert (pairs(table), table.refused) == (FACTS, ())


RECORDS = {
    "lines": lambda records: "\n".join(json.dumps(record, ensure_ascii=False) for record in records),
    "escaped lines": lambda records: "\r\n".join(map(json.dumps, records)),
    "list": lambda records: json.dumps(records, ensure_ascii=False, indent=1),
}


@pytest.mark.parametrize("form", RECORDS)
@pytest.mark.parametrize("names", [("question", "answer"), ("вопрос", "ответ"), ("prompt", "completion")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1251"])
def test_records_are_read_right_in_every_form(read, form, names, encoding):
    table = read(RECORDS[form]([dict(zip(names, fact, strict=True)) for fact in FACTS]), encoding)
    assert (pairs(table), table.refused, table.problems) == (FACTS, (), ())
