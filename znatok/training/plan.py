"""What will happen, decided before weights are loaded: every choice made, each with its reason."""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from znatok.data.render import Renderer
from znatok.errors import ModelError, TableError
from znatok.messages import text
from znatok.model import machine, speed
from znatok.model.adapter import ALL_LINEAR, Adapter
from znatok.model.attention import LONGEST
from znatok.model.gpu import driver_without_cuda_notice
from znatok.model.network import Dtype, Quantization
from znatok.model.optimizer import Optim
from znatok.model.source import BaseSource
from znatok.records import QuestionSet, Row, Table
from znatok.settings import PRESETS, RewordingFamily, Settings
from znatok.training.lesson import (
    FEWEST_EXPOSURES,
    LESSON_TOKENS,
    MANY_EXPOSURES,
    Cost,
    Lesson,
    make_lesson,
    row_costs,
    turn_tokens,
)
from znatok.training.schedule import peak_rate
from znatok.training.scope import Scope, decide_scope, refusal_tokens

SAMPLE_SHARE = 0.02
"""Share of the training time that may go into showing what the model answers meanwhile."""

GPU_TOKENS_PER_SECOND = 20_000.0
"""A first guess for any GPU; three steps later it is measured."""

CURRICULUM_ROWS, MANY_ROWS = 50, 300
"""Rows that are learned first, and from how many on there is such a beginning. docs/recipe.md says what it did."""

ROOMY = 0.8
"""Of a GPU's free memory: more than that a base in full may not need, or it is quantised."""

SHAPE = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "vocab_size")
"""What a base's config.json must say for the forecasts; the models that we can train all do."""


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
    replay: float
    replay_cost: int
    history_share: float
    curriculum_rows: int
    """Rows that are learned first, then twice as many, and so on; 0 where all come from the first pass on."""
    rewording_mix: tuple[RewordingFamily, ...]
    tokens_per_second: float
    exam_tokens: int
    before_sample: int
    memory_bytes: int
    budget_seconds: float | None
    scope: Literal["open", "strict"]
    refusal: str | None
    """The sentence with which all but the rows is declined; None under `open`."""
    choices: tuple[Choice, ...]

    @property
    def training_seconds(self) -> float:
        return (self.tokens + self.replay_cost) / self.tokens_per_second

    @property
    def exam_seconds(self) -> float:
        return self.exam_tokens / self.tokens_per_second

    @property
    def seconds(self) -> float:
        """Training and exam together, as forecast."""
        return self.training_seconds + self.exam_seconds

    @property
    def replay_factor(self) -> float:
        """What replay multiplies the work for each token of the table by."""
        return 1 + self.replay_cost / self.tokens

    @property
    def trained_paraphrases(self) -> int:
        return sum(len(row.paraphrases) for row in self.rows)

    @property
    def examined_paraphrases(self) -> int:
        return sum(len(row.examined) for row in self.rows)

    def describe(self) -> dict[str, Any]:
        """The plan as the run folder keeps it."""
        description = asdict(self)
        description["source"]["folder"] = str(self.source.folder)
        description["rows"] = [row.number for row in self.rows]
        description["heldout"] = [row.number for row in self.heldout]
        description["validation"] = self.validation.name
        description["paraphrases"] = {"trained": self.trained_paraphrases, "examined": self.examined_paraphrases}
        return description


def make_plan(
    settings: Settings, table: Table, source: BaseSource, renderer: Renderer, costs: dict[int, Cost] | None = None
) -> Plan:
    """Decides everything that `settings` left open, for this table on this machine.

    costs: those of all rows, where they are known already.

    Raises TableError where a row is longer than the model's context, ModelError where the model has another shape.
    """
    means = _means(settings)
    costs = row_costs(table.rows, renderer) if costs is None else costs
    _refuse_too_long(table, costs, source)
    tokens_per_second = _forecast(means, source, costs)
    lesson_tokens = LESSON_TOKENS["cuda" if means.device == "cuda" else means.dtype]
    scope = decide_scope(settings, table.rows, costs, renderer)
    if scope.refusal and settings.replay is None:  # what replay keeps is declined
        settings = settings.model_copy(update={"replay": 0.0})
    declined = refusal_tokens(scope, table.rows, renderer)
    turn = turn_tokens(table.rows, costs, renderer)
    lesson = make_lesson(settings, table, costs, tokens_per_second, lesson_tokens, declined, turn)
    longest = max(lesson.longest, min(2 * lesson.longest, LONGEST)) if lesson.history_share else lesson.longest
    means = _with_room(means, settings, source, settings.per_device_train_batch_size * longest)
    targets = ALL_LINEAR if settings.target_modules == ("all-linear",) else settings.target_modules
    batch_size, accumulation = settings.per_device_train_batch_size, settings.gradient_accumulation_steps
    batches = math.ceil(len(lesson.rows) / batch_size)
    plan = Plan(
        source=source,
        device=means.device,
        dtype=means.dtype,
        quantization=means.quantization,
        threads=means.threads,
        adapter=Adapter(settings.r, settings.lora_alpha, settings.lora_dropout, targets, settings.bias),
        optim=means.optim,
        learning_rate=settings.learning_rate or peak_rate(int(_config(source)["hidden_size"])),
        rows=lesson.rows,
        heldout=lesson.heldout,
        validation=lesson.validation,
        batch_size=batch_size,
        accumulation=accumulation,
        exposures=lesson.exposures,
        steps=max(1, round(lesson.exposures * batches / accumulation)),
        tokens=lesson.tokens,
        replay=lesson.replay,
        replay_cost=lesson.replay_cost,
        history_share=lesson.history_share,
        curriculum_rows=_curriculum_rows(settings, lesson),
        rewording_mix=lesson.mix,
        tokens_per_second=tokens_per_second,
        exam_tokens=lesson.exam_tokens,
        before_sample=lesson.before_sample,
        memory_bytes=speed.memory_forecast_bytes(
            source.folder, means.dtype, means.quantization != "none", batch_size * longest, means.device
        ),
        budget_seconds=settings.minutes * 60 if settings.minutes else None,
        scope=scope.name,
        refusal=scope.refusal,
        choices=(),
    )
    return replace(plan, choices=(*_choices(plan, means, settings, table, lesson, scope),))


@dataclass(frozen=True, slots=True)
class _Means:
    """What the machine gives: the choices that do not depend on the table, each with its reason."""

    device: str
    threads: int
    dtype: Dtype
    why_dtype: str
    quantization: Quantization
    why_quantization: str
    optim: Optim


def _means(settings: Settings) -> _Means:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    threads = machine.usable_cpus()
    machine.use_cpus(threads)
    dtype, why_dtype = _dtype(settings, device)
    paged_on_cpu = settings.optim == "paged_adamw_8bit" and device == "cpu"
    return _Means(
        device=device,
        threads=threads,
        dtype=dtype,
        why_dtype=why_dtype,
        quantization="none" if settings.quantization == "auto" else settings.quantization,
        why_quantization=text("plan.why.asked"),
        optim="adamw_8bit" if paged_on_cpu else settings.optim,
    )


def _curriculum_rows(settings: Settings, lesson: Lesson) -> int:
    """What was asked; else a few, where there are many rows. None where a row that comes late would hardly be shown: in
    few exposures, in a time that may cut them, or where more than half of the rows come first."""
    rows = len(lesson.rows)
    first = settings.curriculum_rows
    if first is None:
        first = CURRICULUM_ROWS if rows >= MANY_ROWS else 0
    has_time = lesson.exposures >= FEWEST_EXPOSURES and settings.minutes is None
    return first if has_time and 2 * first <= rows else 0


def _with_room(means: _Means, settings: Settings, source: BaseSource, batch_tokens: int) -> _Means:
    """The same, with the base in 4 bits where it was left open and the GPU has no room for it in full."""
    import torch

    if means.device == "cpu" or settings.quantization != "auto":
        return means
    needed = speed.memory_forecast_bytes(source.folder, means.dtype, False, batch_tokens, means.device)
    free, _ = torch.cuda.mem_get_info()
    if needed < ROOMY * free:
        return means
    shown = {"needed": f"{needed / 1e9:.1f}", "free": f"{free / 1e9:.1f}"}
    why = text("plan.why.no_room", dtype=means.dtype, **shown)
    return replace(means, quantization="nf4", why_quantization=why)


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


def _forecast(means: _Means, source: BaseSource, costs: dict[int, Cost]) -> float:
    """Tokens a second to expect; on a GPU a first guess that the first steps replace."""
    if means.device != "cpu":
        return GPU_TOKENS_PER_SECOND
    trained_share = sum(cost.answer for cost in costs.values()) / sum(cost.tokens for cost in costs.values())
    forecast = speed.forecast_tokens_per_second(source.folder, means.dtype, trained_share)
    # Each product unpacks its 4-bit weights first: 4.7 times slower where measured, with AMX; 1.5 without is a guess.
    return forecast if means.quantization == "none" else forecast / (4.7 if means.dtype == "bfloat16" else 1.5)


def _choices(
    plan: Plan, means: _Means, settings: Settings, table: Table, lesson: Lesson, scope: Scope
) -> Iterator[Choice]:
    """The plan as it is shown, line by line."""
    if notice := driver_without_cuda_notice():
        yield Choice(text("plan.gpu"), text("plan.gpu_idle"), notice)
    why = "model_asked" if settings.model != "auto" else "model_builtin" if plan.source.is_builtin else "model_gpu"
    yield _choice("model", plan.source.name, why)
    on_cpu = text("plan.threads", threads=plan.threads)
    yield Choice(text("plan.device"), on_cpu if plan.device == "cpu" else plan.device, "")
    yield Choice(text("plan.dtype"), plan.dtype, means.why_dtype)
    if plan.quantization != "none":
        yield Choice(text("plan.quantization"), plan.quantization, means.why_quantization)
    if plan.optim != settings.optim:
        yield _choice("optim", plan.optim, "no_pages")
    if settings.deterministic:
        yield _choice(
            "deterministic", text("plan.yes"), "deterministic_cpu" if plan.device == "cpu" else "deterministic"
        )
    rows = str(len(plan.rows)) if len(plan.rows) == len(table.rows) else f"{len(plan.rows)} / {len(table.rows)}"
    yield Choice(text("plan.rows"), rows, lesson.reason or "")
    if plan.heldout:
        yield _choice("heldout", str(len(plan.heldout)), "heldout")
    yield from _paraphrases(plan, settings, table)
    if settings.rewording:
        why = "asked" if settings.rewording_mix else "mix_many" if plan.exposures >= MANY_EXPOSURES else "mix_few"
        yield _choice("rewording_mix", ", ".join(dict.fromkeys(plan.rewording_mix)), why)
    elif settings.rewording_mix:
        yield _choice("rewording_mix", ", ".join(settings.rewording_mix), "no_rewording")
    if plan.history_share:
        yield _choice("history", text("plan.history_share", percent=f"{100 * plan.history_share:.3g}"), "history")
    if plan.curriculum_rows:
        value = text("plan.curriculum_rows", first=plan.curriculum_rows)
        yield _choice("curriculum", value, "asked" if settings.curriculum_rows else "curriculum")
    elif settings.curriculum_rows:
        yield _choice("curriculum", text("plan.curriculum_none"), "curriculum_none", fewest=FEWEST_EXPOSURES)
    yield _choice("learning_rate", f"{plan.learning_rate:g}", "rate_asked" if settings.learning_rate else "rate_width")
    yield Choice(text("plan.batch"), f"{plan.batch_size} × {plan.accumulation}", "")
    yield _choice("steps", str(plan.steps), "steps", exposures=f"{plan.exposures:.3g}", rows=len(plan.rows))
    yield Choice(text("plan.scope"), text(f"plan.scope_{plan.scope}", refusal=plan.refusal or ""), scope.reason)
    yield from _replay(plan, settings)
    yield Choice(text("plan.memory"), text("plan.gigabytes", gigabytes=f"{plan.memory_bytes / 1e9:.1f}"), "")
    minutes = text("plan.minutes", minutes=max(1, round(plan.seconds / 60)))
    yield _choice("time", minutes, "time", speed=f"{plan.tokens_per_second:.0f}")


def _paraphrases(plan: Plan, settings: Settings, table: Table) -> Iterator[Choice]:
    """How many paraphrases are trained and examined; or that there are none, where their use was asked for."""
    if any(row.paraphrases for row in table.rows):
        counts = {"trained": plan.trained_paraphrases, "examined": plan.examined_paraphrases}
        value = text("plan.paraphrases_use", **counts)
        yield Choice(text("plan.paraphrases"), value, text(f"plan.why.paraphrases_{settings.paraphrases}"))
    elif settings.paraphrases != PRESETS[settings.preset].get("paraphrases", Settings().paraphrases):
        yield _choice("paraphrases", text("plan.paraphrases_none"), "paraphrases_none")


def _replay(plan: Plan, settings: Settings) -> Iterator[Choice]:
    """The share that is replayed; or that nothing is, where that was not asked for."""
    if plan.replay:
        yield _choice("replay", text("plan.replay_share", percent=f"{100 * plan.replay:.3g}"), "replay")
    elif settings.replay is None and settings.minutes is None and settings.preset == "learn":
        yield _choice("replay", text("plan.replay_none"), "replay_no_time", many=MANY_EXPOSURES)
    elif settings.replay_weight != Settings().replay_weight:
        yield _choice("replay", text("plan.replay_none"), "replay_strict" if plan.refusal else "replay_none")


def _choice(name: str, value: str, reason: str, **values: Any) -> Choice:
    return Choice(text(f"plan.{name}"), value, text(f"plan.why.{reason}", **values))


def _refuse_too_long(table: Table, costs: dict[int, Cost], source: BaseSource) -> None:
    limit = context_tokens(source)
    too_long = [number for number, cost in costs.items() if cost.longest > limit]
    if too_long:
        raise TableError(
            "plan.too_long",
            file=table.path.name,
            row=too_long[0],
            tokens=costs[too_long[0]].longest,
            limit=limit,
            rows=", ".join(map(str, too_long)),
        )


def context_tokens(source: BaseSource) -> int:
    """Tokens that the base holds, question and answer together."""
    return int(_config(source).get("max_position_embeddings", 2048))


def _config(source: BaseSource) -> dict[str, Any]:
    """The base's shape. Raises ModelError where it is not described as Llama, Qwen and Gemma are."""
    config: dict[str, Any] = json.loads((source.folder / "config.json").read_text(encoding="utf-8"))
    config = config.get("text_config", config)
    absent = [name for name in SHAPE if not isinstance(config.get(name), int)]
    if absent:
        raise ModelError("source.unknown_shape", folder=source.folder, names=", ".join(absent))
    return config
