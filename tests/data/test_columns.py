"""Which column is which."""

import pytest

from tests.data.tables import kinds, pairs


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
        "these names, or name them in --question-column and --answer-column. If the text contains the delimiter, put "
        "that text in quotes.",
        "flowers.csv: нет столбцов «вопрос» и «ответ», а найдены: id | текст | метка. Назовите ими нужные два столбца "
        "или укажите их в --question-column и --answer-column. Если разделитель встречается в тексте, возьмите такой "
        "текст в кавычки.",
    ]


def test_a_single_column_is_refused_with_what_it_holds(refusal):
    assert refusal("вопрос\nКто?\nГде?\n") == [
        "flowers.csv: there is only one column: вопрос. Two are needed, question and answer, with a comma, a semicolon "
        "or a tab between them.",
        "flowers.csv: найден только один столбец: вопрос. Нужны два, вопрос и ответ, а между ними запятая, точка с "
        "запятой или табуляция.",
    ]


@pytest.mark.parametrize(
    "header",
    [
        *("Q,A", "prompt,completion", "Instruction;Output", "Термин;Определение", "Запрос,Ответ", "front,back"),
        *("Вопрос:;Ответ:", "1. Вопрос;2. Ответ", "Текст вопроса;Правильный ответ", "question_text,correct_answer"),
    ],
)
def test_other_names_of_the_columns_are_known_in_pairs(read, header):
    delimiter = ";" if ";" in header else ","
    table = read(f"№,{header},тема\n1,A,b,x\n2,C,d,y\n".replace(",", delimiter))
    assert pairs(table) == [("A", "b"), ("C", "d")]
    assert [problem.kind for problem in table.problems] == ["other_columns"]


@pytest.mark.parametrize("pair", ["output,вывод", "term,срок", "back,спина", "запрос,request"])
def test_a_word_that_is_taught_is_no_column_name(read, pair):
    assert len(read(f"{pair}\ninput,ввод\nfront,перед\n").rows) == 3


def test_the_surest_name_wins_where_several_fit(read):
    table = read("prompt,вопрос,output,ответ\nx,A?,y,b\nx,C?,y,d\n")
    assert (table.question_column, table.answer_column, pairs(table)) == ("вопрос", "ответ", [("A?", "b"), ("C?", "d")])


@pytest.mark.parametrize("lines", [1, 2, 9])
def test_a_header_is_found_under_a_title_which_is_named(read, lines):
    title = "Викторина 7 класса;;\n" + "Составил Иванов;\n" * (lines - 1)
    table = read(f"{title}№;Вопрос;Ответ\n1;Кто?;Я\n2;Где?;Тут\n")
    assert pairs(table) == [("Кто?", "Я"), ("Где?", "Тут")]
    assert [row.number for row in table.rows] == [1, 2]
    assert kinds(table) == [("title", None, "note"), ("other_columns", None, "note")]
    assert table.problems[0].message.startswith(
        "flowers.csv: what stands above the column names is not learned: Викторина 7 класса"
    )


def test_a_header_below_the_tenth_line_is_not_looked_for(refusal):
    assert "there are no columns" in refusal("a;b;c\n" * 10 + "№;Вопрос;Ответ\n1;Кто?;Я\n2;Где?;Тут\n")[0]


def test_less_sure_names_make_no_header_under_a_full_row(read):
    assert len(read("диод,вентиль\nзапрос,output\nреле,ключ\n").rows) == 3


def test_without_names_the_columns_are_told_by_question_marks_and_length(read):
    first = "1;кино;Сергей Эйзенштейн, режиссёр;Кто снял «Броненосец»?\n"
    table = read(first + "2;музыка;Пётр Ильич Чайковский;Кто написал «Щелкунчик»?\n")
    assert pairs(table)[0] == ("Кто снял «Броненосец»?", "Сергей Эйзенштейн, режиссёр")
    assert [kind for kind, *_ in kinds(table)] == ["header", "columns_guessed", "other_columns"]
    assert table.problems[1].message == (
        "flowers.csv: by what they hold, “4” is taken for the questions and “3” for the answers. If that is wrong, "
        "name the columns in --question-column and --answer-column."
    )


def test_two_columns_the_wrong_way_round_are_turned(read):
    table = read("Серый волк,Кто съел бабушку?\nКот в сапогах,Кто обманул людоеда?\n")
    assert pairs(table)[1] == ("Кто обманул людоеда?", "Кот в сапогах")
    assert [kind for kind, *_ in kinds(table)] == ["header", "columns_guessed"]


def test_questions_on_both_sides_are_not_turned(read):
    assert pairs(read("А?,Б?\nВ?,Г?\n")) == [("А?", "Б?"), ("В?", "Г?")]


@pytest.mark.parametrize(
    "body",
    [
        "1;a;b\n2;c;d\n",
        "A?;Кто это?;Он\nC?;Где это?;Там\n",
        "Кто?;ответ один;ответ два\nГде?;ответ три;ответ два\n",
        "Кто?;1;2\nГде?;3;4\n",
    ],
)
def test_columns_that_cannot_be_told_apart_are_refused(refusal, body):
    assert "there are no columns “question” and “answer”" in refusal(body)[0]


# What the user names


@pytest.mark.parametrize(("question", "answer"), [("имя", "цвет"), ("2", "3"), ("Имя ", "3"), ("2", "ЦВЕТ")])
def test_columns_are_taken_by_name_or_number(read, question, answer):
    content = "номер;имя;цвет\n1;роза;красный\n2;мак;алый\n3;василёк;синий\n"
    table = read(content, question_column=question, answer_column=answer)
    assert pairs(table)[-2:] == [("мак", "алый"), ("василёк", "синий")]
    if not (question.isdecimal() and answer.isdecimal()):
        assert (len(table.rows), table.question_column, table.answer_column) == (3, "имя", "цвет")


def test_numbers_win_over_known_names_and_the_header_stays_one(read):
    content = "вопрос;ответ;перевод\nКто?;Я;Who?\nГде?;Тут;Where?\n"
    table = read(content, question_column="3", answer_column="2")
    assert pairs(table) == [("Who?", "Я"), ("Where?", "Тут")]
    assert kinds(table) == [("other_columns", None, "note")]


def test_one_named_column_leaves_the_other_to_be_known(read):
    content = "вопрос;ответ;короткий ответ\nКто?;Это был я;Я\nГде?;Это было тут;Тут\n"
    assert pairs(read(content, answer_column="короткий ответ")) == [("Кто?", "Я"), ("Где?", "Тут")]


def test_a_known_column_may_be_named_for_the_other_side(read):
    table = read("вопрос,ответ\nКто?,Я\nГде?,Тут\n", question_column="ответ")
    assert pairs(table) == [("Я", "Кто?"), ("Тут", "Где?")]


def test_a_named_column_is_found_under_a_title(read):
    content = "Цветы\nномер;имя;цвет\n1;роза;красный\n2;мак;алый\n"
    assert pairs(read(content, question_column="имя", answer_column="цвет")) == [("роза", "красный"), ("мак", "алый")]


def test_an_unknown_column_is_answered_with_the_nearest(refusal):
    content = "номер;имя;цвет\n1;роза;красный\n2;мак;алый\n"
    assert refusal(content, question_column="имена", answer_column="цвет") == [
        "flowers.csv: there is no column имена. Did you mean имя? Columns: номер | имя | цвет.",
        "flowers.csv: столбца имена нет. Может быть, имя? Столбцы: номер | имя | цвет.",
    ]


@pytest.mark.parametrize("number", ["0", "4", "99999999999999999999"])
def test_a_column_number_that_is_not_there_is_refused(refusal, number):
    assert refusal("номер;имя;цвет\n1;роза;красный\n2;мак;алый\n", question_column=number, answer_column="3") == [
        f"flowers.csv: there is no column {number}; columns in all: 3. They are numbered from 1.",
        f"flowers.csv: столбца {number} нет, всего столбцов 3. Они считаются с 1.",
    ]


def test_one_column_cannot_hold_both(refusal):
    assert refusal("вопрос,ответ\nКто?,Я\nГде?,Тут\n", question_column="ответ", answer_column="2") == [
        "flowers.csv: the column ответ is named for the questions and for the answers alike. Name two columns.",
        "flowers.csv: столбец ответ назван и для вопросов, и для ответов. Назовите два разных.",
    ]


# Other wordings


@pytest.mark.parametrize(
    "name", ["paraphrases", "Перефразировки", "другие формулировки", "Paraphrase 1", "question variants"]
)
def test_a_column_of_other_wordings_belongs_to_its_row(read, name):
    table = read(f'вопрос;ответ;{name}\nКто?;Я;"Кто это? | Кто?\n Кто там? |Кто это?"\nГде?;Тут;\n')
    assert [row.paraphrases for row in table.rows] == [("Кто это?", "Кто там?"), ()]
    assert table.problems == ()


def test_several_columns_of_other_wordings_are_put_together(read):
    table = read("question,answer,paraphrase 1,paraphrase 2\nA?,b,A so?,A then?\nC?,d,,C now?\n")
    assert [row.paraphrases for row in table.rows] == [("A so?", "A then?"), ("C now?",)]
