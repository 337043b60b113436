"""LoRA on a `Llama`, under the names that PEFT gives modules and weights, so that saved adapters are PEFT's.

It holds weights; what multiplies with them is `joint`. The first values are drawn as PEFT draws them, one by one, so
that a seed gives the same adapter either way.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from znatok.model.llama import Llama


class LoraLinear(nn.Module):
    """A frozen linear layer and its two low-rank matrices."""

    def __init__(self, base_layer: Any, r: int, scale: float, trains: bool) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.scaling = {"default": scale}
        self.lora_variant: dict[str, Any] = {}
        self.lora_bias = {"default": False}
        self.lora_dropout = nn.ModuleDict({"default": nn.Identity()})
        a = nn.Linear(base_layer.in_features, r, bias=False)
        b = nn.Linear(r, base_layer.out_features, bias=False)
        nn.init.kaiming_uniform_(a.weight, a=math.sqrt(5))
        nn.init.zeros_(b.weight)
        dtype = getattr(base_layer, "compute_dtype", base_layer.weight.dtype)
        if dtype.is_floating_point:  # rounded as the base is, then kept in float32
            a.to(dtype)
        for one in (a, b):
            one.to(base_layer.weight.device, torch.float32).requires_grad_(trains)
        self.lora_A, self.lora_B = nn.ModuleDict({"default": a}), nn.ModuleDict({"default": b})


class AdaptedLlama(nn.Module):
    """A base with LoRA on it, where PEFT has it. `settings`: those of the adapter that are not PEFT's defaults."""

    def __init__(self, base: Llama, settings: dict[str, Any]) -> None:
        super().__init__()
        self.settings = settings
        self.base_model = nn.Module()
        self.base_model.model = base

    @contextmanager
    def disable_adapter(self) -> Iterator[None]:
        """Nothing to do: the engine is told in every pass whether the adapter counts."""
        yield


def put_lora_on(base: Llama, settings: dict[str, Any]) -> AdaptedLlama:
    """A fresh adapter, under PEFT's names for its settings; B starts at zero, so that it changes nothing yet."""
    names = tuple(settings["target_modules"])
    ends = tuple(f".{name}" for name in names)
    for name, layer in list(base.named_modules()):
        if not (name in names or name.endswith(ends)):
            continue
        r = settings.get("rank_pattern", {}).get(name, settings["r"])
        alpha = settings.get("alpha_pattern", {}).get(name, settings["lora_alpha"])
        scale = alpha / (math.sqrt(r) if settings.get("use_rslora") else r)
        trains = not settings.get("inference_mode", False)
        base.set_submodule(name, LoraLinear(layer, r, scale, trains))
    return AdaptedLlama(base, settings)
