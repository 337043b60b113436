"""What one stage hands to the next: frozen records that everyone reads and no one changes. No torch here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Row:
    """One fact of the table. `number` counts data rows from 1, as the user sees them under the header.

    `paraphrases`: other wordings of the question that the table itself gives.
    """

    number: int
    question: str
    answer: str
    paraphrases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to know about the table. `row` is None where the whole file is meant; an "error" cannot be trained."""

    row: int | None
    kind: str
    severity: Severity
    message: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it was understood: its rows, and every problem found on the way."""

    path: Path
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]
    encoding: str
    delimiter: str
    question_column: str
    answer_column: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A conversation as token ids. `ids[answer_start:]` are trained: the answer and the end-of-turn token."""

    ids: tuple[int, ...]
    answer_start: int


@dataclass(frozen=True, slots=True)
class Question:
    """One question of an exam, the answer expected, and the row that teaches it."""

    row: int
    question: str
    reference: str


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions examined together. `name` is one of DESIGN's sets: trained, reworded, heldout, questions …"""

    name: str
    questions: tuple[Question, ...]
