"""JSON records: one a line, or all in a list."""

import json

import pytest

from tests.data.tables import kinds, pairs, refused

PAIR = [("Кто там?", "Я"), ("Где он?", "Тут")]


def lines(records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


@pytest.mark.parametrize(
    "names",
    [
        *(("question", "answer"), ("prompt", "completion"), ("instruction", "output"), ("вопрос", "ответ")),
        *(("Question", "Answer"), ("input", "output"), ("query", "response"), ("term", "definition")),
    ],
)
@pytest.mark.parametrize("name", ["flowers.jsonl", "flowers.ndjson", "flowers.txt", "flowers.csv"])
def test_records_are_read_by_the_names_of_their_fields(read, names, name):
    table = read(lines(dict(zip(names, pair, strict=True)) for pair in PAIR), name=name)
    assert (pairs(table), table.problems) == (PAIR, ())
    assert (table.question_column, table.answer_column) == names
    assert (table.encoding, table.delimiter, table.sheet) == ("utf-8", None, None)


@pytest.mark.parametrize("indent", [None, 2])
def test_records_may_stand_in_a_list_or_in_an_object_with_one(read, indent):
    records = [{"question": question, "answer": answer} for question, answer in PAIR]
    for whole in (records, {"version": 1, "data": records}):
        content = json.dumps(whole, ensure_ascii=False, indent=indent)
        assert pairs(read(content, name="flowers.json")) == pairs(read(content)) == PAIR


@pytest.mark.parametrize("written_in", ["utf-8-sig", "utf-16", "cp1251"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_records_are_read_in_any_encoding_and_with_any_line_ends(read, written_in, end):
    content = lines({"question": question, "answer": answer} for question, answer in PAIR).replace("\n", end)
    assert pairs(read(content, written_in)) == PAIR


def test_the_input_of_an_instruction_is_appended_where_there_is_one(read):
    table = read(
        lines(
            [
                {"instruction": "Переведи.", "input": "cat", "output": "кошка"},
                {"instruction": "Назови столицу Италии.", "input": "", "output": "Рим"},
                {"instruction": "Назови столицу Испании.", "output": "Мадрид"},
            ]
        )
    )
    assert [row.question for row in table.rows] == [
        "Переведи.\ncat",
        "Назови столицу Италии.",
        "Назови столицу Испании.",
    ]
    assert table.problems == ()


def turn(question, answer, system=None):
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return [{"role": "system", "content": system}, *messages] if system else messages


def test_messages_of_one_turn_are_a_row(read):
    table = read(lines({"messages": turn(*pair)} for pair in PAIR))
    assert (pairs(table), table.problems) == (PAIR, ())
    assert (table.question_column, table.answer_column) == ("user", "assistant")


def test_a_system_message_is_left_with_a_note(read):
    table = read(lines([{"messages": turn(*PAIR[0], "Отвечай кратко.")}, {"messages": turn(*PAIR[1])}]))
    assert (pairs(table), kinds(table)) == (PAIR, [("system_messages", None, "note")])
    assert table.problems[0].message == "flowers.csv: system messages are not learned; rows that have one: 1."


def test_conversations_are_known_in_their_other_forms(read):
    table = read(
        lines(
            [
                {"conversations": [{"from": "human", "value": "Кто там?"}, {"from": "gpt", "value": "Я"}]},
                {
                    "prompt": [{"role": "user", "content": [{"type": "text", "text": "Где он?"}]}],
                    "completion": [{"role": "assistant", "content": "Тут"}],
                },
            ]
        )
    )
    assert (pairs(table), table.problems) == (PAIR, ())


def test_a_conversation_of_several_turns_is_an_error_that_names_its_row(read):
    table = read(
        lines(
            [
                {"messages": turn(*PAIR[0])},
                {"messages": turn(*PAIR[1]) + turn("И?", "Всё")},
                {"messages": turn("A", "b")},
            ]
        )
    )
    assert kinds(table) == [("several_turns", 2, "error")]
    assert table.problems[0].message == (
        "flowers.csv, row 2: a conversation of several questions, and only one question with one answer can be "
        "learned. Make each a row of its own."
    )
    assert [(row.question, row.reason) for row in table.refused] == [("Где он?", "several_turns")]


@pytest.mark.parametrize(
    "messages",
    [[], [{"role": "user", "content": "Кто?"}], turn(*PAIR[0])[::-1], ["Кто?", "Я"], [{"role": ["user"]}, {}]],
)
def test_messages_that_are_no_question_with_its_answer_are_an_error(read, messages):
    table = read(lines([{"messages": turn(*PAIR[0])}, {"messages": messages}, {"messages": turn(*PAIR[1])}]))
    assert (pairs(table), refused(table)) == (PAIR, [(2, "no_turn")])


def test_a_broken_line_is_an_error_that_names_the_line_of_the_file(read):
    records = lines({"question": question, "answer": answer} for question, answer in PAIR)
    table = read("\n" + records + '{"question": "А?", "answer": \n' + "просто текст\n" + "[1]\n")
    assert (pairs(table), table.read) == (PAIR, 5)
    assert refused(table) == [(3, "broken_json"), (4, "broken_json"), (5, "broken_json")]
    assert table.problems[0].message == (
        "flowers.csv, file line 4: this line is not a JSON record. Each line should hold a whole one, such as "
        '{"question": "…", "answer": "…"}.'
    )


def test_a_broken_list_is_refused_with_the_line(refusal):
    assert refusal(
        '[\n {"question": "А?", "answer": "б"},\n {"question": "В?" "answer": "г"}\n]', name="flowers.json"
    ) == [
        "flowers.json, file line 3: the JSON is broken here. Mend this place; often a comma, a quote or a bracket is "
        "missing before it.",
        "flowers.json, строка файла 3: здесь нарушен JSON. Исправьте это место; часто перед ним не хватает запятой, "
        "кавычки или скобки.",
    ]


@pytest.mark.parametrize(
    "content",
    ["question,answer\nA?,b\nC?,d\n", "{}\n{}\n", "[1, 2]", "[" * 100_000, "7", '"текст"', "[]x", '{"a": ' * 100_000],
)
def test_what_holds_no_records_is_refused(refusal, content):
    said = refusal(content, name="flowers.jsonl")
    assert any(words in said[0] for words in ("there are no JSON records here", "the JSON is broken here"))


@pytest.mark.parametrize("content", ["", "\n \n", "[]"])
def test_an_empty_file_of_records_is_refused(refusal, content):
    assert refusal(content, name="flowers.jsonl")[0].startswith("flowers.jsonl: the file is empty.")


def test_fields_that_are_not_known_are_refused_by_name(refusal):
    assert refusal(lines([{"id": 1, "text": "роза"}, {"id": 2, "text": "мак"}])) == [
        "flowers.csv: the records have no fields “question” and “answer”, only: id | text. Give two fields these "
        "names, or name them in --question-column and --answer-column.",
        "flowers.csv: в записях нет полей «question» и «answer», а найдены: id | text. Назовите так два поля или "
        "укажите их в --question-column и --answer-column.",
    ]


def test_the_user_may_name_the_fields_and_the_others_are_named_and_left(read):
    records = [{"id": 1, "имя": "роза", "цвет": "красный"}, {"id": 2, "имя": "мак", "цвет": "алый"}]
    table = read(lines(records), question_column="имя", answer_column="цвет")
    assert (pairs(table), kinds(table)) == (
        [("роза", "красный"), ("мак", "алый")],
        [("other_columns", None, "note")],
    )


def test_fields_are_told_by_what_they_hold(read):
    table = read(lines({"id": place, "q1": pair[0], "text": pair[1] * 5} for place, pair in enumerate(PAIR)))
    assert (table.question_column, table.answer_column) == ("q1", "text")


def test_fields_that_lack_or_hold_no_text_are_errors_of_their_rows(read):
    records = [
        {"question": "А?", "answer": "б"},
        {"question": "В?"},
        {"question": None, "answer": "г"},
        {"question": "Д?", "answer": ["е", "ж"]},
        {"question": "З?", "answer": "\ud83d"},
        {"question": "И?", "answer": 1945},
        {"question": "К?", "answer": 0.5},
        {"question": "Л?", "answer": True},
    ]
    table = read("".join(json.dumps(record) + "\n" for record in records))
    assert pairs(table) == [("А?", "б"), ("И?", "1945"), ("К?", "0.5"), ("Л?", "true")]
    assert refused(table) == [(2, "empty_answer"), (3, "empty_question"), (4, "no_text"), (5, "no_text")]


def test_a_list_may_hold_what_is_no_record(read):
    table = read(json.dumps([{"question": "А?", "answer": "б"}, 7, {"question": "В?", "answer": "г"}]))
    assert refused(table) == [(2, "no_object")]


@pytest.mark.parametrize("name", ["paraphrases", "перефразировки"])
def test_other_wordings_are_a_list_or_a_text(read, name):
    table = read(
        lines(
            [
                {"question": "Кто?", "answer": "Я", name: ["Кто это?", " Кто? ", "", "a|b"]},
                {"question": "Где?", "answer": "Тут", name: "Где это? | Где он?"},
                {"question": "Как?", "answer": "Так"},
            ]
        )
    )
    assert [row.paraphrases for row in table.rows] == [("Кто это?", "a|b"), ("Где это?", "Где он?"), ()]


def test_a_giant_text_is_refused_with_its_row(refusal):
    assert refusal(lines([{"question": "А?", "answer": "б"}, {"question": "В?", "answer": "г" * 200_000}])) == [
        "flowers.csv, row 2: a cell is longer than 131072 characters. Shorten it.",
        "flowers.csv, строка 2: ячейка длиннее 131072 знаков. Сократите её.",
    ]


def test_a_table_about_json_is_no_file_of_records(read):
    rows = [('{"a": 1}', "объект"), ("[1, 2]", "список")]
    assert pairs(read('{"a": 1};объект\n[1, 2];список\n')) == rows
