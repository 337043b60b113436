"""A table on the screen: what was understood, the problems, and rows with their trained tokens coloured."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from znatok.data.render import Renderer
from znatok.messages import text
from znatok.records import Row, Table
from znatok.use.terminal import printable

STYLES = {"error": "red", "warning": "yellow", "note": "dim"}


def show_table(console: Console, table: Table) -> None:
    """The table in one line, three rows of it, then every problem."""
    delimiter = {"\t": "TAB"}.get(table.delimiter, table.delimiter)
    console.print(
        text(
            "screen.table",
            file=table.path.name,
            rows=len(table.rows),
            encoding=table.encoding,
            delimiter=delimiter,
            question=table.question_column,
            answer=table.answer_column,
        )
    )
    for row in table.rows[:3]:
        console.print(Text(printable(f"  {row.number}: {row.question} → {row.answer}")))
    for problem in table.problems:
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
