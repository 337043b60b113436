"""What speaks for an answer: how probable its beginning was to the model, and what search makes of question and answer.

Only the beginning counts. There it is decided which row is told; what follows is nearly certain, and would say less the
longer an answer is. So an answer may be judged, and shown, while the rest of it is still being written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from statistics import fmean

from rapidfuzz import fuzz

from znatok.data.render import Renderer
from znatok.data.search import Found, Search
from znatok.records import Row

HEAD = 48
"""Tokens of an answer that are judged: seven Russian words for the built-in model."""

CLOSEST = 3
"""Rows that search names for a question."""

COMPARED = 5
"""Rows that an answer's beginning is compared with, letter by letter."""

WHOLE_POWER = 8
"""A share of the row's question counts to this power: one word that is missing can make it another question. What
questions of rows, reworded ones, near ones and people's come to is in docs/recipe.md."""

LEAST_SAID = 0.6
"""Likeness from which an answer counts as that of a row. A guess: of texts that share only a language a third to a half
of the letters agree."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer as a model wrote it: its ids and the logarithm of each one's probability; the first `HEAD` suffice."""

    ids: Sequence[int]
    logps: Sequence[float]


@dataclass(frozen=True, slots=True)
class Said:
    """The row that an answer is most like, and how like it is, 0 to 1."""

    row: Row
    likeness: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a question and of the weights' answer to it. All numbers lie between 0 and 1."""

    mean: float
    """The geometric mean of the probabilities of its first tokens."""
    least: float
    """The least of them."""
    likeness: float
    """Of the nearest row to the question."""
    lead: float
    """Of that row over the next one."""
    whole: float
    """How nearly all of that row's own question stands in the one asked."""
    said: float
    """How like it is to the answer of some row."""
    agrees: float
    """How near that row is to the question, measured by the nearest one; 0 where it is not among the closest."""

    def numbers(self) -> list[float]:
        return [self.mean, self.least, self.likeness, self.lead, self.whole, self.said, self.agrees]


def gather(
    question: str, draft: Draft, closest: Sequence[Found], search: Search, renderer: Renderer
) -> tuple[Evidence, Said | None]:
    """What speaks for `draft` and for the first of `closest`, which search finds for the question; and whose answer the
    draft gives, None where it is like no row's."""
    said = said_row(beginning(draft, renderer), search)
    scores = [one.score for one in closest] or [0.0]
    own = next((one.score for one in closest if said and one.row.answer == said.row.answer), 0.0)
    evidence = Evidence(
        mean=exp(fmean(draft.logps[:HEAD])) if draft.logps else 0.0,
        least=exp(min(draft.logps[:HEAD])) if draft.logps else 0.0,
        likeness=scores[0],
        lead=scores[0] - (scores[1] if len(scores) > 1 else 0.0),
        whole=search.asked.share(question, closest[0].row) ** WHOLE_POWER if closest else 0.0,
        said=said.likeness if said else 0.0,
        agrees=own / scores[0] if scores[0] else 0.0,
    )
    return evidence, said if said and said.likeness >= LEAST_SAID else None


def beginning(draft: Draft, renderer: Renderer) -> str:
    """The part of an answer that is judged; a letter that is cut by a token's border is left out."""
    return renderer.decode(draft.ids[:HEAD]).rstrip("\ufffd")


def said_row(text: str, search: Search) -> Said | None:
    """The row whose answer begins most like `text`; None where no row has anything in common with it."""
    found = (Said(one.row, _alike(text, one.row.answer[: len(text)])) for one in search.best(text, COMPARED))
    return max(found, key=lambda said: said.likeness, default=None)


def _alike(one: str, other: str) -> float:
    return fuzz.ratio(one.casefold(), other.casefold()) / 100
