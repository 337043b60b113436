"""The weights of a Llama, Qwen2 or Qwen3, under transformers' names: what `engine` and `decode` run.

It holds weights and computes nothing but embeddings, the last norm and rotations. transformers and PEFT take seconds to
import, so they stay for what is out of the plain, and as the measure in the tests.
"""

import json
from collections.abc import Container, Iterator
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor, nn

from znatok.model.llama_config import LlamaConfig, read_llama_config
from znatok.model.quantised import Pack, quantised_layer
from znatok.model.rope import Rotary

_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_PLAIN = (torch.float32, torch.float16, torch.bfloat16)


class Llama(nn.Module):
    """The whole model: `model` and `lm_head`."""

    def __init__(self, config: LlamaConfig) -> None:
        """Without memory for weights: all are on the meta device."""
        super().__init__()
        self.config = config
        self.model = _Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False, device="meta")

    @property
    def dtype(self) -> torch.dtype:
        return self.lm_head.weight.dtype


class _Decoder(nn.Module):
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        # Its own beginning, normally distributed, would import the compiler of torch for a weight without memory.
        words_VH = torch.empty(config.vocab_size, config.hidden_size, device="meta")
        self.embed_tokens = nn.Embedding.from_pretrained(words_VH)  # type: ignore[no-untyped-call]
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = _RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.rotary_emb = Rotary(config.head_dim, config.rope_parameters)


class _Layer(nn.Module):
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.self_attn = _Attention(config)
        self.mlp = _FeedForward(config)
        self.input_layernorm = _RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = _RMSNorm(config.hidden_size, config.rms_norm_eps)


class _Attention(nn.Module):
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        width, key_width = (
            heads * config.head_dim for heads in (config.num_attention_heads, config.num_key_value_heads)
        )
        self.q_proj = _linear(config, "q_proj", config.hidden_size, width)
        self.k_proj = _linear(config, "k_proj", config.hidden_size, key_width)
        self.v_proj = _linear(config, "v_proj", config.hidden_size, key_width)
        self.o_proj = _linear(config, "o_proj", width, config.hidden_size)
        if config.model_type == "qwen3":
            self.q_norm = _RMSNorm(config.head_dim, config.rms_norm_eps)
            self.k_norm = _RMSNorm(config.head_dim, config.rms_norm_eps)


class _FeedForward(nn.Module):
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.gate_proj = _linear(config, "gate_proj", config.hidden_size, config.intermediate_size)
        self.up_proj = _linear(config, "up_proj", config.hidden_size, config.intermediate_size)
        self.down_proj = _linear(config, "down_proj", config.intermediate_size, config.hidden_size)


class _RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, device="meta"))
        self.eps = eps

    def forward(self, x_NH: Tensor) -> Tensor:
        wide_NH = x_NH.float()
        scale_N1 = torch.rsqrt(wide_NH.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * (wide_NH * scale_N1).to(x_NH.dtype)


def _linear(config: LlamaConfig, name: str, inputs: int, outputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=name in config.biased, device="meta")


# ---- its files -------------------------------------------------------------------------------------------------------


def load_llama(folder: Path, dtype: torch.dtype, device: str, quantization: str = "none") -> Llama | None:
    """The model in a folder, frozen; None where something in it is not as it should be, or not known to us."""
    config = read_llama_config(folder)
    if config is None:
        return None
    model = Llama(config)
    packs = _quantise(model, dtype, quantization) if quantization != "none" else {}
    shapes = {name: value.shape for name, value in model.named_parameters()}
    for name, value in _tensors(folder, shapes):
        if value.shape != shapes[name] or value.dtype not in _PLAIN:
            return None
        above, _, last = name.rpartition(".")
        setattr(model.get_submodule(above), last, packs.get(name, nn.Parameter)(value.to(device).to(dtype)))
    if config.tie_word_embeddings:
        _tie(model)
    if any(value.is_meta for value in model.parameters()):
        return None
    model.model.rotary_emb.to(device)
    return model.requires_grad_(False).eval()


def _quantise(model: Llama, dtype: torch.dtype, quantization: str) -> dict[str, Pack]:
    """Makes the linear layers of all blocks quantised ones; how each of their weights is packed, by its name."""
    packs: dict[str, Pack] = {}
    for name, layer in list(model.model.named_modules(prefix="model")):
        if isinstance(layer, nn.Linear):
            made, packs[f"{name}.weight"] = quantised_layer(layer, dtype, quantization)
            model.set_submodule(name, made)
    return packs


def _tie(model: Llama) -> None:
    """Makes the output layer the embeddings. Files that hold another one beside them are taken at their word."""
    head, embeddings = model.lm_head.weight, model.model.embed_tokens.weight
    if head.is_meta or (not embeddings.is_meta and torch.equal(head, embeddings)):
        model.lm_head.weight = embeddings


def _tensors(folder: Path, names: Container[str]) -> Iterator[tuple[str, Tensor]]:
    """The tensors of these names, as they are in the files; only some where files are missing or damaged."""
    from safetensors import SafetensorError, safe_open

    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError):
        for file in _weight_files(folder):
            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118  # it is no dict
                    if name in names:
                        yield name, tensors.get_tensor(name)


def _weight_files(folder: Path) -> list[Path]:
    if (folder / _SINGLE).is_file():
        return [folder / _SINGLE]
    index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    return [folder / Path(name).name for name in sorted(set(index["weight_map"].values()))]
