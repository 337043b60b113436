"""Watching it learn: the events of training as lines on the screen."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
from rich.table import Table as Grid
from rich.text import Text

from znatok.messages import text
from znatok.records import Problem, Table
from znatok.run_folder import RunFolder, resume_command
from znatok.training.events import (
    BatchHalved,
    Event,
    ExamAdvanced,
    FellBack,
    Finished,
    Forecast,
    MemorySpared,
    ModelLoaded,
    Planned,
    Resumed,
    Sampled,
    Stepped,
    Stopped,
    TableChecked,
    TableRead,
    TrainingEnded,
    Validated,
)
from znatok.training.plan import Plan
from znatok.use.exam_screen import show_exam
from znatok.use.table_screen import show_problems, show_reading
from znatok.use.terminal import printable

LINE_SECONDS = 10.0
"""How often a line is written where the output is no terminal and a bar cannot move."""

SHOWN_PROBLEMS = 6


class TrainingScreen:
    """Shows events: a moving bar on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._last_line = 0.0
        self._plan: Plan | None = None
        self._run = ""
        self._file = ""

    def show(self, event: Event) -> None:
        """Puts one event on the screen."""
        match event:
            case TableRead(table):
                self._table(table)
            case TableChecked(problems):
                self._problems(problems)
            case Planned(plan, run):
                self._plan, self._run = plan, str(run.path)
                self._planned(plan)
            case ModelLoaded(seconds):
                self._say("screen.loaded", seconds=f"{seconds:.0f}")
            case Sampled():
                self._sample(event)
            case Stepped():
                self._step(event)
            case Forecast():
                self._say(
                    "screen.forecast",
                    speed=f"{event.tokens_per_second:.0f}",
                    steps=event.steps,
                    left=duration(event.seconds_left),
                )
            case Resumed():
                self._resume(event)
            case Validated():
                pass
            case FellBack():
                kind = "number" if event.rows else "loss"
                rows = ", ".join(map(str, event.rows))
                self._say(f"screen.fell_back.{kind}", step=event.step, left=event.left, rows=rows)
            case MemorySpared():
                self._say("screen.memory_spared")
            case BatchHalved(rows):
                self._say("screen.batch_halved", rows=rows)
            case TrainingEnded():
                self.close()
                self._end(event)
                if event.stopped_because is Stopped.INTERRUPTED:
                    self._say("screen.saved", run=self._run)
            case ExamAdvanced(done, total):
                self._advance(text("screen.exam"), done, total, "")
            case Finished():
                self.close()
                self._finish(event)

    def fetched(self, stage: str, done: int, total: int) -> None:
        """Progress of the one-time fetch of a base model, as `find_base` tells it."""
        if not total:  # the hub's own downloads do not say how large they are
            return
        size = text("screen.megabytes", done=done // 1_000_000, total=total // 1_000_000) if stage == "fetch" else ""
        self._advance(text(f"screen.model.{stage}"), done, total, size)
        if done >= total:
            self.close()

    def _say(self, key: str, **values: Any) -> None:
        self._console.print(printable(text(key, **values)))

    def _table(self, table: Table) -> None:
        show_reading(self._console, table)
        self._file = str(table.path)
        self._problems(table.problems)

    def _problems(self, problems: Sequence[Problem]) -> None:
        """The gravest few, which come first."""
        show_problems(self._console, problems[:SHOWN_PROBLEMS])
        if len(problems) > SHOWN_PROBLEMS:
            self._say("screen.more_problems", count=len(problems) - SHOWN_PROBLEMS, file=self._file)

    def _planned(self, plan: Plan) -> None:
        self._say("screen.plan")
        grid = Grid.grid(padding=(0, 2))
        for choice in plan.choices:
            grid.add_row(Text("  " + choice.name), Text(printable(choice.value)), Text(choice.reason, style="dim"))
        self._console.print(grid)
        self._say("screen.run", run=self._run)

    def _resume(self, event: Resumed) -> None:
        for file in event.damaged:
            self._say("screen.damaged", file=file)
        if event.step is None:
            self._say("screen.starts_over")
        else:
            self._say("screen.resumed", step=event.step, steps=event.steps)

    def _end(self, event: TrainingEnded) -> None:
        rows = ", ".join(map(str, event.rows))
        self._say(f"screen.ended.{event.stopped_because}", steps=event.steps, time=duration(event.seconds), rows=rows)

    def _sample(self, event: Sampled) -> None:
        answer = printable(event.answer).replace("\n", " ") + (" …" if event.is_cut else "")
        heading = text("screen.before") if event.step == 0 else text("screen.sample", step=event.step)
        self._console.print(Text(heading, style="dim"), Text(printable(event.question), style="bold"))
        self._console.print(Text("    " + (answer.strip() or text("screen.silence"))))

    def _step(self, event: Stepped) -> None:
        exact = text("screen.not_yet") if event.exact is None else f"{event.exact:.0%}"
        facts = text(
            "screen.step",
            loss=f"{event.loss:.3f}",
            speed=f"{event.tokens_per_second:.0f}",
            exact=exact,
            left=duration(event.seconds_left),
        )
        self._advance(text("screen.training"), event.step, event.steps, facts)

    def _advance(self, what: str, done: int, total: int, facts: str) -> None:
        if not self._console.is_terminal:
            if done in (1, total) or time.monotonic() - self._last_line > LINE_SECONDS:
                self._last_line = time.monotonic()
                self._console.print(
                    f"{what} {done}/{total}  {facts}".rstrip() if facts == "" or "/" not in facts else f"{what} {facts}"
                )
            return
        if self._bar is None or self._bar.tasks[0].description != what:
            self.close()
            columns: tuple[ProgressColumn, ...] = (
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=20),
                TextColumn("{task.percentage:>3.0f}%", markup=False),
                TextColumn("{task.fields[facts]}", markup=False),
            )
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._bar.start()
            self._bar.add_task(what, total=total, facts=facts)
        self._bar.update(self._bar.tasks[0].id, completed=done, total=total, facts=facts)

    def close(self) -> None:
        """Takes the moving bar off the screen."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _finish(self, event: Finished) -> None:
        exam = event.summary["exam"]
        if exam is None:
            self._say("screen.go_on", command=resume_command(RunFolder(Path(self._run))))
            return
        show_exam(self._console, exam, event.answers, event.forgetting)
        self._say("screen.done", time=duration(event.summary["total_seconds"]), run=self._run)
        self._console.print(Text("    " + text("screen.next", run=self._run), style="bold"))


def duration(seconds: float) -> str:
    """A length of time as people say it."""
    if seconds < 90:
        return text("screen.seconds", seconds=round(seconds))
    if seconds < 5400:
        return text("screen.minutes", minutes=round(seconds / 60))
    return text("screen.hours", hours=f"{seconds / 3600:.1f}")
