"""What `train()` tells while it works: the one stream that the screen, the metrics file and a Python user read."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
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
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"


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
class Resumed:
    """A run that was stopped goes on after `step`; None where nothing had been saved, and it begins anew.

    `damaged`: a file of each newer state that cannot be used.
    """

    step: int | None
    steps: int
    damaged: tuple[Path, ...]


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
    in every token (None before every row was seen); `kl` how far the model is from its base on what was replayed, in
    nats a token (None where nothing was)."""

    step: int
    steps: int
    loss: float
    exact: float | None
    learning_rate: float
    tokens: int
    tokens_per_second: float
    seconds_left: float
    kl: float | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """The time left: after the first steps, after a minute, and where `--minutes` changed the number of steps."""

    steps: int
    tokens_per_second: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Validated:
    """Loss per token on what is kept out of training: other wordings, or under `classic` other facts."""

    step: int
    loss: float


@dataclass(frozen=True, slots=True)
class FellBack:
    """The loss ran away after `left` updates: training goes on from the state after `step`, at half the rate.

    `rows`: those of the batch whose loss was no number; none where it was only too high for too long.
    """

    step: int
    left: int
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MemorySpared:
    """Memory did not suffice: from now on layers are computed twice, and what the backward pass needs is not kept."""


@dataclass(frozen=True, slots=True)
class BatchHalved:
    """Memory did not suffice: from now on at most `rows` at once, as many in an update as before."""

    rows: int


@dataclass(frozen=True, slots=True)
class TrainingEnded:
    """The adapter is saved; the exam comes next, unless training can go on later.

    `rows`: those of the batch that it ended with, where that batch was the reason.
    """

    stopped_because: Stopped
    steps: int
    tokens: int
    seconds: float
    rows: tuple[int, ...] = ()


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
    | Resumed
    | Sampled
    | Stepped
    | Forecast
    | Validated
    | FellBack
    | MemorySpared
    | BatchHalved
    | TrainingEnded
    | ExamAdvanced
    | Finished
)
