"""The optimizer by the name that transformers gives it."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Optim = Literal["adamw_torch", "adamw_8bit", "paged_adamw_8bit"]


def make_optimizer(
    weights: Sequence[Tensor], optim: Optim, learning_rate: float, beta2: float, weight_decay: float
) -> torch.optim.Optimizer:
    """AdamW over the adapter's weights. Pages only exist on a GPU; on a CPU the plain 8-bit form is used."""
    options = {"lr": learning_rate, "betas": (0.9, beta2), "weight_decay": weight_decay}
    if optim == "adamw_torch":
        # On a GPU its steps may be recorded.
        return torch.optim.AdamW(weights, fused=True, capturable=weights[0].is_cuda, **options)  # type: ignore[arg-type]
    import bitsandbytes

    if optim == "paged_adamw_8bit" and weights[0].is_cuda:
        return bitsandbytes.optim.PagedAdamW8bit(weights, **options)  # type: ignore[no-any-return]
    return bitsandbytes.optim.AdamW8bit(weights, **options)  # type: ignore[no-any-return]
