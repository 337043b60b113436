"""A table on the screen: what was understood, the problems, and rows with their trained tokens coloured."""

import random
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from znatok.data.render import Renderer
from znatok.data.reword import Reworder
from znatok.messages import text
from znatok.records import Problem, Row, Table
from znatok.use.terminal import printable

SHOWN_WORDINGS = 5
"""Wordings of a row that `check` shows."""

STYLES = {"error": "red", "warning": "yellow", "note": "dim"}


def show_table(console: Console, table: Table) -> None:
    """The table in one line, three rows of it, then every problem."""
    show_reading(console, table)
    show_problems(console, table.problems)


def show_reading(console: Console, table: Table) -> None:
    """What was understood of the table, and three rows as they were decoded."""
    found = {
        "file": table.path.name,
        "rows": len(table.rows),
        "question": table.question_column,
        "answer": table.answer_column,
    }
    if table.sheet is not None:
        line = text("screen.table_sheet", sheet=table.sheet, **found)
    elif table.delimiter is None:
        line = text("screen.table_json", encoding=table.encoding, **found)
    else:
        delimiter = {"\t": "TAB"}.get(table.delimiter, table.delimiter)
        line = text("screen.table", encoding=table.encoding, delimiter=delimiter, **found)
    console.print(Text(printable(line)))
    if table.refused:
        console.print(text("screen.refused", read=table.read, rows=len(table.rows), refused=len(table.refused)))
    for row in table.rows[:3]:
        console.print(Text(printable(f"  {row.number}: {row.question} → {row.answer}")))


def show_problems(console: Console, problems: Sequence[Problem]) -> None:
    """Each problem on its line, coloured by its severity."""
    for problem in problems:
        console.print(Text("  ! " + printable(problem.message), style=STYLES[problem.severity]))


def show_trained_tokens(console: Console, renderer: Renderer, rows: Sequence[Row]) -> None:
    """Each row as the model sees it; trained tokens stand on green, and in brackets where there is no colour."""
    console.print(text("check.legend"))
    for row in rows:
        rendered = renderer.conversation(row.question, row.answer)
        shown = Text()
        for place, piece in enumerate(renderer.token_texts(rendered)):
            is_trained = place >= rendered.answer_start
            piece = printable(piece)
            if not console.color_system and is_trained and piece:
                piece = f"[{piece}]"
            shown.append(piece, style="black on green" if is_trained else "dim")
        console.print(shown)
        console.print(
            text(
                "check.counts",
                row=row.number,
                tokens=len(rendered.ids),
                trained=len(rendered.ids) - rendered.answer_start,
            )
        )


def show_wordings(console: Console, rows: Sequence[Row], count: int) -> None:
    """Of the first `count` rows some wordings that training may use, drawn from all families."""
    reworder, rng = Reworder(rows), random.Random(0)
    for place, row in enumerate(rows[:count]):
        # Draws repeat themselves now and then, above all where a question has little to change.
        drawn = [reworder.reword(place, rng) for _ in range(4 * SHOWN_WORDINGS)]
        wordings = [said for said in dict.fromkeys(drawn) if said != row.question][:SHOWN_WORDINGS]
        if wordings:
            console.print(text("check.wordings", row=row.number))
        for said in wordings:
            console.print(Text("  " + printable(said), style="dim"))
