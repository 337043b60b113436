"""The layers of a Llama or Qwen with LoRA, forward and backward by hand: where the time of training and exam goes.

transformers and PEFT stay the way for every other architecture, and the measure of this one: the tests hold both to
the same loss and gradients. What is saved against them: layers that share an input are one product; attention is what
is fastest for rows of a table; nothing is copied to be rotated, repeated or masked; no graph is kept but one node a
layer. Decoding runs the same layers.

Legend: B rows, L columns, N = B·L places, H hidden size, K key heads, G query heads per key head, A = K·G, S = G·L, D
width of a head, F width of the feed-forward part.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from znatok.model.attention import attend, attend_backward, causal_mask
from znatok.model.elementwise import elementwise
from znatok.model.joint import Joint, Scratch, linear_kind
from znatok.model.llama_config import KNOWN_TYPES
from znatok.model.lora import drops

Turn = tuple[Tensor, Tensor]
"""cos and sin of half a head, since both halves turn alike: (B or 1, L, D/2)."""


@dataclass(frozen=True, slots=True)
class Places:
    """What all layers share in one pass. Queries are scaled while they are turned."""

    rows: int
    columns: int
    query: Turn
    key: Turn
    adapted: bool
    mask_SL: Tensor | None = None
    trains: bool = False
    recomputes: bool = False


class Layer:
    """The frozen weights of one layer, and its adapters."""

    def __init__(self, layer: Any, config: Any, dtype: torch.dtype, scratch: Scratch) -> None:
        attention, feed = layer.self_attn, layer.mlp
        self.qkv = Joint((attention.q_proj, attention.k_proj, attention.v_proj), dtype, scratch)
        self.out = Joint((attention.o_proj,), dtype, scratch)
        self.gate_up = Joint((feed.gate_proj, feed.up_proj), dtype, scratch)
        self.down = Joint((feed.down_proj,), dtype, scratch)
        self.norms = (layer.input_layernorm.weight.detach(), layer.post_attention_layernorm.weight.detach())
        # Qwen3 norms each head of the queries and of the keys.
        norms = (attention.q_norm, attention.k_norm) if hasattr(attention, "q_norm") else ()
        self.head_norms = [norm.weight.detach() for norm in norms]
        self.eps = float(config.rms_norm_eps)
        self.key_heads = int(config.num_key_value_heads)
        self.groups = int(config.num_attention_heads) // self.key_heads
        self.head = int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
        self.ops = elementwise(self.norms[0].device)

    @property
    def joints(self) -> tuple[Joint, ...]:
        return self.qkv, self.out, self.gate_up, self.down

    def parameters(self) -> list[nn.Parameter]:
        """A and B of every adapter, in the order in which `backward` gives their gradients."""
        return [weight for joint in self.joints for weight in joint.weights]

    def infer(self, x_NH: Tensor, places: Places, mix: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        """The layer's output, nothing kept. mix: turned queries (B, A, L, D), turned keys and values → (N, A·D)."""
        q_BALD, k_BKLD, v_BKLD, _ = self._heads(x_NH, places)
        z_NH, _ = self._rest(x_NH, mix(q_BALD, k_BKLD, v_BKLD), places.adapted)
        return z_NH

    def forward(self, x_NH: Tensor, places: Places) -> tuple[Tensor, tuple[Any, ...]]:
        """The layer's output, and what `backward` needs."""
        q_BALD, k_BKLD, v_BKLD, kept_heads = self._heads(x_NH, places)
        mixed_NO, kept_mixing = attend(q_BALD, k_BKLD, v_BKLD, places.mask_SL, places.trains)
        z_NH, kept_rest = self._rest(x_NH, mixed_NO, places.adapted)
        return z_NH, (x_NH, kept_heads, kept_mixing, kept_rest)

    def backward(
        self, dz_NH: Tensor, places: Places, kept: tuple[Any, ...], needs_dx: bool
    ) -> tuple[Tensor | None, list[Tensor]]:
        """The gradients of the layer's input, and of its adapters in the order of `parameters`."""
        x_NH, kept_heads, kept_mixing, (kept_out, y_NH, scale_again_N1, kept_gate_up, gate_up_NF, kept_down) = kept
        dact_NF, down_gradients = self.down.backward(dz_NH, kept_down)
        assert dact_NF is not None
        dgate_up_NF = self.ops.gated_backward(dact_NF, gate_up_NF)
        dnormed_NH, gate_up_gradients = self.gate_up.backward(dgate_up_NF, kept_gate_up)
        assert dnormed_NH is not None
        dy_NH = self.ops.norm_backward(dnormed_NH, y_NH, self.norms[1], scale_again_N1).add_(dz_NH)
        dmixed_NO, out_gradients = self.out.backward(dy_NH, kept_out)
        assert dmixed_NO is not None
        dqkv_NO = self._heads_backward(attend_backward(dmixed_NO, kept_mixing), places, kept_heads)
        scale_N1, kept_qkv, *_ = kept_heads
        dnormed, qkv_gradients = self.qkv.backward(dqkv_NO, kept_qkv, needs_dx)
        dx_NH = None
        if dnormed is not None:
            dx_NH = self.ops.norm_backward(dnormed, x_NH, self.norms[0], scale_N1).add_(dy_NH)
        return dx_NH, [*qkv_gradients, *out_gradients, *gate_up_gradients, *down_gradients]

    def _heads(self, x_NH: Tensor, places: Places) -> tuple[Tensor, Tensor, Tensor, tuple[Any, ...]]:
        """Queries and keys, turned, and values, all (B, heads, L, D); and what `_heads_backward` needs."""
        normed_NH, scale_N1 = self.ops.norm(x_NH, self.norms[0], self.eps)
        qkv_NO, kept_qkv = self.qkv.forward(normed_NH, places.adapted)
        q_BLAD, k_BLKD, v_BLKD = self._split(qkv_NO, places)
        kept: list[Tensor] = []
        if self.head_norms:
            kept = [q_BLAD, k_BLKD]
            (q_BLAD, scale_q), (k_BLKD, scale_k) = (
                self.ops.norm(x, weight_D, self.eps) for x, weight_D in zip(kept, self.head_norms, strict=True)
            )
            kept += [scale_q, scale_k]
        q_BALD, k_BKLD = self.ops.rotated(q_BLAD, *places.query), self.ops.rotated(k_BLKD, *places.key)
        return q_BALD, k_BKLD, v_BLKD.transpose(1, 2), (scale_N1, kept_qkv, *kept)

    def _heads_backward(self, gradients: Any, places: Places, kept: tuple[Any, ...]) -> Tensor:
        """The gradient of the joint product of queries, keys and values."""
        dq_BALD, dk_BKLD, dv_BKLD = gradients
        width = self.head * self.key_heads * (self.groups + 2)
        dqkv_NO = torch.empty(places.rows * places.columns, width, dtype=dq_BALD.dtype, device=dq_BALD.device)
        dq_BLAD, dk_BLKD, dv_BLKD = self._split(dqkv_NO, places)
        self.ops.rotate_back(dq_BALD, *places.query, dq_BLAD)
        self.ops.rotate_back(dk_BKLD, *places.key, dk_BLKD)
        dv_BLKD.copy_(dv_BKLD.transpose(1, 2))
        if self.head_norms:
            _, _, q_BLAD, k_BLKD, scale_q, scale_k = kept
            heads = ((dq_BLAD, q_BLAD, scale_q), (dk_BLKD, k_BLKD, scale_k))
            for (d_BLAD, x_BLAD, scale), weight_D in zip(heads, self.head_norms, strict=True):
                d_BLAD.copy_(self.ops.norm_backward(d_BLAD, x_BLAD, weight_D, scale))
        return dqkv_NO

    def _rest(self, x_NH: Tensor, mixed_NO: Tensor, adapted: bool) -> tuple[Tensor, tuple[Any, ...]]:
        """What comes after attention: its output added to x, then the feed-forward part."""
        out_NH, kept_out = self.out.forward(mixed_NO, adapted)
        y_NH = out_NH.add_(x_NH)
        normed_NH, scale_N1 = self.ops.norm(y_NH, self.norms[1], self.eps)
        gate_up_NF, kept_gate_up = self.gate_up.forward(normed_NH, adapted)
        down_NH, kept_down = self.down.forward(self.ops.gated(gate_up_NF), adapted)
        return down_NH.add_(y_NH), (kept_out, y_NH, scale_N1, kept_gate_up, gate_up_NF, kept_down)

    def _split(self, qkv_NO: Tensor, places: Places) -> Iterator[Tensor]:
        """Queries, keys and values as (B, L, heads, D), views of their joint product."""
        heads = self.key_heads * (self.groups + 2)
        qkv_BLAD = qkv_NO.view(places.rows, places.columns, heads, self.head)
        yield from torch.split(qkv_BLAD, [self.key_heads * self.groups, self.key_heads, self.key_heads], dim=2)


class _Step(torch.autograd.Function):
    """One layer. The adapters' weights are arguments only so that autograd knows of them."""

    @staticmethod
    def forward(ctx: Any, x_NH: Tensor, layer: Layer, places: Places, *_adapters: Tensor) -> Tensor:
        z_NH, kept = layer.forward(x_NH, places)
        if places.trains:
            ctx.layer, ctx.places, ctx.x_NH = layer, places, x_NH
            ctx.kept = None if places.recomputes else kept
        return z_NH

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        kept = ctx.kept or ctx.layer.forward(ctx.x_NH, ctx.places)[1]
        del ctx.kept
        dx_NH, adapters = ctx.layer.backward(gradients[0].contiguous(), ctx.places, kept, ctx.needs_input_grad[0])
        return dx_NH, None, None, *adapters


class Engine:
    """The layers of a base model with its adapter, run by hand."""

    def __init__(self, base: Any) -> None:
        self.config = base.config
        self.head_VH = base.lm_head.weight.detach()
        self.dtype, self.device = self.head_VH.dtype, self.head_VH.device
        scratch = Scratch()
        self.layers = [Layer(layer, base.config, self.dtype, scratch) for layer in base.model.layers]
        scratch.allocate(self.dtype, self.device)
        self.embed = base.model.embed_tokens
        self.drops = any(drops(one) for layer in base.model.layers for one in layer.modules())
        """Whether the adapter drops inputs in training, which these layers do not."""
        self.recomputes = False
        """Whether a layer is computed again in the backward pass, instead of keeping what that needs."""
        self._norm = base.model.norm
        self._rotary = base.model.rotary_emb
        self._parameters = [layer.parameters() for layer in self.layers]

    def round_adapters(self) -> None:
        """Takes over the adapters' weights as they are now; to be called before a pass with them."""
        for layer in self.layers:
            for joint in layer.joints:
                joint.round_adapters()

    def turns(self, columns: int) -> tuple[Turn, Turn]:
        """How queries and keys are turned at the first `columns` places."""
        probe = torch.empty(0, dtype=self.dtype, device=self.device)
        cos_BLD, sin_BLD = self._rotary(probe, torch.arange(columns, device=self.device)[None])
        half, scale = cos_BLD.shape[-1] // 2, self.layers[0].head ** -0.5
        cos_BLD, sin_BLD = cos_BLD[..., :half].contiguous(), sin_BLD[..., :half].contiguous()
        return (cos_BLD * scale, sin_BLD * scale), (cos_BLD, sin_BLD)

    def places(self, rows: int, columns: int, adapted: bool, trains: bool = False) -> Places:
        """Rows that begin at place 0, each sees what stands before it."""
        mask_SL = causal_mask(columns, self.layers[0].groups, self.head_VH)
        return Places(rows, columns, *self.turns(columns), adapted, mask_SL, trains, self.recomputes)

    def hidden(self, ids_BL: Tensor, position_N: Tensor, adapted: bool) -> Tensor:
        """The last hidden states at the flattened places `position_N`, normed: (N, H). `ids_BL` is padded right."""
        rows, columns = ids_BL.shape
        places = self.places(rows, columns, adapted, trains=adapted and torch.is_grad_enabled())
        if adapted:
            self.round_adapters()
        x_NH = self.embed(ids_BL).flatten(0, 1)
        for layer, parameters in zip(self.layers, self._parameters, strict=True):
            x_NH = _Step.apply(x_NH, layer, places, *(parameters if adapted else ()))  # type: ignore[no-untyped-call]
        return self.last_norm(x_NH[position_N])

    def last_norm(self, x_NH: Tensor) -> Tensor:
        return self._norm(x_NH)  # type: ignore[no-any-return]


def can_run(base: Any) -> bool:
    """Whether the layers are built as this module expects: linear layers of known kinds, full attention."""
    if base.config.model_type not in KNOWN_TYPES or getattr(base.config, "use_sliding_window", False):
        return False
    if type(base.lm_head) is not nn.Linear:
        return False
    for layer in base.model.layers:
        attention, feed = layer.self_attn, layer.mlp
        joints = (("q_proj", "k_proj", "v_proj"), ("o_proj",), ("gate_proj", "up_proj"), ("down_proj",))
        for names, part in zip(joints, (attention, attention, feed, feed), strict=True):
            kinds = {linear_kind(getattr(part, name)) for name in names}
            if len(kinds) > 1 or None in kinds:
                return False
        for one in (*attention.children(), *feed.children()):
            if linear_kind(one) is None and not any(word in type(one).__name__ for word in ("Norm", "SiLU")):
                return False
    return True
