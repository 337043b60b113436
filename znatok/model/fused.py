"""Kernels of `elementwise` for NVIDIA GPUs: rotation and gate, each in one pass over memory. Needs triton.

Arithmetic is in float32, results are rounded once. Compiled when first used, then kept in triton's own cache.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK, HEADS = 1024, 32
"""Numbers, and heads of one place, that a program takes; smaller ones would only be many more."""


@triton.jit  # type: ignore[untyped-decorator]
def _rotate(  # type: ignore[no-untyped-def]
    x, out, cos, sin, columns, heads,
    x_row, x_column, x_head, out_row, out_column, out_head, turn_row, turn_column, sign,
    HALF: tl.constexpr, PADDED: tl.constexpr, HEADS: tl.constexpr,
):  # fmt: skip
    """Some heads of one place. x and out: heads of width 2·HALF that lie together, all else by strides."""
    place = tl.program_id(0)
    head = (tl.program_id(1) * HEADS + tl.arange(0, HEADS))[:, None]
    row = place // columns
    column = place % columns
    offset = tl.arange(0, PADDED)[None, :]
    turn = row * turn_row + column * turn_column + offset
    c = tl.load(cos + turn, mask=offset < HALF, other=0.0).to(tl.float32)
    s = tl.load(sin + turn, mask=offset < HALF, other=0.0).to(tl.float32) * sign
    inside = (head < heads) & (offset < HALF)
    start = x + row.to(tl.int64) * x_row + column * x_column + head * x_head
    first = tl.load(start + offset, mask=inside, other=0.0).to(tl.float32)
    second = tl.load(start + HALF + offset, mask=inside, other=0.0).to(tl.float32)
    end = out + row.to(tl.int64) * out_row + column * out_column + head * out_head
    kind = out.dtype.element_ty
    tl.store(end + offset, (first * c - second * s).to(kind), mask=inside)
    tl.store(end + HALF + offset, (second * c + first * s).to(kind), mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def _gate(gate_up, act, width, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0).to(tl.int64)
    offset = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = offset < width
    start = gate_up + row * 2 * width + offset
    gate = tl.load(start, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(start + width, mask=inside, other=0.0).to(tl.float32)
    tl.store(act + row * width + offset, (gate * tl.sigmoid(gate) * up).to(act.dtype.element_ty), mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def _gate_backward(dact, gate_up, dgate_up, width, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0).to(tl.int64)
    offset = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = offset < width
    start = row * 2 * width + offset
    gate = tl.load(gate_up + start, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(gate_up + start + width, mask=inside, other=0.0).to(tl.float32)
    pull = tl.load(dact + row * width + offset, mask=inside, other=0.0).to(tl.float32)
    share = tl.sigmoid(gate)
    kind = dgate_up.dtype.element_ty
    dgate = pull * up * share * (1.0 + gate * (1.0 - share))
    tl.store(dgate_up + start, dgate.to(kind), mask=inside)
    tl.store(dgate_up + start + width, (pull * gate * share).to(kind), mask=inside)


def rotated(x_BLAD: Tensor, cos_BLD: Tensor, sin_BLD: Tensor) -> Tensor:
    rows, columns, heads, width = x_BLAD.shape
    turned_BALD = torch.empty(rows, heads, columns, width, dtype=x_BLAD.dtype, device=x_BLAD.device)
    _turn(x_BLAD, turned_BALD.transpose(1, 2), cos_BLD, sin_BLD, 1.0)
    return turned_BALD


def rotate_back(dy_BALD: Tensor, cos_BLD: Tensor, sin_BLD: Tensor, out_BLAD: Tensor) -> None:
    _turn(dy_BALD.transpose(1, 2), out_BLAD, cos_BLD, sin_BLD, -1.0)


def _turn(x_BLAD: Tensor, out_BLAD: Tensor, cos_BLD: Tensor, sin_BLD: Tensor, sign: float) -> None:
    rows, columns, heads, width = x_BLAD.shape
    if x_BLAD.stride(3) != 1:
        x_BLAD = x_BLAD.contiguous()
    cos, sin = cos_BLD.contiguous(), sin_BLD.contiguous()
    turn_row = cos.stride(0) if len(cos) > 1 else 0
    together = min(HEADS, triton.next_power_of_2(heads))
    _rotate[(rows * columns, triton.cdiv(heads, together))](
        x_BLAD, out_BLAD, cos, sin, columns, heads,
        *x_BLAD.stride()[:3], *out_BLAD.stride()[:3], turn_row, cos.stride(1), sign,
        HALF=width // 2, PADDED=triton.next_power_of_2(width // 2), HEADS=together, num_warps=4,
    )  # fmt: skip


def gated(gate_up_NF: Tensor) -> Tensor:
    rows, width = gate_up_NF.shape[0], gate_up_NF.shape[1] // 2
    act_NF = torch.empty(rows, width, dtype=gate_up_NF.dtype, device=gate_up_NF.device)
    _gate[_grid(rows, width)](gate_up_NF, act_NF, width, BLOCK=BLOCK)
    return act_NF


def gated_backward(dact_NF: Tensor, gate_up_NF: Tensor) -> Tensor:
    rows, width = dact_NF.shape
    dgate_up_NF = torch.empty_like(gate_up_NF)
    _gate_backward[_grid(rows, width)](dact_NF.contiguous(), gate_up_NF, dgate_up_NF, width, BLOCK=BLOCK)
    return dgate_up_NF


def _grid(rows: int, width: int) -> tuple[Any, ...]:
    return rows, triton.cdiv(width, BLOCK)
