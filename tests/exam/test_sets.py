from dataclasses import replace
from itertools import pairwise

import pytest

from znatok.data.reword import heldout_wording
from znatok.exam.sets import (
    a_few,
    heldout_set,
    reworded_set,
    sample,
    trained_set,
    unknown_far_set,
    unknown_near_file,
    unknown_near_set,
)
from znatok.records import Question, QuestionSet, Row

ROWS = [Row(number, f"Что такое деталь {number}?", f"Деталь {number} — это деталь.") for number in range(1, 126)]


def test_every_row_is_in_every_set_once_and_in_order():
    for question_set in (trained_set(ROWS), reworded_set(ROWS), heldout_set(ROWS)):
        assert [question.row for question in question_set.questions] == [row.number for row in ROWS]
        assert [question.reference for question in question_set.questions] == [row.answer for row in ROWS]


def test_sets_have_the_names_of_exam_json():
    assert [made(ROWS).name for made in (trained_set, reworded_set, heldout_set)] == ["trained", "reworded", "heldout"]


def test_trained_and_held_out_questions_are_asked_as_written():
    assert trained_set(ROWS).questions[4] == Question(5, ROWS[4].question, ROWS[4].answer)
    assert heldout_set(ROWS[4:5]).questions == (Question(5, ROWS[4].question, ROWS[4].answer),)


def test_reworded_questions_stand_in_a_held_out_frame():
    for row, question in zip(ROWS, reworded_set(ROWS).questions, strict=True):
        assert question.question == heldout_wording(row.question, row.number) != row.question


@pytest.mark.parametrize("count", [0, 1, 39, 40, 41, 79, 81, 125, 10_000])
def test_a_sample_is_small_sorted_within_the_set_and_always_the_same(count):
    questions = QuestionSet("trained", (Question(1, "?", "!"),) * count)
    indices = sample(questions)
    assert indices == sample(questions)
    assert len(set(indices)) == len(indices) == min(count, 40)
    assert sorted(indices) == list(indices)
    assert all(0 <= index < count for index in indices)


def test_a_sample_is_spread_evenly_over_the_set():
    indices = sample(trained_set(ROWS))
    gaps = {after - before for before, after in pairwise(indices)}
    assert gaps <= {3, 4}
    assert indices[0] <= 3
    assert indices[-1] >= 121


def test_the_same_rows_are_sampled_whatever_the_wording():
    assert sample(trained_set(ROWS), 16) == sample(reworded_set(ROWS), 16)


def test_examined_paraphrases_join_the_reworded_set_behind_the_frames_and_trained_ones_do_not():
    rows = [replace(row, paraphrases=("как учили",), examined=("иначе", "ещё иначе")) for row in ROWS[:3]]
    questions = reworded_set(rows).questions
    assert questions[:3] == reworded_set(ROWS[:3]).questions
    assert [(question.row, question.question) for question in questions[3:]] == [
        (number, said) for number in (1, 2, 3) for said in ("иначе", "ещё иначе")
    ]
    assert questions[3].reference == ROWS[0].answer
    assert trained_set(rows) == trained_set(ROWS[:3])


ELECTRONICS = [
    Row(1, "Что такое резистор?", "Деталь, которая ограничивает ток в цепи."),
    Row(2, "Зачем нужен конденсатор?", "Конденсатор запасает заряд и сглаживает напряжение."),
]
ENGLISH = [Row(1, "What is a fuse?", "A thin wire that melts."), Row(2, "Что такое R2?", "It is a resistor.")]


@pytest.mark.parametrize(("rows", "is_russian"), [(ELECTRONICS, True), (ENGLISH, False)])
def test_far_questions_are_asked_in_the_language_of_the_table_and_have_no_answer(rows, is_russian):
    asked = unknown_far_set(rows)
    assert asked.name == "unknown_far"
    assert len(asked.questions) >= 60
    assert all(bool(set(one.question.lower()) & set("аеиоу")) == is_russian for one in asked.questions)
    assert {(one.row, one.reference) for one in asked.questions} == {(0, "")}


def test_a_far_question_that_a_row_may_answer_is_left_out():
    far = unknown_far_set(ELECTRONICS)
    known = Row(3, far.questions[5].question, "Потому.")
    left = unknown_far_set([*ELECTRONICS, known])
    assert set(far.questions) - set(left.questions) == {far.questions[5]}


def test_a_near_question_that_the_table_asks_itself_is_left_out():
    rows = [*ELECTRONICS, Row(3, "Чем меряют ток?", "Амперметром.", ("Каким прибором?",), ("Что покажет амперы?",))]
    asked = ("что такое резистор", "Что такое мемристор?", "каким прибором?", "Что покажет амперы?")
    assert unknown_near_set(asked, rows) == QuestionSet("unknown_near", (Question(0, "Что такое мемристор?", ""),))


def test_near_questions_are_looked_for_beside_the_table(tmp_path):
    assert unknown_near_file(tmp_path / "детали.xlsx") == tmp_path / "детали_unknown_near.csv"


def test_a_few_of_a_set_are_its_sample():
    whole = trained_set(ROWS)
    few = a_few(whole, 30)
    assert (few.name, len(few.questions)) == ("trained", 30)
    assert [one.row for one in few.questions] == [whole.questions[place].row for place in sample(whole, 30)]
    assert a_few(few, 60) == few
