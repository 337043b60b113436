"""How fast this machine will train a model, guessed from its shape and a moment of matrix products."""

import json
import time
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from znatok.model.network import Dtype

BESIDE_SECONDS = 2.7e-9
"""What lies between the products takes of a token's time, for each number that the token keeps for the backward pass.
Source: with it the bare products' 290, 1,309 and 4,087 tokens/s come to 215, 513 and 701, where 209 were measured in
float32, and 567 and 601 in bfloat16, on three hosts (docs/performance.md)."""

ONEDNN_KERNELS_BYTES = 1 << 30
"""What the kernels come to that oneDNN keeps, at most 1,024 of a megabyte or two. With it 3.1 GB are forecast for the
README's run, which takes 2.1 in an update and 3.5 in its exam. Source: docs/log.md, 30 November."""


def forecast_tokens_per_second(folder: Path, dtype: Dtype, trained_share: float) -> float:
    """Training speed to expect on this CPU.

    trained_share: answer tokens in all tokens. The first measured steps replace this guess.
    """
    numbers = _kept_numbers(_shape(folder))
    return 1 / (1 / bare_tokens_per_second(folder, dtype, trained_share) + BESIDE_SECONDS * numbers)


def bare_tokens_per_second(folder: Path, dtype: Dtype, trained_share: float) -> float:
    """What this CPU would reach if a training step were nothing but its products with frozen weights."""
    import torch

    return products_per_second(dtype, torch.get_num_threads()) / _products_per_token(folder, trained_share)


@cache
def products_per_second(dtype: Dtype, threads: int) -> float:
    """Multiplications and additions a second in products like a small model's, over a fifth of a second.

    threads: how many torch uses; for each number it is measured once.
    """
    import torch

    rows, inputs, outputs = 768, 576, 1536
    left = torch.randn(rows, inputs, dtype=getattr(torch, dtype))
    right = torch.randn(outputs, inputs, dtype=getattr(torch, dtype))
    seconds: list[float] = []
    while sum(seconds) < 0.2 or len(seconds) < 5:
        start = time.perf_counter()
        torch.nn.functional.linear(left, right)
        seconds.append(time.perf_counter() - start)
    return 2 * rows * inputs * outputs / median(seconds)


def linear_weights(folder: Path) -> int:
    """Weights in the linear layers of all blocks, for Llama-like shapes."""
    config = _shape(folder)
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    head = config.get("head_dim") or hidden // heads
    groups = config.get("num_key_value_heads") or heads
    attention = hidden * head * (2 * heads + 2 * groups)
    return int(config["num_hidden_layers"] * (attention + 3 * hidden * config["intermediate_size"]))


def _products_per_token(folder: Path, trained_share: float) -> float:
    config = _shape(folder)
    # Forward and backward through frozen weights: twice two operations a weight; the vocabulary only where trained.
    return 4.0 * linear_weights(folder) + 4.0 * trained_share * float(config["hidden_size"] * config["vocab_size"])


def _kept_numbers(config: dict[str, Any]) -> int:
    """How many numbers all layers keep of a token for their backward pass."""
    width: int = 12 * config["hidden_size"] + 5 * config["intermediate_size"]
    return width * int(config["num_hidden_layers"])


def _shape(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    shape: dict[str, Any] = config.get("text_config", config)
    return shape


def memory_forecast_bytes(folder: Path, dtype: Dtype, is_quantized: bool, batch_tokens: int, device: str) -> int:
    """Memory that training will need: weights, adapter with its optimizer, and what the backward pass keeps.

    In bfloat16 on a CPU oneDNN comes to it, with a packed copy of the weights and the kernels it made.
    """
    config = _shape(folder)
    width = 4 if dtype == "float32" else 2
    linear = linear_weights(folder) * (0.56 if is_quantized else width)
    vocabulary = config["hidden_size"] * config["vocab_size"] * width
    kept = batch_tokens * _kept_numbers(config) * width
    logits = 3 * 256 * config["vocab_size"] * 4
    libraries = 600 << 20
    onednn = linear + ONEDNN_KERNELS_BYTES if device == "cpu" and dtype == "bfloat16" and not is_quantized else 0
    return int(linear + vocabulary + kept + logits + libraries + onednn + (100 << 20))
