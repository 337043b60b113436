"""What stands between the products of a layer, forward and backward: norm, rotation, gate. One place chooses how.

Plain torch everywhere; on a GPU each is one kernel where torch has it or triton can make it, since there the time goes
into launches and passes over memory. Legend as in `engine`; F columns of the gate, and of what it gates.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Elementwise:
    """Functions that say the same, faster or slower."""

    norm: Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]
    """x (…, H), weight (H,), eps → RMSNorm of x, and by what each place was scaled, (…, 1) float32."""
    norm_backward: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
    """Its gradient, x, weight, that scale → the gradient of x."""
    rotated: Callable[[Tensor, Tensor, Tensor], Tensor]
    """Heads (B, L, A, D), cos and sin of half a head (B or 1, L, D/2) → heads turned by their places, (B, A, L, D)."""
    rotate_back: Callable[[Tensor, Tensor, Tensor, Tensor], None]
    """Its gradient, cos, sin, and where the gradient of the heads is written, (B, L, A, D)."""
    gated: Callable[[Tensor], Tensor]
    """Gate beside up (N, 2F) → silu(gate) · up (N, F)."""
    gated_backward: Callable[[Tensor, Tensor], Tensor]
    """Its gradient (N, F), gate beside up → their gradient (N, 2F). May write over the first."""


def elementwise(device: torch.device) -> Elementwise:
    """The fastest functions that there are for tensors on `device`."""
    if device.type != "cuda":
        return PLAIN
    on_gpu = replace(PLAIN, norm=norm_by_torch, norm_backward=norm_by_torch_backward)
    if find_spec("triton") is None:  # as on Windows
        return on_gpu
    from znatok.model import fused

    return replace(
        on_gpu,
        rotated=fused.rotated,
        rotate_back=fused.rotate_back,
        gated=fused.gated,
        gated_backward=fused.gated_backward,
    )


def norm(x_NH: Tensor, weight_H: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    length_N1 = torch.linalg.vector_norm(x_NH, dim=-1, keepdim=True, dtype=torch.float32)
    scale_N1 = length_N1.square_().div_(x_NH.shape[-1]).add_(eps).rsqrt_()
    return (x_NH * scale_N1).to(x_NH.dtype).mul_(weight_H), scale_N1


def norm_backward(dy_NH: Tensor, x_NH: Tensor, weight_H: Tensor, scale_N1: Tensor) -> Tensor:
    """By layer norm's kernel, two passes over memory instead of seven. With a mean of 0 it takes off only the mean
    of what it is given, which is added again."""
    backward = torch.ops.aten.native_layer_norm_backward
    mean_N1 = torch.zeros_like(scale_N1)
    dx_NH = backward(dy_NH, x_NH, [len(weight_H)], mean_N1, scale_N1, weight_H.float(), None, [True, False, False])[0]
    taken_N1 = (dy_NH @ weight_H)[..., None] * scale_N1 / len(weight_H)
    return dx_NH.add_(taken_N1.to(dx_NH.dtype))  # type: ignore[no-any-return]


def norm_by_torch(x_NH: Tensor, weight_H: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """One kernel on CUDA; elsewhere the same by parts."""
    return torch.ops.aten._fused_rms_norm(x_NH, [len(weight_H)], weight_H, eps)  # type: ignore[no-any-return]


def norm_by_torch_backward(dy_NH: Tensor, x_NH: Tensor, weight_H: Tensor, scale_N1: Tensor) -> Tensor:
    backward = torch.ops.aten._fused_rms_norm_backward
    return backward(dy_NH, x_NH, [len(weight_H)], scale_N1, weight_H, [True, False])[0]  # type: ignore[no-any-return]


def rotated(x_BLAD: Tensor, cos_BLD: Tensor, sin_BLD: Tensor) -> Tensor:
    rows, columns, heads, width = x_BLAD.shape
    turned_BALD = torch.empty(rows, heads, columns, width, dtype=x_BLAD.dtype, device=x_BLAD.device)
    cos, sin = cos_BLD[:, :, None], sin_BLD[:, :, None]
    first, second = x_BLAD.chunk(2, dim=-1)
    turned_first, turned_second = turned_BALD.transpose(1, 2).chunk(2, dim=-1)
    torch.mul(first, cos, out=turned_first).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=turned_second).addcmul_(first, sin)
    return turned_BALD


def rotate_back(dy_BALD: Tensor, cos_BLD: Tensor, sin_BLD: Tensor, out_BLAD: Tensor) -> None:
    cos, sin = cos_BLD[:, :, None], sin_BLD[:, :, None]
    first, second = dy_BALD.transpose(1, 2).chunk(2, dim=-1)
    out_first, out_second = out_BLAD.chunk(2, dim=-1)
    torch.mul(first, cos, out=out_first).addcmul_(second, sin)
    torch.mul(second, cos, out=out_second).addcmul_(first, sin, value=-1)


def gated(gate_up_NF: Tensor) -> Tensor:
    gate_NF, up_NF = gate_up_NF.chunk(2, dim=1)
    return F.silu(gate_NF).mul_(up_NF)


def gated_backward(dact_NF: Tensor, gate_up_NF: Tensor) -> Tensor:
    gate_NF, up_NF = gate_up_NF.chunk(2, dim=1)
    dgate_up_NF = torch.empty_like(gate_up_NF)
    dgate_NF, dup_NF = dgate_up_NF.chunk(2, dim=1)
    torch.mul(dact_NF, F.silu(gate_NF), out=dup_NF)
    torch.ops.aten.silu_backward.grad_input(dact_NF.mul_(up_NF), gate_NF, grad_input=dgate_NF)
    return dgate_up_NF


PLAIN = Elementwise(norm, norm_backward, rotated, rotate_back, gated, gated_backward)
