"""Which rows are taught, how often, and what that costs in tokens: decided from the table and the time given."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from znatok.data.render import Renderer
from znatok.exam.sets import heldout_set, reworded_set
from znatok.messages import text
from znatok.records import QuestionSet, Row, Table
from znatok.settings import Settings

ENOUGH_EXPOSURES = 12
"""Exposures after which rows are expected to be known; fewer are not worth planning. A guess between
the 10 and 16 exposures of docs/log.md."""

MOST_EXPOSURES = 60
BEFORE_SAMPLE = 40
"""Questions of a set that the base answers, too."""

SECONDS_PER_BASE_ANSWER = 20
"""Where the time is short, the base answers fewer questions: one for so many seconds of the whole."""

POINTS = 12
"""Moments in a run at which a question is answered and held-out wordings are scored."""

VALIDATION_SHARE = 0.02
"""Share of the training time that scoring held-out wordings may take: between 4 and 16 rows a time."""

GENERATED_PER_TRAINED = 1.5
"""Tokens generated in the exam in the time of one token trained: a guess; at 40 rows it was 0.9 (docs/log.md)."""

START_SECONDS = 10
RESERVE = 0.1
"""Share of the time given that is kept back for what a forecast cannot know."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens of one row: in all, and of its answer, which are the trained ones."""

    tokens: int
    answer: int


@dataclass(frozen=True, slots=True)
class Lesson:
    """The rows to teach and the facts kept out, with their cost. `reason` says why not all rows; None where all."""

    rows: tuple[Row, ...]
    heldout: tuple[Row, ...]
    exposures: float
    costs: dict[int, Cost]
    before_sample: int
    reason: str | None

    @property
    def tokens(self) -> int:
        """Prompt and answer tokens of all exposures."""
        return int(self.exposures * sum(self.costs[row.number].tokens for row in self.rows))

    @property
    def longest(self) -> int:
        return max(self.costs[row.number].tokens for row in self.rows)

    @property
    def exam_tokens(self) -> int:
        """The exam's cost in trained tokens: scoring each set twice, answering a sample before and the misses after."""
        sets = 3 if self.heldout else 2
        tokens = sum(self.costs[row.number].tokens for row in self.rows)
        answer = sum(self.costs[row.number].answer for row in self.rows) / len(self.rows)
        scored = 2 * sets * tokens / 3
        generated = sets * self.before_sample * (1.5 * answer + 16) + 0.15 * len(self.rows) * answer
        return int(scored + generated / GENERATED_PER_TRAINED)

    @property
    def validation(self) -> QuestionSet:
        """What the graph's second line is scored on: a few rows in held-out wordings, or `classic`'s untaught facts."""
        if self.heldout:
            return heldout_set(self.heldout)
        # A forward pass alone takes a third of an update's time.
        affordable = int(3 * VALIDATION_SHARE * self.exposures * len(self.rows) / POINTS)
        return reworded_set(spread(self.rows, min(len(self.rows), max(4, min(16, affordable)))))


def row_costs(rows: Sequence[Row], renderer: Renderer) -> dict[int, Cost]:
    """What each row costs, by its number."""
    rendered = {row.number: renderer.conversation(row.question, row.answer) for row in rows}
    return {number: Cost(len(one.ids), len(one.ids) - one.answer_start) for number, one in rendered.items()}


def make_lesson(settings: Settings, table: Table, costs: dict[int, Cost], tokens_per_second: float) -> Lesson:
    """What is taught under `settings` at this speed; `--minutes` takes as many rows as can be learned in them."""
    rows, heldout = _split(table.rows, settings)
    reason = None
    if settings.spread_rows and settings.spread_rows < len(rows):
        rows, reason = spread(rows, settings.spread_rows), text("plan.why.rows_quick")
    if settings.minutes is None:
        return Lesson(rows, heldout, settings.num_train_epochs, costs, _before_sample(len(rows)), reason)
    seconds = settings.minutes * 60
    usable = (seconds * (1 - RESERVE) - START_SECONDS) * tokens_per_second
    sample = max(4, min(BEFORE_SAMPLE, int(seconds / SECONDS_PER_BASE_ANSWER)))
    for count in range(len(rows), 1, -1):
        chosen = Lesson(spread(rows, count), heldout, 1.0, costs, min(sample, count), None)
        exposures = min(MOST_EXPOSURES, (usable - chosen.exam_tokens) / chosen.tokens)
        if exposures >= ENOUGH_EXPOSURES:
            break
    why = text("plan.why.rows_minutes", minutes=settings.minutes)
    return Lesson(chosen.rows, heldout, max(exposures, ENOUGH_EXPOSURES), costs, chosen.before_sample, why)


def _before_sample(rows: int) -> int:
    """Of a short table the base answers half, but for the shortest: that is enough to see what it knows."""
    return min(rows, BEFORE_SAMPLE, max(8, rows // 2))


def spread(rows: tuple[Row, ...], count: int) -> tuple[Row, ...]:
    """`count` rows, evenly over the table."""
    return tuple(rows[place * len(rows) // count] for place in range(count))


def _split(rows: tuple[Row, ...], settings: Settings) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """The rows to train, and the share of facts that `classic` keeps out."""
    if not settings.test_size:
        return rows, ()
    held = min(len(rows) - 1, max(1, round(len(rows) * settings.test_size)))
    out = set(random.Random(settings.seed).sample(range(len(rows)), held))
    return (
        tuple(row for place, row in enumerate(rows) if place not in out),
        tuple(row for place, row in enumerate(rows) if place in out),
    )
