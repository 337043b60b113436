"""Files spoiled in many ways, the same every time: bits flipped, pieces cut, doubled or zeroed, extreme lengths.

Run as a script it looks at thousands of them in a process of its own and says what came of it as JSON.
"""

import json
import random
import re
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

EXTREMES = (
    0,
    1,
    2,
    7,
    255,
    2**16,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**40,
    2**53,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
WORDS = (
    b"null",
    b"true",
    b"-1",
    b"1.5",
    b"1e999",
    b"NaN",
    b'"x"',
    b"[]",
    b"{}",
    b"18446744073709551616",
    b"[[[[",
    b'"',
)


def spoiled(whole: bytes, header_bytes: int, count: int, seed: int) -> Iterator[bytes]:
    """`count` files that are nearly `whole`; four of five are spoiled in their header."""
    chance = random.Random(seed)
    ways = (_flip, _flip, _cut, _extreme, _extreme, _length, _number, _number, _gone, _doubled, _zeroed, _more)
    for _ in range(count):
        end = header_bytes if chance.random() < 0.8 else len(whole)
        made = chance.choice(ways)(whole, end, chance)
        while made == whole:
            made = _flip(whole, end, chance)
        yield made


def _flip(whole: bytes, end: int, chance: random.Random) -> bytes:
    made = bytearray(whole)
    for _ in range(chance.choice((1, 1, 1, 2, 8))):
        made[chance.randrange(end)] ^= 1 << chance.randrange(8)
    return bytes(made)


def _cut(whole: bytes, end: int, chance: random.Random) -> bytes:
    return whole[: chance.randrange(end)]


def _extreme(whole: bytes, end: int, chance: random.Random) -> bytes:
    layout = chance.choice(("<I", "<Q"))
    size = struct.calcsize(layout)
    at = chance.randrange(max(1, end - size))
    return whole[:at] + struct.pack(layout, chance.choice(EXTREMES) % 256**size) + whole[at + size :]


def _length(whole: bytes, end: int, chance: random.Random) -> bytes:
    """A length where one stands for sure: at the beginning of safetensors, or the counts of GGUF."""
    at = chance.choice((0, 4, 8, 16))
    near = int.from_bytes(whole[at : at + 8], "little") + chance.choice((-8, -1, 1, 8))
    return whole[:at] + (chance.choice((near, *EXTREMES)) % 2**64).to_bytes(8, "little") + whole[at + 8 :]


def _number(whole: bytes, end: int, chance: random.Random) -> bytes:
    """Another number, or none, where one stands in JSON; elsewhere an extreme one."""
    found = list(re.finditer(rb"\d+|\"[A-Z]+\d+\"", whole[:end]))
    if not whole[8:].startswith(b"{") or not found:
        return _extreme(whole, end, chance)
    here = chance.choice(found)
    other = chance.choice((*WORDS, *(str(number).encode() for number in EXTREMES)))
    made = whole[: here.start()] + other + whole[here.end() :]
    if chance.random() < 0.5:  # with the length of the header told right
        length = int.from_bytes(whole[:8], "little") + len(made) - len(whole)
        made = length.to_bytes(8, "little") + made[8:]
    return made


def _gone(whole: bytes, end: int, chance: random.Random) -> bytes:
    at = chance.randrange(end)
    return whole[:at] + whole[at + chance.choice((1, 4, 8, 100)) :]


def _doubled(whole: bytes, end: int, chance: random.Random) -> bytes:
    at, count = chance.randrange(end), chance.choice((1, 4, 8, 100))
    return whole[: at + count] + whole[at:]


def _zeroed(whole: bytes, end: int, chance: random.Random) -> bytes:
    at, count = chance.randrange(end), chance.choice((1, 4, 8, 100))
    return whole[:at] + bytes(len(whole[at : at + count])) + whole[at + count :]


def _more(whole: bytes, end: int, chance: random.Random) -> bytes:
    return whole + chance.randbytes(chance.choice((1, 8, 1000)))


def header_end(file: Path) -> int:
    """Where the tensors of a file begin."""
    if file.suffix == ".gguf":
        from gguf import GGUFReader

        return int(GGUFReader(file).data_offset)
    return 8 + int.from_bytes(file.read_bytes()[:8], "little")


def parsed(file: Path) -> dict[str, tuple[int, ...]]:
    """The shapes that the format's own parser finds, after it has read every tensor."""
    if file.suffix == ".gguf":
        from gguf import GGUFReader

        return {one.name: tuple(int(side) for side in one.shape) for one in GGUFReader(file).tensors if one.data.size}
    from safetensors.numpy import load_file

    return {name: values.shape for name, values in load_file(file).items()}


def memory_bytes(name: str) -> int:
    """Memory of this process: `VmRSS` now, `VmHWM` at most since `forget_peak`. Linux alone says it."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def look(whole: Path, count: int, seed: int) -> dict[str, object]:
    """Spoils the file `whole` and looks at each result, first as znatok does, then with the format's own parser."""
    from znatok.errors import ModelError
    from znatok.model.weight_files import read_shapes

    assert parsed(whole) == read_shapes(whole)  # and everything is imported
    content, end = whole.read_bytes(), header_end(whole)
    file = whole.with_name("spoiled" + whole.suffix)
    kinds: Counter[str] = Counter()
    forget_peak()
    before, slowest = memory_bytes("VmRSS"), 0.0
    for made in spoiled(content, end, count, seed):
        file.unlink(missing_ok=True)  # the last one may still be mapped into memory
        file.write_bytes(made)
        start = time.process_time()
        try:
            shapes = read_shapes(file)
        except ModelError as error:
            kinds[error.key] += 1
            kinds["without its file"] += not str(error).startswith(str(file))
        else:
            kinds["same header" if made[:end] == content[:end] else "another header"] += 1
            assert parsed(file) == shapes
        slowest = max(slowest, time.process_time() - start)
    grown = memory_bytes("VmHWM") - before
    return {"kinds": kinds, "slowest_seconds": slowest, "grown_bytes": grown, "file_bytes": len(content)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(look(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
