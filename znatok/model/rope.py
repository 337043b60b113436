"""How heads are turned by their places: the cosines and sines of rotary position embeddings.

Source: arxiv.org/abs/2104.09864; for `llama3`, whose slow turns are stretched, the rope scaling of Llama 3.1.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn


class Rotary(nn.Module):
    """cos and sin for places, as transformers' `rotary_emb` gives them."""

    inv_freq: Tensor

    def __init__(self, head: int, rope: dict[str, Any]) -> None:
        """rope: `rope_parameters` of the config, of the kinds `default` or `llama3`."""
        super().__init__()
        self.register_buffer("inv_freq", _frequencies(head, rope), persistent=False)

    @torch.no_grad()
    def forward(self, like: Tensor, place_BL: Tensor) -> tuple[Tensor, Tensor]:
        """Both (B, L, D), in the dtype of `like`; the second half of a head turns as the first."""
        angle_BLD = (place_BL[..., None].float() * self.inv_freq).repeat(1, 1, 2)
        return angle_BLD.cos().to(like.dtype), angle_BLD.sin().to(like.dtype)


def _frequencies(head: int, rope: dict[str, Any]) -> Tensor:
    """Radians a place, of each pair of a head's numbers."""
    plain_D: Tensor = 1.0 / (rope["rope_theta"] ** (torch.arange(0, head, 2, dtype=torch.float32) / head))
    if rope["rope_type"] == "default":
        return plain_D
    factor, low, high = rope["factor"], rope["low_freq_factor"], rope["high_freq_factor"]
    longest = rope["original_max_position_embeddings"]
    length_D = 2 * math.pi / plain_D
    # What turns fast stays, what turns slowly is `factor` times slower, and between the two it is mixed.
    share_D = (longest / length_D - low) / (high - low)
    mixed_D = (1 - share_D) * plain_D / factor + share_D * plain_D
    slow_D = torch.where(length_D > longest / low, plain_D / factor, plain_D)
    is_between_D = (length_D >= longest / high) & (length_D <= longest / low)
    return torch.where(is_between_D, mixed_D, slow_D)
