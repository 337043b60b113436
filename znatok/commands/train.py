"""`znatok train`: plan, training, exam; or what is left of them, with `--resume`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from znatok.commands.options import Options, describe
from znatok.errors import UsageError
from znatok.messages import text
from znatok.settings import Settings, make_settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from znatok.commands.signals import Stopping
    from znatok.run_folder import RunFolder
    from znatok.training.events import Event, Planned
    from znatok.use.training_screen import TrainingScreen

describe(Settings)

_DEFAULT_TABLE = Path("dataset.csv")
_EXIT_CODES = {"not_finite": 1, "diverged": 1, "out_of_memory": 1}


def train(
    data: Annotated[Path | None, Parameter(name=["DATA", "--data", "--csv-file"], help=text("settings.data"))] = None,
    *,
    run: Annotated[Path | None, Parameter(name=["--run", "--output-dir"], help=text("settings.run"))] = None,
    resume: Annotated[bool, Parameter(help=text("settings.resume"), negative=())] = False,
    config: Annotated[Path | None, Parameter(help=text("settings.config"))] = None,
    settings: Annotated[Settings, Parameter(name="*")] = Settings(),
    options: Options = Options(),
) -> int:
    """Trains on the table DATA and examines the result."""
    from znatok.commands.signals import stopped_by_signals
    from znatok.training import loop
    from znatok.training.resume import find_begun, is_over
    from znatok.use.start_clock import timed_start
    from znatok.use.terminal import talk
    from znatok.use.training_screen import TrainingScreen

    named = {name: getattr(settings, name) for name in settings.model_fields_set}
    asked = (read_settings(config) if config else {}) | named
    checked = make_settings(asked)
    if data is None and not resume and not _DEFAULT_TABLE.is_file():
        raise UsageError("settings.no_data")
    console = talk(to_stderr=options.json)
    begun = find_begun(run, data) if resume else None
    if begun is not None and is_over(begun):
        return _say_finished(begun, console, options.json)
    screen = TrainingScreen(console)
    with stopped_by_signals() as stopping:
        if begun is not None:
            events = loop.resume(begun, asked, data, stopping.flag, screen.fetched)
        else:
            events = loop.train(data or _DEFAULT_TABLE, checked, run, stopping.flag, screen.fetched)
        if options.debug:
            events = timed_start(events, console)
        planned, summary = _watch(events, screen, stopping, console)
        _finish(planned, console, stopping.is_alone)
    if options.json and not stopping.is_alone:
        _print(summary)
    if summary["exam"] is None and stopping.exit_code:
        return stopping.exit_code
    return _EXIT_CODES.get(summary["stopped_because"], 0)


def _watch(
    events: "Iterator[Event]", screen: "TrainingScreen", stopping: "Stopping", console: "Console"
) -> tuple["Planned", dict[str, Any]]:
    """Shows the events to the last; gives the plan, and the summary."""
    from znatok.training.events import Finished, ModelLoaded, Planned, TableRead
    from znatok.training.resume import unfinished_run_of

    summary: dict[str, Any] = {}
    try:
        for event in events:
            if not stopping.is_alone:
                screen.show(event)
            match event:
                case TableRead(table):
                    if unfinished := unfinished_run_of(table):
                        console.print(_how_to_resume(unfinished))
                case Planned():
                    planned = event
                case ModelLoaded():
                    stopping.can_save = True
                case Finished():
                    summary = event.summary
    finally:
        if not stopping.is_alone:
            screen.close()
    return planned, summary


def _how_to_resume(run: "RunFolder") -> str:
    from znatok.run_folder import resume_command
    from znatok.use.terminal import printable

    return printable(text("run.goes_on", folder=run.path, command=resume_command(run)))


def _finish(planned: "Planned", console: "Console", is_alone: bool) -> None:
    """The graph, and the report where there was an exam."""
    from znatok.use.train_graph import draw

    draw(planned.run, planned.plan.validation.name)
    if planned.run.is_finished:
        from znatok.use.report import write_report

        write_report(planned.run)
        if not is_alone:
            console.print(text("exam.reported", file=planned.run.report))


def _say_finished(run: "RunFolder", console: "Console", as_json: bool) -> int:
    from znatok.use.terminal import printable

    console.print(printable(text("run.is_finished", folder=run.path)))
    if as_json:
        examined = json.loads(run.exam.read_text(encoding="utf-8"))
        _print((examined.get("summary") or {"run": str(run.path)}) | {"exam": examined.get("sets")})
    return 0


def _print(summary: dict[str, Any]) -> None:
    from znatok.use.terminal import json_line

    print(json_line(summary))
