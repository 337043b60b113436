"""The learning rate over a run."""

from typing import Literal

DECAY_SHARE = 0.2
"""The last fifth decays to nothing: that is where answers become right to the letter."""


def rate_factor(scheduler: Literal["warmup_stable_decay", "linear"], step: int, steps: int, warmup_steps: int) -> float:
    """What the peak rate is multiplied by at `step` (counted from 0) of `steps`."""
    warmup = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
    left = (steps - step) / steps
    decay = left if scheduler == "linear" else min(1.0, left / DECAY_SHARE)
    return warmup * max(0.0, decay)


def peak_rate(hidden_size: int) -> float:
    """The peak rate for LoRA at r 16 on a model of this width.

    Source: 1.3e-3 was the best of three rates at width 576 (docs/log.md); wider models want less, by the root.
    """
    return float(f"{1.3e-3 * (576 / hidden_size) ** 0.5:.2g}")
