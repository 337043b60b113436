"""What the time from the command to the first step goes into, for those who ask with `--debug`."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from rich.console import Console

from znatok.messages import text
from znatok.training.events import Event, ModelLoaded, Planned, Stepped, TableRead, Validated

_PARTS = {TableRead: "table", Planned: "plan", ModelLoaded: "weights", Validated: "answers", Stepped: "step"}
"""By what each part ends. Weights are quantised while they load; on a GPU the first step is recorded, too."""


def timed_start(events: Iterator[Event], console: Console) -> Iterator[Event]:
    """The same events; after the first step, what came before it is told in seconds."""
    import psutil

    begun = last = psutil.Process().create_time()
    seconds = dict.fromkeys(("imports", *_PARTS.values()), 0.0)
    is_told = False

    def ended(part: str) -> None:
        nonlocal last
        seconds[part] += time.time() - last
        last = time.time()

    ended("imports")
    held: Any = events
    with closing(held):
        for event in held:
            if not is_told and type(event) in _PARTS:
                ended(_PARTS[type(event)])
            if isinstance(event, Stepped) and not is_told:
                is_told = True
                shown = {part: f"{value:.1f}" for part, value in seconds.items()}
                console.print(text("screen.start", total=f"{last - begun:.1f}", **shown))
            yield event
