"""Files of weights, looked through before any parser sees them: safetensors and GGUF, never pickles.

A pickle can run any program when it is opened. The other two are plain data behind a header of lengths, counts and
offsets; a header that does not fit its file to the byte can make a parser read elsewhere, or take all memory. What is
read here is the header alone, and reading it takes at most 50 MB and twice the file.

Source: the format pages of github.com/huggingface/safetensors and github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import json
import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from znatok.errors import ModelError
from znatok.messages import text
from znatok.model.config_size import Shapes, refuse_greater_config

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz")
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
"""torch keeps its pickles in zip archives."""

HEADER_BYTES = 6_000_000
"""Of a safetensors file. The format allows 100 MB; 30,000 tensors take 4 MB, and large models have many files."""

_COMMAS = 200_000
"""In such a header, six a tensor: what json makes of so many values stays within bounds."""

_BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "C64": 64} | {
    name: bits
    for bits, names in {
        8: "BOOL U8 I8 F8_E4M3 F8_E5M2 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ",
        16: "U16 I16 F16 BF16",
        32: "U32 I32 F32",
        64: "U64 I64 F64",
    }.items()
    for name in names.split()
}

GGUF_VERSIONS = (2, 3)
_GGUF_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
_GGUF_COUNT, _GGUF_STRING, _GGUF_ARRAY = 4, 8, 9
_GGUF_VALUES = 4_000_000
"""In all arrays of a GGUF file together; vocabulary, merges, scores and types of the largest come to 1.3 million."""

_GGUF_KEY_BYTES, _GGUF_NAME_BYTES = 65_535, 64
_GGUF_DIMENSIONS = 4
_GREATEST_LENGTH = (1 << 63) - 1


class Fault(Exception):
    """What is wrong with a header; `kind` is a key of `[weights.fault]`."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def read_shapes(file: Path) -> Shapes:
    """What a file of weights holds: the shapes of its tensors. `.gguf` is read as GGUF, all else as safetensors.

    Raises ModelError where it is a pickle under whatever name, or its header does not fit it to the byte.
    """
    if file.suffix.lower() in PICKLED or is_pickle(file):
        raise ModelError("weights.pickled", file=file)
    try:
        return _read_gguf(file) if file.suffix.lower() == ".gguf" else _read_safetensors(file)
    except Fault as fault:
        raise ModelError("weights.damaged", file=file, fault=text(f"weights.fault.{fault.kind}")) from fault


def is_pickle(file: Path) -> bool:
    """Whether the file begins as pickles do, or as the zip archives in which torch keeps them."""
    with file.open("rb") as stream:
        start = stream.read(9)
    # A safetensors header of 640 bytes begins like a pickle of protocol 2; what follows it tells them apart.
    is_plain = len(start) > 8 and start[0] == 0x80 and start[1] <= 5 and start[8:] != b"{"
    return is_plain or start.startswith(_ZIP_STARTS)


# ---- safetensors: eight bytes with the header's length, the header in JSON, the tensors one after another --------


def _read_safetensors(file: Path) -> Shapes:
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > size - 8:
            raise Fault("short")
        if length > HEADER_BYTES:
            raise Fault("too_long")
        header = stream.read(length)
    if not header.startswith(b"{"):
        raise Fault("no_header")
    if header.count(b",") > _COMMAS:
        raise Fault("too_long")
    tree = _tree(header)
    places = sorted(_place(tensor) for tensor in tree.values())
    end = 0
    for start_at, end_at in places:
        if start_at != end:
            raise Fault("offsets")
        end = end_at
    if end != size - 8 - length:
        raise Fault("short" if end > size - 8 - length else "offsets")
    return {name: tuple(tensor["shape"]) for name, tensor in tree.items()}


def _tree(header: bytes) -> dict[str, Any]:
    """The tensors of a header, as it describes them."""
    try:
        tree: dict[str, Any] = json.loads(header.decode("utf-8"), object_pairs_hook=_without_repetition)
        metadata = tree.pop("__metadata__", {})
        if not isinstance(metadata, dict):
            raise Fault("no_header")
        for name in (*tree, *metadata, *metadata.values()):
            name.encode("utf-8")  # no halves of letters
    except (ValueError, AttributeError, RecursionError) as error:
        raise Fault("no_header") from error
    return tree


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise ValueError("a name stands twice")
    return tree


def _place(tensor: Any) -> tuple[int, int]:
    """Where a tensor begins and ends, its shape and number format seen to agree with that."""
    if not isinstance(tensor, dict) or tensor.keys() != {"dtype", "shape", "data_offsets"}:
        raise Fault("no_header")
    bits, shape, place = tensor["dtype"], tensor["shape"], tensor["data_offsets"]
    bits = _BITS.get(bits) if isinstance(bits, str) else None
    if bits is None:
        raise Fault("dtype")
    lists = isinstance(shape, list) and isinstance(place, list) and len(place) == 2 and len(shape) <= 64
    if not lists or not all(type(number) is int and 0 <= number <= _GREATEST_LENGTH for number in (*shape, *place)):
        raise Fault("shape")
    count = math.prod(shape)
    if count > _GREATEST_LENGTH or count * bits != 8 * (place[1] - place[0]):
        raise Fault("shape")
    return place[0], place[1]


# ---- GGUF: counts, named values, then name, shape, type and offset of every tensor, then the tensors --------------


@dataclass(slots=True)
class _Cursor:
    """A place in a file that never leaves it."""

    data: mmap.mmap
    at: int = 0

    def take(self, layout: str) -> tuple[Any, ...]:
        """Numbers of this layout, little-endian."""
        self.skip(size := struct.calcsize("<" + layout))
        return struct.unpack_from("<" + layout, self.data, self.at - size)

    def number(self, layout: str) -> int:
        return int(self.take(layout)[0])

    def skip(self, count: int) -> None:
        if count > len(self.data) - self.at:
            raise Fault("short")
        self.at += count

    def skip_string(self) -> None:
        self.skip(self.number("Q"))

    def string(self, most_bytes: int) -> str:
        length = self.number("Q")
        if length > most_bytes:
            raise Fault("name")
        self.skip(length)
        try:
            return self.data[self.at - length : self.at].decode("utf-8")
        except UnicodeDecodeError as error:
            raise Fault("name") from error


def _read_gguf(file: Path) -> Shapes:
    with file.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise Fault("magic")
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            cursor = _Cursor(data, 4)
            version, tensors, values = cursor.take("IQQ")
            if version not in GGUF_VERSIONS:
                raise Fault("version")
            if tensors + values > (len(data) - cursor.at) // 13:  # no value and no tensor is described in less
                raise Fault("short")
            named = _named_values(cursor, values)
            shapes = _tensor_shapes(cursor, tensors, _alignment(named))
    refuse_greater_config([{name.rpartition(".")[2]: value} for name, value in named.items()], shapes, file)
    return shapes


def _alignment(named: dict[str, Any]) -> int:
    alignment = int(named.get("general.alignment", 32))
    if alignment <= 0 or alignment & (alignment - 1):
        raise Fault("offsets")
    return alignment


def _named_values(cursor: _Cursor, count: int) -> dict[str, Any]:
    """The single numbers among the named values; of arrays, how long the vocabulary is."""
    named: dict[str, Any] = {}
    room = _GGUF_VALUES
    for _ in range(count):
        name, kind = cursor.string(_GGUF_KEY_BYTES), cursor.number("I")
        if name in named or name.startswith("GGUF."):  # the parser keeps its own there
            raise Fault("name")
        if name == "general.alignment" and kind != _GGUF_COUNT:
            raise Fault("kind")
        named[name] = None
        if kind == _GGUF_STRING:
            cursor.skip_string()
        elif kind == _GGUF_ARRAY:
            length = _skip_array(cursor, room)
            room -= length
            if name == "tokenizer.ggml.tokens":
                named["vocab_size"] = length
        elif kind in _GGUF_SCALARS:
            named[name] = cursor.take(_GGUF_SCALARS[kind])[0]
        else:
            raise Fault("kind")
    return named


def _skip_array(cursor: _Cursor, most: int) -> int:
    """Passes over an array of strings or numbers; how long it is."""
    kind, length = cursor.take("IQ")
    if kind in _GGUF_SCALARS:
        cursor.skip(length * struct.calcsize("<" + _GGUF_SCALARS[kind]))
    elif kind != _GGUF_STRING:  # arrays of arrays are in the format and in no model
        raise Fault("kind")
    if length > most:
        raise Fault("too_long")
    if kind == _GGUF_STRING:
        for _ in range(length):
            cursor.skip_string()
    return int(length)


def _tensor_shapes(cursor: _Cursor, count: int, alignment: int) -> Shapes:
    """The tensors' shapes, seen to lie in the file in their order with no more than the alignment between them."""
    from gguf.constants import GGML_QUANT_SIZES

    sizes = {int(kind): size for kind, size in GGML_QUANT_SIZES.items()}
    shapes: Shapes = {}
    end = 0
    for _ in range(count):
        name, dimensions = cursor.string(_GGUF_NAME_BYTES), cursor.number("I")
        if name in shapes:
            raise Fault("name")
        if not 1 <= dimensions <= _GGUF_DIMENSIONS:
            raise Fault("shape")
        shape = cursor.take(f"{dimensions}Q")
        kind, offset = cursor.take("IQ")
        if kind not in sizes:
            raise Fault("dtype")
        block, block_bytes = sizes[kind]
        elements = math.prod(shape)
        if not 0 < elements <= _GREATEST_LENGTH or shape[0] % block:
            raise Fault("shape")
        if offset != -(-end // alignment) * alignment:
            raise Fault("offsets")
        end = offset + elements // block * block_bytes
        shapes[name] = shape
    start = -(-cursor.at // alignment) * alignment
    if count and start + end > len(cursor.data):
        raise Fault("short")
    return shapes
