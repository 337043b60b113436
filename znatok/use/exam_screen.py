"""The exam on the screen: scores before and after, some answers, what was missed, and what all that can show."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from znatok.exam.forgetting import in_words
from znatok.exam.statistics import TELLING_ROWS, clopper_pearson
from znatok.messages import text
from znatok.use.report.verdict import lines
from znatok.use.terminal import printable

SHOWN_PAIRS = 3
SHOWN_ROWS = 12
SHOWN_LETTERS = 220

MEASURES = ("exact", "passed", "stopped", "confidently_wrong", "refused")
POLICIES = ("before", "after", "search")

_SHARE = 0.9
"""The share by which a set's size is explained."""


def show_exam(
    console: Console,
    sets: dict[str, dict[str, dict[str, Any]]],
    answers: Sequence[dict[str, Any]],
    forgetting: dict[str, Any] | None = None,
) -> None:
    """All of `exam.json` and `answers.jsonl` that has room on a screen of 60 columns."""
    console.print(_scores(sets))
    _say(console, what_rows_show(_rows_of(sets)))
    for line in lines(sets, answers):
        _say(console, f"{line.term}: {line.said}")
    if "heldout" in sets:
        _say(console, text("screen.heldout_note"))
    if forgetting is not None:
        _say(console, in_words(forgetting))
    _pairs(console, answers)
    _missed(console, sets, answers)


def what_rows_show(n: int) -> str:
    """One sentence on what an exam of `n` rows can show and what it cannot."""
    if n < TELLING_ROWS:
        return text("screen.too_few_rows", n=n)
    low, high = clopper_pearson(round(_SHARE * n), n)
    half = max(1, round(50 * (high - low)))
    return text("screen.what_rows_show", n=n, half=half, rows=TELLING_ROWS, least=f"{TELLING_ROWS / n:.0%}")


def _say(console: Console, line: str) -> None:
    console.print(printable(line))


def _rows_of(sets: dict[str, dict[str, dict[str, Any]]]) -> int:
    """Rows of the table that were examined: each is asked once as it stands."""
    name = "trained" if "trained" in sets else next(iter(sets))
    return int(next(iter(sets[name].values()))["n"])


def _scores(sets: dict[str, dict[str, dict[str, Any]]]) -> Grid:
    grid = Grid(title=text("screen.scores"), title_justify="left", box=None, padding=(0, 1), pad_edge=False)
    for heading in ("measure", *POLICIES, "interval"):
        grid.add_column(text(f"screen.column.{heading}"), justify="left" if heading == "measure" else "right")
    for name, policies in sets.items():
        counted = next(iter(policies.values()))["n"]
        grid.add_row(Text(f"{text(f'screen.set.{name}')} ({counted})", style="bold"))
        latest = policies.get("after", policies["before"])
        for measure in MEASURES:
            if latest.get(measure) is None or (measure == "refused" and not latest[measure]):
                continue  # that nothing is refused is worth no line
            shares = [_share(policies.get(policy, {}).get(measure)) for policy in POLICIES]
            grid.add_row("  " + text(f"screen.measure.{measure}"), *shares, _interval(latest[f"{measure}_ci"]))
    return grid


def _pairs(console: Console, answers: Sequence[dict[str, Any]]) -> None:
    """A few questions that both answered, spread over the sets that have a right answer."""
    both = [one for one in answers if None not in (one["before"], one["after"], one["reference"])]
    for one in both[:: max(1, len(both) // SHOWN_PAIRS)][:SHOWN_PAIRS]:
        console.print(Text(printable(one["question"]), style="bold"))
        for side in ("before", "after"):
            said = printable(one[side]).replace("\n", " ")
            cut = "…" if len(said) > SHOWN_LETTERS else ""
            console.print(Text(f"  {text(f'screen.column.{side}')}: {said[:SHOWN_LETTERS]}{cut}"))


def _missed(console: Console, sets: dict[str, Any], answers: Sequence[dict[str, Any]]) -> None:
    missed = [one for one in answers if one["set"] == "trained" and not one["exact"].get("after")]
    if not missed:
        _say(console, text("screen.all_known", count=sets["trained"]["after"]["n"]))
        return
    _say(console, text("screen.missed", count=len(missed)))
    for one in missed[:SHOWN_ROWS]:
        _say(console, f"  {one['row']}: {one['question']}{_cause(one)}")


def _cause(one: dict[str, Any]) -> str:
    """Why a missed row is wrong; one that passed is right but for its letters."""
    cause = one.get("cause")
    if cause is None:
        return ""
    if cause == "confused" and one.get("confused_with"):
        return f" ({text('report.cause.confused_with', row=one['confused_with'])})"
    return f" ({text(f'report.cause.{cause}')})"


def _share(value: float | None) -> str:
    return "—" if value is None else f"{value:.1%}"


def _interval(ends: list[float] | None) -> str:
    return "" if ends is None else f"{100 * ends[0]:.1f}–{ends[1]:.1%}"
