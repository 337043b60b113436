"""One update of the adapter's weights."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from znatok.data.batch import Batch
from znatok.model.network import Network
from znatok.model.optimizer import Optim, make_optimizer


@dataclass(frozen=True, slots=True)
class Step:
    """What one update showed. `loss` is per trained token; `exact` one flag a row, in the order of the batches."""

    loss: float
    exact: tuple[bool, ...]
    tokens: int
    is_finite: bool


class Updater:
    """Holds the optimizer; every call of `update` is one step."""

    def __init__(
        self, network: Network, *, optim: Optim, beta2: float, weight_decay: float, max_grad_norm: float
    ) -> None:
        self._network = network
        self._weights = network.weights()
        self._optimizer = make_optimizer(self._weights, optim, 0.0, beta2, weight_decay)
        self._max_grad_norm = max_grad_norm
        self._scaler = torch.amp.GradScaler(network.device.type, enabled=network.needs_loss_scaling)

    def update(self, batches: Sequence[Batch], learning_rate: float) -> Step:
        """Accumulates the batches into one update. 4 × 2 rows give what 8 give: the loss is per trained token of all.

        Where the loss or the gradient is not finite, nothing is changed.
        """
        trained = sum(len(batch.target_N) for batch in batches)
        loss, exact = 0.0, []
        device = self._network.device
        for batch in batches:
            score = self._network.backward(batch, self._scaler.scale(torch.tensor(1 / trained, device=device)))
            loss += float(score.loss.detach()) / trained
            exact += rows_right(batch, score.correct_N)
        self._scaler.unscale_(self._optimizer)
        norm = float(torch.nn.utils.clip_grad_norm_(self._weights, self._max_grad_norm))
        is_finite = math.isfinite(loss) and (self._scaler.is_enabled() or math.isfinite(norm))
        if is_finite:
            for group in self._optimizer.param_groups:
                group["lr"] = learning_rate
            self._scaler.step(self._optimizer)
            self._scaler.update()
        # On a GPU recorded passes write to these very gradients.
        self._optimizer.zero_grad(set_to_none=device.type == "cpu")
        return Step(loss, tuple(exact), sum(batch.tokens for batch in batches), is_finite)


def rows_right(batch: Batch, correct_N: torch.Tensor) -> list[bool]:
    """For every row of the batch: whether each of its trained tokens was the most probable one."""
    misses = np.bincount(batch.row_N, weights=~correct_N.cpu().numpy(), minlength=len(batch.ids_BL))
    return [bool(count == 0) for count in misses]
