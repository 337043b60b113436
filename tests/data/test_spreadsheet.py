"""Workbooks: what a person sees in Excel is what is learned."""

import datetime
import io
import random
import struct
import tracemalloc
import zipfile

import openpyxl
import pytest
from openpyxl.workbook.protection import WorkbookProtection

from tests.data.tables import PAIRS, kinds, pairs
from tests.data.workbooks import compound, ods, ods_content, repacked, saved, xls, xlsx
from znatok.errors import TableError

ROWS = [("вопрос", "ответ"), *PAIRS]
BOOKS = {"xlsx": xlsx, "ods": lambda rows: ods({"Лист1": rows}), "xls": lambda rows: xls("Лист1", rows)}


@pytest.mark.parametrize("kind", BOOKS)
@pytest.mark.parametrize("name", ["flowers.{}", "flowers.csv", "FLOWERS"])
def test_a_workbook_is_known_by_its_content(read, kind, name):
    table = read(BOOKS[kind](ROWS), name=name.format(kind))
    assert (pairs(table), table.problems) == (PAIRS, ())
    assert (table.sheet, table.encoding, table.delimiter) == ("Лист1", None, None)
    assert (table.question_column, table.answer_column) == ("вопрос", "ответ")


# Cells

VALUES = [
    (1945, "1945", "1945"),
    (1945.0, "1945", "1945"),
    (0.5, "0,5", "0.5"),
    (-12.25, "-12,25", "-12.25"),
    (0.1 + 0.2, "0,3", "0.3"),
    (1 / 3, "0,333333333", "0.333333333"),
    (3.14159265358979, "3,141592654", "3.141592654"),
    (1234567.891, "1234567,891", "1234567.891"),
    (79161234567, "79161234567", "79161234567"),
    (1.2345e-7, "1,2345E-07", "1.2345E-07"),
    (6.02214076e23, "6,02214E+23", "6.02214E+23"),
    ("007", "007", "007"),
    ("1e-4", "1e-4", "1e-4"),
    (" два\nслова ", "два\nслова", "два\nслова"),
]


@pytest.mark.parametrize("kind", ["xlsx", "xls"])  # an ODS file says itself what is shown
@pytest.mark.parametrize("is_russian", [True, False])
def test_numbers_are_read_as_excel_shows_them(read, kind, is_russian):
    word = "Сколько это будет?" if is_russian else "How much is it?"
    table = read(BOOKS[kind]([("q", "a"), *((f"{word} {place}", value[0]) for place, value in enumerate(VALUES))]))
    assert [row.answer for row in table.rows] == [value[1 if is_russian else 2] for value in VALUES]


DAY, MOMENT = datetime.date(1961, 4, 12), datetime.datetime(1961, 4, 12, 9, 7)


def test_dates_times_and_truths_are_read_as_excel_shows_them(read):
    values = [DAY, MOMENT, datetime.time(9, 7), datetime.timedelta(hours=1, minutes=48), True, False]
    table = read(xlsx([("вопрос", "ответ"), *((f"Когда {place}?", value) for place, value in enumerate(values))]))
    shown = ["12.04.1961", "12.04.1961 9:07", "9:07", "1:48", "ИСТИНА", "ЛОЖЬ"]
    assert [row.answer for row in table.rows] == shown
    table = read(xlsx([("question", "answer"), ("Is it so?", True), ("When was it?", DAY), ("How much?", 0.5)]))
    assert [row.answer for row in table.rows] == ["TRUE", "12.04.1961", "0.5"]


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        *((0.21, "0%", "21%"), (0.285, "0%", "29%"), (0.2125, "0.00%", "21,25%"), (3.5, "0.00", "3,50")),
        *(
            (1234567.5, "#,##0.00", "1 234 567,50"),
            (1234, "#,##0", "1 234"),
            (0.5, '0.0" В"', "0,5"),
            (7, "General", "7"),
        ),
    ],
)
def test_number_formats_of_xlsx_are_shown(read, value, code, shown):
    workbook = openpyxl.Workbook()
    for row in [*ROWS, ("Сколько это?", value)]:
        workbook.active.append(row)
    workbook.active["B4"].number_format = code
    assert read(saved(workbook)).rows[2].answer == shown


def test_numbers_of_ods_are_what_the_file_says_is_shown(read):
    rows = [*ROWS, ("Сколько?", 0.5), ("Какая доля?", (0.21, "21 %")), ("Когда?", DAY), ("Так ли?", True)]
    table = read(ods({"Лист1": rows}))
    assert [row.answer for row in table.rows[2:]] == ["0,5", "21 %", "12.04.1961", "ИСТИНА"]


def test_a_formula_gives_what_it_last_came_to(read):
    content = xlsx([*ROWS, ("Сколько это?", 4)])
    sheet = zipfile.ZipFile(io.BytesIO(content)).read("xl/worksheets/sheet1.xml").decode()
    calculated = sheet.replace("<v>4</v>", "<f>2+2</f><v>4</v>")
    assert calculated != sheet
    assert read(repacked(content, {"xl/worksheets/sheet1.xml": calculated})).rows[2].answer == "4"


# Rows and sheets


def test_blank_rows_count_and_are_no_rows(read):
    table = read(xlsx([(None, None), *ROWS, (None, None), ("Что такое ток?", "Поток зарядов."), (None, None)]))
    assert [row.number for row in table.rows] == [1, 2, 4]
    assert (table.problems, table.read) == ((), 3)


def test_a_table_away_from_the_corner_under_a_merged_title_is_found(read):
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    sheet["C2"] = "Викторина"
    sheet.merge_cells("C2:D2")
    for row, (question, answer) in enumerate(ROWS, start=4):
        sheet.cell(row, 3, question)
        sheet.cell(row, 4, answer)
    table = read(saved(workbook))
    assert (pairs(table), kinds(table)) == (PAIRS, [("title", None, "note")])


def test_two_columns_without_names_away_from_the_corner_are_found(read):
    table = read(xlsx([(None, question, None, answer) for question, answer in PAIRS]))
    assert (pairs(table), table.question_column) == (PAIRS, "2")


def test_a_remark_beside_the_table_is_another_column(read):
    table = read(xlsx([*ROWS, ("Что такое ток?", "Поток зарядов.", None, "проверить")]))
    assert len(table.rows) == 3
    assert table.problems[0].message == "flowers.csv: other columns are not used: 4."


def test_an_empty_cell_is_an_error_with_its_row(read):
    table = read(xlsx([*ROWS, ("Что такое ток?", None)]))
    assert kinds(table) == [("empty_answer", 3, "error")]


def test_the_first_sheet_with_both_columns_is_read_and_the_others_are_named(read):
    other = [("роза", "красный", "сад"), ("мак", "алый", "поле")]
    table = read(xlsx(**{"О книге": other, "Пусто": [], "Вопросы": ROWS, "Ещё": ROWS}))
    assert (table.sheet, pairs(table)) == ("Вопросы", PAIRS)
    assert kinds(table) == [("other_sheets", None, "note")]
    assert table.problems[0].message == (
        "flowers.csv: the sheet “Вопросы” is read; other sheets are not used: О книге | Пусто | Ещё. To read another "
        "one, name it in --sheet."
    )


def test_where_no_sheet_names_both_columns_the_first_that_is_not_empty_is_read(read):
    table = read(xlsx(Пусто=[], Слова=[("диод", "вентиль"), ("реле", "ключ")], Ещё=[("кот", "зверь")]))
    assert (table.sheet, len(table.rows)) == ("Слова", 2)


def test_a_sheet_without_the_columns_is_refused_with_a_word_on_other_sheets(refusal):
    said = refusal(xlsx([("роза", "красный", "сад"), ("мак", "алый", "поле")], ROWS), sheet="1")
    assert said[0].endswith(
        "only: роза | красный | сад. Give the two columns these names, or name them in "
        "--question-column and --answer-column. If they are on another sheet, name it in --sheet."
    )
    assert refusal(xlsx([("роза",), ("мак",)]))[1] == (
        "flowers.csv: найден только один столбец: роза. Нужны два, вопрос и ответ. Если они на другом листе, назовите "
        "его в --sheet."
    )


def test_hidden_sheets_are_read_only_where_they_are_asked_for(read):
    workbook = openpyxl.Workbook()
    workbook.active.title = "Тайна"
    for row in ROWS:
        workbook.active.append(row)
    workbook.active.sheet_state = "hidden"
    for row in [("вопрос", "ответ"), ("Кто?", "Я"), ("Где?", "Тут")]:
        workbook.create_sheet("Явь") if "Явь" not in workbook.sheetnames else None
        workbook["Явь"].append(row)
    content = saved(workbook)
    assert read(content).sheet == "Явь"
    assert read(content, sheet="Тайна").sheet == "Тайна"


@pytest.mark.parametrize("asked", ["Ещё", "ещё ", "2"])
def test_a_sheet_is_taken_by_name_or_number(read, asked):
    assert read(xlsx(Вопросы=ROWS, Ещё=ROWS[:1] + ROWS), sheet=asked).sheet == "Ещё"


def test_the_name_of_a_sheet_goes_before_its_number(read):
    assert read(xlsx(**{"Вопросы": ROWS, "Ещё": ROWS, "1": ROWS}), sheet="1").sheet == "1"


@pytest.mark.parametrize("asked", ["Вопрсы", "0", "3"])
def test_an_unknown_sheet_is_answered_with_the_nearest(refusal, asked):
    said = refusal(xlsx(Вопросы=ROWS, Ещё=ROWS), sheet=asked)
    assert said[0].startswith(f"flowers.csv: there is no sheet {asked}. Did you mean ")
    assert said[1].endswith("? Листы: Вопросы | Ещё.")
    assert asked != "Вопрсы" or "Может быть, Вопросы?" in said[1]


def test_settings_of_text_change_nothing_for_a_workbook_and_it_is_told(read):
    table = read(xlsx(ROWS), encoding="cp1251", delimiter=";")
    assert kinds(table) == [("unused_setting", None, "note")] * 2
    assert table.problems[0].message == (
        "flowers.csv: --encoding changes nothing, since it does not apply to a file of this kind."
    )
    assert kinds(read("question,answer\nA?,b\nC?,d\n", sheet="2")) == [("unused_setting", None, "note")]


@pytest.mark.parametrize("content", [xlsx([]), xlsx([], []), ods({"Лист1": []}), xls("Лист1", [])])
def test_an_empty_workbook_is_refused(refusal, content):
    assert (
        refusal(content)[0] == "flowers.csv: the file is empty. It needs a table of two columns: question and answer."
    )


# What must not be unpacked


@pytest.fixture(scope="module")
def bomb():
    """An archive of less than a megabyte that unpacks to 210 MB."""
    return repacked(xlsx(ROWS), {"xl/media/image1": "0" * 210_000_000})


def lying(content):
    """The same archive saying that each of its parts unpacks to ten bytes."""
    claimed = bytearray(content)
    place = 0
    while (place := claimed.find(b"PK\1\2", place)) >= 0:
        claimed[place + 24 : place + 28] = struct.pack("<I", 10)
        place += 4
    return bytes(claimed)


@pytest.mark.parametrize("is_lying", [False, True])
def test_an_archive_that_unpacks_to_hundreds_of_megabytes_is_refused_with_little_memory(refusal, bomb, is_lying):
    content = lying(bomb) if is_lying else bomb
    assert len(content) < 1_000_000
    tracemalloc.start()
    said = refusal(content)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 20_000_000
    assert said == [
        "flowers.csv: unpacked, this workbook is larger than 200 MB. Copy the table to a new file, without pictures "
        "and other sheets.",
        "flowers.csv: в распакованном виде эта книга больше 200 МБ. Скопируйте таблицу в новый файл, без рисунков и "
        "других листов.",
    ]


MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def test_a_long_text_that_thousands_of_cells_share_is_refused(refusal):
    long = "слово " * 5000
    cells = '<row><c t="s"><v>0</v></c></row>' * 10_000
    shared = {
        "xl/sharedStrings.xml": f"<sst {MAIN}><si><t>{long}</t></si></sst>",
        "xl/worksheets/sheet1.xml": f"<worksheet {MAIN}><sheetData>{cells}</sheetData></worksheet>",
    }
    assert "unpacked, this workbook is larger than 200 MB" in refusal(repacked(xlsx(ROWS), shared))[0]
    row = ods_row(WORD.format(' table:number-columns-repeated="1000"').replace("слово", long), 10)
    content = ods_content(f'<table:table table:name="Л">{row}</table:table>')
    assert "unpacked, this workbook is larger than 200 MB" in refusal(ods({}, content))[0]


def test_a_stray_cell_in_the_last_corner_of_a_sheet_is_refused_before_memory_is_filled(refusal):
    workbook = openpyxl.Workbook()
    for row in ROWS:
        workbook.active.append(row)
    workbook.active["XFD1048576"] = "."
    assert refusal(saved(workbook)) == [
        "flowers.csv: the sheet has 1048576 rows and 16384 columns, empty ones between the filled ones included, and "
        "that is too many. Delete the cells far away from the table, or copy the table to a new file.",
        "flowers.csv: на листе строк 1048576, столбцов 16384 (считая пустые между заполненными), и это слишком много. "
        "Удалите ячейки, стоящие далеко от таблицы, или скопируйте таблицу в новый файл.",
    ]


def test_coloured_cells_far_away_are_no_cells(read):
    workbook = openpyxl.Workbook()
    for row in ROWS:
        workbook.active.append(row)
    workbook.active["XFD1048576"].fill = openpyxl.styles.PatternFill("solid", "FFFF00")
    assert pairs(read(saved(workbook))) == PAIRS


def ods_row(cells, repeats=1):
    return f'<table:table-row table:number-rows-repeated="{repeats}">{cells}</table:table-row>'


WORD = '<table:table-cell office:value-type="string"{}><text:p>слово</text:p></table:table-cell>'


def test_the_empty_rest_of_a_sheet_of_libreoffice_is_no_cells(read):
    rows = "".join(ods_row("".join(WORD.format("").replace("слово", cell) for cell in row)) for row in ROWS)
    rest = ods_row('<table:table-cell table:number-columns-repeated="16384"/>', 1048573)
    content = ods_content(f'<table:table table:name="Л">{rows}{rest}</table:table>')
    assert pairs(read(ods({}, content))) == PAIRS


@pytest.mark.parametrize(
    "row",
    [
        ods_row(WORD.format(' table:number-columns-repeated="1000000000"')),
        ods_row(WORD.format("") + WORD.format(""), 1_000_000_000),
    ],
)
def test_a_cell_repeated_a_thousand_million_times_is_refused(refusal, row):
    content = ods_content(f'<table:table table:name="Л">{row}</table:table>')
    assert "and that is too many" in refusal(ods({}, content))[0]


def test_a_remark_on_a_cell_of_libreoffice_is_no_part_of_it(read):
    note = "<office:annotation><text:p>проверить</text:p></office:annotation>"
    number = '<table:table-cell office:value-type="float" office:value="1945">'
    cell = f"{number}{note}<text:p>1945</text:p></table:table-cell>"
    rows = "".join(ods_row("".join(WORD.format("").replace("слово", text) for text in row)) for row in ROWS)
    last = ods_row(WORD.format("") + cell)
    table = read(ods({}, ods_content(f'<table:table table:name="Л">{rows}{last}</table:table>')))
    assert table.rows[2].answer == "1945"


# What is damaged or locked


def test_a_locked_workbook_is_refused(refusal):
    said = [
        "flowers.csv: the workbook is locked with a password. Open it, take the password off and save it again.",
        "flowers.csv: книга закрыта паролем. Откройте её, снимите пароль и сохраните заново.",
    ]
    assert refusal(compound("EncryptedPackage", b"secret")) == said
    assert refusal(ods({"Лист1": ROWS}, manifest="<manifest:encryption-data/>")) == said


def test_a_workbook_that_may_only_not_be_rearranged_is_read(read):
    workbook = openpyxl.load_workbook(io.BytesIO(xlsx(ROWS)))
    workbook.security = WorkbookProtection(workbookPassword="1234", lockStructure=True)
    workbook.active.protection.enable()
    assert pairs(read(saved(workbook))) == PAIRS


DAMAGED = [
    "flowers.csv: the workbook is damaged and cannot be read. Open it in Excel or LibreOffice and save it again.",
    "flowers.csv: книга повреждена, прочесть её не удалось. Откройте её в Excel или LibreOffice и сохраните заново.",
]


@pytest.mark.parametrize(
    "content",
    [
        b"PK\3\4\x14\0\6\0\x08\0",
        xlsx(ROWS)[:3000],
        repacked(xlsx(ROWS), {"xl/workbook.xml": "<workbook"}),
        repacked(xlsx(ROWS), {"xl/worksheets/sheet1.xml": "<worksheet><row><c r='A1'>"}),
        repacked(xlsx(ROWS), {"xl/_rels/workbook.xml.rels": "<Relationships/>"}),
        repacked(xlsx(ROWS), {"xl/styles.xml": "styles"}),
        ods({"Лист1": ROWS}, "not xml"),
        compound("Workbook", b"not a workbook"),
        xls("Лист1", ROWS)[:1600],
    ],
)
def test_a_damaged_workbook_is_refused(refusal, content):
    assert refusal(content) == DAMAGED


@pytest.mark.parametrize("kind", BOOKS)
def test_a_workbook_with_any_bytes_changed_is_read_or_refused(read, kind):
    rng = random.Random(kind)
    whole = BOOKS[kind](ROWS)
    for _ in range(60):
        changed = bytearray(whole)
        for _ in range(rng.randint(1, 8)):
            changed[rng.randrange(8, len(changed))] = rng.randrange(256)
        try:
            table = read(bytes(changed))
        except TableError:
            continue
        assert table.read >= 2
