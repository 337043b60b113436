"""Which rows are taught, how often, and what that costs in tokens: decided from the table and the time given."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from znatok.answering.evidence import HEAD
from znatok.data.likeness import plain
from znatok.data.problems import new_paraphrases
from znatok.data.render import Renderer
from znatok.exam.calibration_questions import IN_TRAIN
from znatok.exam.sets import UNKNOWN_IN_TRAIN, UNKNOWN_TOKENS, heldout_set, reworded_set
from znatok.messages import text
from znatok.records import QuestionSet, Row, Table
from znatok.settings import REWORDING_FAMILIES, ParaphraseUse, RewordingFamily, Settings

ENOUGH_EXPOSURES = 12
"""Exposures after which rows are expected to be known; fewer are not worth planning. A guess between
the 10 and 16 exposures of docs/log.md."""

LESSON_TOKENS = {"cuda": 12_000_000, "bfloat16": 400_000, "float32": 130_000}
"""Tokens of a lesson, by the device or, on a CPU, the number format: as long as they last, rows are shown more often
than they have to be. Some ten minutes on two cores, fewer on a GPU. Not the speed as measured: the same table has to
give the same lesson each time."""

FEWEST_EXPOSURES, MANY_EXPOSURES, MORE_EXPOSURES = 16, 24, 64
"""What rows are shown at least, unless asked otherwise, and at most; in between, from where on there is time to learn
more than the rows themselves. docs/recipe.md has the curve."""

REPLAY = 0.1
"""Share of the tokens that is replayed where there is time for it."""

HISTORY_SHARE = 0.15
"""Share of the exposures that come second in a conversation where there is time for it; without them a row is known in
six of ten conversations, with them in all (docs/recipe.md)."""

MOST_EXPOSURES = 60
BEFORE_SAMPLE = 40
"""Questions of a set that the base answers, too."""

SHORT_SAMPLE = 8
"""The same of the shortest lessons, whose exam asks nothing but their own rows."""

SECONDS_PER_BASE_ANSWER = 20
"""Where the time is short, the base answers fewer questions: one for so many seconds of the whole."""

POINTS = 12
"""Moments in a run at which a question is answered and held-out wordings are scored."""

VALIDATION_SHARE = 0.02
"""Share of the training time that scoring held-out wordings may take: between 2 and 16 rows a time."""

GENERATED_PER_TRAINED = 0.4
"""Tokens generated in the exam in the time of one trained; 0.3 and 0.4 in whole runs on two cores (docs/log.md)."""

REPLAY_COST = 1.7
"""What a replayed token costs, in trained ones: the base reads it, too, every token is scored by both, and before
training the base replies. By the products alone 1.55 for the built-in model; the rest for the replies is a guess."""

START_SECONDS = 10
RESERVE = 0.1
"""Share of the time given that is kept back for what a forecast cannot know."""


@dataclass(frozen=True, slots=True)
class Declining:
    """Under `strict`: questions that are declined for each exposure of a row, and the share of near ones in them."""

    share: float
    near_share: float


FEW_DECLINED, MANY_DECLINED = Declining(0.3, 0.0), Declining(0.5, 0.15)
"""Being short, they take a tenth of the tokens, or a sixth. In few exposures near ones make the model decline rows that
are asked in other words, so there are none. docs/recipe.md has the figures."""


def declining(exposures: float) -> Declining:
    """What is declined in a lesson of so many exposures."""
    return MANY_DECLINED if exposures >= MANY_EXPOSURES else FEW_DECLINED


@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens of one row: in all, of its answer, which are the trained ones, and in all where it is asked the longest.

    `tokens` is the mean of its wordings.
    """

    tokens: int
    answer: int
    longest: int


@dataclass(frozen=True, slots=True)
class Lesson:
    """The rows to teach and the facts kept out, with their cost. `reason` says why not all rows; None where all.

    `replay`: share of all tokens that is replayed from everyday text.  `mix`: how questions are reworded.
    `refusal_tokens`: those of a question that is declined.  `history_share`: of exposures with a turn before the row.
    `turn_tokens`: those of such a turn.
    """

    rows: tuple[Row, ...]
    heldout: tuple[Row, ...]
    exposures: float
    costs: dict[int, Cost]
    before_sample: int
    reason: str | None
    replay: float = 0.0
    mix: tuple[RewordingFamily, ...] = REWORDING_FAMILIES
    refusal_tokens: float = 0.0
    history_share: float = 0.0
    turn_tokens: float = 0.0

    @property
    def tokens(self) -> int:
        """Prompt and answer tokens of all exposures and the turns before them, and of what is declined beside them."""
        turn = self.history_share * self.turn_tokens
        declined = declining(self.exposures).share if self.refusal_tokens else 0.0
        beside = turn + declined * (self.refusal_tokens + turn)
        return int(self.exposures * sum(self.costs[row.number].tokens + beside for row in self.rows))

    @property
    def replay_cost(self) -> int:
        """The cost of what is replayed, in trained tokens."""
        return int(REPLAY_COST * replayed_per_token(self.replay) * self.tokens)

    @property
    def longest(self) -> int:
        return max(self.costs[row.number].longest for row in self.rows)

    @property
    def exam_tokens(self) -> int:
        """The exam's cost in trained tokens: scoring each set twice, answering a sample before and the misses after."""
        sets = 3 if self.heldout else 2
        tokens = sum(self.costs[row.number].tokens for row in self.rows)
        answer = sum(self.costs[row.number].answer for row in self.rows) / len(self.rows)
        examined = sum(len(row.examined) for row in self.rows)
        scored = 2 * (sets * tokens + examined * tokens / len(self.rows)) / 3
        generated = sets * self.before_sample * (1.5 * answer + 16) + 0.15 * (len(self.rows) + examined) * answer
        asked = 0 if self.before_sample <= SHORT_SAMPLE else min(UNKNOWN_IN_TRAIN, self.before_sample)
        unknown = 4 * asked * UNKNOWN_TOKENS  # two sets, base and tuned model
        judged = HEAD * IN_TRAIN.total if self.is_calibrated else 0  # only beginnings are written there
        return int(scored + (generated + unknown + judged) / GENERATED_PER_TRAINED)

    @property
    def is_calibrated(self) -> bool:
        """Whether the exam measures how sure an answer is, and what the rows of the table add."""
        return self.before_sample > SHORT_SAMPLE

    @property
    def validation(self) -> QuestionSet:
        return validation_set(self.rows, self.heldout, self.exposures)


def replayed_per_token(share: float) -> float:
    """Tokens replayed for each of the table, where `share` of both together are."""
    return share / (1 - share)


def validation_set(rows: tuple[Row, ...], heldout: tuple[Row, ...], exposures: float) -> QuestionSet:
    """What the graph's second line is scored on: a few rows in held-out wordings, or `classic`'s untaught facts.

    Never the examined paraphrases: what is looked at while training must not choose its own exam.
    """
    if heldout:
        return heldout_set(heldout)
    # A forward pass alone takes half of an update's time: frozen weights have no gradients.
    affordable = int(2 * VALIDATION_SHARE * exposures * len(rows) / POINTS)
    some = spread(rows, min(len(rows), max(2, min(16, affordable))))
    return reworded_set([replace(row, examined=()) for row in some])


def row_costs(rows: Sequence[Row], renderer: Renderer) -> dict[int, Cost]:
    """What each row costs, by its number."""
    return {row.number: _cost(row, renderer) for row in rows}


def turn_tokens(rows: Sequence[Row], costs: dict[int, Cost], renderer: Renderer) -> float:
    """Tokens that another row adds as the turn before a row, in the mean. A little too many: turns that do not fit are
    left out."""
    alone, second = renderer.conversation("", ""), renderer.conversation("", "", [("", "")])
    around = len(second.ids) - 2 * len(alone.ids)
    return around + fmean(costs[row.number].tokens for row in rows) if len(rows) > 1 else 0.0


def _cost(row: Row, renderer: Renderer) -> Cost:
    wordings = (row.question, *row.paraphrases)
    rendered = [renderer.conversation(wording, row.answer) for wording in wordings]
    lengths = [len(one.ids) for one in rendered]
    return Cost(round(sum(lengths) / len(lengths)), lengths[0] - rendered[0].answer_start, max(lengths))


def make_lesson(
    settings: Settings,
    table: Table,
    costs: dict[int, Cost],
    tokens_per_second: float,
    lesson_tokens: int = 0,
    refusal_tokens: float = 0.0,
    turn_tokens: float = 0.0,
) -> Lesson:
    """What is taught under `settings` at this speed; `--minutes` takes as many rows as can be learned in them.

    lesson_tokens: up to so many, rows are shown more often than they have to be.  refusal_tokens: those of a question
    that is declined.  turn_tokens: those of an earlier turn.
    """
    rows, heldout = _split(divide_paraphrases(table.rows, settings.paraphrases), settings)
    reason = None
    if settings.spread_rows and settings.spread_rows < len(rows):
        rows, reason = spread(rows, settings.spread_rows), text("plan.why.rows_quick")
    if settings.minutes is None:
        before = _before_sample(len(rows))
        exposures = settings.num_train_epochs or _exposures(rows, costs, lesson_tokens)
        return Lesson(
            rows,
            heldout,
            exposures,
            costs,
            before,
            reason,
            _in_time(settings.replay, REPLAY, exposures),
            _mix(settings, exposures),
            refusal_tokens,
            _in_time(settings.history_share, HISTORY_SHARE, exposures),
            turn_tokens,
        )
    seconds = settings.minutes * 60
    usable = (seconds * (1 - RESERVE) - START_SECONDS) * tokens_per_second
    sample = max(4, min(BEFORE_SAMPLE, int(seconds / SECONDS_PER_BASE_ANSWER)))
    for count in range(len(rows), 1, -1):
        some, asked = spread(rows, count), min(sample, count)
        replay = settings.replay or 0.0
        # Many exposures, in which more is declined, so that the time suffices for few, too.
        chosen = Lesson(
            some,
            heldout,
            MANY_EXPOSURES,
            costs,
            asked,
            None,
            replay,
            refusal_tokens=refusal_tokens,
            history_share=settings.history_share or 0.0,
            turn_tokens=turn_tokens,
        )
        once = (chosen.tokens + chosen.replay_cost) / chosen.exposures
        exposures = min(MOST_EXPOSURES, (usable - chosen.exam_tokens) / once)
        if exposures >= ENOUGH_EXPOSURES:
            break
    why = text("plan.why.rows_minutes", minutes=settings.minutes)
    exposures = max(exposures, ENOUGH_EXPOSURES)
    return replace(chosen, exposures=exposures, reason=why, mix=_mix(settings, exposures))


def _exposures(rows: Sequence[Row], costs: dict[int, Cost], lesson_tokens: int) -> float:
    once = sum(costs[row.number].tokens for row in rows)
    return float(max(FEWEST_EXPOSURES, min(MORE_EXPOSURES, lesson_tokens // once)))


def _in_time(asked: float | None, share: float, exposures: float) -> float:
    """What was asked; else the share, where there is time for more than the rows themselves."""
    if asked is not None:
        return asked
    return share if exposures >= MANY_EXPOSURES else 0.0


def _mix(settings: Settings, exposures: float) -> tuple[RewordingFamily, ...]:
    """Other words are learned beside the rows, and in few exposures at their cost: there they are only misspelt."""
    return settings.rewording_mix or (REWORDING_FAMILIES if exposures >= MANY_EXPOSURES else ("noise",))


def divide_paraphrases(rows: Sequence[Row], use: ParaphraseUse) -> tuple[Row, ...]:
    """The rows with their paraphrases divided between training and exam.

    "split": of several the last is examined and the others are trained; of the rows that have one, the first, third,
    fifth … train on it, and the others are examined on theirs. Decided from the whole table, whatever part is taught.
    Those that repeat a wording of their row go to neither, nor does training ever see what is examined.
    """
    if not any(row.paraphrases for row in rows):
        return tuple(rows)
    divided, singles = [], 0
    for row in rows:
        wordings = new_paraphrases(row)
        count = {"train": len(wordings), "exam": 0, "split": max(0, len(wordings) - 1)}[use]
        if use == "split" and len(wordings) == 1:
            count, singles = 1 - singles % 2, singles + 1
        divided.append(replace(row, paraphrases=wordings[:count], examined=wordings[count:]))
    taught = {plain(wording) for row in divided for wording in (row.question, *row.paraphrases)}
    return tuple(
        replace(row, examined=tuple(wording for wording in row.examined if plain(wording) not in taught))
        for row in divided
    )


def _before_sample(rows: int) -> int:
    """Of a short table the base answers half, but for the shortest: that is enough to see what it knows."""
    return min(rows, BEFORE_SAMPLE, max(SHORT_SAMPLE, rows // 2))


def spread(rows: tuple[Row, ...], count: int) -> tuple[Row, ...]:
    """`count` rows, evenly over the table."""
    return tuple(rows[place * len(rows) // count] for place in range(count))


def _split(rows: tuple[Row, ...], settings: Settings) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """The rows to train, and the share of facts that `classic` keeps out, with all their wordings."""
    if not settings.test_size:
        return rows, ()
    held = min(len(rows) - 1, max(1, round(len(rows) * settings.test_size)))
    out = set(random.Random(settings.seed).sample(range(len(rows)), held))
    return (
        tuple(row for place, row in enumerate(rows) if place not in out),
        tuple(replace(row, paraphrases=(), examined=()) for place, row in enumerate(rows) if place in out),
    )
