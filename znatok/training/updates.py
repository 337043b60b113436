"""The updates of a run, with what is shown between them: from a fresh adapter, or from where the run was stopped."""

import math
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median
from threading import Event as Flag

from znatok.data.batch import Batch, divide
from znatok.data.render import Renderer
from znatok.model.attention import LONGEST
from znatok.model.network import Network
from znatok.run_folder import RunFolder
from znatok.settings import Settings
from znatok.training.checkpoints import Checkpoint, Checkpoints, mark_ended
from znatok.training.events import BatchHalved, Event, FellBack, Forecast, MemorySpared, Stepped, Stopped, TrainingEnded
from znatok.training.exposures import Exposures, Shown
from znatok.training.lesson import POINTS, REPLAY_COST
from znatok.training.metrics import cut_metrics, logged
from znatok.training.plan import Plan
from znatok.training.probes import FIRST_ANSWER_TOKENS, missed, sample_tokens, sampled, validated
from znatok.training.refusals import make_refusals
from znatok.training.replay import make_replay
from znatok.training.schedule import rate_factor
from znatok.training.state import State
from znatok.training.step import NOTHING, Replayed, Step, Updater, is_out_of_memory

MEASURED_STEPS = 3
"""Updates after which the forecast is measured instead of guessed."""

MEASURED_AGAIN_SECONDS = 60.0
"""After training began: then it is measured again, for on a busy machine the first updates say little."""

FINISHING_RATE = 0.1
"""Of the peak: the rate at which rows that are not known at the planned end are shown again. Source: docs/recipe.md."""

SLOWED_RATE = 0.5
"""Of the rate there would be, after training went back because the loss ran away."""

SAVE_SECONDS = 120.0
"""Between two saved states, where nothing else is a reason to save one: what a loss of power may cost."""

POINT_SECONDS = 20.0
"""Between two saved states where the validation loss is measured, unless the best of them is wanted in the end."""

CAN_GO_ON = (Stopped.INTERRUPTED, Stopped.OUT_OF_MEMORY)
"""Ends after which `--resume` trains on."""


@dataclass(frozen=True, slots=True)
class Course:
    """What the training of one run is made of."""

    network: Network
    renderer: Renderer
    plan: Plan
    settings: Settings
    run: RunFolder


def updates(course: Course, stop: Flag, started: float, saved: Sequence[Checkpoint] = ()) -> Generator[Event]:
    """The updates, with what is shown between them; ends with TrainingEnded, the adapter saved.

    stop: ends training after the update under way, the state saved.  started: the clock's reading when the run began,
    earlier sittings counted in.  saved: the states to go on from, the newest last.

    Leaving this generator saves the state, too. Between two updates nothing but `state`, the weights, the optimizer and
    the generators decides what comes next, so that a run that was stopped ends with the same bytes as one that was not.
    """
    network, renderer, plan, settings, run = (
        course.network,
        course.renderer,
        course.plan,
        course.settings,
        course.run,
    )
    updater = Updater(
        network,
        optim=plan.optim,
        beta2=settings.adam_beta2,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
    )
    longest = min(network.context_length, LONGEST)
    exposures = Exposures(
        plan.rows,
        renderer,
        batch_size=plan.batch_size,
        rewording=settings.rewording,
        seed=settings.seed,
        mix=plan.rewording_mix,
        history_share=plan.history_share,
        longest=longest,
        curriculum_rows=plan.curriculum_rows,
    )
    checkpoints = Checkpoints(
        run.checkpoints, settings.save_total_limit, network, updater, exposures, started, kept=saved
    )
    state = State(plan.steps, plan.steps)
    if saved:
        state = checkpoints.restore(saved[-1])
        cut_metrics(run, state)
    else:
        yield from _before(course, stop)
        state.shown = 0
        checkpoints.save(state)
    replay = make_replay(network, renderer, plan, settings, stop)
    refusals = make_refusals(renderer, plan, settings, longest)
    network.train()
    batches, stopped, begun = iter(exposures), Stopped.PLANNED_END, state.step
    rows: tuple[int, ...] = ()
    measure_again = time.monotonic() + MEASURED_AGAIN_SECONDS
    recent: deque[float] = deque(maxlen=50)  # tokens a second, update by update, what is replayed counted by its cost
    try:
        while True:
            if stop.is_set():
                stopped = Stopped.INTERRUPTED
                checkpoints.save(state)
                break
            if state.shown < state.step and state.step in _points(state.planned):
                limit = sample_tokens(plan, median(recent or [plan.tokens_per_second]))
                yield logged(run, sampled(network, renderer, plan.rows[0], state.step, limit, stop))
                if not stop.is_set():
                    control = validated(network, renderer, plan, state.step)
                    yield logged(run, control)
                    state.shown = state.step
                    is_due = settings.load_best_model_at_end or checkpoints.seconds_since > POINT_SECONDS
                    if is_due and not state.above:
                        checkpoints.save(state, control.loss)
                continue
            if state.step == state.steps and not _one_more_round(course, exposures, state):
                break

            clock, halvings, kept_less = time.perf_counter(), state.halvings, network.keeps_less
            group = _next_group(exposures, batches, state, plan.accumulation)
            places = [place for _, batch_places in group for place in batch_places]
            rate = _rate(course, state)
            declined = refusals.due(state, len(places)) if refusals and not state.rounds else ()
            batches_shown = [*(batch for batch, _ in group), *declined]
            replayed = replay.due(state, batches_shown) if replay else NOTHING
            done = _update(network, updater, batches_shown, replayed, state, rate)
            if done is None:
                stopped = Stopped.OUT_OF_MEMORY
                break
            if done.is_finite:
                seconds = time.perf_counter() - clock
                _take_in(state, done, places, declined, replayed, seconds)
                recent.append((done.tokens + REPLAY_COST * replayed.tokens) / seconds)
            if not done.is_finite or state.has_diverged:
                rows = () if done.is_finite else tuple(plan.rows[place].number for place in places)
                left = state.step
                again = None if state.is_slowed else checkpoints.go_back()
                if again is None:
                    stopped = Stopped.DIVERGED if done.is_finite else Stopped.NOT_FINITE
                    break
                state, batches = again, iter(exposures)
                state.is_slowed = True
                cut_metrics(run, state)
                checkpoints.save(state)
                yield logged(run, FellBack(state.step, left, rows))
                continue

            speed = median(recent)
            stepped = _stepped(course, state, done, rate, speed)
            if state.step % settings.logging_steps == 0 or state.step == state.steps:
                logged(run, stepped)
            yield stepped
            if network.keeps_less > kept_less:
                yield logged(run, MemorySpared())
            if state.halvings > halvings:
                yield logged(run, BatchHalved(-(-plan.batch_size // 2**state.halvings)))
            is_measured = state.step == begun + MEASURED_STEPS
            if state.step > begun + MEASURED_STEPS and time.monotonic() > measure_again:
                is_measured, measure_again = True, math.inf
            if is_measured or (plan.budget_seconds and state.step in _points(state.planned)):
                if plan.budget_seconds and state.step < state.steps:  # at the end there is nothing left to fit
                    state.steps = state.planned = _refitted(plan, state, speed, started)
                yield logged(run, Forecast(state.steps, speed / plan.replay_factor, _seconds_left(plan, state, speed)))
            if checkpoints.seconds_since > SAVE_SECONDS and not state.above:
                checkpoints.save(state)
        if stopped is Stopped.DIVERGED:
            checkpoints.go_back()
        if settings.load_best_model_at_end and stopped not in CAN_GO_ON:
            checkpoints.restore_best()
        network.save_adapter(run.adapter)
    except GeneratorExit:
        checkpoints.save(state)
        network.save_adapter(run.adapter)
        raise
    finally:
        network.use()
    if stopped is Stopped.PLANNED_END and state.steps < plan.steps:
        stopped = Stopped.MINUTES
    elif stopped is Stopped.PLANNED_END and state.exact and all(state.exact.values()):
        stopped = Stopped.KNOWN
    ended = TrainingEnded(stopped, state.step, state.tokens, state.seconds, rows)
    if stopped not in CAN_GO_ON:
        mark_ended(run, ended, time.monotonic() - started)
    yield logged(run, ended)


def _before(course: Course, stop: Flag) -> Iterator[Event]:
    """What the base says to two of the questions, and its loss."""
    network, renderer, rows = course.network, course.renderer, course.plan.rows
    for row in (rows[0], rows[len(rows) // 2]):
        yield logged(course.run, sampled(network, renderer, row, 0, FIRST_ANSWER_TOKENS, stop))
    yield logged(course.run, validated(network, renderer, course.plan, 0))


def _one_more_round(course: Course, exposures: Exposures, state: State) -> bool:
    """Plans updates on the rows that are not known at the end; False where there are none, or no rounds left."""
    if not course.settings.finishing_rounds or course.plan.budget_seconds is not None:
        return False
    places = missed(course.network, course.renderer, course.plan, state.exact, all_rows=state.rounds > 0)
    if state.rounds >= course.settings.finishing_rounds:
        return False
    state.again = exposures.again(places)
    state.rounds += 1
    state.steps += -(-len(state.again) // course.plan.accumulation)
    return bool(state.again)


def _next_group(exposures: Exposures, batches: Iterator[Shown], state: State, size: int) -> list[Shown]:
    """The batches of the next update."""
    if not state.rounds:
        return list(islice(batches, size))
    now, state.again = state.again[:size], state.again[size:]
    return [(exposures.as_they_stand(places), tuple(places)) for places in now]


def _rate(course: Course, state: State) -> float:
    """The learning rate of the next update."""
    settings = course.settings
    factor = rate_factor(settings.lr_scheduler_type, state.step, state.planned, settings.warmup_steps)
    rate = course.plan.learning_rate * (FINISHING_RATE if state.rounds else factor)
    return rate * SLOWED_RATE if state.is_slowed else rate


def _update(
    network: Network, updater: Updater, batches: Sequence[Batch], replayed: Replayed, state: State, rate: float
) -> Step | None:
    """One update. Until memory suffices, less is kept, then batches are halved; None where single rows are too much."""
    while True:
        pieces = [piece for batch in batches for piece in divide(batch, state.halvings)]
        try:
            return updater.update(pieces, rate, replayed)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if network.keep_less():
                continue
            if all(len(piece.ids_BL) == 1 for piece in pieces):
                return None
        state.halvings += 1


def _take_in(
    state: State, done: Step, places: Sequence[int], declined: Sequence[Batch], replayed: Replayed, seconds: float
) -> None:
    state.step += 1
    state.tokens += done.tokens
    state.replays += len(replayed.batches)
    state.replayed += replayed.tokens
    state.seconds += seconds
    of_rows = done.exact[: len(places)]  # those of what is declined come after them
    state.exact.update(zip(places, of_rows, strict=True))
    state.refusals += sum(len(batch.ids_BL) for batch in declined)
    if not state.rounds:  # later only the hardest rows are shown
        state.exposures += len(places)
        state.note(done.loss)


def _stepped(course: Course, state: State, done: Step, rate: float, speed: float) -> Stepped:
    rows = len(course.plan.rows)
    share = sum(state.exact.values()) / rows if len(state.exact) == rows else None
    left = _seconds_left(course.plan, state, speed)
    speed = state.tokens / state.seconds
    return Stepped(state.step, state.steps, done.loss, share, rate, state.tokens, speed, left, done.kl)


def _seconds_left(plan: Plan, state: State, speed: float) -> float:
    """Of training and exam together."""
    per_step = plan.replay_factor * state.tokens / state.step
    return (plan.exam_tokens + (state.steps - state.step) * per_step) / speed


def _points(steps: int) -> frozenset[int]:
    """Steps after which a question is answered: early ones closer together, since that is where answers change."""
    return frozenset(max(1, round(steps * (point / POINTS) ** 1.3)) for point in range(1, POINTS + 1))


def _refitted(plan: Plan, state: State, speed: float, started: float) -> int:
    """The number of steps that the measured speed leaves room for in the time that was set."""
    assert plan.budget_seconds is not None
    left = plan.budget_seconds - (time.monotonic() - started) - plan.exam_tokens / speed
    per_step = plan.replay_factor * state.tokens / state.step
    return max(state.step + 1, min(int(plan.steps * 1.5), state.step + int(left * speed / per_step)))
