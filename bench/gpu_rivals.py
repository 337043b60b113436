"""What others make of the same rows on a GPU: TRL and Unsloth as their own documentation has them, nothing recomputed.

LoRA r 16 on all linear layers of an NF4 base, bf16, loss on the answers, no evaluation, nothing saved; rows of like
length side by side. Tokens are those of the rows, padding not counted.
"""

import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from bench.rivals import LINEAR
from bench.shapes import table_rows, uniform_rows
from znatok.records import Rendered

WARM_UP, MEASURED = 6, 20


def measure(asked: dict[str, Any], folder: Path, table: Path) -> dict[str, Any]:
    """asked: `name` trl or unsloth, `kind` uniform or table, `rows` in a batch."""
    rows = _rows(asked, table)
    batches = [rows[start : start + asked["rows"]] for start in range(0, len(rows), asked["rows"])]
    begun = time.perf_counter()
    model, lora, trainer_class, config_class = (_trl if asked["name"] == "trl" else _unsloth)(folder)
    import torch
    from datasets import Dataset
    from transformers import TrainerCallback

    marks: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            torch.cuda.synchronize()
            marks.append(time.perf_counter())

    masks = [[0] * row.answer_start + [1] * (len(row.ids) - row.answer_start) for row in rows]
    data = Dataset.from_dict({"input_ids": [list(row.ids) for row in rows], "completion_mask": masks})
    with tempfile.TemporaryDirectory() as place:
        arguments = config_class(
            output_dir=place,
            max_steps=WARM_UP + MEASURED + 1,
            per_device_train_batch_size=asked["rows"],
            learning_rate=1e-4,
            lr_scheduler_type="constant",
            bf16=True,
            gradient_checkpointing=False,
            completion_only_loss=True,
            max_length=None,
            train_sampling_strategy="sequential",
            logging_strategy="no",
            eval_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer_class(
            model=model,
            args=arguments,
            train_dataset=data,
            processing_class=_tokenizer(folder),
            callbacks=[Clock()],
            **({"peft_config": lora} if lora is not None else {}),
        ).train()
    tokens = [sum(len(row.ids) for row in batches[place % len(batches)]) for place in range(len(marks) - 1)]
    seconds = [later - earlier for earlier, later in pairwise(marks)]
    speeds = [count / one for count, one in zip(tokens, seconds, strict=True)][WARM_UP:]
    return {
        "tokens_per_second": round(median(speeds)),
        "start_seconds": round(marks[0] - begun, 1),
        "peak_memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
    }


def _rows(asked: dict[str, Any], table: Path) -> list[Rendered]:
    """So many full batches as are trained; those of the table sorted by length, which spares a rival its padding."""
    count = asked["rows"] * (WARM_UP + MEASURED + 1)
    if asked["kind"] == "uniform":
        return uniform_rows(count)
    rows, renderer = table_rows(table)
    rendered = sorted((renderer.conversation(row.question, row.answer) for row in rows), key=lambda row: len(row.ids))
    return (rendered[: len(rendered) // asked["rows"] * asked["rows"]] * count)[:count]


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    return tokenizer


def _trl(folder: Path) -> tuple[Any, Any, Any, Any]:
    import torch
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig
    from trl import SFTConfig, SFTTrainer

    four_bits = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16, quantization_config=four_bits, device_map={"": "cuda"}
    )
    lora = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules=LINEAR, task_type="CAUSAL_LM")
    return model, lora, SFTTrainer, SFTConfig


def _unsloth(folder: Path) -> tuple[Any, Any, Any, Any]:
    from unsloth import FastLanguageModel  # before trl, which it changes  # isort: skip
    from trl import SFTConfig, SFTTrainer

    model, _ = FastLanguageModel.from_pretrained(str(folder), max_seq_length=2048, load_in_4bit=True)
    model = FastLanguageModel.get_peft_model(
        model, r=16, lora_alpha=32, lora_dropout=0, target_modules=LINEAR, use_gradient_checkpointing=False
    )
    return model, None, SFTTrainer, SFTConfig
