"""The end of an update: the gradient is limited and goes into the weights, on a GPU as one recorded pass.

Some hundred small tensors take part. Launched one by one their kernels leave a GPU idle for a fifth of an update.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class Descent:
    """Steps of an optimizer whose kernel sees by itself whether it may step: nobody waits for the GPU to say so."""

    def __init__(
        self, weights: Sequence[Tensor], optimizer: torch.optim.Optimizer, max_grad_norm: float, is_recorded: bool
    ) -> None:
        """is_recorded: whether gradients stay where they are in memory, so that steps can be recorded."""
        self._weights = weights
        self._optimizer = optimizer
        self._max_grad_norm = max_grad_norm
        self._is_recorded = is_recorded
        self._graph: torch.cuda.CUDAGraph | None = None
        if is_recorded:
            self._rate, self._is_bad = (torch.zeros((), device=weights[0].device) for _ in range(2))

    def step(self, is_bad: Tensor, learning_rate: float) -> Tensor:
        """One step, unless `is_bad` or the gradient is not finite; the gradient is cleared. Gives its norm before.

        Shapes: is_bad () bool → () float32.
        """
        rate = self._rate.fill_(learning_rate) if self._is_recorded else learning_rate
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        if not self._is_recorded:
            return self._take(is_bad)
        self._is_bad.copy_(is_bad)
        if not self._optimizer.state:  # made by the first step, which a recording would not take
            return self._take(self._is_bad)
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._norm = self._take(self._is_bad)
        self._graph.replay()
        return self._norm

    def forget(self) -> None:
        """To be called when the optimizer's state was replaced: the recording writes to the old one."""
        self._graph = None

    def _take(self, is_bad: Tensor) -> Tensor:
        norm = torch.nn.utils.clip_grad_norm_(self._weights, self._max_grad_norm)
        self._optimizer.found_inf = is_bad.logical_or(norm.isfinite().logical_not()).float()  # type: ignore[attr-defined]
        self._optimizer.step()
        # Recorded passes write to these very gradients.
        self._optimizer.zero_grad(set_to_none=not self._weights[0].is_cuda)
        return norm
