"""The layers of a Llama or Qwen with LoRA, forward and backward by hand: where the time of training goes.

transformers and PEFT stay the way for every other architecture, and the measure of this one: the tests hold both to
the same loss and gradients. What is saved against them: layers that share an input are one product; attention is two
plain products and a softmax, since rows of a table are short; nothing is copied to be rotated, repeated or masked; no
graph is kept but one node a layer.

Legend: B rows, L columns, N = B·L places, H hidden size, K key heads, G query heads per key head, S = G·L, D width of
a head, F width of the feed-forward part, R rank.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from znatok.model.lora import is_plain_lora

KNOWN_TYPES = frozenset({"llama", "qwen2", "qwen3"})

LONGEST = 512
"""Columns up to which attention keeps its probabilities for the backward pass; they grow with the square."""


@dataclass(frozen=True, slots=True)
class _Lora:
    """The adapter of one layer, and which of its joint's outputs it adds to."""

    outputs: slice
    a_RI: nn.Parameter
    b_OR: nn.Parameter
    scale: float


class _Joint:
    """Linear layers that share their input, as one matrix. The layers' own weights become views of it."""

    def __init__(self, *layers: Any) -> None:
        plain = [getattr(layer, "base_layer", layer) for layer in layers]
        if len(plain) > 1:
            joined_OI = torch.cat([layer.weight.detach() for layer in plain])
            for layer, part in zip(plain, torch.split(joined_OI, [one.out_features for one in plain]), strict=True):
                layer.weight.data = part
        else:
            joined_OI = plain[0].weight.detach()
        self.weight_OI = joined_OI
        self.bias_O = None if plain[0].bias is None else torch.cat([layer.bias.detach() for layer in plain])
        self.loras: list[_Lora] = []
        end = 0
        for layer, base in zip(layers, plain, strict=True):
            start, end = end, end + base.out_features
            if base is not layer:
                a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
                self.loras.append(_Lora(slice(start, end), a, b, layer.scaling["default"]))

    def forward(self, x_NI: Tensor, adapted: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        """x Wᵀ + s (x Aᵀ) Bᵀ, and what `backward` needs of it. A and B are float32 and are rounded to x's dtype."""
        y_NO = F.linear(x_NI, self.weight_OI, self.bias_O)
        if not adapted or not self.loras:
            return y_NO, ()
        a_RI = torch.cat([lora.a_RI for lora in self.loras]).to(x_NI.dtype)
        b = [lora.b_OR.to(x_NI.dtype) for lora in self.loras]
        low_NR = F.linear(x_NI, a_RI)
        for lora, b_OR, low in zip(self.loras, b, self._ranks(low_NR), strict=True):
            y_NO[:, lora.outputs].addmm_(low, b_OR.t(), alpha=lora.scale)
        return y_NO, (x_NI, low_NR, a_RI, *b)

    def backward(
        self, dy_NO: Tensor, kept: tuple[Tensor, ...], needs_dx: bool = True
    ) -> tuple[Tensor | None, list[Tensor]]:
        """The gradients of x, and of A and B of each adapter in turn, in float32."""
        dx_NI = dy_NO @ self.weight_OI if needs_dx else None
        if not kept:
            return dx_NI, []
        x_NI, low_NR, a_RI, *b = kept
        dlow_NR = torch.empty_like(low_NR)
        gradients: list[Tensor] = []
        for lora, b_OR, low, dlow in zip(self.loras, b, self._ranks(low_NR), self._ranks(dlow_NR), strict=True):
            dy = dy_NO[:, lora.outputs]
            dlow.copy_(torch.mm(dy, b_OR).mul_(lora.scale))
            gradients.append((dy.t() @ low).float().mul_(lora.scale))
        da_RI = (dlow_NR.t() @ x_NI).float()
        parts = torch.split(da_RI, [len(lora.a_RI) for lora in self.loras])
        if dx_NI is not None:
            dx_NI.addmm_(dlow_NR, a_RI)
        return dx_NI, [one for pair in zip(parts, gradients, strict=True) for one in pair]

    def _ranks(self, wide_NR: Tensor) -> Sequence[Tensor]:
        return torch.split(wide_NR, [len(lora.a_RI) for lora in self.loras], dim=1)


@dataclass(frozen=True, slots=True)
class _Places:
    """What all layers share in one pass. `cos` and `sin` are those of half a head, since both halves turn alike."""

    rows: int
    columns: int
    cos_LD: Tensor
    sin_LD: Tensor
    mask_SL: Tensor
    adapted: bool


class _Layer:
    """The frozen weights of one layer, and its adapters."""

    def __init__(self, layer: Any, config: Any) -> None:
        attention, feed = layer.self_attn, layer.mlp
        self.qkv = _Joint(attention.q_proj, attention.k_proj, attention.v_proj)
        self.out = _Joint(attention.o_proj)
        self.gate_up = _Joint(feed.gate_proj, feed.up_proj)
        self.down = _Joint(feed.down_proj)
        self.norms = (layer.input_layernorm.weight.detach(), layer.post_attention_layernorm.weight.detach())
        # Qwen3 norms each head of the queries and of the keys.
        norms = (attention.q_norm, attention.k_norm) if hasattr(attention, "q_norm") else ()
        self.head_norms = [norm.weight.detach() for norm in norms]
        self.eps = float(config.rms_norm_eps)
        self.key_heads = int(config.num_key_value_heads)
        self.groups = int(config.num_attention_heads) // self.key_heads
        self.head = int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)

    def parameters(self) -> list[nn.Parameter]:
        """A and B of every adapter, in the order in which `_Step.backward` gives their gradients."""
        joints = (self.qkv, self.out, self.gate_up, self.down)
        return [weight for joint in joints for lora in joint.loras for weight in (lora.a_RI, lora.b_OR)]

    def split_heads(self, qkv_NO: Tensor, places: _Places) -> Iterator[Tensor]:
        """Queries, keys and values as (B, L, heads, D), views of their joint product."""
        heads = self.key_heads * (self.groups + 2)
        qkv_BLAD = qkv_NO.view(places.rows, places.columns, heads, self.head)
        yield from torch.split(qkv_BLAD, [self.key_heads * self.groups, self.key_heads, self.key_heads], dim=2)


class _Step(torch.autograd.Function):
    """One layer. The adapters' weights are arguments only so that autograd knows of them."""

    @staticmethod
    def forward(ctx: Any, x_NH: Tensor, layer: _Layer, places: _Places, *_adapters: Tensor) -> Tensor:
        normed_NH, scale_N1 = _norm(x_NH, layer.norms[0], layer.eps)
        qkv_NO, kept_qkv = layer.qkv.forward(normed_NH, places.adapted)
        q_BLAD, k_BLKD, v_BLKD = layer.split_heads(qkv_NO, places)
        kept_heads = []
        if layer.head_norms:
            kept_heads = [q_BLAD, k_BLKD]
            (q_BLAD, scale_q), (k_BLKD, scale_k) = (
                _norm(x, weight_D, layer.eps) for x, weight_D in zip(kept_heads, layer.head_norms, strict=True)
            )
            kept_heads += [scale_q, scale_k]
        q_BASD = _rotated(q_BLAD, places, layer.head**-0.5)
        q_BKSD = q_BASD.view(places.rows, layer.key_heads, -1, layer.head)
        k_BKLD = _rotated(k_BLKD, places)
        v_BKLD = v_BLKD.transpose(1, 2).contiguous()
        p_BKSL = _softmax(q_BKSD, k_BKLD, places.mask_SL)
        mixed_NO = _places_first(torch.matmul(p_BKSL, v_BKLD), places)
        out_NH, kept_out = layer.out.forward(mixed_NO, places.adapted)
        y_NH = out_NH.add_(x_NH)

        normed_NH, scale_again_N1 = _norm(y_NH, layer.norms[1], layer.eps)
        gate_up_NF, kept_gate_up = layer.gate_up.forward(normed_NH, places.adapted)
        gate_NF, up_NF = gate_up_NF.chunk(2, dim=1)
        silu_NF = F.silu(gate_NF)
        down_NH, kept_down = layer.down.forward(silu_NF * up_NF, places.adapted)
        ctx.layer, ctx.places = layer, places
        ctx.kept = (x_NH, scale_N1, kept_qkv, kept_heads, q_BKSD, k_BKLD, v_BKLD, p_BKSL, kept_out)
        ctx.kept_feed = (y_NH, scale_again_N1, kept_gate_up, gate_up_NF, silu_NF, kept_down)
        return down_NH.add_(y_NH)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        layer, places = ctx.layer, ctx.places
        dz_NH = gradients[0].contiguous()
        y_NH, scale_again_N1, kept_gate_up, gate_up_NF, silu_NF, kept_down = ctx.kept_feed
        del ctx.kept_feed
        dact_NF, down_gradients = layer.down.backward(dz_NH, kept_down)
        gate_NF, up_NF = gate_up_NF.chunk(2, dim=1)
        dgate_up_NF = torch.empty_like(gate_up_NF)
        dgate_NF, dup_NF = dgate_up_NF.chunk(2, dim=1)
        torch.mul(dact_NF, silu_NF, out=dup_NF)
        torch.ops.aten.silu_backward.grad_input(dact_NF.mul_(up_NF), gate_NF, grad_input=dgate_NF)
        dnormed_NH, gate_up_gradients = layer.gate_up.backward(dgate_up_NF, kept_gate_up)
        dy_NH = _norm_backward(dnormed_NH, y_NH, layer.norms[1], scale_again_N1).add_(dz_NH)

        x_NH, scale_N1, kept_qkv, kept_heads, q_BKSD, k_BKLD, v_BKLD, p_BKSL, kept_out = ctx.kept
        del ctx.kept
        dmixed_NO, out_gradients = layer.out.backward(dy_NH, kept_out)
        dmixed_BLAD = dmixed_NO.view(places.rows, places.columns, -1, layer.head)
        dmixed_BKSD = dmixed_BLAD.transpose(1, 2).reshape(q_BKSD.shape)
        dqkv_NO = torch.empty(len(x_NH), len(layer.qkv.weight_OI), dtype=x_NH.dtype, device=x_NH.device)
        dq_BLAD, dk_BLKD, dv_BLKD = layer.split_heads(dqkv_NO, places)
        dv_BLKD.copy_(torch.matmul(p_BKSL.transpose(2, 3), dmixed_BKSD).transpose(1, 2))
        dp_BKSL = torch.matmul(dmixed_BKSD, v_BKLD.transpose(2, 3))
        dscores_BKSL = torch._softmax_backward_data(dp_BKSL, p_BKSL, -1, p_BKSL.dtype)
        dq_BASD = torch.matmul(dscores_BKSL, k_BKLD).view(places.rows, -1, places.columns, layer.head)
        _rotate_back(dq_BASD, places, dq_BLAD, layer.head**-0.5)
        _rotate_back(torch.matmul(dscores_BKSL.transpose(2, 3), q_BKSD), places, dk_BLKD)
        for place, weight_D in enumerate(layer.head_norms):
            d_BLAD = (dq_BLAD, dk_BLKD)[place]
            d_BLAD.copy_(_norm_backward(d_BLAD, kept_heads[place], weight_D, kept_heads[2 + place]))
        needs_dx = ctx.needs_input_grad[0]  # below the first layer nothing is trained
        dnormed, qkv_gradients = layer.qkv.backward(dqkv_NO, kept_qkv, needs_dx)
        dx_NH = _norm_backward(dnormed, x_NH, layer.norms[0], scale_N1).add_(dy_NH) if dnormed is not None else None
        return dx_NH, None, None, *qkv_gradients, *out_gradients, *gate_up_gradients, *down_gradients


def _norm(x_NH: Tensor, weight_H: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """RMSNorm, and by what each place was scaled (float32)."""
    length_N1 = torch.linalg.vector_norm(x_NH, dim=-1, keepdim=True, dtype=torch.float32)
    scale_N1 = length_N1.square_().div_(x_NH.shape[-1]).add_(eps).rsqrt_()
    return (x_NH * scale_N1).to(x_NH.dtype).mul_(weight_H), scale_N1


def _norm_backward(dy_NH: Tensor, x_NH: Tensor, weight_H: Tensor, scale_N1: Tensor) -> Tensor:
    pull_NH = (dy_NH * weight_H).float()
    along_N1 = (pull_NH * x_NH).sum(-1, keepdim=True).mul_(scale_N1.pow(3)).div_(x_NH.shape[-1])
    return pull_NH.mul_(scale_N1).sub_(x_NH * along_N1).to(x_NH.dtype)


def _rotated(x_BLAD: Tensor, places: _Places, scale: float = 1.0) -> Tensor:
    """Heads turned by their places and scaled, laid out as (B, heads, L, D)."""
    rows, columns, heads, width = x_BLAD.shape
    turned_BALD = torch.empty(rows, heads, columns, width, dtype=x_BLAD.dtype, device=x_BLAD.device)
    cos, sin = (places.cos_LD * scale)[:, None], (places.sin_LD * scale)[:, None]
    first, second = x_BLAD.chunk(2, dim=-1)
    turned_first, turned_second = turned_BALD.transpose(1, 2).chunk(2, dim=-1)
    torch.mul(first, cos, out=turned_first).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=turned_second).addcmul_(first, sin)
    return turned_BALD


def _rotate_back(dy_BALD: Tensor, places: _Places, out_BLAD: Tensor, scale: float = 1.0) -> None:
    """The gradient of `_rotated`, written into `out_BLAD`."""
    cos, sin = (places.cos_LD * scale)[:, None], (places.sin_LD * scale)[:, None]
    first, second = dy_BALD.transpose(1, 2).chunk(2, dim=-1)
    out_first, out_second = out_BLAD.chunk(2, dim=-1)
    torch.mul(first, cos, out=out_first).addcmul_(second, sin)
    torch.mul(second, cos, out=out_second).addcmul_(first, sin, value=-1)


def _softmax(q_BKSD: Tensor, k_BKLD: Tensor, mask_SL: Tensor) -> Tensor:
    scores_BKSL = torch.matmul(q_BKSD, k_BKLD.transpose(2, 3)).add_(mask_SL)
    return torch.softmax(scores_BKSL, -1)


def _places_first(mixed_BKSD: Tensor, places: _Places) -> Tensor:
    """(B, K, G·L, D) as (N, heads · D)."""
    heads_BALD = mixed_BKSD.view(places.rows, -1, places.columns, mixed_BKSD.shape[-1])
    return heads_BALD.transpose(1, 2).reshape(places.rows * places.columns, -1)


class Engine:
    """The layers of a base model with its adapter, run by hand."""

    def __init__(self, base: Any) -> None:
        self._base = base
        self._layers = [_Layer(layer, base.config) for layer in base.model.layers]
        self._parameters = [layer.parameters() for layer in self._layers]

    def hidden(self, ids_BL: Tensor, position_N: Tensor, adapted: bool) -> Tensor:
        """The last hidden states at the flattened places `position_N`, normed: (N, H). `ids_BL` is padded right."""
        rows, columns = ids_BL.shape
        x_BLH = self._base.model.embed_tokens(ids_BL)
        cos, sin = self._base.model.rotary_emb(x_BLH, torch.arange(columns, device=ids_BL.device)[None])
        half = cos.shape[-1] // 2
        layer = self._layers[0]
        mask_LL = torch.full((columns, columns), -torch.inf, dtype=x_BLH.dtype, device=ids_BL.device).triu(1)
        places = _Places(rows, columns, cos[0, :, :half], sin[0, :, :half], mask_LL.repeat(layer.groups, 1), adapted)
        x_NH = x_BLH.flatten(0, 1)
        for layer, parameters in zip(self._layers, self._parameters, strict=True):
            x_NH = _Step.apply(x_NH, layer, places, *(parameters if adapted else ()))  # type: ignore[no-untyped-call]
        return self._base.model.norm(x_NH[position_N])  # type: ignore[no-any-return]


def can_run(base: Any) -> bool:
    """Whether the layers are built as this module expects: plain linear layers, full attention, no dropout."""
    if base.config.model_type not in KNOWN_TYPES or getattr(base.config, "use_sliding_window", False):
        return False
    for layer in base.model.layers:
        for one in (*layer.self_attn.children(), *layer.mlp.children()):
            is_known = type(one) is nn.Linear or is_plain_lora(one)
            if not is_known and not any(word in type(one).__name__ for word in ("Norm", "SiLU")):
                return False
    return True
