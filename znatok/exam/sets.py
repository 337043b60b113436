"""The question sets of an exam, made from the rows of a table, from files, and from questions that are shipped."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from znatok.data.reword import heldout_wording, language_of
from znatok.data.search import Search
from znatok.exam.measures import normalised
from znatok.records import Question, QuestionSet, Row

UNKNOWN_IN_TRAIN = 30
"""Questions of each unknown set that the exam inside `train` asks."""

UNKNOWN_TOKENS = 48
"""New tokens after which an answer to an unknown question is cut: enough to see what it is."""

TOO_NEAR = 0.2
"""Likeness to a row, as search counts it, from which that row may well answer the question. With `dataset.csv` the
shipped questions reach 0.14, and its own 0.23 to 0.84."""


def trained_set(rows: Sequence[Row]) -> QuestionSet:
    """The questions as the table has them. `rows` are the ones that training was given."""
    return QuestionSet("trained", _as_written(rows))


def reworded_set(rows: Sequence[Row]) -> QuestionSet:
    """The same questions in wordings that training never uses: each in a frame, then the examined paraphrases."""
    framed = [Question(row.number, heldout_wording(row.question, row.number), row.answer) for row in rows]
    paraphrased = [Question(row.number, wording, row.answer) for row in rows for wording in row.examined]
    return QuestionSet("reworded", (*framed, *paraphrased))


def heldout_set(rows: Sequence[Row]) -> QuestionSet:
    """Questions on facts that were never taught: `rows` are the fifth that `classic` keeps from training."""
    return QuestionSet("heldout", _as_written(rows))


def questions_set(asked: Sequence[Row], rows: Sequence[Row]) -> QuestionSet:
    """Questions from a file of the user's own. The row of each is the one with its answer; 0 where there is none."""
    row_of = {row.answer: row.number for row in reversed(rows)}
    return QuestionSet(
        "questions", tuple(Question(row_of.get(one.answer, 0), one.question, one.answer) for one in asked)
    )


def unknown_far_set(rows: Sequence[Row]) -> QuestionSet:
    """Shipped questions on anything else, in the language of most of the table, but for those that a row may answer."""
    language = language_of(" ".join(row.question for row in rows))
    file = files("znatok.exam").joinpath("questions", f"unknown_far.{language}.txt")
    return _unanswered("unknown_far", far_from(rows, file.read_text(encoding="utf-8").splitlines()))


def far_from(rows: Sequence[Row], asked: Sequence[str]) -> list[str]:
    """Those of the questions that no row may answer, as plain search sees it; empty ones are left out."""
    asked = [one for one in asked if one.strip()]
    return [one for one, score in zip(asked, Search(rows).nearest_scores(asked), strict=True) if score < TOO_NEAR]


def unknown_near_set(asked: Sequence[str], rows: Sequence[Row]) -> QuestionSet:
    """Questions on the table's own subject that no row answers, as a person wrote them; those of a row are left out."""
    taught = {normalised(wording) for row in rows for wording in (row.question, *row.paraphrases, *row.examined)}
    return _unanswered("unknown_near", [one for one in asked if normalised(one) not in taught])


def unknown_near_file(table: Path) -> Path:
    """Where a table's own unknown questions are looked for: beside it."""
    return table.with_name(f"{table.stem}_unknown_near.csv")


def a_few(question_set: QuestionSet, size: int) -> QuestionSet:
    """At most `size` of the questions, spread evenly over the set."""
    return QuestionSet(question_set.name, tuple(question_set.questions[place] for place in sample(question_set, size)))


def sample(question_set: QuestionSet, size: int = 40) -> tuple[int, ...]:
    """Indices of at most `size` questions, spread evenly over the set; the same set always gives the same ones.

    Sets of the same rows are sampled at the same rows, so that `trained` and `reworded` can be compared in pairs.
    """
    count = len(question_set.questions)
    if count <= size:
        return tuple(range(count))
    return tuple((2 * step + 1) * count // (2 * size) for step in range(size))


def _unanswered(name: str, asked: Sequence[str]) -> QuestionSet:
    return QuestionSet(name, tuple(Question(0, one, "") for one in asked))


def _as_written(rows: Sequence[Row]) -> tuple[Question, ...]:
    return tuple(Question(row.number, row.question, row.answer) for row in rows)
