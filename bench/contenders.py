"""Others train a table from start to saved adapter, as their own documentation has it; each in a process of its own.

    python -m bench.contenders trl|unsloth TABLE.csv FOLDER '{"num_train_epochs": 3, "learning_rate": 2e-4, ...}'

What comes of it lies in FOLDER: the adapter in PEFT's format, for `bench.compare` to examine.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.rivals import LINEAR
from znatok.data.read import read_table
from znatok.model import machine
from znatok.model.source import find_base


@dataclass(frozen=True, slots=True)
class Recipe:
    """What they are told beside their own defaults. `model` is found by us, for all alike."""

    num_train_epochs: float
    learning_rate: float
    per_device_train_batch_size: int = 8
    model: str = "builtin"
    seed: int = 0


def conversations(table: Path) -> list[dict[str, Any]]:
    """The table as TRL's prompt and completion; the system part is empty, as in our exam, for their good."""
    empty = {"role": "system", "content": ""}
    return [
        {
            "prompt": [empty, {"role": "user", "content": row.question}],
            "completion": [{"role": "assistant", "content": row.answer}],
        }
        for row in read_table(table).rows
    ]


def train_trl(table: Path, folder: Path, recipe: Recipe) -> None:
    """TRL's SFTTrainer with LoRA on every linear layer, the loss on completions only."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    source = str(find_base(recipe.model).folder)
    has_gpu = torch.cuda.is_available()
    torch.set_num_threads(machine.usable_cpus())
    dtype = torch.bfloat16 if has_gpu else torch.float32
    SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(source, dtype=dtype),
        args=SFTConfig(
            **_arguments(folder, recipe),
            bf16=has_gpu or machine.cpu_dtype().name == "bfloat16",
            use_cpu=not has_gpu,
            gradient_checkpointing=False,
            completion_only_loss=True,
        ),
        train_dataset=Dataset.from_list(conversations(table)),
        processing_class=AutoTokenizer.from_pretrained(source),
        peft_config=LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules=LINEAR, task_type="CAUSAL_LM"),
    ).train()


def train_unsloth(table: Path, folder: Path, recipe: Recipe) -> None:
    """Unsloth's FastLanguageModel under TRL's SFTTrainer, as its notebooks have it; it wants a GPU."""
    # Unsloth changes the others, so it must be imported before them.
    from unsloth import FastLanguageModel  # isort: skip
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    model, tokenizer = FastLanguageModel.from_pretrained(
        str(find_base(recipe.model).folder), max_seq_length=1024, load_in_4bit=False
    )
    model = FastLanguageModel.get_peft_model(
        model, r=16, lora_alpha=32, lora_dropout=0, target_modules=LINEAR, random_state=recipe.seed
    )
    SFTTrainer(
        model=model,
        args=SFTConfig(**_arguments(folder, recipe), completion_only_loss=True),
        train_dataset=Dataset.from_list(conversations(table)),
        processing_class=tokenizer,
    ).train()


TRAINERS = {"trl": train_trl, "unsloth": train_unsloth}


def _arguments(folder: Path, recipe: Recipe) -> dict[str, Any]:
    """Both save their adapter at the end, beside what else a Trainer writes."""
    return {
        "output_dir": str(folder),
        "num_train_epochs": recipe.num_train_epochs,
        "learning_rate": recipe.learning_rate,
        "per_device_train_batch_size": recipe.per_device_train_batch_size,
        "seed": recipe.seed,
        "save_strategy": "epoch",
        "save_total_limit": 1,
        "save_only_model": True,
        "logging_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def main() -> None:
    name, table, folder, recipe = sys.argv[1:]
    TRAINERS[name](Path(table), Path(folder), Recipe(**json.loads(recipe)))


if __name__ == "__main__":
    main()
