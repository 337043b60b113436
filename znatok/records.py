"""What one stage hands to the next: frozen records that everyone reads and no one changes. No torch here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Row:
    """One fact of the table. `number` counts data rows from 1, as the user sees them under the header.

    `paraphrases`: other wordings of the question that the table itself gives; once a plan is made, the trained ones.
    `examined`: those that only the exam asks.
    """

    number: int
    question: str
    answer: str
    paraphrases: tuple[str, ...] = ()
    examined: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to know about the table. `row` is None where the whole file is meant; an "error" cannot be trained.

    `also`: further rows that the same message speaks of, all of them, even where it names a few.
    """

    row: int | None
    kind: str
    severity: Severity
    message: str
    also: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A row of the table that is not taken. `reason`: the kind of the problem of that row, which says why."""

    number: int
    question: str
    answer: str
    reason: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it was understood: its rows, the ones refused, and every problem found on the way.

    A workbook has a sheet and neither encoding nor delimiter; JSON records have an encoding alone.
    """

    path: Path
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]
    encoding: str | None
    delimiter: str | None
    question_column: str
    answer_column: str
    sheet: str | None = None
    refused: tuple[Refused, ...] = ()

    @property
    def read(self) -> int:
        """Rows read: taken and refused together."""
        return len(self.rows) + len(self.refused)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A conversation as token ids. `ids[answer_start:]` are trained: the answer and the end-of-turn token."""

    ids: tuple[int, ...]
    answer_start: int


@dataclass(frozen=True, slots=True)
class Question:
    """One question of an exam, the answer expected, and the row that teaches it.

    `row` is 0 where no row does; `reference` is empty where no answer is right but to admit it.
    """

    row: int
    question: str
    reference: str


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions examined together. `name` is one of DESIGN's sets: trained, reworded, heldout, questions …"""

    name: str
    questions: tuple[Question, ...]
