"""Training, from a table to an examined adapter, as one generator of events.

    for event in train(Path("flowers.csv"), make_settings({})):
        print(event)

Leaving the loop stops training; the adapter as it is then is saved, and `resume` goes on from there.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event as Flag
from typing import Any

from znatok.data.problems import with_problems
from znatok.data.read import read_table, refuse_if_untrainable
from znatok.data.render import Renderer, load_renderer
from znatok.exam.examine import ExamResult, write_exam
from znatok.model.base import load_network
from znatok.model.conversion import Progress
from znatok.model.default_base import default_base_name
from znatok.model.machine import give_same_bits, peak_rss_bytes, use_cpus
from znatok.model.network import Network
from znatok.model.source import find_base, tokenizer_file
from znatok.records import Table
from znatok.run_folder import RunFolder, discard, new_run, write_json, write_lines, write_text
from znatok.settings import Settings, settings_toml
from znatok.training.accounting import row_records
from znatok.training.checkpoints import Checkpoint, read_checkpoints, read_ended
from znatok.training.checkup import token_problems
from znatok.training.events import (
    Event,
    ExamAdvanced,
    Finished,
    ModelLoaded,
    Planned,
    Resumed,
    Stopped,
    TableChecked,
    TableRead,
    TrainingEnded,
)
from znatok.training.final_exam import final_exam, keep_unknown_near
from znatok.training.lesson import row_costs
from znatok.training.lock import held
from znatok.training.metrics import cut_metrics
from znatok.training.plan import Plan, make_plan
from znatok.training.resume import clear_unfinished, read_begun
from znatok.training.updates import CAN_GO_ON, Course, updates


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
    with held(folder):
        try:
            near = keep_unknown_near(folder, data)
            _write_beginning(folder, settings, table, plan, renderer)
            yield Planned(plan, folder)
            loading = time.monotonic()
            network = _network(plan, settings)
        except (Exception, KeyboardInterrupt):
            discard(folder)
            raise
        yield ModelLoaded(time.monotonic() - loading)
        course = Course(network, renderer, plan, settings, folder)
        yield from _to_the_end(course, table, near, stop or Flag(), started)


def resume(
    run: RunFolder,
    asked: Mapping[str, Any] | None = None,
    data: Path | None = None,
    stop: Flag | None = None,
    progress: Progress | None = None,
) -> Iterator[Event]:
    """Goes on with a run that was stopped, from the last state that was saved; what it was begun with holds.

    asked: settings that must be those of the run.  data: a table that must have the rows of the run.

    Raises RunError where they differ, another process trains there, or a file of the run is damaged; ModelError where
    the base is gone; OSError naming the file where one cannot be written. The run stays as it was.
    """
    started = time.monotonic()
    stop = stop or Flag()
    with held(run):
        clear_unfinished(run)
        begun = read_begun(run, asked or {}, data, progress)
        plan, table, near = begun.plan, begun.table, begun.near
        use_cpus(plan.threads)
        yield Planned(plan, run)
        loading = time.monotonic()
        network = _network(plan, begun.settings)
        yield ModelLoaded(time.monotonic() - loading)
        course = Course(network, begun.renderer, plan, begun.settings, run)
        if over := read_ended(run):
            ended, elapsed = over
            cut_metrics(run, None)
            network.read_adapter(run.adapter)
            network.use()
            yield ended
            yield from _examined(course, table, near, ended, stop, started - elapsed)
            return
        saved, damaged = read_checkpoints(run.checkpoints)
        run.ended.unlink(missing_ok=True)
        if not saved:
            run.metrics.unlink(missing_ok=True)
            yield Resumed(None, plan.steps, tuple(damaged))
            yield from _to_the_end(course, table, near, stop, started)
            return
        state = saved[-1].state
        yield Resumed(state.step, state.steps, tuple(damaged))
        yield from _to_the_end(course, table, near, stop, started - state.elapsed, saved)


def _network(plan: Plan, settings: Settings) -> Network:
    """The base with a fresh adapter, as the plan has it."""
    if settings.deterministic and plan.device == "cuda":
        give_same_bits()
    network = load_network(
        plan.source,
        plan.dtype,
        plan.device,
        plan.quantization,
        seed=settings.seed,
        targets=plan.adapter.target_modules,
        drops=plan.adapter.lora_dropout > 0,
    )
    network.add_adapter(plan.adapter)
    return network


def _to_the_end(
    course: Course,
    table: Table,
    near: Sequence[str],
    stop: Flag,
    started: float,
    saved: Sequence[Checkpoint] = (),
) -> Iterator[Event]:
    """Training and exam. started: the clock's reading when the run began, earlier sittings counted in."""
    ended: TrainingEnded | None = None
    # Closed by name: whoever leaves this generator wants all saved at once, not when memory is tidied up.
    with closing(updates(course, stop, started, saved)) as taught:
        for event in taught:
            if isinstance(event, TrainingEnded):
                ended = event
            yield event
    assert ended is not None
    yield from _examined(course, table, near, ended, stop, started)


def _examined(
    course: Course, table: Table, near: Sequence[str], ended: TrainingEnded, stop: Flag, started: float
) -> Iterator[Event]:
    """The exam, where training came to its end, and the summary."""
    result: ExamResult | None = None
    if ended.stopped_because not in CAN_GO_ON:
        for piece in final_exam(course, table, near):
            if isinstance(piece, ExamResult):
                result = piece
            elif stop.is_set():
                ended = replace(ended, stopped_because=Stopped.INTERRUPTED)
                break
            else:
                yield ExamAdvanced(piece.done, piece.total)
    summary = _summary(course, ended, started)
    if result:
        write_exam(course.run, result, {"summary": summary})
    exam = result.sets if result else None
    yield Finished(summary | {"exam": exam}, result.answers if result else [], result.forgetting if result else None)


def _write_beginning(folder: RunFolder, settings: Settings, table: Table, plan: Plan, renderer: Renderer) -> None:
    write_text(folder.settings, settings_toml(settings))
    write_json(folder.plan, {"table": table.path.name} | plan.describe() | {"template": renderer.describe()})
    write_lines(folder.rows, row_records(table, plan))


def _summary(course: Course, ended: TrainingEnded, started: float) -> dict[str, Any]:
    return {
        "run": str(course.run.path),
        "model": course.plan.source.public_id,
        "preset": course.settings.preset,
        "scope": course.plan.scope,
        "rows": len(course.plan.rows),
        "steps": ended.steps,
        "tokens": ended.tokens,
        "tokens_per_second": round(ended.tokens / ended.seconds, 1) if ended.seconds else None,
        "train_seconds": round(ended.seconds, 1),
        "total_seconds": round(time.monotonic() - started, 1),
        "peak_memory_bytes": course.network.peak_memory_bytes() or peak_rss_bytes(),
        "stopped_because": ended.stopped_because.value,
    }
