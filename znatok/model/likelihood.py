"""How probable a model finds given tokens, and how far two models' predictions are apart; a few hundred at a time."""

import torch
import torch.nn.functional as F
from torch import Tensor

from znatok.model.loss import CHUNK, divergence


def token_log_probs(hidden_NH: Tensor, head_VH: Tensor, target_N: Tensor) -> Tensor:
    """The natural logarithm of each target token's probability.

    Shapes: hidden (N, H) at the positions that predict, head (V, H), target (N,) → (N,) float32.
    """
    logp_N = torch.empty(len(target_N), dtype=torch.float32, device=hidden_NH.device)
    for start in range(0, len(target_N), CHUNK):
        part = slice(start, start + CHUNK)
        logits = F.linear(hidden_NH[part], head_VH).float()
        logp_N[part] = logits.gather(1, target_N[part, None]).squeeze(1) - logits.logsumexp(-1)
    return logp_N


@torch.no_grad()
def kl_divergence(hidden_NH: Tensor, other_NH: Tensor, head_VH: Tensor) -> Tensor:
    """KL(one ‖ other) between the predictions from two hidden states, in nats, at each of N positions.

    Shapes: hidden and other (N, H), head (V, H) → (N,) float32.
    """
    _, kl_N = divergence(other_NH, hidden_NH, head_VH)
    return kl_N.clamp_(min=0)  # rounding alone can take it below
