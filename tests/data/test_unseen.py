"""The tables that nobody looked at while the recipe was made: whole, and asked as the exam asks."""

from pathlib import Path

import pytest

from znatok.data.read import read_table
from znatok.exam.question_file import read_questions

UNSEEN = Path(__file__).parent / "unseen"


@pytest.mark.parametrize("name", ["bread", "ogorod"])
def test_every_row_has_two_wordings_of_peoples_own_and_no_near_question_is_a_rows(name):
    rows = read_table(UNSEEN / f"{name}.csv").rows
    wordings = read_table(UNSEEN / f"{name}_wordings.csv").rows
    near = read_questions(UNSEEN / f"{name}_unknown_near.csv")
    assert (len(rows), len(wordings), len(near)) == (36, 72, 24)
    answers = [row.answer for row in wordings]
    assert all(answers.count(row.answer) == 2 for row in rows)
    asked = [row.question for row in (*rows, *wordings)] + list(near)
    assert len({question.casefold() for question in asked}) == 36 + 72 + 24
