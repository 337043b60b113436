"""Delimiters, quotes and line ends."""

import csv

import pytest

from tests.data.tables import pairs, written


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("header", [[("вопрос", "ответ")], []])
def test_the_delimiter_is_the_one_that_gives_even_rows(read, delimiter, header):
    rows = [("Что, где; когда?", "Там, тут; тогда."), ("Кто это, а?", "Он, и я."), ("Почему?", "Так")]
    table = read(written([*header, *rows], delimiter))
    assert (pairs(table), table.delimiter) == (rows, delimiter)


def test_one_comma_in_every_answer_does_not_make_it_the_delimiter(read):
    table = read("Кто это?;Вася, и Петя\nКто там?;Катя, и Маша\n")
    assert (table.delimiter, table.rows[0].answer) == (";", "Вася, и Петя")


def test_question_marks_are_never_a_delimiter(read):
    assert read("question,answer\nA?,b\nC?,d\n").delimiter == ","


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;"])
def test_the_line_with_which_excel_names_the_delimiter_is_not_a_row(read, first):
    table = read(f"{first}\r\nвопрос;ответ\r\nКто, где?;Я\r\nГде, кто?;Тут\r\n", "utf-8-sig")
    assert (pairs(table), table.delimiter) == ([("Кто, где?", "Я"), ("Где, кто?", "Тут")], ";")


def test_a_delimiter_named_by_excels_line_may_be_any_sign(read):
    assert pairs(read("sep=|\nquestion|answer\nA, b; c?|d\nE?|f\n")) == [("A, b; c?", "d"), ("E?", "f")]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_quotes_delimiters_and_line_breaks_stay_in_their_cells(read, line_end):
    table = read('question,answer\n"Say ""hi"", what?","One\ntwo, three"\n5" pipe?, "six"\n'.replace("\n", line_end))
    assert pairs(table) == [('Say "hi", what?', f"One{line_end}two, three"), ('5" pipe?', "six")]


def test_words_and_numbers_that_look_like_data_stay_text(read):
    values = ["NA", "None", "007", "null", "1e-4", "TRUE", "=1+1", "nan"]
    table = read("question,answer\n" + "".join(f"{value},{value}\n" for value in values))
    assert pairs(table) == [(value, value) for value in values]


def test_cells_lose_the_white_space_around_them(read):
    assert pairs(read('question , answer\n  A b? ,\t c \n" D? ","\ne\n"\n')) == [("A b?", "c"), ("D?", "e")]


def test_an_unclosed_quote_is_refused_with_the_line_where_its_record_starts(refusal):
    assert refusal('вопрос;ответ\nКто?;Я\nГде?;"Тут\nКак?;Так\n') == [
        "flowers.csv, file line 3: a record starts here in which a quote is opened and never closed. Close it or "
        'remove it; a quote inside a cell is written twice: "".',
        "flowers.csv, строка файла 3: здесь начинается запись, в которой кавычка открыта, но не закрыта. Закройте её "
        'или уберите; кавычка внутри ячейки пишется дважды: "".',
    ]


@pytest.mark.parametrize("content", ['"A?;b\nC?;d\n', 'A?;"b\nC?;d\n', '"A?,b\nC?,d\n'])
def test_an_unclosed_quote_in_the_first_row_of_a_bare_table_is_named_too(refusal, content):
    assert "file line 1: a record starts here in which a quote is opened" in refusal(content)[0]


def test_a_line_after_excels_delimiter_line_keeps_its_number_in_the_file(refusal):
    assert "file line 3:" in refusal('sep=;\nquestion;answer\nA?;"b\n')[0]


def test_quotes_that_would_vanish_or_swallow_rows_are_refused(refusal):
    assert refusal('question,answer\n"Moon" what is it?,a satellite\nSun?,a star\n') == [
        "flowers.csv, file line 2: the record that starts here has its quotes in the wrong places. Put the whole cell "
        'in quotes and write a quote inside it twice: "".',
        "flowers.csv, строка файла 2: в записи, которая здесь начинается, кавычки стоят неверно. Ячейка с кавычками "
        'целиком берётся в кавычки, а кавычка внутри неё пишется дважды: "".',
    ]


@pytest.mark.parametrize("header", ["question,answer\n", ""])
def test_a_giant_cell_is_refused_with_its_line(refusal, header):
    line = 2 + bool(header)
    assert refusal(f"{header}A?,b\nC?,{'d' * 200_000}\n") == [
        f"flowers.csv, file line {line}: a cell is longer than 131072 characters. Shorten it, or check that every "
        "quote is closed.",
        f"flowers.csv, строка файла {line}: ячейка длиннее 131072 знаков. Сократите её или проверьте, закрыты ли "
        "кавычки.",
    ]


def test_vertical_bars_divide_columns(read):
    rows = [("Что, где; когда?", "Там, тут; тогда."), ("Кто это, а?", "Он, и я.")]
    table = read(written([("вопрос", "ответ"), *rows], "|"))
    assert (pairs(table), table.delimiter) == (rows, "|")


def test_a_table_of_markdown_is_read(read):
    table = read("| Вопрос | Ответ |\n|:---|------:|\n| Кто там? | Я |\n| Где он? | Тут |\n")
    assert (pairs(table), table.problems) == ([("Кто там?", "Я"), ("Где он?", "Тут")], ())


SPOKEN = [("Кто сказал 'да', \"нет\"?", "Я; ты, он"), ("Где\nтут?", "Там: C:\\temp\\new")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize("is_doubled", [True, False])
def test_both_kinds_of_quotes_are_read_doubled_and_with_backslashes(read, delimiter, quote, is_doubled):
    dialect = {"quotechar": quote, "quoting": csv.QUOTE_ALL, "doublequote": is_doubled}
    content = written([("вопрос", "ответ"), *SPOKEN], delimiter, **dialect, escapechar=None if is_doubled else "\\")
    table = read(content)
    assert (pairs(table), table.delimiter, table.problems) == (SPOKEN, delimiter, ())


def test_single_quotes_around_every_cell_but_the_header_are_no_part_of_it(read):
    assert pairs(read("id;вопрос;ответ\n1;'Кто?';'Я'\n2;'Где?';'Тут'\n")) == [("Кто?", "Я"), ("Где?", "Тут")]


def test_single_quotes_around_the_cells_of_one_column_are_text(read):
    rows = [("How is a word written in Python?", "'word'"), ("How is a list written?", "'[1, 2]'")]
    assert pairs(read(written([("question", "answer"), *rows], ","))) == rows


@pytest.mark.parametrize("cell", ["'Tis so, isn't it", "rock 'n' roll", "it's", "'", "the '90s"])
def test_apostrophes_are_text(read, cell):
    rows = [(f"{cell}?", cell), ("What's up?", f"{cell}, {cell}")]
    assert pairs(read(written([("question", "answer"), *rows], ","))) == rows


@pytest.mark.parametrize("cell", ["C:\\temp", "C:\\temp\\", "\\n is a new line", 'a "quoted\\" cell'])
def test_backslashes_are_text(read, cell):
    rows = [("What is a path?", cell), ("And what else?", "nothing")]
    assert pairs(read(written([("question", "answer"), *rows], ","))) == rows


def test_only_the_backslashes_before_quotes_are_left_out(read):
    table = read('question,answer\n"Say \\"hi\\", what?","It is in C:\\temp\\new"\n"And?","One\\\\two"\n')
    assert pairs(table) == [('Say "hi", what?', "It is in C:\\temp\\new"), ("And?", "One\\two")]


@pytest.mark.parametrize("asked", [";", "semicolon", "Semicolon"])
def test_the_delimiter_that_the_user_names_is_taken(read, asked):
    table = read("a,b;c,d\nA, b?;e, f\nC, d?;g, h\n", delimiter=asked)
    assert (table.delimiter, pairs(table)[1:]) == (";", [("A, b?", "e, f"), ("C, d?", "g, h")])


def test_a_line_of_excels_is_left_out_when_the_user_names_the_delimiter(read):
    assert pairs(read("sep=;\nquestion,answer\nA?,b\nC?,d\n", delimiter="comma")) == [("A?", "b"), ("C?", "d")]


@pytest.mark.parametrize("asked", ["", ";;", "a", '"', "\n", "запятая"])
def test_what_cannot_divide_columns_is_no_delimiter(refusal, asked):
    assert refusal("question;answer\nA?;b\nC?;d\n", delimiter=asked) == [
        f"--delimiter: the value {asked} does not fit. It takes one sign, such as ; or |, or one of the words comma, "
        "semicolon, tab, pipe.",
        f"--delimiter: значение {asked} не подходит. Подойдёт один знак, например ; или |, или одно из слов comma, "
        "semicolon, tab, pipe.",
    ]


@pytest.mark.parametrize("asked", ["tab", "\t", "\\t"])
def test_a_tab_may_be_named_in_a_word(read, asked):
    assert pairs(read("question\tanswer\nA?\tb\nC?\td\n", delimiter=asked)) == [("A?", "b"), ("C?", "d")]


def test_a_large_file_is_read_to_its_end(read):
    rows = [(f"Вопрос {number}, какой?", f'Ответ "{number}"; ' + "да " * 60 + "и всё") for number in range(8000)]
    content = written([("вопрос", "ответ"), *rows], ";")
    assert len(content) > 1_500_000
    assert pairs(read(content)) == rows


def test_a_fault_far_in_a_large_file_is_told_with_its_line(refusal):
    rows = [(f"Вопрос {number}?", "да " * 60) for number in range(8000)]
    said = refusal(written([("вопрос", "ответ"), *rows], ";") + 'Где?;"Тут\n')
    assert said[0].startswith("flowers.csv, file line 8002: a record starts here in which a quote is opened")
