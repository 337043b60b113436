"""An adapter's folder, read by us alone, so that nothing in it can open, fetch or run anything else.

PEFT's config of an adapter has some 40 settings. Some name code to import or files to read (`auto_mapping`,
`megatron_core`, `corda_config` …), some are patterns that may match for ever (`target_modules`, `rank_pattern` …), some
make the model larger (`layer_replication`). Here the weights say which layers have adapters and of which rank; of the
config only the scale is used, and what would change the meaning of the weights is refused. All else is set aside.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from znatok.errors import ModelError, RunError
from znatok.model.builtin import BUILTIN_HUB_ID
from znatok.model.config_size import Shapes
from znatok.model.source import BUILTIN, HUB_ID, SHORT_NAMES, is_cached
from znatok.model.weight_files import read_shapes

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
CONFIG_BYTES = 1 << 20

_WEIGHT = re.compile(r"base_model\.model\.([\w.]+)\.lora_([AB])\.weight")
_LAYER_NAME = re.compile(r"\^?[\w.]+")
_PLAIN_BEGINNINGS = (True, False, None, "gaussian", "orthogonal", "eva")
"""Ways to begin training that leave the base as it is; after the others the weights fit only a changed base."""

_MEANINGFUL = """use_dora lora_bias modules_to_save layer_replication trainable_token_indices target_parameters
    megatron_config alora_invocation_tokens use_qalora use_bdlora arrow_config velora_config kasa_config
    monteclora_config""".split()
"""Settings by which the same weights would say something else, or more weights would be needed."""


@dataclass(frozen=True, slots=True)
class SavedAdapter:
    """A LoRA adapter on disk. `base`: what it names as its base model.  `settings`: for PEFT's LoraConfig.

    shapes: of its weights, by the names in the file.  names: ends of the names of layers that all have weights in it,
    as its config has it; none where the config says it in another way.
    """

    base: str
    settings: dict[str, Any]
    shapes: Shapes
    names: frozenset[str]

    def fits(self, layers: Mapping[str, tuple[int, int]]) -> bool:
        """Whether a base with these linear layers, each with its inputs and outputs, is one that it was made for."""
        wanted: Shapes = {}
        for layer in self.settings["target_modules"]:
            inputs, outputs = layers.get(layer, (0, 0))
            rank = self.settings["rank_pattern"].get(layer, self.settings["r"])
            wanted[f"base_model.model.{layer}.lora_A.weight"] = (rank, inputs)
            wanted[f"base_model.model.{layer}.lora_B.weight"] = (outputs, rank)
        named = {layer for layer in layers if not self.names.isdisjoint(_ends(layer))}
        return self.shapes == wanted and named.issubset(self.settings["target_modules"])


def read_saved_adapter(folder: Path) -> SavedAdapter:
    """What an adapter's folder holds. Its weights are not loaded yet.

    Raises RunError where it is none, is damaged or is more than plain LoRA; ModelError where its weights are pickled.
    """
    if not folder.exists():
        raise RunError("chat.no_adapter_saved" if folder.name == "adapter" else "run.missing", folder=folder)
    if not (folder / ADAPTER_CONFIG).is_file():
        raise RunError("run.not_ours", folder=folder)
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise RunError("chat.no_adapter_weights", folder=folder)
    config = _read_config(folder / ADAPTER_CONFIG)
    try:
        shapes = read_shapes(folder / ADAPTER_WEIGHTS)
    except ModelError as error:
        if error.key == "weights.pickled":
            raise
        raise RunError("chat.adapter_damaged", file=folder / ADAPTER_WEIGHTS) from error
    ranks = _ranks(shapes, folder / ADAPTER_WEIGHTS)
    alphas = _alphas(config, ranks, folder / ADAPTER_CONFIG)
    settings = {
        "r": config["r"],
        "lora_alpha": config["lora_alpha"],
        "use_rslora": config.get("use_rslora") is True,
        "target_modules": sorted(ranks),
        "rank_pattern": ranks if config.get("rank_pattern") else {},
        "alpha_pattern": {layer: alpha for layer, alpha in alphas.items() if alpha != config["lora_alpha"]},
        "task_type": "CAUSAL_LM",
        "inference_mode": True,
    }
    return SavedAdapter(config["base_model_name_or_path"], settings, shapes, _names(config))


def base_to_open(name: str, folder: Path, *, is_own: bool = False) -> str:
    """What `find_base` may open because a file in `folder` says so: nothing that a file from outside could plant.

    A base with a short name, or a hub model that is on this machine already. is_own: the file is a run's plan, so it
    may also be a folder of this machine, or the name as it was typed, but never one of another machine.

    Raises RunError for all else, with the way to name it by hand.
    """
    if name == BUILTIN_HUB_ID or (is_own and name == BUILTIN):
        return BUILTIN
    known = {hub_id: short for short, hub_id in SHORT_NAMES.items()}
    if name in known or (is_own and name.lower() in SHORT_NAMES):
        return name
    if is_on_another_machine(name):
        raise RunError("chat.base_not_opened", base=name, folder=folder)
    is_path = Path(name).is_absolute() or not HUB_ID.fullmatch(name)
    if (is_own and is_path) or (HUB_ID.fullmatch(name) and not Path(name).exists() and is_cached(name)):
        return name
    raise RunError("chat.base_not_opened", base=name, folder=folder)


def is_on_another_machine(name: str) -> bool:
    """Whether to look there would already ask a network: an address, or a Windows share."""
    return "://" in name or name.startswith(("\\\\", "//", "\\/", "/\\"))


def _read_config(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > CONFIG_BYTES:
            raise ValueError("no adapter's config is so long")
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        rank, alpha, base = config["r"], config["lora_alpha"], config["base_model_name_or_path"]
        if config["peft_type"] != "LORA" or not isinstance(base, str) or not base:
            raise ValueError("not a LoRA adapter with a named base")
        if type(rank) is not int or rank < 1 or not _is_number(alpha):
            raise ValueError("no rank, or no scale")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError("chat.adapter_damaged", file=file) from error
    found = [name for name in _MEANINGFUL if config.get(name)]
    if config.get("bias", "none") != "none":
        found.append("bias")
    if config.get("init_lora_weights", True) not in _PLAIN_BEGINNINGS:
        found.append("init_lora_weights")
    if found:
        raise RunError("chat.adapter_unsupported", file=file, names=", ".join(found))
    return config


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9 and value == value


def _ranks(shapes: Shapes, file: Path) -> dict[str, int]:
    """The rank of each layer's adapter, from the shapes of its two matrices."""
    pairs: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        found = _WEIGHT.fullmatch(name)
        if not found:
            raise RunError("chat.adapter_unsupported", file=file, names=name)
        pairs.setdefault(found[1], {})[found[2]] = shape
    for pair in pairs.values():
        if pair.keys() != {"A", "B"} or not all(len(shape) == 2 for shape in pair.values()):
            raise RunError("chat.adapter_damaged", file=file)
        if pair["A"][0] != pair["B"][1] or pair["A"][0] < 1:
            raise RunError("chat.adapter_damaged", file=file)
    if not pairs:
        raise RunError("chat.adapter_damaged", file=file)
    return {layer: pair["A"][0] for layer, pair in pairs.items()}


def _names(config: dict[str, Any]) -> frozenset[str]:
    names = config.get("target_modules")
    if not isinstance(names, list) or config.get("layers_to_transform") or config.get("exclude_modules"):
        return frozenset()
    return frozenset(name for name in names if isinstance(name, str))


def _ends(layer: str) -> Iterator[str]:
    """`a.b.c` and every name that it ends with: `b.c`, `c`."""
    yield layer
    while "." in layer:
        layer = layer.partition(".")[2]
        yield layer


def _alphas(config: dict[str, Any], layers: dict[str, int], file: Path) -> dict[str, float]:
    """The scale of each layer, by the first name of `alpha_pattern` that ends its own; PEFT would take patterns."""
    pattern = config.get("alpha_pattern") or {}
    if not isinstance(pattern, dict) or not all(map(_LAYER_NAME.fullmatch, pattern)):
        raise RunError("chat.adapter_unsupported", file=file, names="alpha_pattern")
    if not all(map(_is_number, pattern.values())):
        raise RunError("chat.adapter_damaged", file=file)

    def alpha(layer: str) -> float:
        fitting = (
            value
            for name, value in pattern.items()
            if layer == name.removeprefix("^") or (name[0] != "^" and layer.endswith("." + name))
        )
        return float(next(fitting, config["lora_alpha"]))

    if len(pattern) * len(layers) > 1_000_000:
        raise RunError("chat.adapter_unsupported", file=file, names="alpha_pattern")
    return {layer: alpha(layer) for layer in layers}
