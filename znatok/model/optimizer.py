"""The optimizer by the name that transformers gives it."""

from collections.abc import Sequence
from inspect import unwrap
from typing import Any, Literal

import torch
from torch import Tensor

from znatok.model.quantised import library

Optim = Literal["adamw_torch", "adamw_8bit", "paged_adamw_8bit"]


class _AdamW(torch.optim.AdamW):
    """torch's own, without what torch puts around its methods for `torch.compile`: that imports the compiler, seconds
    of it, with the first call.
    """

    add_param_group = unwrap(torch.optim.AdamW.add_param_group)
    zero_grad = unwrap(torch.optim.AdamW.zero_grad)
    state_dict = unwrap(torch.optim.AdamW.state_dict)
    load_state_dict = unwrap(torch.optim.AdamW.load_state_dict)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        return unwrap(torch.optim.AdamW.step)(self, closure)


def make_optimizer(
    weights: Sequence[Tensor], optim: Optim, learning_rate: float, beta2: float, weight_decay: float
) -> torch.optim.Optimizer:
    """AdamW over the adapter's weights. Pages only exist on a GPU; on a CPU the plain 8-bit form is used."""
    options = {"lr": learning_rate, "betas": (0.9, beta2), "weight_decay": weight_decay}
    if optim == "adamw_torch":
        # On a GPU its steps may be recorded.
        return _AdamW(weights, fused=True, capturable=weights[0].is_cuda, **options)  # type: ignore[arg-type]
    kinds = library().optim
    kind = kinds.PagedAdamW8bit if optim == "paged_adamw_8bit" and weights[0].is_cuda else kinds.AdamW8bit
    return kind(weights, **options)  # type: ignore[no-any-return]
