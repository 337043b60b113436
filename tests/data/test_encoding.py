"""In which encoding a file is."""

import codecs
import csv
from pathlib import Path

import pytest

from tests.data.tables import PAIRS, pairs, written

ROOT = Path(__file__).parent.parent.parent


def test_excel_in_russia_writes_cp1251_with_semicolons(read):
    table = read(written([("Вопрос", "Ответ"), *PAIRS], ";"), "cp1251")
    assert pairs(table) == PAIRS
    assert (table.encoding, table.delimiter) == ("cp1251", ";")
    assert (table.question_column, table.answer_column) == ("Вопрос", "Ответ")
    assert table.problems == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_utf_8_is_read_with_and_without_a_byte_order_mark(read, encoding):
    table = read(written([("question", "answer"), *PAIRS], ","), encoding)
    assert (pairs(table), table.encoding, table.question_column) == (PAIRS, encoding, "question")


@pytest.mark.parametrize(
    "body",
    [
        "Кто?;Я\r\nГде?;Тут\r\n",
        "КАК?;ТАК\r\nЗАЧЕМ?;ЗАТЕМ\r\n",
        "Цех?;Юг\r\nЩит?;Флаг\r\n",
        "реле — что?;ключ\r\nток?;поток\r\n",
        "А?;Б\r\nВ?;Г\r\n",
    ],
)
def test_very_short_cp1251_files_are_told_from_other_encodings(read, body):
    assert read("вопрос;ответ\r\n" + body, "cp1251").encoding == "cp1251"


def test_english_with_a_dash_and_a_degree_sign_of_excel_is_read(read):
    table = read(b"question;answer\r\nWhen does ice melt \x97 and how?;At 0 \xb0C\r\nWho?;\x93Me\x94\r\n")
    assert pairs(table) == [("When does ice melt — and how?", "At 0 °C"), ("Who?", "“Me”")]


@pytest.mark.parametrize("encoding", ["cp866", "koi8-r", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_what_old_programs_and_excel_write_besides_is_read(read, encoding):
    rows = [(question, answer.replace("—", "-")) for question, answer in PAIRS]
    table = read(written([("вопрос", "ответ"), *rows], ";"), encoding)
    assert (pairs(table), table.encoding, table.delimiter) == (rows, encoding, ";")


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_a_byte_order_mark_tells_utf_16(read, mark):
    order = "utf-16-le" if mark == codecs.BOM_UTF16_LE else "utf-16-be"
    table = read(mark + written([("question", "answer"), *PAIRS], "\t").encode(order))
    assert (pairs(table), table.encoding, table.question_column) == (PAIRS, "utf-16", "question")


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("body", ["A?,b\nC?,d\n", "А?,Б\nВ?,Г\n", "Ж?,Ϣ\n漢字?,ひらがな\n", "😀?,смайлик\nА?,😀\n"])
def test_the_order_of_bytes_is_found_without_a_mark(read, order, body):
    assert pairs(read("question,answer\n" + body, order)) == [tuple(line.split(",")) for line in body.split()]


def test_an_encoding_that_is_not_read_is_refused_and_never_misread(refusal):
    said = refusal(written([("вопрос", "ответ"), *PAIRS], ";"), "mac-cyrillic")
    assert said == [
        "flowers.csv: this is not text in UTF-8, UTF-16, cp1251, cp866 or koi8-r. If you know its encoding, name it, "
        "such as --encoding cp1252; or open the file in Excel and save it with File → Save As → CSV UTF-8.",
        "flowers.csv: это не текст в кодировке UTF-8, UTF-16, cp1251, cp866 или koi8-r. Если кодировка известна, "
        "укажите её, например --encoding cp1252; или откройте файл в Excel и сохраните так: Файл → Сохранить как → "
        "CSV UTF-8.",
    ]


@pytest.mark.parametrize("encoding", ["cp1251", "cp866", "koi8-r"])
def test_twenty_short_tables_in_each_old_encoding_are_read_right(read, encoding):
    with (ROOT / "dataset.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:121]
    for start in range(0, 120, 6):
        few = [(question, answer[:60].strip()) for question, answer in rows[start : start + 2]]
        content = written(few, ";").replace("—", "-").encode(encoding, "replace")
        table = read(content)
        assert (table.encoding, written(pairs(table), ";").encode(encoding)) == (encoding, content)


def test_accented_latin_letters_are_not_read_as_russian_ones(refusal):
    assert "not text" in refusal("question;answer\nWhat is a café?;Un déjà vu\nWho?;Zoë\n", "cp1252")[0]


def test_zero_bytes_that_are_no_utf_16_are_refused(refusal):
    assert refusal(b"question,answer\nA\0?,b\nC?,d\n") == [
        "flowers.csv: this is not text. Name a table: CSV, XLSX, XLS, ODS or JSONL.",
        "flowers.csv: это не текст. Укажите таблицу: CSV, XLSX, XLS, ODS или JSONL.",
    ]


@pytest.mark.parametrize(
    ("asked", "name"), [("cp1252", "cp1252"), ("Windows-1252", "cp1252"), ("latin-1", "iso8859-1")]
)
def test_the_encoding_that_the_user_names_is_taken(read, asked, name):
    table = read("question;answer\nWhat is a café?;Un déjà vu\nWho?;Zoë\n", "cp1252", encoding=asked)
    assert (table.encoding, table.rows[0].answer) == (name, "Un déjà vu")


def test_a_byte_order_mark_is_no_part_of_a_column_name_whatever_the_user_names(read):
    table = read(written([("question", "answer"), *PAIRS], ","), "utf-8-sig", encoding="utf-8")
    assert (table.question_column, table.encoding) == ("question", "utf-8")


@pytest.mark.parametrize(
    ("asked", "near"), [("cp12511", "cp1251"), ("utf-9", "utf-8"), ("win-1251", "windows-1251"), ("koi8", "koi8-r")]
)
def test_an_unknown_encoding_is_answered_with_the_nearest(refusal, asked, near):
    assert refusal("question,answer\nA?,b\nC?,d\n", encoding=asked) == [
        f"--encoding: there is no encoding {asked}. Did you mean {near}?",
        f"--encoding: кодировки {asked} нет. Может быть, {near}?",
    ]


@pytest.mark.parametrize("asked", ["hex", "rot13", "zlib", "idna", "utf7", "unicode_escape", "", "ута"])
def test_what_gives_no_text_is_no_encoding(refusal, asked):
    said = refusal("question,answer\nA?,b\nC?,d\n", encoding=asked)
    assert said[0].startswith(f"--encoding: there is no encoding {asked}. Did you mean ")


def test_an_encoding_that_does_not_fit_is_told_with_the_line(refusal):
    assert refusal(written([("вопрос", "ответ"), *PAIRS], ";"), "cp1251", encoding="utf-8") == [
        "flowers.csv, file line 1: this is not text in utf-8. Name another encoding in --encoding, or leave the flag "
        "out, and it will be found.",
        "flowers.csv, строка файла 1: это не текст в кодировке utf-8. Укажите в --encoding другую или уберите этот "
        "флаг: кодировка определится сама.",
    ]


def test_damaged_utf_16_is_refused_with_its_line(refusal):
    whole = written([("вопрос", "ответ"), *PAIRS], ";").encode("utf-16")
    assert refusal(whole + b"\x00\xd8\x20\x00")[0].startswith("flowers.csv, file line 4: the UTF-16 text is damaged")


def test_damaged_utf_8_is_refused_with_its_line(refusal):
    whole = written([("вопрос", "ответ"), *PAIRS], ";").encode()
    assert refusal(whole.replace("выключатель".encode(), "выключатель".encode()[:-1])) == [
        "flowers.csv, file line 3: the UTF-8 text is damaged here and cannot be read. Mend this place and save the "
        "file in UTF-8 again.",
        "flowers.csv, строка файла 3: текст в UTF-8 испорчен, буквы там не прочесть. Исправьте это место и сохраните "
        "файл заново в UTF-8.",
    ]
