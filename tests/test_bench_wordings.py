"""A table gets one wording of people's own; the others are left to be asked."""

import csv

import pytest

from bench.wordings import write_table

ANSWERS = ("Он ограничивает ток.", "Он запасает заряд.")


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "parts.csv"
    questions = zip(("Что такое резистор?", "Что такое конденсатор?"), ANSWERS, strict=True)
    wordings = zip(("деталь R", "деталь C", "брусок на схеме", "две черты на схеме"), ANSWERS * 2, strict=True)
    for file, rows in ((path, questions), (tmp_path / "parts_wordings.csv", wordings)):
        with file.open("w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows([("question", "answer"), *rows])
    return path


@pytest.mark.parametrize(
    ("taught", "own", "left"), [(1, "деталь R", "брусок на схеме"), (2, "брусок на схеме", "деталь R")]
)
def test_one_wording_of_each_row_is_taught_and_the_other_asked(table, tmp_path, taught, own, left):
    written = write_table(table, tmp_path / "own", taught)
    assert written.name == f"parts-own{taught}.csv"
    assert rows_of(written)[:2] == [["question", "answer", "paraphrases"], ["Что такое резистор?", ANSWERS[0], own]]
    asked = rows_of(written.with_name(f"parts-own{taught}_wordings.csv"))
    assert asked[1] == [left, ANSWERS[0]]
    assert len(asked) == 3
    assert not (tmp_path / "own" / f"parts-own{taught}_unknown_near.csv").exists()


def test_questions_that_no_row_answers_go_along(table, tmp_path):
    (tmp_path / "parts_unknown_near.csv").write_text("question\nЧто такое реле?\n", encoding="utf-8")
    written = write_table(table, tmp_path / "own", 1)
    assert rows_of(written.with_name("parts-own1_unknown_near.csv")) == [["question"], ["Что такое реле?"]]


@pytest.mark.parametrize("taught", [0, 3])
def test_a_wording_that_is_not_there_is_refused(table, tmp_path, taught):
    with pytest.raises(ValueError, match=f"no wording {taught} for row 1 and 1 others"):
        write_table(table, tmp_path / "own", taught)


def test_a_wording_of_no_row_is_not_dropped_in_silence(table, tmp_path):
    with (tmp_path / "parts_wordings.csv").open("a", encoding="utf-8") as file:
        file.write("реле,Ключ.\n")
    with pytest.raises(ValueError, match="Ключ"):
        write_table(table, tmp_path / "own", 1)
