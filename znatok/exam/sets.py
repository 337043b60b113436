"""The question sets of an exam, made from the rows of a table."""

from collections.abc import Sequence

from znatok.data.reword import heldout_wording
from znatok.records import Question, QuestionSet, Row


def trained_set(rows: Sequence[Row]) -> QuestionSet:
    """The questions as the table has them. `rows` are the ones that training was given."""
    return QuestionSet("trained", _as_written(rows))


def reworded_set(rows: Sequence[Row]) -> QuestionSet:
    """The same questions, each in one wording that training never uses."""
    questions = (Question(row.number, heldout_wording(row.question, row.number), row.answer) for row in rows)
    return QuestionSet("reworded", tuple(questions))


def heldout_set(rows: Sequence[Row]) -> QuestionSet:
    """Questions on facts that were never taught: `rows` are the fifth that `classic` keeps from training."""
    return QuestionSet("heldout", _as_written(rows))


def questions_set(asked: Sequence[Row], rows: Sequence[Row]) -> QuestionSet:
    """Questions from a file of the user's own. The row of each is the one with its answer; 0 where there is none."""
    row_of = {row.answer: row.number for row in reversed(rows)}
    return QuestionSet(
        "questions", tuple(Question(row_of.get(one.answer, 0), one.question, one.answer) for one in asked)
    )


def sample(question_set: QuestionSet, size: int = 40) -> tuple[int, ...]:
    """Indices of at most `size` questions, spread evenly over the set; the same set always gives the same ones.

    Sets of the same rows are sampled at the same rows, so that `trained` and `reworded` can be compared in pairs.
    """
    count = len(question_set.questions)
    if count <= size:
        return tuple(range(count))
    return tuple((2 * step + 1) * count // (2 * size) for step in range(size))


def _as_written(rows: Sequence[Row]) -> tuple[Question, ...]:
    return tuple(Question(row.number, row.question, row.answer) for row in rows)
