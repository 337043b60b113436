"""Norm, rotation and gate, by whatever means, against autograd and each other."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from znatok.model import elementwise
from znatok.model.elementwise import PLAIN, Elementwise

ROWS, COLUMNS, HEADS, WIDTH, HIDDEN, FEED = 3, 5, 4, 24, 96, 72


def random(*shape: int, dtype=torch.float32, device="cpu"):
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator).to(device, dtype)


def turns(device="cpu", rows: int = 1):
    angle = random(rows, COLUMNS, WIDTH // 2)
    return angle.cos().to(device), angle.sin().to(device)


def test_the_plain_functions_have_the_gradients_that_autograd_finds():
    check_gradients(PLAIN, "cpu")


def check_gradients(ops: Elementwise, device: str) -> None:
    x, weight = random(7, HIDDEN, device=device).requires_grad_(), random(HIDDEN, device=device)
    dy = random(7, HIDDEN, device=device)
    y, scale = ops.norm(x.detach(), weight, 1e-5)
    expected = F.rms_norm(x, (HIDDEN,), weight, 1e-5)
    torch.testing.assert_close(y, expected.detach(), rtol=1e-5, atol=1e-5)
    (dx,) = torch.autograd.grad(expected, x, dy)
    torch.testing.assert_close(ops.norm_backward(dy, x.detach(), weight, scale), dx, rtol=1e-4, atol=1e-5)

    both = random(7, 2 * FEED, device=device).requires_grad_()
    gate, up = both.chunk(2, dim=1)
    expected = F.silu(gate) * up
    torch.testing.assert_close(ops.gated(both.detach()), expected.detach(), rtol=1e-5, atol=1e-6)
    dact = random(7, FEED, device=device)
    (dboth,) = torch.autograd.grad(expected, both, dact)
    torch.testing.assert_close(ops.gated_backward(dact.clone(), both.detach()), dboth, rtol=1e-5, atol=1e-5)

    for rows in (1, ROWS):
        cos, sin = turns(device, rows)
        # A part of a wider product, as queries are.
        wide = random(ROWS, COLUMNS, HEADS + 2, WIDTH, device=device)
        heads = wide[:, :, :HEADS].clone().requires_grad_()
        expected = rotated_by_the_book(heads, cos, sin)
        torch.testing.assert_close(ops.rotated(wide[:, :, :HEADS], cos, sin), expected.detach(), rtol=1e-5, atol=1e-5)
        dturned = random(ROWS, HEADS, COLUMNS, WIDTH, device=device)
        (dheads,) = torch.autograd.grad(expected, heads, dturned)
        out = torch.zeros_like(wide)
        ops.rotate_back(dturned, cos, sin, out[:, :, 1 : HEADS + 1])
        torch.testing.assert_close(out[:, :, 1 : HEADS + 1], dheads, rtol=1e-5, atol=1e-5)
        assert not out[:, :, 0].any()
        assert not out[:, :, -1].any()


def rotated_by_the_book(heads, cos, sin):
    """As transformers has it, laid out as (B, heads, L, D)."""
    cos, sin = (torch.cat((half, half), -1)[:, :, None] for half in (cos, sin))
    first, second = heads.chunk(2, -1)
    return (heads * cos + torch.cat((-second, first), -1) * sin).transpose(1, 2)


def test_without_triton_a_gpu_has_what_torch_has(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    chosen = elementwise.elementwise(torch.device("cuda"))
    assert chosen.norm is elementwise.norm_by_torch
    assert chosen.gated is PLAIN.gated
    assert elementwise.elementwise(torch.device("cpu")) is PLAIN


@pytest.mark.skipif(find_spec("triton") is None, reason="no triton here")
def test_tritons_kernels_have_the_gradients_that_autograd_finds():
    """On a CPU by triton's interpreter, which must be asked for before triton is imported."""
    code = """
from dataclasses import replace
from tests.model.test_elementwise import check_gradients
from znatok.model import fused
from znatok.model.elementwise import PLAIN
names = ("rotated", "rotate_back", "gated", "gated_backward")
check_gradients(replace(PLAIN, **{name: getattr(fused, name) for name in names}), "cpu")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpus_functions_have_the_gradients_that_autograd_finds():
    check_gradients(elementwise.elementwise(torch.device("cuda")), "cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_in_half_precision_a_gpus_functions_are_as_near_as_the_plain_ones(dtype):
    ops, both = elementwise.elementwise(torch.device("cuda")), random(64, 2 * 352, dtype=dtype, device="cuda")
    dact = random(64, 352, dtype=dtype, device="cuda")
    for name, given in (("gated", (both,)), ("gated_backward", (dact, both))):
        exact = getattr(PLAIN, name)(*(one.double() for one in given))
        ours, plain = (getattr(way, name)(*(one.clone() for one in given)).double() for way in (ops, PLAIN))
        assert (ours - exact).norm() <= 1.05 * (plain - exact).norm()
