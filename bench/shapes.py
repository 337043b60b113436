"""Bases of known shapes with random weights, and rows for them: speed does not depend on what they say."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from znatok.data.read import read_table
from znatok.data.render import Renderer, read_template
from znatok.model.adapter import Adapter
from znatok.model.network import Network
from znatok.model.source import BaseSource
from znatok.records import Rendered, Row

SHAPE = {
    "vocab_size": 32_000,
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 22,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
}
SMOLLM = SHAPE | {
    "vocab_size": 49_152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "tie_word_embeddings": True,
}
SHAPES = {
    "SmolLM2-135M": SMOLLM,
    "SmolLM2-360M": SMOLLM
    | {
        "hidden_size": 960,
        "intermediate_size": 2560,
        "num_hidden_layers": 32,
        "num_attention_heads": 15,
        "num_key_value_heads": 5,
    },
    "TinyLlama-1.1B": SHAPE,
}
"""By the names of the models that have them."""

TINY = SHAPE | {"vocab_size": 1500, "hidden_size": 128, "intermediate_size": 192, "num_hidden_layers": 2}
CONTROL = ("<|im_end|>", "<|im_start|>", "<|endoftext|>")
TOKENS = {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"}
CHATML = """\
{% for message in messages %}
<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}
{% if add_generation_prompt %}
<|im_start|>assistant
{% endif %}
"""
VOCABULARY = 1200
"""Makes about 3.4 tokens a word of the demonstration's table."""
COLUMNS = 160
"""Tokens of a uniform row."""


def network_of(asked: dict[str, Any]) -> Network:
    """The base, made where it is used, with an adapter on all linear layers.

    asked: `dtype`, `quantization`; perhaps `shape`, a name out of `SHAPES` (else TinyLlama's), `r`, `device`; in tests
    `tiny`.
    """
    import torch

    torch.manual_seed(0)
    device = asked.get("device", "cuda")
    model = _model(asked, device)
    if asked["quantization"] == "nf4":
        _quantise(model, device)
    source = BaseSource("tinyllama", Path("tinyllama"), "znatok/tinyllama-shape", None, False)
    network = Network(model, source, asked["quantization"])
    rank = asked.get("r", Adapter().r)
    network.add_adapter(Adapter(r=rank, lora_alpha=2 * rank))
    return network


def _model(asked: dict[str, Any], device: str) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = TINY if asked.get("tiny") else SHAPES[asked.get("shape", "TinyLlama-1.1B")]
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, asked["dtype"]))
    try:
        with torch.device(device):
            model = LlamaForCausalLM(LlamaConfig(**shape, attn_implementation="sdpa"))
    finally:
        torch.set_default_dtype(before)
    # What rotates is float32 in every model that is loaded.
    model.model.rotary_emb = type(model.model.rotary_emb)(model.config).to(device)
    return model.requires_grad_(False).eval()


def _quantise(model: Any, device: str) -> None:
    """What transformers does while it loads."""
    from bitsandbytes.nn import Linear4bit, Params4bit
    from torch import nn

    for layer in model.model.layers:
        for name, one in list(layer.named_modules()):
            if type(one) is not nn.Linear:
                continue
            packed = Linear4bit(one.in_features, one.out_features, False, one.weight.dtype, False, "nf4", device="meta")
            weight = Params4bit(
                one.weight.data, requires_grad=False, compress_statistics=False, quant_type="nf4", module=packed
            )
            packed.weight = weight._quantize(device)
            above, _, last = name.rpartition(".")
            setattr(layer.get_submodule(above), last, packed)
    model.is_loaded_in_4bit = True


def folder_of(asked: dict[str, Any], folder: Path, table: Path) -> Path:
    """The same base in full, in a folder that `--model` takes, with the tokenizer of `table_rows`."""
    import torch

    _model(asked, asked.get("device") or ("cuda" if torch.cuda.is_available() else "cpu")).save_pretrained(folder)
    (folder / "tokenizer.json").write_text(_tokenizer(table), encoding="utf-8")
    names = TOKENS | {"tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(names), encoding="utf-8")
    (folder / "chat_template.jinja").write_text(CHATML, encoding="utf-8")
    return folder


def table_rows(path: Path) -> tuple[Sequence[Row], Renderer]:
    """The rows of a table, and what renders them: as many tokens a word as TinyLlama's own tokenizer makes."""
    return read_table(path).rows, Renderer(_tokenizer(path), read_template(CHATML, TOKENS, CONTROL))


@cache
def _tokenizer(path: Path) -> str:
    """Byte-level BPE, made from the table: no tokenizer has to be on the machine."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=list(CONTROL), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator((f"{row.question} {row.answer}" for row in read_table(path).rows), trainer)
    return str(tokenizer.to_str())


def uniform_rows(count: int, columns: int = COLUMNS) -> list[Rendered]:
    """Rows of one length, each of other tokens, a quarter of them question."""
    return [
        Rendered(tuple((row * 7919 + place * 104_729) % VOCABULARY for place in range(columns)), columns // 4)
        for row in range(count)
    ]
