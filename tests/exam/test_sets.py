from itertools import pairwise

import pytest

from znatok.data.reword import heldout_wording
from znatok.exam.sets import heldout_set, reworded_set, sample, trained_set
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
