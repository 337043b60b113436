"""Everything that can be asked of a training run, declared once: flags, TOML keys and Python names alike.

Names and meanings are those of PEFT and transformers where these have the thing. What each setting does is said in
`messages/`, under `settings.NAME`. A preset is a set of other defaults; what the user names always wins.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from znatok.errors import UsageError
from znatok.messages import text

Preset = Literal["learn", "quick", "classic"]
ParaphraseUse = Literal["split", "train", "exam"]
RewordingFamily = Literal["frames", "answer", "keywords", "noise"]
REWORDING_FAMILIES: tuple[RewordingFamily, ...] = get_args(RewordingFamily)

PRESETS: dict[str, dict[str, Any]] = {
    "learn": {},
    "quick": {
        "spread_rows": 16,
        "per_device_train_batch_size": 2,
        "num_train_epochs": 9.0,
        "scope": "open",
    },
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
        "paraphrases": "exam",
        "finishing_rounds": 0,
        "scope": "open",
        "replay": 0.0,
        "history_share": 0.0,
        "curriculum_rows": 0,
        "logging_steps": 2,
        "save_total_limit": 2,
        "test_size": 0.2,
        "load_best_model_at_end": True,
    },
}


_KINDS = ((bool, "switch"), (int, "integer"), (float, "number"), (str, "text"), (tuple, "words"))
_BOUNDS = ("ge", "gt", "le", "lt")


class Reading(BaseModel):
    """How a table is read. None means: it is found out from the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    num_rows: int | None = Field(None, ge=2)
    encoding: str | None = None
    delimiter: str | None = None
    # Each is a name or a number from 1; in TOML a number needs no quotes.
    sheet: str | None = Field(None, coerce_numbers_to_str=True)
    question_column: str | None = Field(None, coerce_numbers_to_str=True)
    answer_column: str | None = Field(None, coerce_numbers_to_str=True)


class Settings(Reading):
    """What was asked. None means: the plan decides, and says why."""

    model: str = "auto"
    preset: Preset = "learn"
    minutes: float | None = Field(None, gt=0)
    spread_rows: int | None = Field(None, ge=2)
    seed: int = Field(0, ge=0, lt=2**32)
    deterministic: bool = False

    r: int = Field(16, ge=1, le=1024)
    lora_alpha: int = Field(32, ge=1)
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: tuple[str, ...] = Field(("all-linear",), min_length=1)
    bias: Literal["none"] = "none"

    learning_rate: float | None = Field(None, gt=0, lt=1)
    num_train_epochs: float | None = Field(None, gt=0)
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
    rewording_mix: tuple[RewordingFamily, ...] | None = Field(None, min_length=1)
    paraphrases: ParaphraseUse = "split"
    history_share: float | None = Field(None, ge=0, le=1)
    curriculum_rows: int | None = Field(None, ge=0)
    finishing_rounds: int = Field(16, ge=0)
    scope: Literal["auto", "open", "strict"] = "auto"
    replay: float | None = Field(None, ge=0, le=0.5)
    replay_weight: float = Field(3.0, gt=0)

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

    Raises UsageError where the file is missing or is no TOML; or with all faults at once, where it names settings that
    do not exist (with the nearest that does) or gives impossible values (with the values they take).
    """
    content = ""
    try:
        content = path.read_text(encoding="utf-8-sig")
        asked = {name.replace("-", "_"): value for name, value in tomllib.loads(content).items()}
        Settings(**asked)
    except FileNotFoundError as error:
        raise UsageError("settings.no_file", path=path) from error
    except UnicodeDecodeError as error:
        raise UsageError("settings.not_utf8", path=path) from error
    except tomllib.TOMLDecodeError as error:
        named = re.search(r"\(at line (\d+)", str(error))
        line = named[1] if named else content.count("\n") + 1
        raise UsageError("settings.no_toml", path=path, line=line) from error
    except ValidationError as error:
        raise UsageError("settings.faults", faults="\n".join(faults(error, f"{path}, "))) from error
    return asked


def make_settings(asked: dict[str, Any]) -> Settings:
    """`asked` checked, with the preset's values filled in.

    Raises UsageError naming every faulty setting and the values it takes.
    """
    try:
        return Settings(**asked).with_preset()
    except ValidationError as error:
        raise UsageError("settings.faults", faults="\n".join(faults(error))) from error


def faults(error: ValidationError, place: str = "", names: Callable[[str], str] = str) -> list[str]:
    """What pydantic found, in our words: one line for each setting at fault.

    place: the file, before the setting's name.  names: how a setting is called there, such as by its flag.
    """
    lines = []
    for fault in {str(fault["loc"][0]): fault for fault in reversed(error.errors())}.values():
        name = str(fault["loc"][0])
        if fault["type"] == "extra_forbidden":
            near = names(nearest(name, Settings.model_fields))
            lines.append(text("settings.unknown", name=place + names(name), near=near))
        else:
            lines.append(impossible(place + names(name), fault["input"], Settings.model_fields[name].annotation, name))
    return lines[::-1]


def impossible(name: str, value: object, kind: Any, setting: str | None = None) -> str:
    """That `value` does not fit, and what does: any value of the type `kind`, within the bounds of the setting."""
    choices = choices_of(kind)
    near = text("settings.near", near=nearest(str(value), choices)) if choices else ""
    bounds = Settings.model_fields[setting].metadata if setting else ()
    return text("settings.impossible", name=name, value=value, near=near, takes=_takes(kind, choices, bounds))


def choices_of(kind: Any) -> tuple[str, ...]:
    """The words that can be chosen, of one word or of a list of them; empty where any value will do."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    return next((found for one in get_args(kind) if (found := choices_of(one))), ())


def _takes(kind: Any, choices: Sequence[str], constraints: Sequence[object]) -> str:
    """The values of a type, in words."""
    if choices:
        return text("settings.takes.choice", values=", ".join(choices))
    kinds = {get_origin(one) or one for one in (get_args(kind) if NoneType in get_args(kind) else (kind,))}
    word = next((word for type_, word in _KINDS if type_ in kinds), "words")
    limits = [(name, getattr(one, name)) for name in _BOUNDS for one in constraints if hasattr(one, name)]
    bounds = text("settings.takes.and").join(text(f"settings.takes.{name}", bound=bound) for name, bound in limits)
    return text(f"settings.takes.{word}") + (f" {bounds}" if bounds else "")


def nearest(word: str, words: Iterable[str]) -> str:
    """The word most like `word`."""
    return difflib.get_close_matches(word, list(words), n=1, cutoff=0.0)[0]


def settings_toml(settings: Settings) -> str:
    """The settings as TOML; what was left to the plan is left out."""
    import tomli_w

    return tomli_w.dumps({name: value for name, value in settings.model_dump(mode="json").items() if value is not None})
