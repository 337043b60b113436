"""Linear layers of bitsandbytes, in 4 or 8 bits, packed as transformers packs them while it loads."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Pack = Callable[[Tensor], nn.Parameter]
"""A weight on its device, in full → the parameter as it is held."""


def quantised_layer(layer: nn.Linear, dtype: torch.dtype, quantization: str) -> tuple[nn.Linear, Pack]:
    """What takes the place of a linear layer, without memory yet, and how its weight is packed."""
    from bitsandbytes.nn import Int8Params, Linear4bit, Linear8bitLt, Params4bit

    sizes = (layer.in_features, layer.out_features, layer.bias is not None)
    made: Any
    if quantization == "nf4":
        made = Linear4bit(*sizes, dtype, compress_statistics=False, quant_type="nf4", device="meta")

        def pack_4bit(value: Tensor) -> Any:
            packed = Params4bit(value, False, compress_statistics=False, quant_type="nf4", module=made)
            return packed.to(value.device)

        return made, pack_4bit

    def pack_8bit(value: Tensor) -> Any:
        # It packs only what comes from the CPU.
        return Int8Params(value.cpu(), requires_grad=False, has_fp16_weights=False).to(value.device)

    return Linear8bitLt(*sizes, has_fp16_weights=False, threshold=6.0, device="meta"), pack_8bit
