"""Those who are compared, each in a process of its own that trains only when it is told to.

    python -m bench.rivals WORK.json ours|trl|classic '{"dtype": "float32"}'

A line with a number on stdin: so many updates. The answer is one line of JSON on stdout: of each update its seconds,
its tokens without padding and its loss, and the most memory the process has held. The end of stdin ends the process.
Everything else that the libraries have to say goes to stderr.

Each update is timed from where the one before ended: fetching its batch, forward, backward, optimizer, bookkeeping.
All take the ids from `Work`, so that none is measured on another template or another count of tokens.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from bench.work import LONGEST, Work, read_work
from znatok.data.batch import make_batch
from znatok.model import machine

RATE = 1e-3
CLASSIC_RATE = 2e-4
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
LINEAR = [*ATTENTION, "gate_proj", "up_proj", "down_proj"]


@dataclass(frozen=True, slots=True)
class Setup:
    """What one of them is asked to do otherwise than by default.

    dtype: of the frozen weights; the adapter is float32 for all.  autocast: TRL's `bf16`.  padding_free: TRL's, rows
    end to end in one.
    """

    dtype: Literal["float32", "bfloat16"] = "float32"
    autocast: bool = False
    padding_free: bool = False

    @property
    def numbers(self) -> str:
        """The format in which most products are made."""
        return "bfloat16" if self.autocast else self.dtype

    def __str__(self) -> str:
        words = [self.dtype, *(["autocast"] if self.autocast else []), *(["padding-free"] if self.padding_free else [])]
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Update:
    """One update as it was measured. `loss` is per trained token, before the update."""

    seconds: float
    tokens: int
    loss: float


class Pace:
    """Lets updates through, as many as are asked for, and tells what they took; between rounds everything stands."""

    def __init__(self, ask: Callable[[], int], tell: Callable[[list[Update]], None]) -> None:
        """ask: waits until updates are wanted, and says how many; what it raises ends the training."""
        self._ask = ask
        self._tell = tell
        self._asked = 0
        self._done: list[Update] = []
        self._begun: float | None = None
        self._tokens, self._loss = 0, 0.0

    def trained(self, tokens: int, loss: float) -> None:
        """One batch, or one part of an accumulated batch, was trained."""
        self._tokens += tokens
        self._loss += loss

    def step(self) -> None:
        """Comes before every update; the one before has ended here."""
        if self._begun is not None:
            self._done.append(Update(time.perf_counter() - self._begun, self._tokens, self._loss))
        if len(self._done) == self._asked:
            self._tell(self._done)
            self._done = []
            self._asked = self._ask()
        self._tokens, self._loss = 0, 0.0
        self._begun = time.perf_counter()


def train_ours(work: Work, setup: Setup, pace: Pace) -> None:
    """Our update: every linear layer, r 16, float32 master adapters."""
    from znatok.model.adapter import Adapter
    from znatok.model.base import load_network
    from znatok.model.source import find_base
    from znatok.training.step import Updater

    machine.use_cpus(work.threads)
    network = load_network(find_base(work.folder), setup.dtype, "cpu")
    network.add_adapter(Adapter())
    network.train()
    updater = Updater(network, optim="adamw_torch", beta2=0.99, weight_decay=0.0, max_grad_norm=1.0)
    for places in work.batches:
        pace.step()
        step = updater.update([make_batch([work.rows[place] for place in places])], RATE)
        pace.trained(step.tokens, step.loss)


def train_trl(work: Work, setup: Setup, pace: Pace) -> None:
    """TRL's SFTTrainer: every linear layer, r 16, loss on the answers, nothing recomputed, evaluated or saved.

    Its batches are ours, which spares it padding: by itself it would draw them at random.
    """
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    model, tokenizer = _hub_model(work, setup)
    rows = [work.rows[place] for places in work.batches for place in places]
    masks = [[0] * row.answer_start + [1] * (len(row.ids) - row.answer_start) for row in rows]
    data = Dataset.from_dict({"input_ids": [list(row.ids) for row in rows], "completion_mask": masks})
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            **_arguments(work, folder),
            per_device_train_batch_size=len(work.batches[0]),
            learning_rate=RATE,
            bf16=setup.autocast,
            gradient_checkpointing=False,
            completion_only_loss=True,
            padding_free=setup.padding_free,
            max_length=None,
        )
        lora = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules=LINEAR, task_type="CAUSAL_LM")
        _paced(SFTTrainer, pace)(
            model=model, args=arguments, train_dataset=data, processing_class=tokenizer, peft_config=lora
        ).train()


def train_classic(work: Work, setup: Setup, pace: Pace) -> None:
    """The recipe of a thousand notebooks: Trainer with the language-modelling collator, every row padded to 512 tokens,
    attention layers only, dropout, 2 rows accumulated up to the batch, the end-of-turn token as padding.

    float32 always, as that recipe has it on a CPU: its 4-bit weights and paged optimizer want a GPU.
    """
    from peft import LoraConfig, get_peft_model
    from transformers import DataCollatorForLanguageModeling, Trainer, TrainingArguments

    model, tokenizer = _hub_model(work, setup)
    tokenizer.pad_token = tokenizer.eos_token
    lora = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.05, target_modules=ATTENTION, task_type="CAUSAL_LM")
    rows = [work.rows[place] for places in work.batches for place in places]
    data = [
        {
            "input_ids": [*row.ids, *[tokenizer.pad_token_id] * (LONGEST - len(row.ids))],
            "attention_mask": [1] * len(row.ids) + [0] * (LONGEST - len(row.ids)),
        }
        for row in rows
    ]
    batch = len(work.batches[0])
    together = 2 if batch % 2 == 0 else 1
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            **_arguments(work, folder),
            per_device_train_batch_size=together,
            gradient_accumulation_steps=batch // together,
            learning_rate=CLASSIC_RATE,
        )
        _paced(Trainer, pace)(
            model=get_peft_model(model, lora),
            args=arguments,
            train_dataset=data,
            data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
        ).train()


TRAINERS = {"ours": train_ours, "trl": train_trl, "classic": train_classic}


def _hub_model(work: Work, setup: Setup) -> tuple[Any, Any]:
    """The base and its tokenizer as everyone loads them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(work.threads)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(work.folder, dtype=getattr(torch, setup.dtype))
    return model, AutoTokenizer.from_pretrained(work.folder)


def _arguments(work: Work, folder: str) -> dict[str, Any]:
    """What both Trainers are told alike: to do nothing but train, in the order of `Work`, once."""
    return {
        "output_dir": folder,
        "max_steps": len(work.batches),
        "train_sampling_strategy": "sequential",
        "lr_scheduler_type": "constant",
        "use_cpu": True,
        "dataloader_pin_memory": False,
        "logging_strategy": "no",
        "eval_strategy": "no",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def _paced(trainer: Any, pace: Pace) -> Any:
    """`trainer`, which waits for `pace` before every update and tells it what was trained."""
    from transformers import TrainerCallback

    class Waiting(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            pace.step()

    class Paced(trainer):  # type: ignore[misc]
        def __init__(self, **asked: Any) -> None:
            super().__init__(**asked, callbacks=[Waiting()])

        def training_step(self, model: Any, inputs: Any, *rest: Any) -> Any:
            # Without padding there is no mask.
            mask = inputs.get("attention_mask")
            tokens = inputs["input_ids"].numel() if mask is None else int(mask.sum())
            loss = super().training_step(model, inputs, *rest)
            pace.trained(tokens, float(loss))
            return loss

    return Paced


def main() -> None:
    work_file, name, setup = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is not for the one who listens

    def ask() -> int:
        line = sys.stdin.readline()
        if not line:
            raise SystemExit
        return int(line)

    def tell(updates: list[Update]) -> None:
        said = {"updates": [asdict(one) for one in updates], "peak_memory_bytes": machine.peak_rss_bytes()}
        print(json.dumps(said), file=answers, flush=True)

    TRAINERS[name](read_work(Path(work_file)), Setup(**json.loads(setup)), Pace(ask, tell))


if __name__ == "__main__":
    main()
