"""`znatok check`: what was understood of a table, and what stands in the way."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from znatok.commands.options import Options, describe
from znatok.errors import ModelError
from znatok.messages import text
from znatok.settings import Reading

if TYPE_CHECKING:
    from znatok.data.render import Renderer
    from znatok.model.source import BaseSource
    from znatok.records import Problem, Table

describe(Reading)


def check(
    data: Annotated[Path, Parameter(help=text("check.data"))],
    *,
    show: Annotated[int, Parameter(help=text("settings.show"))] = 0,
    model: Annotated[str, Parameter(help=text("settings.model"))] = "auto",
    reading: Annotated[Reading, Parameter(name="*")] = Reading(),
    options: Options = Options(),
) -> int:
    """Reads the table DATA, prints what it understood and every problem with its row."""
    from znatok.data.problems import with_problems
    from znatok.data.read import read_table
    from znatok.use.table_screen import show_problems, show_table, show_trained_tokens, show_wordings
    from znatok.use.terminal import json_line, talk

    table = with_problems(read_table(data, reading))
    console = talk(to_stderr=options.json)
    show_table(console, table)
    minutes = None
    if base := _base(model, is_needed=show > 0):
        try:
            renderer, found, minutes = _by_the_model(table, base)
        except ModelError:
            if model != "auto" or show > 0:
                raise
        else:
            table = with_problems(table, found)
            show_problems(console, found)
            if minutes:
                console.print(text("check.minutes", time=_time(minutes), model=base.name))
            if show > 0:
                from znatok.training.lesson import divide_paraphrases

                show_trained_tokens(console, renderer, table.rows[:show])
                show_wordings(console, divide_paraphrases(table.rows, "split"), show)
    if options.json:
        names = ("encoding", "delimiter", "sheet", "question_column", "answer_column")
        facts = {name: getattr(table, name) for name in names}
        counts = {"rows": len(table.rows), "read": table.read, "refused": len(table.refused)}
        problems = [dataclasses.asdict(problem) for problem in table.problems]
        found_out = {**counts, **facts, "problems": problems, "training_minutes": minutes}
        print(json_line(found_out))
    return 0 if _can_be_trained(table) else 1


def _base(model: str, is_needed: bool) -> "BaseSource | None":
    """The base that was asked for; else the one that training would take, fetched only if it is needed."""
    from znatok.model.default_base import base_at_hand, default_base_name
    from znatok.model.source import find_base

    if model != "auto":
        return find_base(model)
    name = default_base_name()
    return find_base(name) if is_needed else base_at_hand(name)


def _by_the_model(table: "Table", base: "BaseSource") -> tuple["Renderer", tuple["Problem", ...], int | None]:
    """The base's renderer, what its tokenizer finds, and the minutes that training takes; None where it cannot be."""
    from znatok.data.problems import with_problems
    from znatok.data.render import load_renderer
    from znatok.model.source import tokenizer_file
    from znatok.training.checkup import estimated_costs, forecast_minutes, token_problems

    renderer = load_renderer(base.folder, tokenizer_file(base.folder))
    costs = estimated_costs(table.rows, base, renderer)
    found = token_problems(table, base, renderer, costs)
    trainable = _can_be_trained(with_problems(table, found))
    return renderer, found, forecast_minutes(table, base, renderer, costs) if trainable else None


def _time(minutes: int) -> str:
    return text("screen.minutes", minutes=minutes) if minutes < 90 else text("screen.hours", hours=round(minutes / 60))


def _can_be_trained(table: "Table") -> bool:
    return len(table.rows) >= 2 and all(problem.severity != "error" for problem in table.problems)
