"""Forward and backward passes as CUDA graphs: a small model on a GPU waits for launches, not for arithmetic.

A graph replays fixed kernels on fixed memory. So batches are padded to a few sizes, each recorded when it first comes;
padded answers count nothing. What is recorded adds to gradients that stay where they are: they are zeroed, never freed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from znatok.data.batch import Batch

Pass = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, ...]]
"""ids (B, L), positions (N,), targets (N,), weights (N,) → summed loss, and what else is known of each answer, (N,)."""

MOST = 8
"""Graphs kept: each holds the memory of a whole pass."""

COLUMNS, ANSWERS = 32, 128
"""Sizes are rounded up to multiples of these, unless a coarser one is asked for."""

LONGEST = 512
"""Columns of the longest pass that is recorded: in a longer one launches cost little, and its memory would be held."""


@dataclass(frozen=True, slots=True)
class _Size:
    rows: int
    columns: int
    answers: int

    def holds(self, other: "_Size") -> bool:
        return self.rows == other.rows and self.columns >= other.columns and self.answers >= other.answers

    @property
    def cost(self) -> int:
        return self.columns * self.answers


@dataclass(frozen=True, slots=True)
class _Padded:
    """A pass over memory that stays where it is. `replay` runs it and gives loss, hits and log-probabilities."""

    ids_BL: Tensor
    position_N: Tensor
    target_N: Tensor
    weight_N: Tensor
    factor: Tensor
    replay: Callable[[], tuple[Tensor, ...]]


class Graphs:
    """Passes of one model, by their size."""

    def __init__(self, run: Pass, weights: Sequence[nn.Parameter], columns: int = COLUMNS) -> None:
        """columns: batches are padded to multiples of so many."""
        self._run = run
        self._columns = columns
        self._weights = weights
        self._recorded: dict[_Size, _Padded] = {}
        self._pool: Any = None

    def backward(self, batch: Batch, factor: Tensor | float) -> tuple[Tensor, ...] | None:
        """Adds the gradient of `factor` times the batch's loss; gives what the pass gives.

        None where the batch fits none of the recorded sizes and there is no room for another. With deterministic
        algorithms a batch is always padded to the same size, recorded or not: else its bits would depend on which sizes
        came before it, and a run that was resumed would end with others.
        """
        rows, columns = batch.ids_BL.shape
        if columns > LONGEST:
            return None
        wanted = _Size(rows, _rounded(columns, self._columns), _rounded(len(batch.target_N), ANSWERS))
        if wanted not in self._recorded and len(self._recorded) < MOST:
            self._recorded[wanted] = self._record(wanted)
        if torch.are_deterministic_algorithms_enabled():
            one = self._recorded.get(wanted) or self._prepare(wanted)
        elif fitting := [size for size in self._recorded if size.holds(wanted)]:
            one = self._recorded[min(fitting, key=lambda size: size.cost)]
        else:
            return None
        answers = len(batch.target_N)
        one.ids_BL.zero_()
        one.ids_BL[:, :columns].copy_(torch.from_numpy(batch.ids_BL), non_blocking=True)
        # Places were counted in rows of the batch's own length.
        position_N = batch.position_N + batch.position_N // columns * (one.ids_BL.shape[1] - columns)
        one.position_N[:answers].copy_(torch.from_numpy(position_N), non_blocking=True)
        one.target_N[:answers].copy_(torch.from_numpy(batch.target_N), non_blocking=True)
        one.weight_N.zero_()
        one.weight_N[:answers] = 1
        one.factor.copy_(torch.as_tensor(factor))
        loss, *of_each = one.replay()
        return loss.clone(), *(values_N[:answers].clone() for values_N in of_each)

    def _prepare(self, size: _Size) -> _Padded:
        """The pass, launched kernel by kernel."""
        device = self._weights[0].device
        gradients = []
        for weight in self._weights:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
            gradients.append(weight.grad)
        ids_BL = torch.zeros(size.rows, size.columns, dtype=torch.int64, device=device)
        position_N, target_N = (torch.zeros(size.answers, dtype=torch.int64, device=device) for _ in range(2))
        weight_N = torch.zeros(size.answers, device=device)
        factor = torch.ones((), device=device)

        def once() -> tuple[Tensor, ...]:
            loss, *of_each = self._run(ids_BL, position_N, target_N, weight_N)
            # Autograd itself would add them one by one: hundreds of kernels.
            torch._foreach_add_(gradients, torch.autograd.grad(loss * factor, self._weights))
            return loss.detach(), *of_each

        return _Padded(ids_BL, position_N, target_N, weight_N, factor, once)

    def _record(self, size: _Size) -> _Padded:
        padded = self._prepare(size)
        before = [weight.grad.clone() for weight in self._weights if weight.grad is not None]
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):  # libraries settle their choices outside of the recording
                padded.replay()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            found = padded.replay()
        self._pool = self._pool or graph.pool()
        for weight, gradient in zip(self._weights, before, strict=True):
            assert weight.grad is not None
            weight.grad.copy_(gradient)

        def replay() -> tuple[Tensor, ...]:
            graph.replay()
            return found

        return replace(padded, replay=replay)


def _rounded(count: int, step: int) -> int:
    return -(-count // step) * step
