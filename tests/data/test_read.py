"""Tables as Excel and people save them, to the byte."""

import csv
import io
import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from znatok import messages
from znatok.data.read import read_table, refuse_if_untrainable
from znatok.errors import TableError

PAIRS = [("Что такое диод?", "Диод пропускает ток в одну сторону."), ("Что такое реле?", "Реле — это выключатель.")]


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setattr(messages, "_chosen", "en")


@pytest.fixture
def read(tmp_path):
    def read(content, encoding="utf-8", **asked):
        path = tmp_path / "flowers.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return read_table(path, **asked)

    return read


@pytest.fixture
def refusal(read):
    """The messages of a refusal in English and in Russian."""

    def refusal(content, encoding="utf-8", **asked):
        with pytest.raises(TableError) as caught:
            read(content, encoding, **asked)
        return in_both_languages(caught.value)

    return refusal


def in_both_languages(error):
    said = []
    for language in ("en", "ru"):
        messages.set_language(language)
        said.append(str(error))
    return said


def pairs(table):
    return [(row.question, row.answer) for row in table.rows]


def kinds(table):
    return [(problem.kind, problem.row, problem.severity) for problem in table.problems]


def written(rows, delimiter):
    target = io.StringIO(newline="")
    csv.writer(target, delimiter=delimiter).writerows(rows)
    return target.getvalue()


# Encodings


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


@pytest.mark.parametrize("encoding", ["cp866", "koi8-r", "mac-cyrillic", "utf-16", "utf-16-le"])
def test_an_encoding_that_is_not_read_is_refused_and_never_misread(refusal, encoding):
    said = refusal(written([("вопрос", "ответ"), *PAIRS], ";").replace("—", "-"), encoding)
    assert said == [
        "flowers.csv: this is not text in UTF-8 or cp1251. Open the file in Excel and save it with "
        "File → Save As → CSV UTF-8.",
        "flowers.csv: это не текст в кодировке UTF-8 или cp1251. Откройте файл в Excel и сохраните так: "
        "Файл → Сохранить как → CSV UTF-8.",
    ]


def test_accented_latin_letters_are_not_read_as_russian_ones(refusal):
    assert "not text" in refusal("question;answer\nWhat is a café?;Un déjà vu\nWho?;Zoë\n", "cp1252")[0]


def test_an_excel_workbook_is_refused_as_not_text(refusal):
    assert "not text" in refusal(b"PK\x03\x04\x14\x00\x06\x00\x08\x00")[0]


def test_damaged_utf_8_is_refused_with_its_line(refusal):
    whole = written([("вопрос", "ответ"), *PAIRS], ";").encode()
    assert refusal(whole.replace("выключатель".encode(), "выключатель".encode()[:-1])) == [
        "flowers.csv, file line 3: the UTF-8 text is damaged here and cannot be read. Mend this place and save the "
        "file in UTF-8 again.",
        "flowers.csv, строка файла 3: текст в UTF-8 испорчен, буквы там не прочесть. Исправьте это место и сохраните "
        "файл заново в UTF-8.",
    ]


# Delimiters, quotes and lines


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


# Columns


@pytest.mark.parametrize(
    "header",
    ["question,answer", "Question,ANSWER", "вопрос,ответ", "ВОПРОС , Ответ", "Вопросы,Ответы", "question,Ответ"],
)
def test_the_columns_are_known_by_name_in_either_language_and_case(read, header):
    table = read(f"{header}\nA?,b\nC?,d\n")
    assert (pairs(table), table.problems) == ([("A?", "b"), ("C?", "d")], ())


def test_known_columns_are_found_in_any_order_and_the_others_are_named_and_left(read):
    table = read("id;ответ;тема;вопрос;\n1;b;x;A?;\n2;d;;C?;\n")
    assert pairs(table) == [("A?", "b"), ("C?", "d")]
    assert kinds(table) == [("other_columns", None, "note")]
    assert table.problems[0].message == "flowers.csv: other columns are not used: id | тема."


def test_two_columns_without_names_are_question_and_answer_from_the_first_line_on(read):
    table = read("Кто там?,Я\nГде он?,Тут\n")
    assert pairs(table) == [("Кто там?", "Я"), ("Где он?", "Тут")]
    assert (table.question_column, table.answer_column) == ("1", "2")
    assert kinds(table) == [("header", None, "note")]
    assert table.problems[0].message == (
        "flowers.csv: there are no column names, so the first line is taken as a question and its answer: "
        "Кто там? | Я. If these are names, change them to “question” and “answer”."
    )


def test_two_columns_with_other_names_are_read_and_the_guess_is_told(read):
    table = read("term,meaning\nWhat is a diode?,A one-way valve.\nWhat is a relay?,A switch.\n")
    assert [row.number for row in table.rows] == [1, 2]
    assert (table.question_column, table.answer_column) == ("term", "meaning")
    assert kinds(table) == [("header", None, "note")]
    assert table.problems[0].message == (
        "flowers.csv: the first line is taken for column names and is not learned: term | meaning. If it is a question "
        "with its answer, put a line with the names “question” and “answer” above it."
    )


@pytest.mark.parametrize(
    "first",
    [
        "Столица Франции,Париж",
        "Кто?,Я",
        "Год полёта Гагарина,1961",
        "Закон Ома,I = U / R",
        "Зачем нужен АЦП,Для замера",
    ],
)
def test_a_fact_in_the_first_line_is_never_swallowed_as_a_header(read, first):
    table = read(f"{first}\nКакой город столица Италии?,Рим\nКакой город столица Испании?,Мадрид\n")
    assert pairs(table)[0] == tuple(first.split(","))


def test_a_vocabulary_has_no_header(read):
    assert len(read("cat,кошка\ndog,собака\nhouse,дом\n").rows) == 3


@pytest.mark.parametrize("header", ["вопрос,текст", "текст,вопрос"])
def test_one_known_name_of_two_tells_the_other(read, header):
    table = read(f"{header}\nA?,b\nC?,d\n")
    assert (table.question_column, table.answer_column) == ("вопрос", "текст")
    assert kinds(table) == [("header", None, "note")]


def test_several_columns_without_known_names_are_refused_by_name(refusal):
    assert refusal("id;текст;метка\n1;a;b\n2;c;d\n") == [
        "flowers.csv: there are no columns “question” and “answer”, only: id | текст | метка. Give the two columns "
        "these names. If the text contains the delimiter, put that text in quotes.",
        "flowers.csv: нет столбцов «вопрос» и «ответ», а найдены: id | текст | метка. Назовите ими нужные два столбца. "
        "Если разделитель встречается в тексте, возьмите такой текст в кавычки.",
    ]


def test_a_single_column_is_refused_with_what_it_holds(refusal):
    assert refusal("вопрос\nКто?\nГде?\n") == [
        "flowers.csv: there is only one column: вопрос. Two are needed, question and answer, with a comma, a semicolon "
        "or a tab between them.",
        "flowers.csv: найден только один столбец: вопрос. Нужны два, вопрос и ответ, а между ними запятая, точка с "
        "запятой или табуляция.",
    ]


# Rows


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
def test_fewer_than_two_rows_cannot_be_asked_for(refusal, num_rows):
    assert refusal("question,answer\nA?,b\nC?,d\n", num_rows=num_rows) == [
        f"Rows asked for: {num_rows}; at least two are needed. Raise --num-rows or leave it out.",
        f"Задано строк: {num_rows}, а нужно не меньше двух. Увеличьте --num-rows или уберите его.",
    ]


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


# Any table

SIGNS = st.text(alphabet=' ,;\t"\n.?!«»—0123456789', max_size=6)
WORDS = st.sampled_from(["резистор", "ограничивает", "ток", "лампа", "если", "который", "цепь", "Вольт", "Закон"])
RUSSIAN = st.lists(st.tuples(WORDS, SIGNS), min_size=1, max_size=6).map(lambda parts: " ".join(w + s for w, s in parts))
ANYTHING = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(str.strip)


def tables(cells):
    return st.lists(st.tuples(cells, cells), min_size=2, max_size=6, unique_by=lambda pair: pair[0].strip())


@settings(max_examples=150, deadline=None)
@given(
    case=st.one_of(
        st.tuples(st.sampled_from(["utf-8", "utf-8-sig"]), tables(ANYTHING)),
        st.tuples(st.just("cp1251"), tables(RUSSIAN)),
    ),
    delimiter=st.sampled_from([",", ";", "\t"]),
)
def test_any_table_is_read_back_as_it_was_written(tmp_path_factory, case, delimiter):
    encoding, rows = case
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(written([("question", "answer"), *rows], delimiter).encode(encoding))
    table = read_table(path)
    assert pairs(table) == [(question.strip(), answer.strip()) for question, answer in rows]
    assert (table.encoding, table.delimiter, table.problems) == (encoding, delimiter, ())
