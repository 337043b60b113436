import pytest

from tests.data.workbooks import xlsx
from tests.tiny import tiny_folder
from znatok import cli


def test_check_shows_rows_with_their_trained_tokens_marked(tmp_path, capsys):
    model = tiny_folder(tmp_path / "tiny")
    table = tmp_path / "t.csv"
    table.write_text("question,answer\nЧто это?,Стол.\nА то?,Дом.\nИ там?,Лес.\nЗачем?,Так.\n", encoding="utf-8")
    code = cli.run(["check", str(table), "--show", "3", "--model", str(model), "--lang", "ru"])
    out = capsys.readouterr().out.replace("\n", "")
    assert code == 0
    shown = out[out.index("Выделено") :]
    # Without colour, trained tokens stand in brackets: exactly the answer and its end.
    assert shown.count("<|im_start|>user") == 3
    assert shown.count("[<|im_end|>]") == 3
    for answer in ("Стол.", "Дом.", "Лес."):
        assert f"[{answer}<|im_end|>]" in shown.replace("][", "")
    assert "Так." not in shown
    assert "строка 3:" in shown


@pytest.fixture
def shown(tmp_path, capsys, monkeypatch):
    """What `check` shows of a file with this content, without a model."""
    monkeypatch.setenv("ZNATOK_CACHE", str(tmp_path / "cache"))

    def shown(name, content, *flags):
        (tmp_path / name).write_bytes(content)
        cli.run(["check", str(tmp_path / name), "--lang", "ru", *flags])
        return capsys.readouterr().out

    return shown


def test_check_shows_how_a_table_was_decoded_and_three_rows_of_it(shown):
    content = "вопрос;ответ\nЧто это?;Стол.\nА то?;Дом.\nИ там?;Лес.\nЗачем?;Так.\n".encode("cp866")
    out = shown("т.csv", content)
    assert "т.csv: строк 4 (кодировка cp866, разделитель «;», столбцы «вопрос» → «ответ»)\n" in out
    assert "  1: Что это? → Стол.\n  2: А то? → Дом.\n  3: И там? → Лес.\n" in out
    assert "Зачем?" not in out


def test_check_shows_the_sheet_of_a_workbook(shown):
    content = xlsx(Книга=[("роза", "красный", 1)], Вопросы=[("вопрос", "ответ"), ("Кто?", "Я"), ("Где?", 0.5)])
    out = shown("т.xlsx", content)
    assert "т.xlsx: строк 2 (лист «Вопросы», столбцы «вопрос» → «ответ»)\n" in out
    assert "  2: Где? → 0,5\n" in out
    assert "другие листы не используются: Книга." in out


def test_check_shows_the_fields_of_json_records(shown):
    content = '{"prompt": "Кто?", "completion": "Я"}\n{"prompt": "Где?", "completion": "Тут"}\n'.encode()
    out = shown("т.jsonl", content)
    assert "т.jsonl: строк 2 (JSON, кодировка utf-8, поля «prompt» → «completion»)\n" in out


def test_check_says_how_many_rows_are_not_taken(shown):
    content = "вопрос,ответ\nКто?,Я\nГде?,\nКто?,Я\nКак?,Так\n".encode()
    assert "Строк прочитано 4: взято 2, не взято 2.\n" in shown("т.csv", content)


def test_control_characters_of_a_column_name_do_not_reach_the_terminal(shown):
    content = b"a\x1b]52;c\nA?;b\nC?;d\n"
    out = shown("t.csv", content, "--question-column", "1", "--answer-column", "2")
    assert "\x1b" not in out
    assert "a]52" in out


def test_check_shows_in_which_other_words_training_will_ask(tmp_path, capsys):
    model = tiny_folder(tmp_path / "tiny")
    table = tmp_path / "t.csv"
    rows = "Что такое диод?,Диод — это прибор для тока.\nЗачем воде кипеть?,Кипение убивает микробы.\nКто там?,Я.\n"
    table.write_text("question,answer\n" + rows, encoding="utf-8")
    shown = {}
    for lang in ("ru", "en"):
        assert cli.run(["check", str(table), "--show", "2", "--model", str(model), "--lang", lang]) == 0
        shown[lang] = capsys.readouterr().out
    for lang, head in (("ru", "Так вопрос строки 2 при обучении"), ("en", "In training the question of row 2")):
        wordings = shown[lang][shown[lang].index(head) :].splitlines()[1:6]
        assert len(wordings) == 5
        assert all(line.startswith("  ") and line.strip() for line in wordings)
    assert "строки 3" not in shown["ru"]
    assert shown["ru"].splitlines()[-5:] == shown["en"].splitlines()[-5:]
