"""Where training stands between two updates: the one record that is saved, and gone on from."""

from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

RECENT_LOSSES = 20
"""Updates whose mean loss is looked at."""

TOO_HIGH = 2.0
"""Times the lowest mean so far, from which the loss counts as run away …"""

LEAST_LOSS = 1.0
"""… where it is also above this, per token: a learned table has a loss near 0, and twice that says nothing. A guess."""

TOO_LONG = 20
"""Updates in a row after which a loss that ran away is not expected to come back."""


@dataclass(slots=True)
class State:
    """All of training that is no tensor and no random generator. Two states are equal where the next update is."""

    steps: int
    """Updates in all, those of the finishing rounds included."""
    planned: int
    """Updates without the finishing rounds; with `--minutes` fitted to the measured speed."""
    step: int = 0
    tokens: int = 0
    seconds: float = field(default=0.0, compare=False)
    """In updates alone."""
    elapsed: float = field(default=0.0, compare=False)
    """Of the run as a whole, when it was saved."""
    shown: int = -1
    """The step after which an answer was last shown and the validation loss measured."""
    rounds: int = 0
    again: list[list[int]] = field(default_factory=list)
    """Batches of the finishing round under way that are still to come, as places of their rows."""
    exact: dict[int, bool] = field(default_factory=dict)
    """Whether the last exposure of the row at a place was right in every token; in the order of first sight."""
    halvings: int = 0
    """How often batches were halved because memory did not suffice."""
    is_slowed: bool = False
    """Whether training went back once already, and has gone on at half the rate since."""
    losses: list[float] = field(default_factory=list)
    lowest: float | None = None
    """The lowest mean of `RECENT_LOSSES` losses so far."""
    above: int = 0
    """Updates in a row in which that mean was too high."""
    replays: int = 0
    """Pieces replayed."""
    replayed: int = 0
    """Their tokens, which `tokens` does not count."""
    exposures: int = 0
    """Of rows; those of the finishing rounds are not counted."""
    refusals: int = 0
    """Questions that were to be declined. `tokens` counts theirs."""

    def note(self, loss: float) -> None:
        """Takes in the loss of an update."""
        self.losses = [*self.losses, loss][-RECENT_LOSSES:]
        if len(self.losses) < RECENT_LOSSES:
            return
        mean = fmean(self.losses)
        self.lowest = mean if self.lowest is None else min(self.lowest, mean)
        self.above = self.above + 1 if mean > max(TOO_HIGH * self.lowest, LEAST_LOSS) else 0

    @property
    def has_diverged(self) -> bool:
        return self.above >= TOO_LONG

    def describe(self) -> dict[str, Any]:
        """The state as JSON takes it: the order of `exact` is kept, and numbers read back the same."""
        return asdict(self) | {"exact": [[place, is_right] for place, is_right in self.exact.items()]}

    @classmethod
    def of(cls, record: dict[str, Any]) -> "State":
        """The state that `describe` gave."""
        return cls(**(record | {"exact": {int(place): bool(is_right) for place, is_right in record["exact"]}}))
