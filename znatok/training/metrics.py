"""`metrics.jsonl`: what was seen while training, one event a line. Nothing that goes wrong with it stops training."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from znatok.run_folder import RunFolder, append_line, write_lines
from znatok.training.events import Event
from znatok.training.state import State


def logged(run: RunFolder, event: Event) -> Event:
    """Writes the event to the run's metrics, a full disk there notwithstanding; gives it back."""
    with suppress(OSError):
        append_line(run.metrics, record_of(event))
    return event


def record_of(event: Event) -> dict[str, Any]:
    """The event as a line of `metrics.jsonl`."""
    return {"event": type(event).__name__.lower(), **asdict(event)}


def cut_metrics(run: RunFolder, state: State | None) -> None:
    """Drops what was seen after `state`, where training goes on from there; and lines that are damaged."""
    with suppress(OSError):
        write_lines(run.metrics, list(_until(run, state)))


def _until(run: RunFolder, state: State | None) -> Iterator[dict[str, Any]]:
    for line in run.metrics.read_bytes().splitlines():
        try:
            record = dict(json.loads(line))
        except (TypeError, ValueError):  # half a line, or zeros, after a loss of power
            continue
        if state is not None and _is_after(record, state):
            return
        yield record


def _is_after(record: dict[str, Any], state: State) -> bool:
    event, step = record.get("event"), record.get("step", 0)
    return event == "trainingended" or step > (state.shown if event in ("sampled", "validated") else state.step)
