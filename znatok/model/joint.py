"""Linear layers that share their input, as one product: frozen weights in full or in 4 or 8 bits, and their adapters.

Legend: N places, I inputs, O outputs of all layers together, R ranks of all adapters together.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from znatok.model.lora import is_lora

Kind = Literal["plain", "nf4", "int8"]

FEW = 128
"""Places up to which fewer, larger products are faster than exact ones: the call costs more than the arithmetic."""

COLUMNS = 8
"""Where oneDNN multiplies, rows are padded to a multiple of so many tokens. It makes a kernel of a megabyte or two for
every new size: without this it made them all the time, and kept some two gigabytes of them."""

WHOLE = slice(None)

Product = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""What `linear` takes and gives."""


class Scratch:
    """Memory for one unpacked weight, shared by all layers: each is used up before the next is unpacked.

    It lies at one place for as long as the engine lives, so that CUDA graphs can be recorded over it.
    """

    def __init__(self) -> None:
        self._count = 0
        self._memory: Tensor | None = None

    def reserve(self, count: int) -> None:
        self._count = max(self._count, count)

    def allocate(self, dtype: torch.dtype, device: torch.device) -> None:
        self._memory = torch.empty(self._count, dtype=dtype, device=device)

    def view(self, rows: int, columns: int) -> Tensor:
        assert self._memory is not None
        return self._memory[: rows * columns].view(rows, columns)


class Joint:
    """One product of the engine. Of plain layers the own weights become views of the joint one."""

    def __init__(self, layers: Sequence[Any], dtype: torch.dtype, scratch: Scratch) -> None:
        plain = [getattr(layer, "base_layer", layer) for layer in layers]
        sizes = [int(layer.out_features) for layer in plain]
        self.inputs, self.outputs = int(plain[0].in_features), sum(sizes)
        device = plain[0].weight.device
        self.bias_O = None if plain[0].bias is None else torch.cat([layer.bias.detach() for layer in plain]).to(dtype)
        self._scratch = scratch
        self._weight_OI: Tensor | None = None
        self._packed: Product | None = None
        self._unpack: list[tuple[slice, Callable[[Tensor], None]]] = []
        ends = [sum(sizes[: place + 1]) for place in range(len(sizes))]
        outputs = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
        if linear_kind(layers[0]) == "plain":
            self._weight_OI = _joined(plain)
            self._packed = packed_product(self._weight_OI)
        else:
            scratch.reserve(self.outputs * self.inputs)
            self._unpack = [(part, _unpacking(layer, dtype)) for part, layer in zip(outputs, plain, strict=True)]

        adapted = [(part, layer) for part, layer, base in zip(outputs, layers, plain, strict=True) if layer is not base]
        self.weights: list[nn.Parameter] = []
        self._parts: list[tuple[slice, slice]] = []
        self._scales: list[float] = []
        end = 0
        for part, layer in adapted:
            a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
            self.weights += [a, b]
            start, end = end, end + len(a)
            self._parts.append((part, slice(start, end)))
            self._scales.append(float(layer.scaling["default"]))
        self._a_RI = torch.empty(end, self.inputs, dtype=dtype, device=device)
        self._b_OR = torch.zeros(self.outputs, end, dtype=dtype, device=device)
        scales = zip(self._parts, self._scales, strict=True)
        ranks = [scale for (_, ranks), scale in scales for _ in range(ranks.start, ranks.stop)]
        self._scale_R = torch.tensor(ranks, dtype=torch.float32, device=device)

    @torch.no_grad()
    def round_adapters(self) -> None:
        """Takes over the adapters' weights, which are float32, in the products' dtype: A under A, s·B in a diagonal."""
        pairs = zip(self.weights[::2], self.weights[1::2], self._parts, self._scales, strict=True)
        for a, b, (outputs, ranks), scale in pairs:
            self._a_RI[ranks].copy_(a)
            torch.mul(b, scale, out=self._b_OR[outputs, ranks])

    def forward(self, x_NI: Tensor, adapted: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        """x Wᵀ + s (x Aᵀ) Bᵀ, and what `backward` needs of it."""
        product = self._packed or F.linear
        y_NO = product(x_NI, self._weight(), self.bias_O)
        if not adapted or not self.weights:
            return y_NO, ()
        low_NR = F.linear(x_NI, self._a_RI)
        for outputs, ranks in self._blocks(x_NI):
            y_NO[:, outputs].addmm_(low_NR[:, ranks], self._b_OR[outputs, ranks].t())
        return y_NO, (x_NI, low_NR)

    def backward(
        self, dy_NO: Tensor, kept: tuple[Tensor, ...], needs_dx: bool = True
    ) -> tuple[Tensor | None, list[Tensor]]:
        """The gradients of x, and of A and B of each adapter in turn, in float32."""
        dx_NI = dy_NO @ self._weight() if needs_dx else None
        if not kept:
            return dx_NI, []
        x_NI, low_NR = kept
        dlow_NR = torch.empty_like(low_NR)
        db: list[Tensor] = []
        blocks = self._blocks(x_NI)
        for outputs, ranks in blocks:
            dy = dy_NO[:, outputs]
            dlow_NR[:, ranks] = dy @ self._b_OR[outputs, ranks]
            db.append((dy.t() @ low_NR[:, ranks]) * self._scale_R[ranks])  # float32 by the scale
        da_RI = (dlow_NR.t() @ x_NI).float()
        if dx_NI is not None:
            dx_NI.addmm_(dlow_NR, self._a_RI)
        if blocks is not self._parts:
            db = [db[0][outputs, ranks] for outputs, ranks in self._parts]
        parts = [da_RI[ranks] for _, ranks in self._parts]
        return dx_NI, [one for pair in zip(parts, db, strict=True) for one in pair]

    def _blocks(self, x_NI: Tensor) -> list[tuple[slice, slice]]:
        """The blocks of B to multiply: each adapter's, or the whole diagonal at once."""
        return [(WHOLE, WHOLE)] if x_NI.is_cuda or len(x_NI) <= FEW else self._parts

    def _weight(self) -> Tensor:
        if self._weight_OI is not None:
            return self._weight_OI
        weight_OI = self._scratch.view(self.outputs, self.inputs)
        for outputs, unpack in self._unpack:
            unpack(weight_OI[outputs])
        return weight_OI


def by_onednn(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether oneDNN multiplies: in 16 bits on a CPU. It makes and keeps a kernel for every size of a product."""
    return device.type == "cpu" and dtype is torch.bfloat16 and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def packed_product(weight_OI: Tensor) -> Product | None:
    """`linear` for just these frozen weights, to the same bits: they are kept a second time as oneDNN multiplies with
    them, which else makes that of them in every product. Two thirds of the time where places are few (docs/log.md).

    None where that is of no use: on a GPU, in float32, or without oneDNN.
    """
    if not by_onednn(weight_OI.device, weight_OI.dtype):
        return None
    try:
        weight = torch.ops.mkldnn._reorder_linear_weight(weight_OI, FEW)
    except (AttributeError, NotImplementedError, RuntimeError):  # none of these is promised to stay
        return None

    def product(x_NI: Tensor, _: Tensor, bias_O: Tensor | None) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x_NI, weight, bias_O, "none", [], "")  # type: ignore[no-any-return]

    return product


def linear_kind(layer: Any) -> Kind | None:
    """How a linear layer, or the one under its adapter, keeps its weights; None where we cannot multiply with it."""
    base = getattr(layer, "base_layer", layer)
    if base is not layer and not is_lora(layer):
        return None
    if type(base) is nn.Linear:
        return "plain"
    bits: Any = sys.modules.get("bitsandbytes")  # where it was never imported, no layer is of its kinds
    if bits is not None and type(base) is bits.nn.Linear4bit:
        state = base.weight.quant_state
        # On some CPUs bitsandbytes packs weights anew when they are first used without a gradient.
        is_known = state is not None and not getattr(state, "packing_format_for_cpu", False)
        return "nf4" if is_known else None
    if bits is not None and type(base) is bits.nn.Linear8bitLt:
        return "int8" if base.weight.dtype == torch.int8 and _column_scale(base) is not None else None
    return None


def _joined(layers: Sequence[Any]) -> Tensor:
    if len(layers) == 1:
        return layers[0].weight.detach()  # type: ignore[no-any-return]
    joined_OI = torch.cat([layer.weight.detach() for layer in layers])
    for layer, part in zip(layers, torch.split(joined_OI, [one.out_features for one in layers]), strict=True):
        layer.weight.data = part
    return joined_OI


def _unpacking(layer: Any, dtype: torch.dtype) -> Callable[[Tensor], None]:
    """What writes the weights of a quantised layer into a tensor of their shape, without memory of its own on a GPU."""
    packed = layer.weight.data
    if linear_kind(layer) == "int8":
        scale_O1 = (_column_scale(layer) / 127.0)[:, None]

        def unpack_int8(out_OI: Tensor) -> None:
            torch.mul(packed, scale_O1, out=out_OI)

        return unpack_int8

    from bitsandbytes import functional

    kept = layer.weight.quant_state
    largest = kept.absmax
    if kept.nested:  # the scales are quantised, too: unpacked once, they are a sixteenth of a byte a weight
        largest = functional.dequantize_blockwise(kept.absmax, kept.state2) + kept.offset
    state = functional.QuantState(
        absmax=largest.float(),
        shape=kept.shape,
        code=kept.code,
        blocksize=kept.blocksize,
        quant_type=kept.quant_type,
        dtype=dtype,
    )
    packed = packed.view(-1, 1)

    def unpack_4bit(out_OI: Tensor) -> None:
        if out_OI.is_cuda:
            functional.dequantize_4bit(packed, state, out=out_OI)
        else:  # there bitsandbytes cannot write into given memory
            out_OI.copy_(functional.dequantize_4bit(packed, state))

    return unpack_4bit


def _column_scale(layer: Any) -> Any:
    """The largest number of each row of an int8 layer; bitsandbytes moves it when the layer is first used."""
    kept = getattr(layer.weight, "SCB", None)
    return kept if kept is not None else layer.state.SCB
