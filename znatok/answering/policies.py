"""How a question is answered: from the weights where they are sure, with rows in the prompt where they are not, and
perhaps not at all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from znatok.answering.confidence import Calibration
from znatok.answering.evidence import CLOSEST, HEAD, Draft, Evidence, Said, gather
from znatok.data.grounding import Grounded, ground
from znatok.data.render import Renderer, Turn
from znatok.data.search import Found, Search
from znatok.model.network import Network
from znatok.records import Row

Policy = Literal["auto", "weights", "grounded"]
Source = Literal["weights", "row", "declined"]


class Sources:
    """The rows of one table, as answers draw on them."""

    def __init__(self, rows: Sequence[Row], renderer: Renderer, grounded_rows: int, columns: int) -> None:
        """grounded_rows: most rows in a prompt.  columns: tokens that such a prompt and its answer may come to."""
        self.renderer = renderer
        self._search = Search(rows)
        self._grounded_rows = grounded_rows
        self._columns = columns

    def closest(self, question: str) -> list[Found]:
        """The rows nearest to the question, the nearest first: what the methods below take with it."""
        return self._search.best(question, max(CLOSEST, self._grounded_rows))

    def grounded(self, question: str, closest: Sequence[Found], history: Sequence[Turn] = ()) -> Grounded:
        """The question under the closest rows, as far as they have room beside the longest of their answers."""
        rows = [one.row for one in closest[: self._grounded_rows]]
        answers = [self.renderer.conversation("", row.answer) for row in rows]
        answer = max((len(one.ids) - one.answer_start for one in answers), default=0)
        return ground(question, rows, self.renderer, self._columns - answer, history=history)

    def evidence(
        self, draft: Draft, closest: Sequence[Found], alone: Draft | None = None
    ) -> tuple[Evidence, Said | None]:
        """What speaks for an answer, and whose it is; see `gather`."""
        return gather(draft, closest, self._search, self.renderer, alone)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How probable it is that an answer is right; `row`: the one in the prompt that it was read off, if it was."""

    confidence: float
    row: Row | None


@dataclass(frozen=True, slots=True)
class Judge:
    """Says how sure an answer is, and whether that is enough."""

    sources: Sources
    calibration: Calibration

    def of_weights(self, draft: Draft, closest: Sequence[Found]) -> Verdict:
        """Of an answer from the weights alone."""
        evidence, _ = self.sources.evidence(draft, closest)
        return Verdict(self.calibration.weights.probability(evidence.numbers()), None)

    def of_rows(self, draft: Draft, closest: Sequence[Found], carried: Sequence[Row], alone: Draft) -> Verdict:
        """Of an answer with the rows `carried` in the prompt; `alone`: what the weights said without them."""
        evidence, said = self.sources.evidence(draft, closest, alone)
        is_read = said is not None and any(row.answer == said.row.answer for row in carried)
        confidence = self.calibration.rows.probability(evidence.numbers())
        return Verdict(confidence, said.row if said and is_read else None)

    def is_sure(self, verdict: Verdict) -> bool:
        """Whether an answer from the weights is given as it is."""
        return verdict.confidence >= self.calibration.sure

    def is_declined(self, verdict: Verdict) -> bool:
        """Whether an answer with rows in the prompt is better not given, where that is allowed."""
        return verdict.confidence < self.calibration.least


@dataclass(frozen=True, slots=True)
class Answered:
    """Where an answer comes from, how sure it is, and its ids as they are written; none where it is declined.

    `row`: the row that it was read off.  `closest`: the rows nearest to the question.
    """

    source: Source
    row: Row | None
    confidence: float
    closest: tuple[Row, ...]
    ids: Iterator[int]


def answered(
    network: Network, judge: Judge, question: str, history: Sequence[Turn], policy: Policy, limit: int
) -> Answered:
    """The answer under a policy. It is decided once its beginning is written; the rest comes as it is drawn."""
    sources = judge.sources
    found = sources.closest(question)
    closest = tuple(one.row for one in found[:CLOSEST])
    alone, ids = _begun(network, sources.renderer, sources.renderer.prompt(question, history), limit)
    verdict = judge.of_weights(alone, found)
    if policy == "weights" or judge.is_sure(verdict):
        return Answered("weights", None, verdict.confidence, closest, ids)
    carried, draft = sources.grounded(question, found, history), alone
    if carried.rows:
        draft, ids = _begun(network, sources.renderer, sources.renderer.prompt(carried.text, history), limit)
    verdict = judge.of_rows(draft, found, carried.rows, alone)
    if policy == "auto" and judge.is_declined(verdict):
        return Answered("declined", None, verdict.confidence, closest, iter(()))
    return Answered("row" if verdict.row else "weights", verdict.row, verdict.confidence, closest, ids)


def _begun(network: Network, renderer: Renderer, prompt: Sequence[int], limit: int) -> tuple[Draft, Iterator[int]]:
    """The beginning of an answer, and all of its ids, those of the rest as they are written."""
    limit = min(limit, network.context_length - len(prompt))
    writing = network.writing([prompt], [limit], renderer.stop_id)
    for written in writing:
        if len(written.ids[0]) >= HEAD:
            break
    draft = Draft(tuple(written.ids[0]), tuple(written.logps[0]))
    return draft, chain(draft.ids, (one.ids[0][-1] for one in writing))
