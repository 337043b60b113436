"""One update of the adapter's weights."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from znatok.data.batch import Batch
from znatok.model.descent import Descent
from znatok.model.network import Network
from znatok.model.optimizer import Optim, make_optimizer

OPTIMIZER, CPU_GENERATOR, GPU_GENERATOR = "optimizer/", "generator/cpu", "generator/cuda"
"""Names of saved tensors."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one update showed. `loss` is per trained token; `exact` one flag a row, in the order of the batches.

    `kl`: KL(base ‖ tuned) in nats at a replayed place; None where nothing was replayed. `tokens` counts none of it.
    """

    loss: float
    exact: tuple[bool, ...]
    tokens: int
    is_finite: bool
    kl: float | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What an update replays: the model is to say there what its base says. Nothing by itself.

    `weight`: what the divergence at each place counts, beside the mean loss of the trained tokens.
    """

    batches: tuple[Batch, ...] = ()
    weight: float = 0.0

    @property
    def tokens(self) -> int:
        return sum(batch.tokens for batch in self.batches)

    @property
    def places(self) -> int:
        return sum(len(batch.target_N) for batch in self.batches)


NOTHING = Replayed()


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
        self._descent: Descent | None = None
        if optim == "adamw_torch" and not network.needs_loss_scaling:
            self._descent = Descent(self._weights, self._optimizer, max_grad_norm, network.is_recorded)

    def update(self, batches: Sequence[Batch], learning_rate: float, replayed: Replayed = NOTHING) -> Step:
        """Accumulates the batches into one update. 4 × 2 rows give what 8 give: the loss is per trained token of all.

        The gradient of what is replayed is added to theirs. Where a loss or the gradient is not finite, nothing is
        changed.
        """
        trained = sum(len(batch.target_N) for batch in batches)
        try:
            losses, hits = self._accumulate(batches, trained)
            held = self._hold(replayed)
        except BaseException:  # memory that did not suffice, or a signal: what is half summed up must not stay
            self._clear()
            raise
        found = torch.stack([*losses, *held])
        if self._descent:
            norm = self._descent.step(found.isfinite().all().logical_not(), learning_rate)
        else:
            norm = self._limited()
        *sums, norm_found = torch.cat([found, norm.reshape(1)]).tolist()  # here alone the GPU is waited for
        loss, kl = sum(sums[: len(losses)]) / trained, sum(sums[len(losses) :])
        is_finite = math.isfinite(loss + kl) and (self._scaler.is_enabled() or math.isfinite(norm_found))
        if not self._descent:
            self._step_waited(learning_rate, is_finite)
        exact = [one for batch, correct_N in zip(batches, hits, strict=True) for one in rows_right(batch, correct_N)]
        mean_kl = kl / replayed.places if replayed.batches else None
        return Step(loss, tuple(exact), sum(batch.tokens for batch in batches), is_finite, mean_kl)

    def _accumulate(self, batches: Sequence[Batch], trained: int) -> tuple[list[Tensor], list[Tensor]]:
        """The summed loss and the hits of each batch; their gradients are added to those of the weights."""
        factor = self._scaler.scale(torch.tensor(1 / trained, device=self._network.device))
        scores = [self._network.backward(batch, factor) for batch in batches]
        return [score.loss.detach() for score in scores], [score.correct_N for score in scores]

    def _hold(self, replayed: Replayed) -> list[Tensor]:
        """The summed divergence of each replayed batch; their gradients are added to those of the weights."""
        factor = self._scaler.scale(torch.tensor(replayed.weight, device=self._network.device))
        return [self._network.hold(batch, factor).detach() for batch in replayed.batches]

    def _limited(self) -> Tensor:
        """The norm of the gradient, which is scaled back and limited."""
        self._scaler.unscale_(self._optimizer)
        return torch.nn.utils.clip_grad_norm_(self._weights, self._max_grad_norm)

    def _step_waited(self, learning_rate: float, is_finite: bool) -> None:
        """The step of an optimizer that has to be told whether it may."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        if is_finite:
            self._scaler.step(self._optimizer)
        self._scaler.update()
        self._clear()

    def _clear(self) -> None:
        # On a GPU recorded passes write to these very gradients.
        self._optimizer.zero_grad(set_to_none=self._network.device.type == "cpu")

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What the next updates depend on beside the weights: tensors, to be written at once, and the rest as JSON.

        These are the state of the optimizer, of float16's scaling, and of the generators that dropout draws from.
        """
        values = dict(_flat(self._optimizer.state_dict()["state"]))
        tensors: dict[str, Tensor] = {}
        places: set[int] = set()
        for name, value in values.items():
            if isinstance(value, Tensor):
                saved = value.detach().cpu().contiguous()
                # safetensors takes no memory twice, and the states of 8-bit optimizers share a table.
                tensors[f"{OPTIMIZER}{name}"] = saved.clone() if saved.data_ptr() in places else saved
                places.add(saved.data_ptr())
        tensors[CPU_GENERATOR] = torch.get_rng_state()
        if self._network.device.type == "cuda":
            tensors[GPU_GENERATOR] = torch.cuda.get_rng_state()
        rest = {name: value for name, value in values.items() if not isinstance(value, Tensor)}
        return tensors, {"optimizer": rest, "scaler": self._scaler.state_dict()}

    def restore(self, tensors: dict[str, Tensor], rest: dict[str, Any]) -> None:
        """Goes back to what `state` gave."""
        # Copies: tensors read from a file lie in it, at places that are not aligned.
        saved = {
            name.removeprefix(OPTIMIZER): value.clone() for name, value in tensors.items() if name.startswith(OPTIMIZER)
        }
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": _tree(saved | rest["optimizer"]), "param_groups": groups})
        if self._descent:
            self._descent.forget()
        if self._scaler.is_enabled():
            self._scaler.load_state_dict(rest["scaler"])
        torch.set_rng_state(tensors[CPU_GENERATOR])
        if self._network.device.type == "cuda" and GPU_GENERATOR in tensors:
            torch.cuda.set_rng_state(tensors[GPU_GENERATOR])


def _flat(tree: dict[Any, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of an optimizer's state by path, such as `3/exp_avg`; bitsandbytes has a level more."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}/")
        else:
            yield f"{above}{name}", value


def _tree(leaves: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """What `_flat` made flat."""
    tree: dict[int, dict[str, Any]] = {}
    for path, value in leaves.items():
        weight, *names, last = path.split("/")
        place = tree.setdefault(int(weight), {})
        for name in names:
            place = place.setdefault(name, {})
        place[last] = value
    return tree


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it says that memory did not suffice; for the CPU torch has only words for that, on Windows others."""
    says_so = "can't allocate memory" in str(error) or "not enough memory" in str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or says_so


def rows_right(batch: Batch, correct_N: torch.Tensor) -> list[bool]:
    """For every row of the batch: whether each of its trained tokens was the most probable one."""
    misses = np.bincount(batch.row_N, weights=~correct_N.cpu().numpy(), minlength=len(batch.ids_BL))
    return [bool(count == 0) for count in misses]
