"""Greedy decoding of a batch with one fixed cache: transformers' layers, an attention of our own.

transformers' `generate` copies the whole cache at every token, twice: once to append to it, once to repeat grouped
heads. Here keys and values are written into place and grouped heads are never repeated. Legend: B rows, T cache
places, K key heads, G query heads per key head, D width of a head, H hidden size.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from znatok.model.engine import KNOWN_TYPES


def can_decode(model: Any) -> bool:
    """Whether the model's layers are built as this module expects."""
    return model.config.model_type in KNOWN_TYPES and not getattr(model.config, "use_sliding_window", False)


@torch.no_grad()
def decode(
    model: Any, prompts: Sequence[Sequence[int]], limits: Sequence[int], stop_id: int
) -> Iterator[tuple[list[int], list[int], list[float]]]:
    """Token by token: the numbers of the rows still going on, the new id of each, and its log-probability.

    A row ends with `stop_id`, which is given out too, or at its limit. Rows that ended leave the batch.
    """
    rows = list(range(len(prompts)))
    state = _Cache(model, prompts, max(limits))
    next_B, logp_B = _prefill(model, state, prompts)
    counts = [0] * len(prompts)
    while True:
        tokens = next_B.tolist()
        yield rows, tokens, logp_B.tolist()
        for row in rows:
            counts[row] += 1
        kept = [
            place
            for place, (row, token) in enumerate(zip(rows, tokens, strict=True))
            if token != stop_id and counts[row] < limits[row]
        ]
        if not kept:
            return
        if len(kept) < len(rows):
            rows = [rows[place] for place in kept]
            next_B = next_B[kept]
            state.keep(kept)
        next_B, logp_B = _one_step(model, state, next_B)


class _Cache:
    """Keys and values of all layers; prompts stand at the right, so that every row writes to the same place next."""

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], new_tokens: int) -> None:
        config = model.config
        width = max(map(len, prompts))
        weight = model.lm_head.weight
        head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        shape = (len(prompts), config.num_key_value_heads, width + new_tokens, head)
        layers = range(config.num_hidden_layers)
        self.keys = [torch.zeros(shape, dtype=weight.dtype, device=weight.device) for _ in layers]
        self.values = [torch.zeros(shape, dtype=weight.dtype, device=weight.device) for _ in layers]
        self.length = 0
        self.pads_B = torch.tensor([width - len(prompt) for prompt in prompts], device=weight.device)

    def keep(self, places: list[int]) -> None:
        """Drops the rows that are not in `places`."""
        self.keys = [keys[places] for keys in self.keys]
        self.values = [values[places] for values in self.values]
        self.pads_B = self.pads_B[places]

    def hidden_BT(self, length: int) -> Tensor:
        """Which of the first `length` places are padding."""
        return torch.arange(length, device=self.pads_B.device)[None] < self.pads_B[:, None]


def _prefill(model: Any, state: _Cache, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    width = max(map(len, prompts))
    device = state.pads_B.device
    ids_BT = torch.tensor([[0] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=device)
    positions_BT = (torch.arange(width, device=device)[None] - state.pads_B[:, None]).clamp_min(0)
    causal_TT = torch.ones(width, width, dtype=torch.bool, device=device).tril()
    seen_BTT = causal_TT & ~state.hidden_BT(width)[:, None]
    # A padding place sees itself, so that its softmax is not empty; no one ever looks at it.
    seen_BTT = seen_BTT | torch.eye(width, dtype=torch.bool, device=device)
    return _forward(model, state, ids_BT, positions_BT, seen_BTT)


def _one_step(model: Any, state: _Cache, token_B: Tensor) -> tuple[Tensor, Tensor]:
    seen_B1T = ~state.hidden_BT(state.length + 1)[:, None]
    return _forward(model, state, token_B[:, None], (state.length - state.pads_B)[:, None], seen_B1T)


def _forward(
    model: Any, state: _Cache, ids_BL: Tensor, positions_BL: Tensor, seen_BLT: Tensor
) -> tuple[Tensor, Tensor]:
    """Runs L new places through all layers; gives the most probable next id of each row and its log-probability."""
    x_BLH = model.model.embed_tokens(ids_BL)
    cos_BLD, sin_BLD = model.model.rotary_emb(x_BLH, positions_BL)
    bias_BLT = torch.zeros(seen_BLT.shape, dtype=x_BLH.dtype, device=x_BLH.device).masked_fill_(~seen_BLT, -torch.inf)
    for number, layer in enumerate(model.model.layers):
        mixed = _attention(layer.self_attn, layer.input_layernorm(x_BLH), cos_BLD, sin_BLD, bias_BLT, state, number)
        x_BLH = x_BLH + mixed
        x_BLH = x_BLH + layer.mlp(layer.post_attention_layernorm(x_BLH))
    state.length += ids_BL.shape[1]
    last_BH = model.model.norm(x_BLH[:, -1])
    logits_BV = model.lm_head(last_BH).float()
    highest_B, next_B = logits_BV.max(-1)
    return next_B, highest_B - logits_BV.logsumexp(-1)


def _attention(
    block: Any, x_BLH: Tensor, cos_BLD: Tensor, sin_BLD: Tensor, bias_BLT: Tensor, state: _Cache, number: int
) -> Tensor:
    rows, length, _ = x_BLH.shape
    keys, values = state.keys[number], state.values[number]
    key_heads, head = keys.shape[1], keys.shape[3]
    q_BLND = block.q_proj(x_BLH).view(rows, length, -1, head)
    k_BLKD = block.k_proj(x_BLH).view(rows, length, key_heads, head)
    if hasattr(block, "q_norm"):
        q_BLND, k_BLKD = block.q_norm(q_BLND), block.k_norm(k_BLKD)
    start, end = state.length, state.length + length
    keys[:, :, start:end] = _rotated(k_BLKD, cos_BLD, sin_BLD).transpose(1, 2)
    values[:, :, start:end] = block.v_proj(x_BLH).view(rows, length, key_heads, head).transpose(1, 2)
    # All query heads of one key head stand under each other: one product a key head, and no copy of the keys.
    groups = q_BLND.shape[2] // key_heads
    q_BKGLD = _rotated(q_BLND, cos_BLD, sin_BLD).view(rows, length, key_heads, groups, head).permute(0, 2, 3, 1, 4)
    scores = torch.matmul(q_BKGLD.flatten(2, 3), keys[:, :, :end].transpose(2, 3)).mul_(head**-0.5)
    scores = scores.view(rows, key_heads, groups, length, end) + bias_BLT[:, None, None]
    weights = F.softmax(scores, dim=-1, dtype=torch.float32).to(x_BLH.dtype).flatten(2, 3)
    mixed = torch.matmul(weights, values[:, :, :end]).view(rows, key_heads, groups, length, head)
    return block.o_proj(mixed.permute(0, 3, 1, 2, 4).reshape(rows, length, -1))  # type: ignore[no-any-return]


def _rotated(x_BLND: Tensor, cos_BLD: Tensor, sin_BLD: Tensor) -> Tensor:
    first, second = x_BLND.chunk(2, dim=-1)
    return x_BLND * cos_BLD[:, :, None] + torch.cat((-second, first), dim=-1) * sin_BLD[:, :, None]
