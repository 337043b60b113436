"""What is done with a table's own paraphrases, and what a lesson costs."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny import tiny_renderer
from znatok.data.likeness import plain
from znatok.data.problems import new_paraphrases
from znatok.records import Row, Table
from znatok.settings import make_settings
from znatok.training.lesson import divide_paraphrases, make_lesson, row_costs

FRUIT = "яблоко груша слива вишня лимон банан".split()


def rows_with(*paraphrases):
    return tuple(
        Row(number, f"Что такое {FRUIT[number - 1]}?", f"Это {FRUIT[number - 1]}.", tuple(wordings))
        for number, wordings in enumerate(paraphrases, start=1)
    )


def divided(rows, use):
    return [(row.paraphrases, row.examined) for row in divide_paraphrases(rows, use)]


SEVERAL = rows_with(["а", "б", "в"], [], ["г"], ["д", "е"], ["ж"], ["з"])


def test_split_examines_the_last_of_several_and_every_second_single_one():
    assert divided(SEVERAL, "split") == [
        (("а", "б"), ("в",)),
        ((), ()),
        (("г",), ()),
        (("д",), ("е",)),
        ((), ("ж",)),
        (("з",), ()),
    ]


@pytest.mark.parametrize("use", ["train", "exam"])
def test_all_are_trained_or_all_are_examined(use):
    for row, (trained, examined) in zip(SEVERAL, divided(SEVERAL, use), strict=True):
        assert (trained, examined) == ((row.paraphrases, ()) if use == "train" else ((), row.paraphrases))


def test_what_says_nothing_new_goes_to_neither():
    rows = rows_with(["Что такое ЯБЛОКО", "плод яблони", "Плод яблони!"])
    assert divided(rows, "train") == [(("плод яблони",), ())]
    assert divided(rows, "exam") == [((), ("плод яблони",))]


def test_what_training_sees_in_another_row_is_not_examined():
    rows = rows_with(["что за груша", "что такое груша"], ["плод груши", "жёлтый плод"])
    assert divided(rows, "split") == [(("что за груша",), ()), (("плод груши",), ("жёлтый плод",))]


def test_rows_without_paraphrases_stay_as_they_are():
    rows = rows_with([], [], [])
    assert divide_paraphrases(rows, "split") == rows


WORDINGS = st.lists(st.sampled_from(["а", "б", "В", "в", "Что такое груша?", "г", "где", "кто"]), max_size=4)


@given(st.lists(WORDINGS, max_size=6), st.sampled_from(["split", "train", "exam"]))
def test_training_never_sees_what_is_examined_and_nothing_is_made_up(paraphrases, use):
    rows = rows_with(*paraphrases)
    parts = divide_paraphrases(rows, use)
    assert [replace(row, paraphrases=(), examined=()) for row in parts] == [
        replace(row, paraphrases=()) for row in rows
    ]
    taught = {plain(wording) for row in parts for wording in (row.question, *row.paraphrases)}
    for row, part in zip(rows, parts, strict=True):
        fresh = new_paraphrases(row)
        assert set(part.paraphrases) | set(part.examined) <= set(fresh)
        assert not taught & {plain(wording) for wording in part.examined}
        if use == "split" and len(fresh) > 1:
            assert part.paraphrases == fresh[:-1]


def lesson_of(rows, **asked):
    table = Table(Path("t.csv"), rows, (), "utf-8", ",", "q", "a")
    settings = make_settings({"num_train_epochs": 8.0} | asked)
    return make_lesson(settings, table, row_costs(rows, tiny_renderer()), 1000.0)


@pytest.mark.parametrize(("times", "exposures"), [(0, 16), (16.5, 16), (30.5, 30), (1000, 64)])
def test_rows_are_shown_more_often_where_there_is_time_and_never_less_than_they_must_be(times, exposures):
    costs = row_costs(SEVERAL, tiny_renderer())
    once = sum(cost.tokens for cost in costs.values())
    table = Table(Path("t.csv"), SEVERAL, (), "utf-8", ",", "q", "a")
    assert make_lesson(make_settings({}), table, costs, 1000.0, int(times * once)).exposures == exposures


def test_examined_paraphrases_cost_the_exam_something_and_are_not_looked_at_while_training():
    lessons = {use: lesson_of(SEVERAL, paraphrases=use) for use in ("train", "exam")}
    assert lessons["exam"].exam_tokens > lessons["train"].exam_tokens
    assert lessons["exam"].tokens == lessons["train"].tokens
    assert lessons["exam"].validation == lessons["train"].validation
    assert {question.row for question in lessons["exam"].validation.questions} <= {row.number for row in SEVERAL}


def test_the_longest_wording_decides_the_memory():
    long = rows_with(["очень " * 40], [], [])
    assert lesson_of(long).longest > 40 > lesson_of(rows_with([], [], [])).longest - 40


def test_paraphrases_of_facts_that_are_kept_out_have_no_use():
    lesson = lesson_of(rows_with(*[["а", "б"]] * 6), test_size=0.5)
    assert [(row.paraphrases, row.examined) for row in lesson.heldout] == [((), ())] * 3
    assert all(row.paraphrases for row in lesson.rows)


def test_the_use_of_a_single_paraphrase_does_not_depend_on_how_many_rows_are_taught():
    rows = rows_with(*[[wording] for wording in "абвгде"])
    whole = {row.number: row for row in lesson_of(rows).rows}
    for row in lesson_of(rows, spread_rows=3).rows:
        assert row == whole[row.number]


def test_only_lessons_whose_exam_is_not_short_are_calibrated():
    names = [f"слово{number}" for number in range(40)]
    rows = tuple(Row(number, f"Что такое {name}?", f"Это {name}.") for number, name in enumerate(names, start=1))
    assert lesson_of(rows).is_calibrated
    assert not lesson_of(rows[:10]).is_calibrated
