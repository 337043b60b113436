"""What `train()` tells while it works: the one stream that the screen, the metrics file and a Python user read."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from znatok.records import Problem, Table
from znatok.run_folder import RunFolder
from znatok.training.plan import Plan


class Stopped(StrEnum):
    """Why training ended."""

    KNOWN = "known"
    PLANNED_END = "planned_end"
    MINUTES = "minutes"
    INTERRUPTED = "interrupted"
    NOT_FINITE = "not_finite"


@dataclass(frozen=True, slots=True)
class TableRead:
    """The table was read, and can be trained on."""

    table: Table


@dataclass(frozen=True, slots=True)
class TableChecked:
    """What only the base's tokenizer could find in the table; left out where it found nothing."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """What will happen, before weights are loaded."""

    plan: Plan
    run: RunFolder


@dataclass(frozen=True, slots=True)
class ModelLoaded:
    """The weights are in memory, the adapter is on them."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Sampled:
    """What the model answers at this moment. `is_cut` where the answer goes on beyond what was generated."""

    step: int
    question: str
    answer: str
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Stepped:
    """One update of the weights. `loss` is per trained token; `exact` the share of rows whose last exposure was right
    in every token (None before every row was seen)."""

    step: int
    steps: int
    loss: float
    exact: float | None
    learning_rate: float
    tokens: int
    tokens_per_second: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """The time left, measured after the first steps, and again where `--minutes` changed the number of steps."""

    steps: int
    tokens_per_second: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Validated:
    """Loss per token on what is kept out of training: other wordings, or under `classic` other facts."""

    step: int
    loss: float


@dataclass(frozen=True, slots=True)
class TrainingEnded:
    """The adapter is saved; the exam comes next, if training was not interrupted."""

    stopped_because: Stopped
    steps: int
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ExamAdvanced:
    """`done` of `total` pieces of the exam."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The end: everything that `train --json` prints. `answers` are the exam's, question by question, and `forgetting`
    is as in `exam.json`."""

    summary: dict[str, Any]
    answers: list[dict[str, Any]]
    forgetting: dict[str, Any] | None = None


Event = (
    TableRead
    | TableChecked
    | Planned
    | ModelLoaded
    | Sampled
    | Stepped
    | Forecast
    | Validated
    | TrainingEnded
    | ExamAdvanced
    | Finished
)
