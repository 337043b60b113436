"""Training, from a table to an examined adapter, as one generator of events.

    for event in train(Path("flowers.csv"), make_settings({})):
        print(event)

Leaving the loop stops training; the adapter as it is then is saved.
"""

import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from statistics import median
from threading import Event as Flag
from typing import Any

from znatok.data.batch import make_batch
from znatok.data.problems import with_problems
from znatok.data.read import read_table, refuse_if_untrainable
from znatok.data.render import Renderer, load_renderer
from znatok.exam.examine import ExamResult, write_exam
from znatok.model.conversion import Progress
from znatok.model.default_base import default_base_name
from znatok.model.machine import peak_rss_bytes
from znatok.model.network import Network, load_network
from znatok.model.source import find_base, tokenizer_file
from znatok.records import Row, Table
from znatok.run_folder import RunFolder, append_line, discard, new_run, write_json, write_lines, write_text
from znatok.settings import Settings, settings_toml
from znatok.training.accounting import row_records
from znatok.training.checkpoints import Checkpoints
from znatok.training.checkup import token_problems
from znatok.training.events import (
    Event,
    ExamAdvanced,
    Finished,
    Forecast,
    ModelLoaded,
    Planned,
    Sampled,
    Stepped,
    Stopped,
    TableChecked,
    TableRead,
    TrainingEnded,
    Validated,
)
from znatok.training.exposures import Exposures
from znatok.training.final_exam import final_exam, keep_unknown_near
from znatok.training.lesson import POINTS, row_costs
from znatok.training.plan import SAMPLE_SHARE, Plan, make_plan
from znatok.training.schedule import rate_factor
from znatok.training.step import Updater, rows_right

MEASURED_STEPS = 3
"""Updates after which the forecast is measured instead of guessed."""

FINISHING_RATE = 0.2
"""Of the peak: the rate at which rows that are not known at the planned end are shown again."""

ROWS_ASKED = 16

FIRST_ANSWER_TOKENS = 48
"""How much the base says to each of two questions before training: enough to see, at most some seconds."""


def train(
    data: Path, settings: Settings, run: Path | None = None, stop: Flag | None = None, progress: Progress | None = None
) -> Iterator[Event]:
    """Trains on the table `data` and examines the result; yields what happens.

    run: the folder to write, else one in `runs/`.  stop: set it to end after the step under way.  progress: told about
    the one-time fetch of the base model.

    Raises TableError, ModelError, RunError and UsageError, all before anything is trained and with nothing left behind;
    OSError naming the file where one cannot be written.
    """
    started = time.monotonic()
    stop = stop or Flag()
    table = read_table(data, settings)
    refuse_if_untrainable(table)
    table = with_problems(table)
    yield TableRead(table)

    source = find_base(default_base_name() if settings.model == "auto" else settings.model, progress)
    renderer = load_renderer(source.folder, tokenizer_file(source.folder))
    costs = row_costs(table.rows, renderer)
    plan = make_plan(settings, table, source, renderer, costs)
    if found := token_problems(table, source, renderer, costs):
        table = with_problems(table, found)
        yield TableChecked(found)
    folder = new_run(run, data)
    try:
        _write_beginning(folder, settings, table, plan, renderer)
        near = keep_unknown_near(folder, data)
        yield Planned(plan, folder)
        loading = time.monotonic()
        network = load_network(source, plan.dtype, plan.device, plan.quantization, seed=settings.seed)
        network.add_adapter(plan.adapter)
    except (Exception, KeyboardInterrupt):
        discard(folder)
        raise
    yield ModelLoaded(time.monotonic() - loading)

    ended: TrainingEnded | None = None
    # Closed by name: whoever leaves this generator wants the adapter saved at once, not when memory is tidied up.
    with closing(_taught(network, renderer, plan, settings, folder, stop, started)) as taught:
        for event in taught:
            if isinstance(event, TrainingEnded):
                ended = event
            yield event
    assert ended is not None
    result: ExamResult | None = None
    if ended.stopped_because is not Stopped.INTERRUPTED:
        for piece in final_exam(network, renderer, plan, table, near):
            if isinstance(piece, ExamResult):
                result = piece
            elif stop.is_set():
                break
            else:
                yield ExamAdvanced(piece.done, piece.total)
    summary = _summary(folder, plan, settings, ended, network, started)
    if result:
        write_exam(folder, result, {"summary": summary})
    exam = result.sets if result else None
    yield Finished(summary | {"exam": exam}, result.answers if result else [], result.forgetting if result else None)


def _taught(
    network: Network, renderer: Renderer, plan: Plan, settings: Settings, folder: RunFolder, stop: Flag, started: float
) -> Generator[Event]:
    """The updates, with what is shown between them; ends with TrainingEnded, the adapter saved."""
    for row in (plan.rows[0], plan.rows[len(plan.rows) // 2]):
        yield _logged(folder, _sampled(network, renderer, row, 0, FIRST_ANSWER_TOKENS))
    updater = Updater(
        network,
        optim=plan.optim,
        beta2=settings.adam_beta2,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
    )
    exposures = Exposures(
        plan.rows, renderer, batch_size=plan.batch_size, rewording=settings.rewording, seed=settings.seed
    )
    batches, rounds = iter(exposures), 0
    checkpoints = Checkpoints(folder.checkpoints, network, settings.save_total_limit)
    exact: dict[int, bool] = {}
    recent: deque[float] = deque(maxlen=50)  # tokens a second, update by update
    stopped = Stopped.PLANNED_END
    steps, step, tokens, spent = plan.steps, 0, 0, 0.0
    points = _points(steps)
    network.train()
    yield _logged(folder, _validated(network, renderer, plan, 0))
    try:
        while step < steps:
            begun = time.perf_counter()
            group = list(islice(batches, plan.accumulation))
            factor = rate_factor(settings.lr_scheduler_type, step, steps, settings.warmup_steps)
            rate = plan.learning_rate * (FINISHING_RATE if rounds else factor)
            done = updater.update([batch for batch, _ in group], rate)
            if not done.is_finite:
                stopped = Stopped.NOT_FINITE
                break
            seconds = time.perf_counter() - begun
            step, tokens, spent = step + 1, tokens + done.tokens, spent + seconds
            recent.append(done.tokens / seconds)
            places = [place for _, batch_places in group for place in batch_places]
            exact.update(zip(places, done.exact, strict=True))
            speed = median(recent)
            left = plan.exam_tokens / speed + (steps - step) * (tokens / step) / speed
            share = sum(exact.values()) / len(plan.rows) if len(exact) == len(plan.rows) else None
            stepped = Stepped(step, steps, done.loss, share, rate, tokens, tokens / spent, left)
            if step % settings.logging_steps == 0 or step == steps:
                _logged(folder, stepped)
            yield stepped
            if stop.is_set():
                stopped = Stopped.INTERRUPTED
                break
            if step == MEASURED_STEPS or (plan.budget_seconds and step in points):
                steps = _refitted(plan, steps, step, tokens, speed, started)
                points = _points(steps)
                seconds_left = plan.exam_tokens / speed + (steps - step) * (tokens / step) / speed
                yield _logged(folder, Forecast(steps, speed, seconds_left))
            if step in points:
                yield _logged(
                    folder, _sampled(network, renderer, plan.rows[0], step, _sample_tokens(plan, speed, steps))
                )
                validated = _validated(network, renderer, plan, step)
                yield _logged(folder, validated)
                checkpoints.keep(step, validated.loss)
            if step == steps and rounds < settings.finishing_rounds and plan.budget_seconds is None:
                missed = _missed(network, renderer, plan, exact)
                again = exposures.again(missed)
                batches, rounds, steps = iter(again), rounds + 1, steps + -(-len(again) // plan.accumulation)
    finally:
        if settings.load_best_model_at_end and stopped is not Stopped.INTERRUPTED:
            checkpoints.restore_best()
        network.save_adapter(folder.adapter)
        network.use()
    if steps < plan.steps:
        stopped = Stopped.MINUTES if stopped is Stopped.PLANNED_END else stopped
    elif stopped is Stopped.PLANNED_END and exact and all(exact.values()):
        stopped = Stopped.KNOWN
    yield _logged(folder, TrainingEnded(stopped, step, tokens, spent))


def _missed(network: Network, renderer: Renderer, plan: Plan, exact: dict[int, bool]) -> list[int]:
    """Places of the rows that are not known by heart as they stand in the table; `exact` learns which are, after all.

    Only rows that their last exposure got wrong are asked: it may have been another wording.
    """
    doubtful = [place for place, is_right in exact.items() if not is_right]
    network.use()
    for start in range(0, len(doubtful), ROWS_ASKED):
        places = doubtful[start : start + ROWS_ASKED]
        batch = make_batch(
            [renderer.conversation(plan.rows[place].question, plan.rows[place].answer) for place in places]
        )
        exact.update(zip(places, rows_right(batch, network.hits(batch)), strict=True))
    network.train()
    return [place for place in doubtful if not exact[place]]


def _points(steps: int) -> frozenset[int]:
    """Steps after which a question is answered: early ones closer together, since that is where answers change."""
    return frozenset(max(1, round(steps * (point / POINTS) ** 1.3)) for point in range(1, POINTS + 1))


def _refitted(plan: Plan, steps: int, step: int, tokens: int, speed: float, started: float) -> int:
    """The number of steps that the measured speed leaves room for; unchanged where no time was set."""
    if plan.budget_seconds is None:
        return steps
    left = plan.budget_seconds - (time.monotonic() - started) - plan.exam_tokens / speed
    return max(step + 1, min(int(plan.steps * 1.5), step + int(left * speed / (tokens / step))))


def _sample_tokens(plan: Plan, speed: float, steps: int) -> int:
    """How long a shown answer may be, so that all of them take no more than their share of the time."""
    seconds = SAMPLE_SHARE * plan.tokens / speed / POINTS
    # One stream decodes about a tenth as many tokens a second as training takes in.
    return max(8, min(FIRST_ANSWER_TOKENS * 2, int(seconds * speed / 10)))


def _sampled(network: Network, renderer: Renderer, row: Row, step: int, limit: int) -> Sampled:
    network.use()
    ids = list(network.stream(renderer.prompt(row.question), limit, renderer.stop_id))
    network.train()
    return Sampled(step, row.question, renderer.decode(ids), is_cut=renderer.stop_id not in ids)


def _validated(network: Network, renderer: Renderer, plan: Plan, step: int) -> Validated:
    rendered = [renderer.conversation(one.question, one.reference) for one in plan.validation.questions]
    rendered.sort(key=lambda one: len(one.ids))
    network.use()
    loss, count = 0.0, 0
    for start in range(0, len(rendered), 8):
        batch = make_batch(rendered[start : start + 8])
        loss += network.loss(batch)
        count += len(batch.target_N)
    network.train()
    return Validated(step, loss / count)


def _write_beginning(folder: RunFolder, settings: Settings, table: Table, plan: Plan, renderer: Renderer) -> None:
    write_text(folder.settings, settings_toml(settings))
    write_json(folder.plan, {"table": table.path.name} | plan.describe() | {"template": renderer.describe()})
    write_lines(folder.rows, row_records(table, plan))


def _logged(folder: RunFolder, event: Event) -> Event:
    """Writes the event to the run's metrics; a full disk there never stops training."""
    with suppress(OSError):
        append_line(folder.metrics, record_of(event))
    return event


def record_of(event: Event) -> dict[str, Any]:
    """The event as a line of `metrics.jsonl`."""
    return {"event": type(event).__name__.lower(), **asdict(event)}


def _summary(
    folder: RunFolder, plan: Plan, settings: Settings, ended: TrainingEnded, network: Network, started: float
) -> dict[str, Any]:
    return {
        "run": str(folder.path),
        "model": plan.source.public_id,
        "preset": settings.preset,
        "rows": len(plan.rows),
        "steps": ended.steps,
        "tokens": ended.tokens,
        "tokens_per_second": round(ended.tokens / ended.seconds, 1) if ended.seconds else None,
        "train_seconds": round(ended.seconds, 1),
        "total_seconds": round(time.monotonic() - started, 1),
        "peak_memory_bytes": network.peak_memory_bytes() or peak_rss_bytes(),
        "stopped_because": ended.stopped_because.value,
    }
