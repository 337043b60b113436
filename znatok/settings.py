"""Everything that can be asked of a training run, declared once: flags, TOML keys and Python names alike.

Names and meanings are those of PEFT and transformers where these have the thing. What each setting does is said in
`messages/`, under `settings.NAME`. A preset is a set of other defaults; what the user names always wins.
"""

import difflib
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from znatok.errors import UsageError

Preset = Literal["learn", "quick", "classic"]

PRESETS: dict[str, dict[str, Any]] = {
    "learn": {},
    "quick": {"spread_rows": 16, "per_device_train_batch_size": 2, "num_train_epochs": 14.0},
    # The recipe of the original README, to the letter. Its faults are mended in code, not in numbers: the end of turn
    # is trained, evaluation and saving happen once an epoch.
    "classic": {
        "quantization": "nf4",
        "r": 16,
        "lora_alpha": 32,
        "lora_dropout": 0.05,
        "target_modules": ("q_proj", "k_proj", "v_proj", "o_proj"),
        "bias": "none",
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 4,
        "num_train_epochs": 5.0,
        "learning_rate": 2e-4,
        "lr_scheduler_type": "linear",
        "warmup_steps": 0,
        "dtype": "float16",
        "optim": "paged_adamw_8bit",
        "adam_beta2": 0.999,
        "rewording": 0.0,
        "logging_steps": 2,
        "save_total_limit": 2,
        "test_size": 0.2,
        "load_best_model_at_end": True,
    },
}


class Settings(BaseModel):
    """What was asked. None means: the plan decides, and says why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = "auto"
    preset: Preset = "learn"
    minutes: float | None = Field(None, gt=0)
    num_rows: int | None = Field(None, ge=2)
    spread_rows: int | None = Field(None, ge=2)
    seed: int = Field(0, ge=0)

    r: int = Field(16, ge=1, le=1024)
    lora_alpha: int = Field(32, ge=1)
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: tuple[str, ...] = ("all-linear",)
    bias: Literal["none"] = "none"

    learning_rate: float | None = Field(None, gt=0, lt=1)
    num_train_epochs: float = Field(18.0, gt=0)
    per_device_train_batch_size: int = Field(4, ge=1)
    gradient_accumulation_steps: int = Field(1, ge=1)
    lr_scheduler_type: Literal["warmup_stable_decay", "linear"] = "warmup_stable_decay"
    warmup_steps: int = Field(10, ge=0)
    weight_decay: float = Field(0.0, ge=0)
    adam_beta2: float = Field(0.99, gt=0, lt=1)
    max_grad_norm: float = Field(1.0, gt=0)
    optim: Literal["adamw_torch", "adamw_8bit", "paged_adamw_8bit"] = "adamw_torch"

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    quantization: Literal["auto", "none", "nf4", "int8"] = "auto"
    rewording: float = Field(0.65, ge=0, le=1)

    test_size: float = Field(0.0, ge=0, lt=1)
    logging_steps: int = Field(1, ge=1)
    save_total_limit: int = Field(2, ge=1)
    load_best_model_at_end: bool = False

    def with_preset(self) -> "Settings":
        """The preset's values, under whatever was named explicitly."""
        named = {name: getattr(self, name) for name in self.model_fields_set}
        return Settings(**(PRESETS[self.preset] | named))


def read_settings(path: Path) -> dict[str, Any]:
    """The settings of a TOML file.

    Raises UsageError where the file is missing, is no TOML, or names a setting that does not exist (with the nearest
    that does).
    """
    try:
        asked = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError("settings.no_file", path=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError("settings.no_toml", path=path, reason=error) from error
    for name in asked:
        if name.replace("-", "_") not in Settings.model_fields:
            near = difflib.get_close_matches(name, list(Settings.model_fields), n=1, cutoff=0.0)[0]
            raise UsageError("settings.unknown", path=path, name=name, near=near)
    return {name.replace("-", "_"): value for name, value in asked.items()}


def make_settings(asked: dict[str, Any]) -> Settings:
    """`asked` checked, with the preset's values filled in.

    Raises UsageError naming the setting and the values it takes.
    """
    try:
        return Settings(**asked).with_preset()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"][:1]))
        if first["type"] == "extra_forbidden":
            near = difflib.get_close_matches(name, list(Settings.model_fields), n=1, cutoff=0.0)[0]
            raise UsageError("settings.unknown_name", name=name, near=near) from error
        raise UsageError("settings.impossible", name=name, value=first["input"], reason=first["msg"]) from error


def settings_toml(settings: Settings) -> str:
    """The settings as TOML; what was left to the plan is left out."""
    import tomli_w

    return tomli_w.dumps({name: value for name, value in settings.model_dump(mode="json").items() if value is not None})
