"""`znatok check`: what was understood of a table, and what stands in the way."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from znatok.commands.options import Options
from znatok.messages import text


def check(
    data: Annotated[Path, Parameter(help=text("check.data"))],
    *,
    show: Annotated[int, Parameter(help=text("settings.show"))] = 0,
    model: Annotated[str, Parameter(help=text("settings.model"))] = "builtin",
    options: Options = Options(),
) -> int:
    """Reads the table DATA, prints what it understood and every problem with its row."""
    from znatok.data.read import read_table
    from znatok.use.table_screen import show_table, show_trained_tokens
    from znatok.use.terminal import talk

    table = read_table(data)
    console = talk(to_stderr=options.json)
    show_table(console, table)
    if show:
        from znatok.data.render import load_renderer
        from znatok.model.source import find_base, tokenizer_file

        source = find_base(model)
        show_trained_tokens(console, load_renderer(source.folder, tokenizer_file(source.folder)), table.rows[:show])
    if options.json:
        facts = {name: getattr(table, name) for name in ("encoding", "delimiter", "question_column", "answer_column")}
        problems = [dataclasses.asdict(problem) for problem in table.problems]
        print(json.dumps({"rows": len(table.rows), **facts, "problems": problems}, ensure_ascii=False))
    return 1 if any(problem.severity == "error" for problem in table.problems) or len(table.rows) < 2 else 0
