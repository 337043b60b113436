"""What the base model's tokenizer says of a table, and how long training will take: the checkup that needs a model."""

from collections.abc import Iterator, Sequence

from znatok.data.known_templates import as_one_line, is_known
from znatok.data.problems import row_problem
from znatok.data.render import Renderer
from znatok.data.reword import language_of
from znatok.messages import text
from znatok.model.source import BASE_MODELS, BaseSource
from znatok.records import Problem, Row, Table
from znatok.settings import make_settings
from znatok.training.lesson import Cost, row_costs, spread
from znatok.training.plan import context_tokens, make_plan
from znatok.training.scope import CRUMBS, SAMPLE, tokens_per_word

LONG_ANSWER = 400
"""Tokens of an answer from which it is called long: a paragraph of 60 Russian words for the built-in model."""

BASES_NAMED = 3

SHOWN_TEMPLATE = 600
"""Letters of a turn in an unknown chat template; in those we know it has 60 to 250."""


def token_problems(table: Table, source: BaseSource, renderer: Renderer, costs: dict[int, Cost]) -> tuple[Problem, ...]:
    """Rows that the model cannot hold, answers that are dear, a chat template that no one knows, and a tokenizer that
    splits the language into crumbs.

    costs: as `row_costs` gives them.
    """
    limit = context_tokens(source)
    over = {number: cost.longest for number, cost in costs.items() if cost.longest > limit}
    long = {number: cost.answer for number, cost in costs.items() if cost.answer > LONG_ANSWER and number not in over}
    file, found = table.path.name, [*_template(source, renderer), *_crumbs(table.rows, costs, source, renderer)]
    if long:
        tokens = next(iter(long.values()))
        found.insert(0, row_problem("long_answer", "warning", file, list(long), tokens=tokens, limit=LONG_ANSWER))
    if over:
        tokens, model = next(iter(over.values())), source.name
        found.insert(0, row_problem("over_context", "error", file, list(over), tokens=tokens, limit=limit, model=model))
    return tuple(found)


def estimated_costs(rows: tuple[Row, ...], source: BaseSource, renderer: Renderer) -> dict[int, Cost]:
    """What each row costs, as `row_costs` has it; of a long table only a part is tokenised, the rest is estimated.

    Whatever may be too long is tokenised: a text never has more tokens than bytes.
    """
    if len(rows) <= 2 * SAMPLE:
        return row_costs(rows, renderer)
    around = len(renderer.conversation("", "").ids)
    fits = context_tokens(source) - around
    some = spread(rows, SAMPLE)
    doubtful = [row for row in rows if _bytes(row) > fits or len(row.answer.encode()) > LONG_ANSWER]
    costs = row_costs([*some, *doubtful], renderer)
    share = sum(costs[row.number].longest - around for row in some) / sum(map(_bytes, some))
    for row in rows:
        if row.number not in costs:
            tokens = around + round(share * _bytes(row))
            costs[row.number] = Cost(tokens, max(1, round(share * len(row.answer.encode()))), tokens)
    return {row.number: costs[row.number] for row in rows}


def _bytes(row: Row) -> int:
    """Bytes of the longest wording and the answer together."""
    return max(len(wording.encode()) for wording in (row.question, *row.paraphrases)) + len(row.answer.encode())


def forecast_minutes(table: Table, source: BaseSource, renderer: Renderer, costs: dict[int, Cost]) -> int:
    """Minutes that training on this machine and the exam will take, for the whole table and the default settings.

    Raises TableError and ModelError as `make_plan` does.
    """
    plan = make_plan(make_settings({"model": source.name}), table, source, renderer, costs)
    return max(1, round(plan.seconds / 60))


def _template(source: BaseSource, renderer: Renderer) -> Iterator[Problem]:
    """A warning that shows what an unknown chat template puts around a question and its answer."""
    if not is_known(renderer.template):
        shown = as_one_line(renderer.template, text("problems.a_question"), text("problems.an_answer"))
        told = text("problems.unknown_template", model=source.name, shown=shown[:SHOWN_TEMPLATE])
        yield Problem(None, "unknown_template", "warning", told)


def _crumbs(rows: Sequence[Row], costs: dict[int, Cost], source: BaseSource, renderer: Renderer) -> Iterator[Problem]:
    """A note where a word takes many tokens, with the bases that need fewer for a Russian one."""
    tokens = tokens_per_word(rows, costs, renderer)
    if tokens is None or tokens <= CRUMBS:
        return
    written = " ".join(cell for row in rows[:SAMPLE] for cell in (row.question, row.answer))
    values = {"model": source.name, "tokens": f"{tokens:.1f}"}
    kind = "crumbs" if language_of(written) == "ru" else "crumbs_other"
    yield Problem(None, "crumbs", "note", text(f"problems.{kind}", bases=_better_bases(), **values))


def _better_bases() -> str:
    """Short names of the smallest bases that know Russian words and are given to everyone."""
    known = {
        name: base
        for name, base in BASE_MODELS.items()
        if base.tokens_per_russian_word and base.tokens_per_russian_word < CRUMBS and not base.is_gated
    }
    smallest = sorted(known, key=lambda name: known[name].gigabytes)[:BASES_NAMED]
    return ", ".join(
        text("problems.base", name=name, tokens=known[name].tokens_per_russian_word, gigabytes=known[name].gigabytes)
        for name in smallest
    )
