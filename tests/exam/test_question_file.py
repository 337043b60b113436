import pytest

from tests.data.workbooks import xlsx
from znatok.errors import TableError
from znatok.exam.question_file import read_questions

ASKED = ("Что такое мемристор?", "Зачем нужен варикап, если есть конденсатор?", "Как работает «туннельный» диод?")


def written(tmp_path, name, text, encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "question\n" + "\n".join(ASKED)),
        ("a.csv", "Вопрос\r\n" + "\r\n\r\n".join(ASKED) + "\r\n"),
        ("a.csv", '"question"\n' + "\n".join(f'"{one}"' for one in ASKED)),
        ("a.txt", "\n".join(ASKED)),
        ("a.csv", "номер;вопрос\n" + "\n".join(f"{place};{one}" for place, one in enumerate(ASKED))),
        ("a.csv", "question,answer\n" + "\n".join(f'"{one}",' for one in ASKED)),
        ("a.tsv", "вопрос\tответ\n" + "\n".join(f"{one}\tНе знаю." for one in ASKED)),
        ("a.txt", "\n".join([*ASKED, ASKED[0], "  "])),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251", "utf-16"])
def test_questions_are_read_from_a_column_or_line_by_line(tmp_path, name, text, encoding):
    assert read_questions(written(tmp_path, name, text, encoding)) == ASKED


@pytest.mark.parametrize("rows", [[(one,) for one in ("вопрос", *ASKED)], [("№", "question"), *enumerate(ASKED, 1)]])
def test_questions_are_read_from_a_workbook(tmp_path, rows):
    (tmp_path / "a.xlsx").write_bytes(xlsx(rows))
    assert read_questions(tmp_path / "a.xlsx") == ASKED


def test_questions_are_read_from_json_lines(tmp_path):
    lines = "\n".join(f'{{"question": "{one}", "answer": "-"}}' for one in ("What?", "Where?"))
    assert read_questions(written(tmp_path, "a.jsonl", lines)) == ("What?", "Where?")


@pytest.mark.parametrize("text", ["question\n", "вопрос;ответ\n", "question\n\n  \n"])
def test_a_file_without_questions_is_refused(tmp_path, text):
    with pytest.raises(TableError, match=r"a\.csv"):
        read_questions(written(tmp_path, "a.csv", text))


def test_a_file_that_is_not_there_or_is_no_text_is_refused(tmp_path):
    with pytest.raises(TableError):
        read_questions(tmp_path / "none.csv")
    (tmp_path / "a.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    with pytest.raises(TableError):
        read_questions(tmp_path / "a.csv")
