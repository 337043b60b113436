"""Whether a config describes a model no larger than the weights beside it.

transformers makes the model first and misses its weights afterwards: one wrong number costs hours, or all memory.
"""

import math
from pathlib import Path
from typing import Any

from znatok.errors import ModelError

Shapes = dict[str, tuple[int, ...]]
"""The shape of every tensor of a model, by its name."""

_LAYERS = "num_hidden_layers n_layer num_layers n_layers block_count".split()
_HIDDEN = "hidden_size n_embd d_model embedding_length".split()
_INTERMEDIATE = "intermediate_size n_inner d_ff feed_forward_length".split()
_WORDS = ["vocab_size"]
_OTHERS = """num_attention_heads num_key_value_heads n_head head_dim head_count head_count_kv key_length value_length
    num_experts num_local_experts n_routed_experts moe_intermediate_size expert_count""".split()

_SLACK = 8
"""Numbers that a config may ask for, for each that the files hold: packed 4-bit weights hold eight in one."""

_ENDLESS = 1 << 63


def refuse_greater_config(config: Any, shapes: Shapes, file: Path) -> None:
    """Raises ModelError, naming `file`, where the config cannot be that of these tensors.

    No number in it may be greater than the longest side of a tensor or the count of tensors, there may be no more
    layers than tensors, and together they may not ask for many times what is there.
    """
    found: dict[str, int] = {}
    _gather(config, found)
    layers, hidden, between, words = (
        max(found.get(name, 0) for name in names) for names in (_LAYERS, _HIDDEN, _INTERMEDIATE, _WORDS)
    )
    held = sum(math.prod(shape) for shape in shapes.values())
    asked = max(layers * hidden * max(hidden, between), words * hidden)
    longest = max((side for shape in shapes.values() for side in shape), default=0)
    greatest = max(found.values(), default=0)
    if layers > len(shapes) or greatest > max(longest, len(shapes)) or asked > _SLACK * held:
        raise ModelError("weights.config_too_great", file=file)


def _gather(tree: Any, found: dict[str, int]) -> None:
    """The greatest value of each of these names, wherever it stands in a config."""
    names = {*_LAYERS, *_HIDDEN, *_INTERMEDIATE, *_WORDS, *_OTHERS}
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            waiting += part.values()
            for name in names & part.keys():
                found[name] = max(found.get(name, 0), _whole(part[name]))


def _whole(value: Any) -> int:
    if isinstance(value, float):
        return math.ceil(value) if math.isfinite(value) else _ENDLESS
    return value if isinstance(value, int) else 0
