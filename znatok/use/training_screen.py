"""Watching it learn: the events of training as lines on the screen."""

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
from rich.table import Table as Grid
from rich.text import Text

from znatok.messages import text
from znatok.records import Table
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
    TableRead,
    TrainingEnded,
    Validated,
)
from znatok.training.plan import Plan
from znatok.use.terminal import printable

LINE_SECONDS = 10.0
"""How often a line is written where the output is no terminal and a bar cannot move."""

SHOWN_PAIRS = 3
SHOWN_ROWS = 12


class TrainingScreen:
    """Shows events: a moving bar on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._last_line = 0.0
        self._plan: Plan | None = None
        self._run = ""

    def show(self, event: Event) -> None:
        """Puts one event on the screen."""
        match event:
            case TableRead(table):
                self._table(table)
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
            case Validated():
                pass
            case TrainingEnded():
                self.close()
                self._say(f"screen.ended.{event.stopped_because}", steps=event.steps, time=duration(event.seconds))
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
        self._say(
            "screen.table",
            file=table.path.name,
            rows=len(table.rows),
            encoding=table.encoding,
            delimiter={"\t": "TAB"}.get(table.delimiter, table.delimiter),
            question=table.question_column,
            answer=table.answer_column,
        )
        for problem in table.problems[:SHOWN_ROWS]:
            self._console.print(Text("  ! " + printable(problem.message), style="yellow"))

    def _planned(self, plan: Plan) -> None:
        self._say("screen.plan")
        grid = Grid.grid(padding=(0, 2))
        for choice in plan.choices:
            grid.add_row(Text("  " + choice.name), Text(printable(choice.value)), Text(choice.reason, style="dim"))
        self._console.print(grid)
        self._say("screen.run", run=self._run)

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
            return
        self.show_exam(exam, event.answers)
        self._say("screen.done", time=duration(event.summary["total_seconds"]), run=self._run)
        self._console.print(Text("    " + text("screen.next", run=self._run), style="bold"))

    def show_exam(self, exam: dict[str, Any], answers: list[dict[str, Any]]) -> None:
        """The scores, some answers before and after, and the rows that are not known by heart."""
        self.close()
        self._scores(exam)
        self._pairs(answers)
        missed = [answer for answer in answers if answer["set"] == "trained" and not answer["exact"]["after"]]
        if missed:
            self._say("screen.missed", count=len(missed))
            for answer in missed[:SHOWN_ROWS]:
                self._console.print(printable(f"  {answer['row']}: {answer['question']}"))
        else:
            self._say("screen.all_known", count=exam["trained"]["after"]["n"])

    def _scores(self, exam: dict[str, Any]) -> None:
        grid = Grid(title=text("screen.scores"), title_justify="left", box=None, padding=(0, 2))
        for heading in ("set", "measure", "before", "after", "interval"):
            grid.add_column(
                text(f"screen.column.{heading}"), justify="left" if heading in ("set", "measure") else "right"
            )
        for name, policies in exam.items():
            for measure in ("exact", "passed", "stopped"):
                after = policies["after"]
                grid.add_row(
                    text(f"screen.set.{name}"),
                    text(f"screen.measure.{measure}"),
                    _share(policies["before"][measure]),
                    _share(after[measure]),
                    _interval(after[f"{measure}_ci"]),
                )
        self._console.print(grid)
        if "heldout" in exam:
            self._say("screen.heldout_note")

    def _pairs(self, answers: list[dict[str, Any]]) -> None:
        both = [answer for answer in answers if answer["before"] is not None and answer["after"] is not None]
        for answer in both[:: max(1, len(both) // SHOWN_PAIRS)][:SHOWN_PAIRS]:
            self._console.print(Text(printable(answer["question"]), style="bold"))
            for side in ("before", "after"):
                said = printable(answer[side]).replace("\n", " ")
                self._console.print(
                    Text(f"  {text(f'screen.column.{side}')}: {said[:220]}{'…' if len(said) > 220 else ''}")
                )


def duration(seconds: float) -> str:
    """A length of time as people say it."""
    if seconds < 90:
        return text("screen.seconds", seconds=round(seconds))
    if seconds < 5400:
        return text("screen.minutes", minutes=round(seconds / 60))
    return text("screen.hours", hours=f"{seconds / 3600:.1f}")


def _share(value: float | None) -> str:
    return "—" if value is None else f"{value:.1%}"


def _interval(ends: list[float] | None) -> str:
    return "" if ends is None else f"{ends[0]:.1%} … {ends[1]:.1%}"
