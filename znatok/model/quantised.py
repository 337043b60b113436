"""Linear layers of bitsandbytes, in 4 or 8 bits, packed as transformers packs them while it loads."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Pack = Callable[[Tensor], nn.Parameter]
"""A weight on its device, in full → the parameter as it is held."""


def library() -> Any:
    """bitsandbytes, imported without torch's compiler: that takes seconds more, for two functions that are not called
    where the library has its own for the device."""
    compiled = torch.compile
    torch.compile = _as_it_is  # type: ignore[assignment]
    try:
        import bitsandbytes
    finally:
        torch.compile = compiled
    return bitsandbytes


def _as_it_is(function: Callable[..., Any], **_: Any) -> Callable[..., Any]:
    return function


def quantised_layer(layer: nn.Linear, dtype: torch.dtype, quantization: str) -> tuple[nn.Linear, Pack]:
    """What takes the place of a linear layer, without memory yet, and how its weight is packed."""
    kinds = library().nn
    sizes = (layer.in_features, layer.out_features, layer.bias is not None)
    made: Any
    if quantization == "nf4":
        made = kinds.Linear4bit(*sizes, dtype, compress_statistics=False, quant_type="nf4", device="meta")

        def pack_4bit(value: Tensor) -> Any:
            packed = kinds.Params4bit(value, False, compress_statistics=False, quant_type="nf4", module=made)
            return packed.to(value.device)

        return made, pack_4bit

    def pack_8bit(value: Tensor) -> Any:
        # It packs only what comes from the CPU.
        return kinds.Int8Params(value.cpu(), requires_grad=False, has_fp16_weights=False).to(value.device)

    return kinds.Linear8bitLt(*sizes, has_fp16_weights=False, threshold=6.0, device="meta"), pack_8bit
