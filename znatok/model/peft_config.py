"""What PEFT writes into `adapter_config.json`, without PEFT."""

from typing import Any

PEFT_VERSION = "0.21.2"
"""Whose settings these are. Other versions know most of them, and set aside what they do not know."""

_NONE = """alora_invocation_tokens arrow_config auto_mapping corda_config eva_config exclude_modules kasa_config
    layer_replication layers_pattern layers_to_transform lora_ga_config megatron_config modules_to_save
    monteclora_config revision target_parameters trainable_token_indices use_bdlora velora_config""".split()

_DEFAULTS = {
    "alpha_pattern": {},
    "bias": "none",
    "ensure_weight_tying": False,
    "fan_in_fan_out": False,
    "init_lora_weights": True,
    "loftq_config": {},
    "lora_bias": False,
    "lora_dropout": 0.0,
    "megatron_core": "megatron.core",
    "peft_type": "LORA",
    "peft_version": PEFT_VERSION,
    "qalora_group_size": 16,
    "rank_pattern": {},
    "task_type": "CAUSAL_LM",
    "use_dora": False,
    "use_qalora": False,
    "use_rslora": False,
}


def peft_config(settings: dict[str, Any], base: str) -> dict[str, Any]:
    """All settings of a saved LoRA adapter. settings: those that are not PEFT's defaults.  base: its public name."""
    whole = dict.fromkeys(_NONE) | _DEFAULTS | settings
    return whole | {"base_model_name_or_path": base, "inference_mode": True}
