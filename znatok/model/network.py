"""The base model with its adapter: the seam behind which stand our own layers, and transformers and PEFT."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from znatok.data.batch import Batch, Ids, make_batch, widened
from znatok.errors import RunError
from znatok.model.adapter import Adapter, adapter_parameters, new_settings, put_on, read_adapter, write_adapter
from znatok.model.adapter_file import read_saved_adapter
from znatok.model.decode import Desk, Guess, decode, decode_guessed, no_guess, room
from znatok.model.engine import Engine, can_run
from znatok.model.graphs import Graphs
from znatok.model.joint import COLUMNS, by_onednn
from znatok.model.likelihood import kl_divergence, token_log_probs
from znatok.model.llama import Llama
from znatok.model.lora import hasten_lora
from znatok.model.loss import answer_loss, divergence
from znatok.model.source import BaseSource
from znatok.records import Rendered
from znatok.run_folder import whole_folder

Dtype = Literal["float32", "bfloat16", "float16"]
Quantization = Literal["none", "nf4", "int8"]

ANSWERS = 64
"""Where oneDNN multiplies, trained tokens are padded to a multiple of so many, as rows are to one of `COLUMNS`."""

HELD_COLUMNS = 128
"""Replayed pieces are padded to multiples of these on a GPU: to record one more size would cost more than padding."""


@dataclass(frozen=True, slots=True)
class Score:
    """What a forward pass over a batch says. `loss` is the sum over trained tokens, still part of the graph.

    `logp_N` is the natural logarithm of each trained token's probability, without a gradient.
    """

    loss: Tensor
    correct_N: Tensor
    logp_N: Tensor


@dataclass(frozen=True, slots=True)
class Written:
    """New ids of each row of a batch, and the natural logarithm of each one's probability."""

    ids: list[list[int]]
    logps: list[list[float]]


class Network:
    """A base model on its device, with at most one adapter on it."""

    def __init__(self, model: nn.Module, source: BaseSource, quantization: Quantization = "none") -> None:
        self.source = source
        self.quantization = quantization
        self._model: Any = model
        self._base: Any = model
        self._engine: Engine | None = None
        self._is_settled = False
        self._graphs: Graphs | None = None
        self._desk: Desk | None = None
        self._held_graphs: Graphs | None = None
        self._is_alone = False

    @property
    def device(self) -> torch.device:
        return next(self._model.parameters()).device  # type: ignore[no-any-return]

    @property
    def is_recorded(self) -> bool:
        """Whether updates replay recorded passes, for which gradients stay where they are in memory."""
        return self._graphs is not None

    @property
    def needs_loss_scaling(self) -> bool:
        """Whether gradients would vanish without a scaled loss: in float16 they do."""
        return bool(self._base.dtype == torch.float16)

    @property
    def context_length(self) -> int:
        """Tokens that the base was made for."""
        return int(self._base.config.max_position_embeddings)

    # ---- the adapter -------------------------------------------------------------------------------------------

    def add_adapter(self, adapter: Adapter) -> None:
        """Puts a fresh adapter on the base; B starts at zero, so that it changes nothing yet.

        Raises UsageError where the base has no layers of a name that was asked for.
        """
        self._model = put_on(self._base, new_settings(self._base, adapter, self.source.revision))
        self._settle()

    def load_adapter(self, folder: Path) -> None:
        """Puts a saved adapter on the base, for use.

        Raises RunError where the adapter is damaged or does not fit this base.
        """
        saved = read_saved_adapter(folder)
        modules = self._base.named_modules()
        layers = {name: (one.in_features, one.out_features) for name, one in modules if hasattr(one, "in_features")}
        try:
            if not saved.fits(layers):
                raise ValueError("the base has not these layers")
            self._model = put_on(self._base, saved.settings)
            self.read_adapter(folder)
        except (RuntimeError, ValueError, KeyError, OSError) as error:
            raise RunError("run.adapter_does_not_fit", folder=folder, model=self.source.name) from error
        self._settle()
        self.use()

    def _settle(self) -> None:
        """Takes the shortest way through the layers as they are now."""
        if not isinstance(self._base, Llama):
            hasten_lora(self._model)
        self._engine = Engine(self._base) if can_run(self._base) else None
        self._is_settled, self._desk = True, None
        is_graphed = self._engine is not None and not self._engine.drops and self.device.type == "cuda"
        is_graphed = is_graphed and self.has_adapter
        self._graphs = Graphs(self._pass, self.weights()) if is_graphed else None
        self._held_graphs = Graphs(self._held_pass, self.weights(), HELD_COLUMNS) if is_graphed else None

    def save_adapter(self, folder: Path) -> None:
        """Writes the adapter in PEFT's format, whole or not at all."""
        with whole_folder(folder) as beside:
            self.write_adapter(beside)

    def write_adapter(self, folder: Path) -> None:
        """Writes the adapter's two files into `folder`, a `whole_folder`: the same bytes for the same weights."""
        write_adapter(self._model, folder, self.source.public_id)

    def read_adapter(self, folder: Path) -> None:
        """Reads saved weights into the adapter that is already there."""
        read_adapter(self._model, folder)

    @contextmanager
    def base_alone(self) -> Iterator[None]:
        """A block in which the adapter is off."""
        with self._model.disable_adapter() if self.has_adapter else nullcontext():
            self._is_alone = True
            try:
                yield
            finally:
                self._is_alone = False

    @property
    def has_adapter(self) -> bool:
        return self._model is not self._base

    # ---- training ----------------------------------------------------------------------------------------------

    def weights(self) -> list[nn.Parameter]:
        """The adapter's weights, always in float32: what the optimizer steps on."""
        return [value for _, value in adapter_parameters(self._model)]

    def train(self) -> None:
        """Dropout on."""
        self._model.train()

    def use(self) -> None:
        """Dropout off."""
        self._model.eval()

    def score(self, batch: Batch) -> Score:
        """The loss and the hits at the batch's trained tokens; logits elsewhere are never made."""
        loss, correct_N, logp_N = self._pass(*self._placed(batch))
        answers = len(batch.target_N)
        return Score(loss, correct_N[:answers], logp_N[:answers])

    def backward(self, batch: Batch, factor: Tensor | float) -> Score:
        """The same, with the gradient of `factor` times the loss added to that of the weights."""
        if self._graphs and (replayed := self._graphs.backward(batch, factor)):
            return Score(*replayed)
        score = self.score(batch)
        (score.loss * factor).backward()  # type: ignore[no-untyped-call]
        return score

    def hold(self, batch: Batch, factor: Tensor | float) -> Tensor:
        """KL(base ‖ tuned) in nats, summed over the batch's trained places, whose tokens say nothing here; the gradient
        of `factor` times it is added to that of the weights.
        """
        if self._held_graphs and (found := self._held_graphs.backward(batch, factor)):
            return found[0]
        kl, _ = self._held_pass(*self._placed(batch))
        (kl * factor).backward()  # type: ignore[no-untyped-call]
        return kl.detach()

    def _pass(
        self, ids_BL: Tensor, position_N: Tensor, target_N: Tensor, weight_N: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        hidden_NH = self._hidden(ids_BL, position_N)
        return answer_loss(hidden_NH, self._base.lm_head.weight.detach(), target_N, weight_N)

    def _held_pass(
        self, ids_BL: Tensor, position_N: Tensor, _target_N: Tensor | None, weight_N: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        base_NH = self._base_hidden(ids_BL, position_N)
        return divergence(self._hidden(ids_BL, position_N), base_NH, self._base.lm_head.weight.detach(), weight_N)

    @torch.no_grad()
    def _base_hidden(self, ids_BL: Tensor, position_N: Tensor) -> Tensor:
        with self.base_alone():
            return self._hidden(ids_BL, position_N)

    def _hidden(self, ids_BL: Tensor, position_N: Tensor) -> Tensor:
        """The last hidden states at the flattened places `position_N`, (N, H)."""
        if (engine := self._by_hand()) and not (engine.drops and self._model.training):
            return engine.hidden(ids_BL, position_N, self._is_adapted)
        hidden_BLH = self._base.model(
            input_ids=ids_BL,
            position_ids=torch.arange(ids_BL.shape[1], device=self.device)[None],
            use_cache=False,
        ).last_hidden_state
        return hidden_BLH.flatten(0, 1)[position_N]  # type: ignore[no-any-return]

    @torch.no_grad()
    def loss(self, batch: Batch) -> float:
        """The summed loss over the batch's trained tokens, without a gradient."""
        return float(self.score(batch).loss)

    @torch.no_grad()
    def hits(self, batch: Batch) -> Tensor:
        """Whether each trained token of the batch is the most probable one, (N,) bool."""
        return self.score(batch).correct_N

    @torch.no_grad()
    def log_probs(self, batch: Batch) -> Tensor:
        """The natural logarithm of each trained token's probability, (N,) float32 on the CPU."""
        ids_BL, position_N, target_N, _ = self._placed(batch)
        logp_N = token_log_probs(self._hidden(ids_BL, position_N), self._base.lm_head.weight, target_N)
        return logp_N[: len(batch.target_N)].cpu()

    @torch.no_grad()
    def divergence(self, batch: Batch) -> Tensor:
        """KL(base ‖ tuned) in nats a token: the mean over each row's trained tokens, (B,) float32 on the CPU.

        Not to be called inside `base_alone`, which it uses itself.
        """
        ids_BL, position_N, *_ = self._placed(batch)
        base_NH = self._base_hidden(ids_BL, position_N)
        kl_N = kl_divergence(base_NH, self._hidden(ids_BL, position_N), self._base.lm_head.weight)
        kl_N = kl_N[: len(batch.target_N)].cpu()
        row_N = torch.from_numpy(batch.row_N)
        sum_B = torch.zeros(len(ids_BL)).index_add_(0, row_N, kl_N)
        return sum_B / torch.bincount(row_N, minlength=len(ids_BL))

    def keep_less(self) -> bool:
        """From now on computes layers twice instead of keeping what their backward pass needs, with the same result.

        False where that is so already, or cannot be.
        """
        engine = self._by_hand()
        if engine is None or engine.drops or engine.recomputes:
            return False
        engine.recomputes = True
        if self._graphs is not None:
            self._graphs = Graphs(self._pass, self.weights())
            torch.cuda.empty_cache()
        return True

    @property
    def keeps_less(self) -> bool:
        return self._engine is not None and self._engine.recomputes

    def _by_hand(self) -> Engine | None:
        """The layers run by hand, where they are of a kind that can be."""
        if not self._is_settled:
            self._settle()
        return self._engine

    @property
    def _is_adapted(self) -> bool:
        return self.has_adapter and not self._is_alone

    def _placed(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """A batch on the device: ids, places, targets, and what each target counts where some are padding."""
        weight_N, answers = None, len(batch.target_N)
        if by_onednn(self.device, self._base.dtype):
            batch = widened(batch, COLUMNS, ANSWERS)
            weight_N = (torch.arange(len(batch.target_N)) < answers).float()
        return self._here(batch.ids_BL), self._here(batch.position_N), self._here(batch.target_N), weight_N

    def _here(self, ids: Ids) -> Tensor:
        return torch.from_numpy(ids).to(self.device)

    def peak_memory_bytes(self) -> int | None:
        """The most memory allocated on a GPU; None on a CPU, where the process is what counts."""
        return torch.cuda.max_memory_allocated() if self.device.type == "cuda" else None

    # ---- decoding ----------------------------------------------------------------------------------------------

    def generate(self, prompts: Sequence[Sequence[int]], limits: Sequence[int], stop_id: int) -> list[list[int]]:
        """Greedy continuations of a batch of prompts, new ids only, each up to its own limit or its end of turn."""
        *_, answers = self.growing(prompts, limits, stop_id)
        return answers

    def growing(
        self, prompts: Sequence[Sequence[int]], limits: Sequence[int], stop_id: int
    ) -> Iterator[list[list[int]]]:
        """The same, seen after every token: one list, which grows until all rows have ended."""
        for written in self.writing(prompts, limits, stop_id):
            yield written.ids

    def writing(self, prompts: Sequence[Sequence[int]], limits: Sequence[int], stop_id: int) -> Iterator[Written]:
        """The same with the log-probability of every id, which decoding has at hand."""
        if not self._by_hand():
            ids = self._generate_by_transformers(prompts, limits, stop_id)
            rows = [Rendered((*prompt, *new), len(prompt)) for prompt, new in zip(prompts, ids, strict=True)]
            logps = iter(self.log_probs(make_batch(rows)).tolist())
            yield Written(ids, [list(islice(logps, len(new))) for new in ids])
            return
        written = Written([[] for _ in prompts], [[] for _ in prompts])
        for going_on, tokens, found in self._decode(prompts, limits, stop_id):
            for row, token, logp in zip(going_on, tokens, found, strict=True):
                written.ids[row].append(token)
                written.logps[row].append(logp)
            yield written

    def stream(self, prompt: Sequence[int], limit: int, stop_id: int) -> Iterator[int]:
        """New ids of a greedy continuation, one by one, the end-of-turn id included."""
        return (id for id, _ in self.stream_scored(prompt, limit, stop_id))

    def stream_scored(
        self, prompt: Sequence[int], limit: int, stop_id: int, guess: Guess = no_guess
    ) -> Iterator[tuple[int, float]]:
        """The same, each with its log-probability; faster where `guess` is right, and the same where it is wrong."""
        if not self._by_hand():
            *_, written = self.writing([prompt], [limit], stop_id)
            yield from zip(written.ids[0], written.logps[0], strict=True)
            return
        with self._at_a_desk([prompt], [limit]) as desk:
            yield from decode_guessed(desk, prompt, limit, stop_id, self._is_adapted, guess)

    def _decode(
        self, prompts: Sequence[Sequence[int]], limits: Sequence[int], stop_id: int
    ) -> Iterator[tuple[list[int], list[int], list[float]]]:
        with self._at_a_desk(prompts, limits) as desk:
            yield from decode(desk, prompts, limits, stop_id, self._is_adapted)

    @contextmanager
    def _at_a_desk(self, prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> Iterator[Desk]:
        """Room for one decoding. A GPU's cache and what is recorded over it serve again; two decodings at a time have
        one each."""
        engine = self._by_hand()
        assert engine is not None
        desk, self._desk = self._desk, None
        if desk is not None and not desk.holds(len(prompts), room(prompts, limits)):
            desk = None  # its memory is free before the larger one is asked for
        desk = desk or Desk(engine, len(prompts), room(prompts, limits))
        try:
            yield desk
        finally:
            if self.device.type == "cuda" and engine is self._engine:
                self._desk = desk

    @torch.no_grad()
    def _generate_by_transformers(
        self, prompts: Sequence[Sequence[int]], limits: Sequence[int], stop_id: int
    ) -> list[list[int]]:
        """The same through transformers, for every architecture that `decode` does not know."""
        from transformers import GenerationConfig

        width = max(map(len, prompts))
        ids = torch.full((len(prompts), width), stop_id)
        mask = torch.zeros_like(ids)
        for number, prompt in enumerate(prompts):
            ids[number, width - len(prompt) :] = torch.tensor(prompt)
            mask[number, width - len(prompt) :] = 1
        greedy = GenerationConfig(
            max_new_tokens=max(limits), do_sample=False, eos_token_id=stop_id, pad_token_id=stop_id
        )
        out = self._model.generate(
            input_ids=ids.to(self.device), attention_mask=mask.to(self.device), generation_config=greedy
        )
        answers = out[:, width:].tolist()
        return [_until(answer[:limit], stop_id) for answer, limit in zip(answers, limits, strict=True)]


def _until(ids: list[int], stop_id: int) -> list[int]:
    return ids[: ids.index(stop_id) + 1] if stop_id in ids else ids
