"""The config of a Llama, Qwen2 or Qwen3, read without transformers; and whether it says only what we know.

Attributes have transformers' names. Whatever is out of the plain is left to transformers, which knows more and checks
more: it is None here, never an error.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KNOWN_TYPES = frozenset({"llama", "qwen2", "qwen3"})

_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
_FEED = ("gate_proj", "up_proj", "down_proj")
_QWEN3_HEAD = 128
"""The width of a head that Qwen3 has where its config names none."""

_LLAMA3_ROPE = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
_ELSEWHERE = ("auto_map", "quantization_config", "partial_rotary_factor", "original_max_position_embeddings")
"""What is remote code, packed weights, or another rotation than the one that we compute."""


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """The shape of a model. `rope_parameters`: its kind under `rope_type`, and the numbers of that kind.

    biased: names of the linear layers that have a bias, the same in every block.
    """

    model_type: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    rms_norm_eps: float
    tie_word_embeddings: bool
    rope_parameters: dict[str, Any]
    biased: frozenset[str]


class _Other(Exception):
    """The config says something that we do not know."""


def read_llama_config(folder: Path) -> LlamaConfig | None:
    """The config in a model's folder; None where it is not that of a plain Llama, Qwen2 or Qwen3."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return _read(config)
    except (OSError, ValueError, RecursionError, AttributeError, TypeError, _Other):
        return None


def _read(config: dict[str, Any]) -> LlamaConfig:
    kind = config.get("model_type")
    if kind not in KNOWN_TYPES or config.get("hidden_act", "silu") != "silu":
        raise _Other
    if any(config.get(name) is not None for name in _ELSEWHERE):
        raise _Other
    if _flag(config, "use_sliding_window") or set(config.get("layer_types") or ()) - {"full_attention"}:
        raise _Other
    hidden, heads = _whole(config, "hidden_size"), _whole(config, "num_attention_heads")
    key_heads = heads if kind == "llama" and not config.get("num_key_value_heads") else None
    key_heads = key_heads or _whole(config, "num_key_value_heads")
    head = _head(config, hidden // heads)
    if hidden % heads or heads % key_heads or head % 2:
        raise _Other
    return LlamaConfig(
        model_type=kind,
        vocab_size=_whole(config, "vocab_size"),
        hidden_size=hidden,
        intermediate_size=_whole(config, "intermediate_size"),
        num_hidden_layers=_whole(config, "num_hidden_layers"),
        num_attention_heads=heads,
        num_key_value_heads=key_heads,
        head_dim=head,
        max_position_embeddings=_whole(config, "max_position_embeddings"),
        rms_norm_eps=_number(config.get("rms_norm_eps", 1e-6)),
        tie_word_embeddings=_flag(config, "tie_word_embeddings"),
        rope_parameters=_rope(config),
        biased=_biased(config),
    )


def _head(config: dict[str, Any], share: int) -> int:
    if "head_dim" not in config:
        return _QWEN3_HEAD if config["model_type"] == "qwen3" else share
    if config["head_dim"] is None and config["model_type"] == "llama":
        return share
    return _whole(config, "head_dim")


def _biased(config: dict[str, Any]) -> frozenset[str]:
    if config["model_type"] == "qwen2":
        return frozenset(_ATTENTION[:3])
    names: tuple[str, ...] = _ATTENTION if _flag(config, "attention_bias") else ()
    if config["model_type"] == "llama" and _flag(config, "mlp_bias"):
        names += _FEED
    return frozenset(names)


def _rope(config: dict[str, Any]) -> dict[str, Any]:
    """How heads are turned. transformers wrote it as `rope_scaling` beside `rope_theta` before its version 5."""
    said = config.get("rope_scaling") or config.get("rope_parameters") or {}
    kind = said.get("rope_type", said.get("type", "default"))
    if kind not in ("default", "llama3") or said.get("partial_rotary_factor") is not None:
        raise _Other
    if any(isinstance(value, dict) for value in said.values()):  # for each kind of layer another
        raise _Other
    found = {"rope_theta": _number(said.get("rope_theta", config.get("rope_theta")))}
    if kind == "llama3":
        found |= {name: _number(said.get(name)) for name in _LLAMA3_ROPE}
    return {"rope_type": kind} | found


def _whole(config: dict[str, Any], name: str) -> int:
    value = config.get(name)
    if type(value) is not int or value < 1:
        raise _Other
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not 0 < value < 1e30:
        raise _Other
    return value  # type: ignore[no-any-return]


def _flag(config: dict[str, Any], name: str) -> bool:
    value = config.get(name, False)
    if not isinstance(value, bool):
        raise _Other
    return value
