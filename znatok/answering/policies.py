"""How a question is answered: from the weights where they are sure, with a row of the table word for word where they
are not, and perhaps not at all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Literal

from znatok.answering.confidence import Calibration, is_whole, leads
from znatok.answering.evidence import CLOSEST, HEAD, Draft, gather
from znatok.data.render import Renderer, Turn
from znatok.data.search import Found, Search
from znatok.model.decode import Guess, no_guess
from znatok.model.network import Network
from znatok.records import Row

Policy = Literal["auto", "weights", "grounded"]
Source = Literal["weights", "outside", "row", "declined"]
"""`outside`: the weights, to a question that is far from all rows; what they say is not from the table."""


BEGUN_RIGHTLY = 0.992
"""Share of the weights' answers that pass where they begin as the right row does: 496 of 500 (docs/log.md)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is best answered: with `row`, or as the weights do where it is None; and how probable it is that this is
    right. `is_declined`: better not at all, where that is allowed. `is_outside`: the question is far from all rows and
    the weights' answer is no row's; where that is allowed they answer, and it is said that this is not from the table.
    """

    confidence: float
    row: Row | None
    is_declined: bool
    is_outside: bool = False

    @property
    def source(self) -> Source:
        """Where the answer comes from where all of that is allowed: under `auto`."""
        if self.is_declined:
            return "declined"
        if self.is_outside:
            return "outside"
        return "row" if self.row else "weights"


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides by a run's calibration where an answer comes from. `search` has the rows that were taught.

    is_open: whether the run's scope is `open`, so that the weights may answer what is far from all rows.
    """

    search: Search
    renderer: Renderer
    calibration: Calibration
    is_open: bool = False

    def closest(self, question: str) -> list[Found]:
        """The rows nearest to the question, the nearest first: what the methods below take with it."""
        return self.search.best(question, CLOSEST)

    def of_weights(self, question: str, draft: Draft, closest: Sequence[Found]) -> float:
        """How probable it is that the weights' own answer is right."""
        asked = self.search.asked.itself(question)
        if asked and self._begins_as(draft, asked):
            return BEGUN_RIGHTLY
        evidence, _ = gather(question, draft, closest, self.search, self.renderer)
        return self.calibration.weights.probability(evidence.numbers())

    def verdict(self, question: str, draft: Draft, closest: Sequence[Found]) -> Verdict:
        """Where the table has this very question, its answer: the weights' own where it begins so, else word for word.
        Else the weights' answer where they are sure; else the row that it tells or the one that search finds first,
        whichever is more probable, the former where search hardly tells two rows apart; but a row that search finds
        only where all of its words are asked, else that may be declined. Theirs again where there is neither, or where
        they speak of what is outside the table: an answer that begins as a row's does is never taken for that."""
        if asked := self.search.asked.itself(question):
            begins_so = self._begins_as(draft, asked)
            return Verdict(BEGUN_RIGHTLY if begins_so else 1.0, None if begins_so else asked, is_declined=False)
        evidence, said = gather(question, draft, closest, self.search, self.renderer)
        numbers = evidence.numbers()
        weights, search = self.calibration.probabilities(numbers)
        is_outside = self.is_open and said is None and self.calibration.is_far(evidence.likeness)
        if weights >= self.calibration.sure:
            return Verdict(weights, None, is_declined=False, is_outside=is_outside)
        confidence, row, may_be_given = weights, said.row if said else None, True
        if closest and (row is None or (search > weights and leads(numbers))):
            confidence, row, may_be_given = search, closest[0].row, is_whole(numbers)
        is_sure = may_be_given and confidence >= self.calibration.least
        if row and is_sure:
            return Verdict(confidence, row, is_declined=False)
        return Verdict(confidence, row, is_declined=not (is_sure or is_outside), is_outside=is_outside)

    def _begins_as(self, draft: Draft, row: Row) -> bool:
        """Whether the weights' answer begins, as far as it is judged, token by token as the row's."""
        return tuple(draft.ids[:HEAD]) == self.renderer.answer_ids(row.answer)[:HEAD]


@dataclass(frozen=True, slots=True)
class Answered:
    """Where an answer comes from and how sure it is; of one from outside the table, how probable it would be as one of
    its own. `ids` are those of the weights' answer as they are written; none where it is a row's, or declined."""

    source: Source
    row: Row | None
    confidence: float
    closest: tuple[Row, ...]
    ids: Iterator[int]


def answered(
    network: Network,
    judge: Judge,
    question: str,
    history: Sequence[Turn],
    policy: Policy,
    limit: int,
    guess: Guess = no_guess,
) -> Answered:
    """The answer under a policy, decided by the beginning that the weights write; their rest comes as it is drawn.

    guess: what they may write next, to spare time.
    """
    found = judge.closest(question)
    closest = tuple(one.row for one in found)
    draft, ids = _begun(network, judge.renderer, judge.renderer.prompt(question, history), limit, guess)
    if policy == "weights":
        return Answered("weights", None, judge.of_weights(question, draft, found), closest, ids)
    verdict = judge.verdict(question, draft, found)
    if policy == "auto" and verdict.source in ("declined", "outside"):
        left = iter(()) if verdict.is_declined else ids
        return Answered(verdict.source, None, verdict.confidence, closest, left)
    if verdict.row:
        return Answered("row", verdict.row, verdict.confidence, closest, iter(()))
    return Answered("weights", None, verdict.confidence, closest, ids)


def _begun(
    network: Network, renderer: Renderer, prompt: Sequence[int], limit: int, guess: Guess
) -> tuple[Draft, Iterator[int]]:
    """The beginning of an answer, and all of its ids, those of the rest as they are written."""
    limit = min(limit, network.context_length - len(prompt))
    writing = network.stream_scored(prompt, limit, renderer.stop_id, guess)
    begun = list(islice(writing, HEAD))
    draft = Draft([id for id, _ in begun], [logp for _, logp in begun])
    return draft, chain(draft.ids, (id for id, _ in writing))
