"""What becomes of questions that no row answers: decided by how well the base reads the language of the table."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from statistics import fmean
from typing import Literal

from znatok.data.refusal import REFUSALS
from znatok.data.render import Renderer
from znatok.data.reword import language_of
from znatok.messages import text
from znatok.records import Row
from znatok.settings import PRESETS, Settings
from znatok.training.lesson import Cost, spread

CRUMBS = 4.5
"""Tokens a word from which a tokenizer is said not to know the language; bases that know Russian need 2.3 to 3.4."""

WORD_LETTERS = 20
"""Letters a word above which the script has no spaces between words, so that words cannot be counted."""

SAMPLE = 500
"""Rows that are enough to know how many tokens a word takes."""


@dataclass(frozen=True, slots=True)
class Scope:
    """`open`: the rows are learned and the rest is kept.  `strict`: all else is declined with the sentence `refusal`.

    `reason`: why, for the plan.
    """

    name: Literal["open", "strict"]
    refusal: str | None
    reason: str


def decide_scope(settings: Settings, rows: Sequence[Row], costs: dict[int, Cost], renderer: Renderer) -> Scope:
    """What was asked; else strict where the base splits the words of the table into crumbs: what it says in that
    language by itself is not worth keeping."""
    if settings.scope != "auto":
        is_of_preset = PRESETS[settings.preset].get("scope") == settings.scope
        return _scope(settings.scope, rows, text(f"plan.why.scope_{'preset' if is_of_preset else 'asked'}"))
    tokens = tokens_per_word(rows, costs, renderer)
    if tokens is None:
        return _scope("open", rows, text("plan.why.scope_uncounted"))
    name: Literal["open", "strict"] = "strict" if tokens > CRUMBS else "open"
    return _scope(name, rows, text(f"plan.why.scope_{name}", tokens=f"{tokens:.1f}", most=f"{CRUMBS:g}"))


def _scope(name: Literal["open", "strict"], rows: Sequence[Row], reason: str) -> Scope:
    refusal = REFUSALS[language_of(" ".join(row.question for row in rows))]
    return Scope(name, refusal if name == "strict" else None, reason)


def refusal_tokens(scope: Scope, rows: Sequence[Row], renderer: Renderer) -> float:
    """Tokens of a question that is declined, and of its answer, in the mean: noisy ones have a few more."""
    if scope.refusal is None:
        return 0.0
    asked = elsewhere(language_of(" ".join(row.question for row in rows)))
    around = len(renderer.conversation("", scope.refusal).ids)
    return around + fmean(len(renderer.content_ids(one)) for one in asked)


@cache
def elsewhere(language: str) -> tuple[str, ...]:
    """Questions on anything, shipped in "ru" or "en", that are declined under `strict`. No exam has any of them."""
    file = files("znatok.training").joinpath("elsewhere", f"{language}.txt")
    return tuple(line for line in file.read_text(encoding="utf-8").splitlines() if line.strip())


def tokens_per_word(rows: Sequence[Row], costs: dict[int, Cost], renderer: Renderer) -> float | None:
    """Tokens that a word of the table takes in the mean; None where there are no words to count.

    costs: as `row_costs` gives them.
    """
    some = spread(tuple(rows), min(SAMPLE, len(rows)))
    words = [word for row in some for word in f"{row.question} {row.answer}".split() if re.search(r"[^\W\d_]", word)]
    if not words or sum(map(len, words)) > WORD_LETTERS * len(words):
        return None
    around = len(renderer.conversation("", "").ids)
    return sum(costs[row.number].tokens - around for row in some) / len(words)
