"""LoRA's product in as few passes over memory as it takes: PEFT's layers, with a forward and backward of our own."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _LoraLinear(torch.autograd.Function):
    """y = x Wᵀ + s (x Aᵀ) Bᵀ with W frozen. The scale meets the narrow (N, r) product, never the wide one.

    A and B stay in float32 and are rounded to x's dtype here, so that they are their own master weights.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, a: Tensor, b: Tensor, scale: float) -> Tensor:
        x_NI = x.reshape(-1, x.shape[-1])
        a_RI, b_OR = a.to(x.dtype), b.to(x.dtype)
        low_NR = F.linear(x_NI, a_RI)
        y_NO = F.linear(x_NI, weight).addmm_(low_NR, b_OR.t(), alpha=scale)
        ctx.save_for_backward(x_NI, weight, a_RI, b_OR, low_NR)
        ctx.scale = scale
        return y_NO.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, None, Tensor, Tensor, None]:
        x_NI, weight, a_RI, b_OR, low_NR = ctx.saved_tensors
        dy = gradients[0]
        dy_NO = dy.reshape(-1, dy.shape[-1])
        dlow_NR = (dy_NO @ b_OR).mul_(ctx.scale)
        db_OR = (dy_NO.t() @ low_NR).float().mul_(ctx.scale)
        da_RI = (dlow_NR.t() @ x_NI).float()
        if not ctx.needs_input_grad[0]:  # below the first layer nothing is trained
            return None, None, da_RI, db_OR, None
        dx_NI = (dy_NO @ weight).addmm_(dlow_NR, a_RI)
        return dx_NI.view(*dy.shape[:-1], -1), None, da_RI, db_OR, None


def hasten_lora(model: nn.Module) -> None:
    """Gives PEFT's LoRA layers the shorter product wherever it says the same: a plain frozen linear layer, no dropout.

    Quantised layers, biases and dropout keep PEFT's own forward.
    """
    layers: Iterable[Any] = model.modules()
    for layer in layers:
        if is_plain_lora(layer) and layer.get_base_layer().bias is None:
            layer.forward = partial(_forward, layer)


def is_plain_lora(layer: Any) -> bool:
    """Whether PEFT has put LoRA, and nothing but LoRA, on a plain linear layer; dropout, DoRA and biases are more."""
    return is_lora(layer) and type(layer.get_base_layer()) is nn.Linear and not drops(layer)


def is_lora(layer: Any) -> bool:
    """Whether PEFT has put one LoRA on a layer, of whatever kind, and nothing beyond it but dropout."""
    if not getattr(layer, "lora_dropout", None) or "default" not in layer.lora_dropout:
        return False
    return not layer.lora_variant and not any(layer.lora_bias.values())


def drops(layer: Any) -> bool:
    """Whether the LoRA on a layer leaves out some of its inputs while it trains."""
    dropout = getattr(layer, "lora_dropout", None) or {}
    return "default" in dropout and not isinstance(dropout["default"], nn.Identity)


def _forward(layer: Any, x: Tensor) -> Tensor:
    base = layer.get_base_layer()
    if layer.disable_adapters:
        return F.linear(x, base.weight)
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    return _LoraLinear.apply(x, base.weight, a, b, layer.scaling["default"])  # type: ignore[no-any-return, no-untyped-call]
