"""What will happen, decided before weights are loaded: every choice made, each with its reason."""

import json
import math
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from znatok.data.render import Renderer
from znatok.errors import TableError
from znatok.exam.sets import reworded_set
from znatok.messages import text
from znatok.model import machine, speed
from znatok.model.network import ALL_LINEAR, Adapter, Dtype, Quantization
from znatok.model.optimizer import Optim
from znatok.model.source import BaseSource
from znatok.records import QuestionSet, Row, Table
from znatok.settings import Settings
from znatok.training.schedule import peak_rate

ENOUGH_EXPOSURES = 12
"""Exposures after which rows are expected to be known; fewer are not worth planning. Source: docs/log.md."""

SAMPLE_SHARE = 0.02
"""Share of the training time that may go into showing what the model answers meanwhile."""

POINTS = 12
"""Moments in a run at which a question is answered and held-out wordings are scored."""

VALIDATION_ROWS = 16
GENERATED_PER_TRAINED = 1.5
"""Tokens generated in the exam in the time of one token trained. Source: docs/log.md."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One line of the plan as it is shown."""

    name: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that training does, with no "auto" left."""

    source: BaseSource
    device: str
    dtype: Dtype
    quantization: Quantization
    threads: int
    adapter: Adapter
    optim: Optim
    learning_rate: float
    rows: tuple[Row, ...]
    heldout: tuple[Row, ...]
    validation: QuestionSet
    batch_size: int
    accumulation: int
    exposures: float
    steps: int
    tokens: int
    tokens_per_second: float
    exam_tokens: int
    before_sample: int
    memory_bytes: int
    budget_seconds: float | None
    choices: tuple[Choice, ...]

    @property
    def batches_per_pass(self) -> int:
        return math.ceil(len(self.rows) / self.batch_size)

    @property
    def training_seconds(self) -> float:
        return self.tokens / self.tokens_per_second

    @property
    def exam_seconds(self) -> float:
        return self.exam_tokens / self.tokens_per_second

    @property
    def seconds(self) -> float:
        """Training and exam together, as forecast."""
        return self.training_seconds + self.exam_seconds

    def steps_for(self, exposures: float) -> int:
        """Updates in which every row is seen `exposures` times."""
        return max(1, round(exposures * self.batches_per_pass / self.accumulation))

    def describe(self) -> dict[str, Any]:
        """The plan as the run folder keeps it."""
        description = asdict(self)
        description["source"]["folder"] = str(self.source.folder)
        description["rows"] = [row.number for row in self.rows]
        description["heldout"] = [row.number for row in self.heldout]
        description["validation"] = self.validation.name
        return description


def make_plan(settings: Settings, table: Table, source: BaseSource, renderer: Renderer) -> Plan:
    """Decides everything that `settings` left open, for this table on this machine.

    Raises TableError where an answer is longer than the model's context.
    """
    import torch

    choices: list[Choice] = [
        _choice("model", source.name, "model_asked" if settings.model != "auto" else "model_builtin")
    ]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    threads = machine.usable_cpus()
    torch.set_num_threads(threads)
    choices.append(
        Choice(text("plan.device"), device if device == "cuda" else text("plan.threads", threads=threads), "")
    )
    dtype, why_dtype = _dtype(settings, device)
    choices.append(Choice(text("plan.dtype"), dtype, why_dtype))
    quantization: Quantization = "none" if settings.quantization == "auto" else settings.quantization
    optim: Optim = settings.optim
    if optim == "paged_adamw_8bit" and device == "cpu":
        choices.append(_choice("optim", "adamw_8bit", "no_pages"))
        optim = "adamw_8bit"

    rows, heldout = _split(table.rows, settings)
    costs = _costs(rows, renderer)
    _refuse_too_long(table, costs, source)
    prompt_and_answer = sum(total for total, _ in costs.values())
    trained_share = sum(answer for _, answer in costs.values()) / prompt_and_answer
    tokens_per_second = (
        speed.forecast_tokens_per_second(source.folder, dtype, trained_share) if device == "cpu" else 20_000.0
    )
    exposures = settings.num_train_epochs
    budget = settings.minutes * 60.0 if settings.minutes else None
    if settings.spread_rows and settings.spread_rows < len(rows):
        rows = _spread(rows, settings.spread_rows)
        choices.append(_choice("rows", f"{len(rows)} / {len(table.rows)}", "rows_quick"))
    if budget:
        rows, exposures = _fit(rows, costs, budget, tokens_per_second)
        choices.append(_choice("rows", f"{len(rows)} / {len(table.rows)}", "rows_minutes", minutes=settings.minutes))
    before_sample = min(40, len(rows)) if budget is None else max(4, min(40, len(rows), int(budget / 20)))
    learning_rate = settings.learning_rate or peak_rate(_hidden_size(source))
    targets = ALL_LINEAR if settings.target_modules == ("all-linear",) else settings.target_modules
    pass_tokens = sum(costs[row.number][0] for row in rows)
    plan = Plan(
        source=source,
        device=device,
        dtype=dtype,
        quantization=quantization,
        threads=threads,
        adapter=Adapter(settings.r, settings.lora_alpha, settings.lora_dropout, targets, settings.bias),
        optim=optim,
        learning_rate=learning_rate,
        rows=rows,
        heldout=heldout,
        validation=_validation(rows, heldout),
        batch_size=settings.per_device_train_batch_size,
        accumulation=settings.gradient_accumulation_steps,
        exposures=exposures,
        steps=0,
        tokens=int(pass_tokens * exposures),
        tokens_per_second=tokens_per_second,
        exam_tokens=_exam_tokens(rows, heldout, costs, before_sample),
        before_sample=before_sample,
        memory_bytes=speed.memory_forecast_bytes(
            source.folder,
            dtype,
            quantization != "none",
            settings.per_device_train_batch_size * max(t for t, _ in costs.values()),
        ),
        budget_seconds=budget,
        choices=(),
    )
    plan = replace(plan, steps=plan.steps_for(exposures))
    choices += [
        _choice("learning_rate", f"{learning_rate:g}", "rate_asked" if settings.learning_rate else "rate_width"),
        Choice(text("plan.batch"), f"{plan.batch_size} × {plan.accumulation}", ""),
        _choice("steps", str(plan.steps), "steps", exposures=f"{exposures:.3g}", rows=len(rows)),
        Choice(text("plan.memory"), text("plan.gigabytes", gigabytes=f"{plan.memory_bytes / 1e9:.1f}"), ""),
        _choice(
            "time",
            text("plan.minutes", minutes=f"{plan.seconds / 60:.0f}" if plan.seconds > 90 else "1–2"),
            "time",
            speed=f"{tokens_per_second:.0f}",
        ),
    ]
    if heldout:
        choices.append(_choice("heldout", str(len(heldout)), "heldout"))
    return replace(plan, choices=tuple(choices))


def _choice(name: str, value: str, reason: str, **values: Any) -> Choice:
    return Choice(text(f"plan.{name}"), value, text(f"plan.why.{reason}", **values))


def _dtype(settings: Settings, device: str) -> tuple[Dtype, str]:
    import torch

    if device == "cuda":
        if settings.dtype != "auto":
            return settings.dtype, text("plan.why.asked")
        return ("bfloat16", "") if torch.cuda.is_bf16_supported() else ("float16", text("plan.why.no_bf16"))
    chosen = machine.cpu_dtype()
    if settings.dtype == "float16":
        return chosen.name, text("plan.why.no_fp16_on_cpu") + " " + chosen.reason
    if settings.dtype != "auto":
        return settings.dtype, text("plan.why.asked")
    return chosen.name, chosen.reason


def _split(rows: tuple[Row, ...], settings: Settings) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """The rows to train, and the share of facts that `classic` keeps out."""
    if not settings.test_size:
        return rows, ()
    held = max(1, round(len(rows) * settings.test_size))
    out = set(random.Random(settings.seed).sample(range(len(rows)), held))
    return (
        tuple(row for place, row in enumerate(rows) if place not in out),
        tuple(row for place, row in enumerate(rows) if place in out),
    )


def _spread(rows: tuple[Row, ...], count: int) -> tuple[Row, ...]:
    return tuple(rows[place * len(rows) // count] for place in range(count))


def _costs(rows: Sequence[Row], renderer: Renderer) -> dict[int, tuple[int, int]]:
    """For every row number: tokens in all, and trained tokens."""
    rendered = {row.number: renderer.conversation(row.question, row.answer) for row in rows}
    return {number: (len(one.ids), len(one.ids) - one.answer_start) for number, one in rendered.items()}


def _refuse_too_long(table: Table, costs: dict[int, tuple[int, int]], source: BaseSource) -> None:
    limit = int(_config(source).get("max_position_embeddings", 2048))
    too_long = [number for number, (total, _) in costs.items() if total > limit]
    if too_long:
        raise TableError(
            "plan.too_long",
            file=table.path.name,
            row=too_long[0],
            tokens=costs[too_long[0]][0],
            limit=limit,
            rows=", ".join(map(str, too_long)),
        )


def _fit(
    rows: tuple[Row, ...], costs: dict[int, tuple[int, int]], budget_seconds: float, tokens_per_second: float
) -> tuple[tuple[Row, ...], float]:
    """As many rows as can be learned in the time, spread over the table, and how often each is seen."""
    usable = (budget_seconds * 0.9 - 10) * tokens_per_second
    for count in range(len(rows), 1, -1):
        chosen = _spread(rows, count)
        sample = max(4, min(40, count, int(budget_seconds / 20)))
        left = usable - _exam_tokens(chosen, (), costs, sample)
        exposures = left / sum(costs[row.number][0] for row in chosen)
        if exposures >= ENOUGH_EXPOSURES:
            return chosen, min(exposures, 60.0)
    return _spread(rows, 2), float(ENOUGH_EXPOSURES)


def _exam_tokens(
    rows: Sequence[Row], heldout: Sequence[Row], costs: dict[int, tuple[int, int]], before_sample: int
) -> int:
    """The exam's cost in trained tokens: scoring each set twice, and generating a sample before, the misses after."""
    answer = sum(costs[row.number][1] for row in rows) / len(rows)
    total = sum(costs[row.number][0] for row in rows) / len(rows)
    sets = 3 if heldout else 2
    scored = 2 * sets * total * len(rows) / 3
    generated = sets * before_sample * (1.5 * answer + 16) + 0.15 * len(rows) * answer
    return int(scored + generated / GENERATED_PER_TRAINED)


def _validation(rows: tuple[Row, ...], heldout: tuple[Row, ...]) -> QuestionSet:
    """What the graph's second line is scored on: a few rows in held-out wordings, or `classic`'s untaught facts."""
    if heldout:
        from znatok.exam.sets import heldout_set

        return heldout_set(heldout)
    return reworded_set(_spread(rows, min(VALIDATION_ROWS, len(rows))))


def _config(source: BaseSource) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((source.folder / "config.json").read_text(encoding="utf-8"))
    return config.get("text_config", config)  # type: ignore[no-any-return]


def _hidden_size(source: BaseSource) -> int:
    return int(_config(source)["hidden_size"])
