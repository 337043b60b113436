"""`znatok train`: plan, training, exam."""

import signal
from pathlib import Path
from threading import Event as Flag
from typing import Annotated, Any

from cyclopts import Parameter

from znatok.commands.options import Options, describe
from znatok.errors import UsageError
from znatok.messages import text
from znatok.settings import Settings, make_settings, read_settings

describe(Settings)

_DEFAULT_TABLE = Path("dataset.csv")
_EXIT_CODES = {"interrupted": 130, "not_finite": 1}


def train(
    data: Annotated[Path | None, Parameter(name=["DATA", "--data", "--csv-file"], help=text("settings.data"))] = None,
    *,
    run: Annotated[Path | None, Parameter(name=["--run", "--output-dir"], help=text("settings.run"))] = None,
    config: Annotated[Path | None, Parameter(help=text("settings.config"))] = None,
    settings: Annotated[Settings, Parameter(name="*")] = Settings(),
    options: Options = Options(),
) -> int:
    """Trains on the table DATA and examines the result."""
    from znatok.training.events import Finished, ModelLoaded, Planned
    from znatok.training.loop import train as events
    from znatok.use.terminal import json_line, talk
    from znatok.use.train_graph import draw
    from znatok.use.training_screen import TrainingScreen

    named = {name: getattr(settings, name) for name in settings.model_fields_set}
    asked = make_settings((read_settings(config) if config else {}) | named)
    if data is None and not _DEFAULT_TABLE.is_file():
        raise UsageError("settings.no_data")
    console = talk(to_stderr=options.json)
    screen = TrainingScreen(console)
    summary: dict[str, Any] = {}
    stop = Flag()
    previous = signal.getsignal(signal.SIGINT)
    try:
        for event in events(data or _DEFAULT_TABLE, asked, run, stop, screen.fetched):
            screen.show(event)
            if isinstance(event, Planned):
                planned = event
            if isinstance(event, ModelLoaded):
                # From here on there is something to save; before, Ctrl+C simply ends the command.
                signal.signal(signal.SIGINT, lambda *_: _ask_to_stop(stop))
            if isinstance(event, Finished):
                summary = event.summary
    finally:
        screen.close()
        signal.signal(signal.SIGINT, previous)
    draw(planned.run, planned.plan.validation.name)
    if options.json:
        print(json_line(summary))
    if planned.run.is_finished:
        from znatok.use.report import write_report

        write_report(planned.run)
        console.print(text("exam.reported", file=planned.run.report))
    return _EXIT_CODES.get(summary["stopped_because"], 0)


def _ask_to_stop(stop: Flag) -> None:
    """The first Ctrl+C ends training after the step under way; a second one ends at once."""
    if stop.is_set():
        raise KeyboardInterrupt
    stop.set()
