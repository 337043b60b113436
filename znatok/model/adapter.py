"""LoRA on a base: put on, written to its two files, read back; on our own container, or by PEFT on transformers'."""

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from znatok.errors import UsageError
from znatok.model.adapter_file import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from znatok.model.llama import Llama
from znatok.model.lora_layer import AdaptedLlama, put_lora_on
from znatok.model.peft_config import peft_config
from znatok.model.weight_files import read_shapes
from znatok.run_folder import write_flushed
from znatok.settings import nearest

ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter to be made, under PEFT's names."""

    r: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.0
    target_modules: tuple[str, ...] = ALL_LINEAR
    bias: Literal["none"] = "none"


def new_settings(base: nn.Module, adapter: Adapter, revision: str | None) -> dict[str, Any]:
    """What PEFT's LoraConfig is told for a fresh adapter.

    Raises UsageError where the base has no layers of a name that was asked for.
    """
    _check_targets(base, adapter.target_modules)
    return {
        "r": adapter.r,
        "lora_alpha": adapter.lora_alpha,
        "lora_dropout": adapter.lora_dropout,
        "target_modules": list(adapter.target_modules),
        "bias": adapter.bias,
        "task_type": "CAUSAL_LM",
        "revision": revision,
    }


def _check_targets(base: nn.Module, names: Sequence[str]) -> None:
    layers = [name for name, layer in base.named_modules() if isinstance(layer, nn.Linear)]
    for name in names:
        if not any(layer == name or layer.endswith(f".{name}") for layer in layers):
            known = sorted({layer.rpartition(".")[2] for layer in layers})
            raise UsageError("source.no_layers", name=name, near=nearest(name, known), names=", ".join(known))


def put_on(base: Any, settings: dict[str, Any]) -> Any:
    """The base with an adapter of these settings, under PEFT's names; B is zero, so that it changes nothing yet."""
    if isinstance(base, Llama):
        assert not settings.get("lora_dropout"), "load_network was not told of the dropout"
        return put_lora_on(base, settings)
    from peft import LoraConfig, get_peft_model

    with _quiet():
        return get_peft_model(base, LoraConfig(**settings))


def adapter_parameters(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """The adapter's weights, by their names in the model."""
    return [(name, value) for name, value in model.named_parameters() if "lora_" in name]


def write_adapter(model: Any, folder: Path, base: str) -> None:
    """Writes the adapter's two files: the same bytes for the same weights. base: the public name of the base."""
    from safetensors.torch import save

    tensors = {
        _saved_name(name): value.detach().to("cpu", torch.float32).contiguous()
        for name, value in adapter_parameters(model)
    }
    settings = _settings(model, folder, base)
    if isinstance(settings["target_modules"], list):  # PEFT holds a set, which has another order in every process
        settings["target_modules"] = sorted(settings["target_modules"])
    write_flushed(folder / ADAPTER_CONFIG, json.dumps(settings, indent=2, sort_keys=True).encode())
    write_flushed(folder / ADAPTER_WEIGHTS, save(tensors, metadata={"format": "pt"}))


def _settings(model: Any, folder: Path, base: str) -> dict[str, Any]:
    if isinstance(model, AdaptedLlama):
        return peft_config(model.settings, base)
    config = model.peft_config["default"]
    # PEFT names the folder that the weights came from; elsewhere only the public name is of use.
    config.base_model_name_or_path = base
    config.inference_mode = True
    config.save_pretrained(str(folder))
    config.inference_mode = False
    return dict(json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8")))


@torch.no_grad()
def read_adapter(model: nn.Module, folder: Path) -> None:
    """Reads saved weights into the adapter that is already on the base."""
    from safetensors.torch import load_file

    read_shapes(folder / ADAPTER_WEIGHTS)
    saved = load_file(str(folder / ADAPTER_WEIGHTS))
    for name, value in adapter_parameters(model):
        value.copy_(saved[_saved_name(name)])


def _saved_name(parameter: str) -> str:
    """The name under which PEFT saves a parameter of its only adapter."""
    return parameter.replace(".default.", ".")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without PEFT's and transformers' talk to each other about deprecated names, which says nothing to a user."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
        yield
