"""Causal attention over rows padded on the right, forward and backward.

Short rows on a CPU: two plain products and a softmax, whose probabilities are kept; scaled_dot_product_attention took
six times as long there (docs/log.md). On a GPU, and where the square of the length is too dear: that function, which
keeps none. Queries come scaled. Legend as in `engine`.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

LONGEST = 512
"""Columns up to which probabilities are kept for the backward pass; they grow with the square."""

Kept = tuple[Tensor, ...]


def causal_mask(columns: int, groups: int, like: Tensor) -> Tensor | None:
    """What is added to the scores (G·L, L); None where torch's own attention is the better one."""
    if like.is_cuda or columns > LONGEST:
        return None
    mask_LL = torch.full((columns, columns), -torch.inf, dtype=like.dtype, device=like.device).triu(1)
    return mask_LL.repeat(groups, 1)


def attend(q_BALD: Tensor, k_BKLD: Tensor, v_BKLD: Tensor, mask_SL: Tensor | None, trains: bool) -> tuple[Tensor, Kept]:
    """What the places take from those before them, (N, heads · D), and what `attend_backward` needs."""
    if mask_SL is None:
        return _by_torch(q_BALD, k_BKLD, v_BKLD, trains)
    rows, heads, columns, width = q_BALD.shape
    # All query heads of one key head stand under each other: one product a key head, and no copy of the keys.
    q_BKSD = q_BALD.view(rows, k_BKLD.shape[1], -1, width)
    v_BKLD = v_BKLD.contiguous()
    scores_BKSL = torch.matmul(q_BKSD, k_BKLD.transpose(2, 3)).add_(mask_SL)
    p_BKSL = torch.softmax(scores_BKSL, -1)
    mixed_BALD = torch.matmul(p_BKSL, v_BKLD).view(rows, heads, columns, width)
    return _places_first(mixed_BALD), (q_BKSD, k_BKLD, v_BKLD, p_BKSL)


def attend_backward(dmixed_NO: Tensor, kept: Kept) -> Sequence[Tensor]:
    """The gradients of queries (B, A, L, D), keys and values (B, K, L, D)."""
    if len(kept) == 4 and not kept[3].requires_grad:
        return _by_hand_backward(dmixed_NO, *kept)
    *leaves, mixed_BALD = kept
    rows, heads, columns, width = mixed_BALD.shape
    dmixed_BALD = dmixed_NO.view(rows, columns, heads, width).transpose(1, 2)
    return torch.autograd.grad(mixed_BALD, leaves, dmixed_BALD)


def _by_hand_backward(
    dmixed_NO: Tensor, q_BKSD: Tensor, k_BKLD: Tensor, v_BKLD: Tensor, p_BKSL: Tensor
) -> Sequence[Tensor]:
    rows, _, columns, width = k_BKLD.shape
    dmixed_BLAD = dmixed_NO.view(rows, columns, -1, width)
    dmixed_BKSD = dmixed_BLAD.transpose(1, 2).reshape(q_BKSD.shape)
    dv_BKLD = torch.matmul(p_BKSL.transpose(2, 3), dmixed_BKSD)
    dp_BKSL = torch.matmul(dmixed_BKSD, v_BKLD.transpose(2, 3))
    dscores_BKSL = torch._softmax_backward_data(dp_BKSL, p_BKSL, -1, p_BKSL.dtype)
    dq_BALD = torch.matmul(dscores_BKSL, k_BKLD).view(rows, -1, columns, width)
    return dq_BALD, torch.matmul(dscores_BKSL.transpose(2, 3), q_BKSD), dv_BKLD


def _by_torch(q_BALD: Tensor, k_BKLD: Tensor, v_BKLD: Tensor, trains: bool) -> tuple[Tensor, Kept]:
    """By scaled_dot_product_attention. Its choice of kernel comes with its own backward: autograd is asked for it."""
    leaves = [one.detach().requires_grad_(trains) for one in (q_BALD, k_BKLD, v_BKLD)]
    with torch.set_grad_enabled(trains):
        query, key, value = leaves
        groups = query.shape[1] // key.shape[1]
        shares_heads = groups > 1 and _can_share_heads(query)
        if groups > 1 and not shares_heads:
            key, value = (one.repeat_interleave(groups, dim=1) for one in (key, value))
        mixed_BALD = F.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=1.0, enable_gqa=shares_heads
        )
    return _places_first(mixed_BALD.detach()), (*leaves, mixed_BALD) if trains else ()


def _can_share_heads(query: Tensor) -> bool:
    """Whether torch has a fast kernel for grouped heads: the flash kernel, from Ampere on and in half precision."""
    if not query.is_cuda or query.dtype is torch.float32:
        return False
    return torch.cuda.get_device_capability(query.device) >= (8, 0)


def _places_first(mixed_BALD: Tensor) -> Tensor:
    """(B, A, L, D) as (N, A·D)."""
    rows, _, columns, _ = mixed_BALD.shape
    return mixed_BALD.transpose(1, 2).reshape(rows * columns, -1)
