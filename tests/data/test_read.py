"""Rows of a table and problems with them; files that are none."""

import re
import sys
import time

import pytest
from pydantic import ValidationError

from tests.data.tables import in_both_languages, kinds, pairs, refused, written
from tests.data.workbooks import xlsx
from znatok import messages
from znatok.data.read import read_table, refuse_if_untrainable
from znatok.errors import TableError
from znatok.settings import Reading

pytestmark = pytest.mark.usefixtures("english")


def test_blank_lines_are_not_rows_and_do_not_count(read):
    table = read("\n\nquestion,answer\n\nA?,b\n   \nC?,d\n,\n,\n\n")
    assert [(row.number, row.question) for row in table.rows] == [(1, "A?"), (2, "C?")]
    assert table.problems == ()


def test_only_the_first_rows_are_taken_where_a_number_is_asked(read):
    content = "question,answer\n" + "".join(f"Q{i}?,a{i}\n" for i in range(9)) + "Q9?,\n"
    table = read(content, num_rows=3)
    assert (pairs(table), table.problems) == ([("Q0?", "a0"), ("Q1?", "a1"), ("Q2?", "a2")], ())
    assert len(read(content, num_rows=100).rows) == 9


@pytest.mark.parametrize("num_rows", [1, 0, -3])
def test_fewer_than_two_rows_cannot_be_asked_for(num_rows):
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        Reading(num_rows=num_rows)


@pytest.mark.parametrize(("rows", "count"), [("", 0), ("A?,b\n", 1)])
def test_a_table_of_one_row_or_none_is_refused(refusal, rows, count):
    assert refusal("question,answer\n" + rows) == [
        f"flowers.csv: rows with a question and an answer: {count}; at least two are needed. Add rows.",
        f"flowers.csv: строк с вопросом и ответом: {count}, а нужно не меньше двух. Добавьте строки.",
    ]


def test_every_empty_cell_is_a_problem_with_its_row_and_all_are_told_at_once(read):
    table = read("question,answer\nA?,b\n,c\nD?,\n , \nE?\nF?,g\n")
    assert [row.number for row in table.rows] == [1, 6]
    assert kinds(table) == [
        ("empty_question", 2, "error"),
        ("empty_answer", 3, "error"),
        ("empty_question", 4, "error"),
        ("empty_answer", 4, "error"),
        ("empty_answer", 5, "error"),
    ]
    with pytest.raises(TableError) as caught:
        refuse_if_untrainable(table)
    assert str(caught.value) == (
        "flowers.csv: the table cannot be trained on until this is mended.\n"
        "flowers.csv, row 2: the question is empty. Fill it in or delete the row.\n"
        "flowers.csv, row 3: the answer is empty. Fill it in or delete the row.\n"
        "flowers.csv, row 4: the question is empty. Fill it in or delete the row.\n"
        "flowers.csv, row 4: the answer is empty. Fill it in or delete the row.\n"
        "flowers.csv, row 5: the answer is empty. Fill it in or delete the row."
    )


def test_problems_are_told_in_russian_too(read):
    messages.set_language("ru")
    table = read("вопрос;ответ\nA?;\n;b\nC?;d\nC?;d\nC?;e\nF?;g;h\n")
    assert [problem.message for problem in table.problems] == [
        "flowers.csv, строка 1: ответ пуст. Впишите его или удалите строку.",
        "flowers.csv, строка 2: вопрос пуст. Впишите его или удалите строку.",
        "flowers.csv, строка 6: ячеек 3, а столбцов 2. Если разделитель встречается в тексте, возьмите этот текст в "
        "кавычки.",
        "flowers.csv, строка 4: повторяет строку 3 слово в слово, поэтому взята только первая.",
        "flowers.csv, строка 5: тот же вопрос, что в строке 3, но ответ другой. Взяты обе; оставьте верный ответ или "
        "уточните вопрос.",
    ]
    with pytest.raises(TableError, match=r"^flowers\.csv: пока это не исправлено, учить по таблице нельзя\.\n"):
        refuse_if_untrainable(table)


def test_a_cell_cut_by_an_unquoted_delimiter_is_an_error_and_not_a_shorter_answer(read):
    table = read("question,answer\nA?,b\nC?,d, e and f\nG?,h,\n")
    assert pairs(table) == [("A?", "b"), ("G?", "h")]
    assert kinds(table) == [("extra_cells", 2, "error")]
    assert table.problems[0].message == (
        "flowers.csv, row 2: 3 cells, but there are 2 columns. If the text contains the delimiter, put that text in "
        "quotes."
    )


def test_an_exact_repetition_is_told_and_only_the_first_is_kept(read):
    table = read("question,answer\nA?,b\nC?,d\nA?,b\n A? ,b\n")
    assert [row.number for row in table.rows] == [1, 2]
    assert kinds(table) == [("duplicate", 3, "warning"), ("duplicate", 4, "warning")]
    assert table.problems[0].message == ("flowers.csv, row 3: repeats row 1 word for word, so only the first is taken.")
    refuse_if_untrainable(table)


def test_one_question_with_two_answers_is_told_and_both_are_kept(read):
    table = read("question,answer\nA?,b\nA?,c\nD?,e\n")
    assert len(table.rows) == 3
    assert kinds(table) == [("conflict", 2, "warning")]
    assert table.problems[0].message == (
        "flowers.csv, row 2: asks the same as row 1 and answers differently. Both are taken; keep the right answer or "
        "make the question more precise."
    )
    refuse_if_untrainable(table)


def test_every_row_read_is_taken_or_refused_with_its_reason(read):
    table = read("question,answer\nA?,b\n,c\nD?,\n,\nE?,f,g\nA?,b\nA?,h\n")
    assert [row.number for row in table.rows] == [1, 7]
    assert refused(table) == [
        (2, "empty_question"),
        (3, "empty_answer"),
        (4, "empty_question"),
        (5, "extra_cells"),
        (6, "duplicate"),
    ]
    assert (table.refused[3].question, table.refused[3].answer) == ("E?", "f")
    assert table.read == 7
    assert {row.number for row in table.refused} <= {problem.row for problem in table.problems}


def test_questions_that_are_merely_similar_are_no_problem(read):
    assert read("вопрос;ответ\nЧто такое транзистор?;а\nЧто такое резистор?;б\n").problems == ()


def test_a_table_that_is_one_row_repeated_cannot_be_trained_on(read):
    with pytest.raises(TableError, match="rows with a question and an answer: 1"):
        refuse_if_untrainable(read("question,answer\nA?,b\nA?,b\n"))


# Files


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(TableError) as caught:
        read_table(tmp_path / "flowers.csv")
    path = tmp_path / "flowers.csv"
    assert in_both_languages(caught.value) == [
        f"{path}: there is no such file. Check its name and the folder.",
        f"{path}: такого файла нет. Проверьте имя и папку.",
    ]


def test_a_misspelt_file_is_refused_with_the_nearest_name(tmp_path):
    (tmp_path / "flowers.csv").write_text("question,answer\n")
    with pytest.raises(TableError) as caught:
        read_table(tmp_path / "flower.csv")
    assert in_both_languages(caught.value) == [
        f"{tmp_path / 'flower.csv'}: there is no such file. Did you mean {tmp_path / 'flowers.csv'}?",
        f"{tmp_path / 'flower.csv'}: такого файла нет. Может быть, {tmp_path / 'flowers.csv'}?",
    ]


def test_a_file_in_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(TableError, match="there is no such file"):
        read_table(tmp_path / "nowhere" / "flowers.csv")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(TableError) as caught:
        read_table(tmp_path)
    assert in_both_languages(caught.value) == [
        f"{tmp_path}: this is a folder, and a table file is needed. Name the file itself, such as "
        f"{tmp_path}/dataset.csv.",
        f"{tmp_path}: это папка, а нужен файл таблицы. Укажите сам файл, например {tmp_path}/dataset.csv.",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows calls such a file missing")
def test_a_file_that_the_system_does_not_open_is_refused_with_its_reason(tmp_path):
    path = tmp_path / ("long" * 100 + ".csv")
    with pytest.raises(TableError, match=r"the file cannot be opened \(.+\)\. Close it in other programs"):
        read_table(path)


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b" \r\n\n", b";;\r\n;;\r\n", b"sep=;\r\n"])
def test_an_empty_file_is_refused(refusal, content):
    assert refusal(content) == [
        "flowers.csv: the file is empty. It needs a table of two columns: question and answer.",
        "flowers.csv: файл пуст. Нужна таблица из двух столбцов: вопрос и ответ.",
    ]


def test_the_table_names_the_language_of_its_messages_where_nothing_else_does(read, monkeypatch):
    monkeypatch.setattr(messages, "_asked_by_environment", lambda: None)
    messages.set_language(None)
    assert re.search("[а-я]{5}", read("Что это такое?;Это\nКто это такой?;Он\n").problems[0].message)


# Speed


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_ten_thousand_rows_are_read_in_seconds(read, form):
    answer = "Она ограничивает ток в цепи и греется. " * 5
    facts = [(f"Что делает деталь номер {number}?", answer + str(number)) for number in range(10_000)]
    rows = [("вопрос", "ответ"), *facts]
    content = written(rows, ";").encode("cp1251") if form == "csv" else xlsx(rows)
    started = time.perf_counter()
    table = read(content)
    assert time.perf_counter() - started < 5  # measured on one core: 0.6 and 1.1
    assert (pairs(table), table.problems) == (facts, ())
