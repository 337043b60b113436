"""The exam: base, tuned model and plain search answer the same questions, and every answer is measured."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import fmean
from typing import Any

from znatok.answering.evidence import Draft
from znatok.answering.policies import Judge
from znatok.data.render import Renderer
from znatok.data.search import Found, Search
from znatok.exam.consult import Consulted, consult
from znatok.exam.items import Examiner, Item, alike, items_of
from znatok.exam.marks import Marked, Marker
from znatok.exam.scores import Asked, Policy, Scores, comparisons, confidence, record, scores
from znatok.model.network import Network
from znatok.records import QuestionSet, Row
from znatok.run_folder import RunFolder, write_json, write_lines

SCORED_TOGETHER = 32
"""Rows scored in one forward pass; more would only take more memory."""

SEARCHED_TOGETHER = 64


@dataclass(frozen=True, slots=True)
class ExamProgress:
    """Questions scored, answered and searched for so far, under every policy, of those to be."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class ExamResult:
    """`answers` as `answers.jsonl` has them, one a question; all else as `exam.json` has it.

    In an answer, `exact` holds base and tuned model, `before`, `after` and `search` the answers, null where there is
    none; the measures below them are those of `after`, or of `before` where there is no adapter. Where it is
    known how sure answers are, `grounded` is the answer and `auto` says where the one under that policy is from.
    """

    sets: Scores
    mcnemar: dict[str, dict[str, dict[str, float] | None]]
    auroc: dict[str, float | None]
    answers: list[dict[str, Any]]
    forgetting: dict[str, Any] | None = None

    def written(self) -> dict[str, Any]:
        """What stands in `exam.json`."""
        known = {"sets": self.sets, "mcnemar": self.mcnemar, "auroc": self.auroc}
        return known if self.forgetting is None else known | {"forgetting": self.forgetting}


class _Exam:
    """An exam under way: what is known of each question so far. The methods that do a part of it yield between
    batches how many questions are under way beyond those done."""

    def __init__(
        self,
        examiner: Examiner,
        marker: Marker,
        items: Sequence[Item],
        policies: Sequence[Policy],
        is_judged: bool,
    ) -> None:
        """is_judged: whether the policies `grounded` and `auto` are examined, too."""
        self._examiner, self._marker, self._items = examiner, marker, items
        self._policies: tuple[Policy, ...] = (*policies, *(("grounded", "auto") if is_judged else ()), "search")
        self._expected = [i for i, item in enumerate(items) if item.has_reference]
        self._wanted = {
            policy: [i for i, item in enumerate(items) if policy == "after" or item.sampled] for policy in policies
        }
        self._is_judged = is_judged
        self._exact: dict[Policy, dict[int, bool]] = {policy: {} for policy in self._policies}
        self._marked: dict[Policy, dict[int, Marked]] = {policy: {} for policy in self._policies}
        self._drafts: dict[int, Draft] = {}
        self._found: dict[int, Found | None] = {}
        self._consulted: dict[int, Consulted] = {}

    def score(self, batch_size: int) -> Iterator[float]:
        """Finds which references are given to the letter; those answers need not be generated to be known."""
        for policy in self._wanted:
            which = [i for i in self._expected if self._items[i].is_scored(policy)]
            for batch in alike(self._items, which, batch_size):
                scored = dict(zip(batch, self._examiner.exact(policy, self._of(batch)), strict=True))
                self._exact[policy] |= {i: is_right for i, (is_right, _) in scored.items()}
                if policy == "after":
                    known = [i for i in batch if self._exact[policy][i]]
                    self._marked[policy] |= {i: self._written(i, self._items[i].question.reference) for i in known}
                    self._drafts |= {i: Draft(self._items[i].reference, scored[i][1]) for i in known}
                yield 0.0

    def answer(self, batch_size: int) -> Iterator[float]:
        """Has the other answers generated."""
        for policy, wanted in self._wanted.items():
            for batch in alike(self._items, [i for i in wanted if i not in self._marked[policy]], batch_size):
                members = self._of(batch)
                writing = self._examiner.writing([one.prompt for one in members], [one.limit for one in members])
                while pieces := self._examiner.some(policy, writing):
                    said = pieces[-1]
                    yield len(batch) * max(map(len, said.ids)) / (1 + max(item.limit for item in members))
                marks = (self._marker.generated(one.question, ids) for one, ids in zip(members, said.ids, strict=True))
                self._marked[policy] |= zip(batch, marks, strict=True)
                self._exact[policy] |= {
                    i: tuple(ids) == one.reference
                    for i, one, ids in zip(batch, members, said.ids, strict=True)
                    if one.has_reference
                }
                if policy == "after":
                    self._drafts |= zip(batch, map(Draft, said.ids, said.logps), strict=True)
                yield 0.0

    def consult(self, judge: Judge) -> Iterator[float]:
        """Gives a row of the table where the weights are not sure, or nothing."""
        after, exact = self._marked["after"], self._exact["after"]
        for i, item in enumerate(self._items):
            one = consult(self._marker, judge, item.question, self._drafts[i], after[i], exact.get(i))
            self._consulted[i] = one
            self._marked["grounded"][i], self._marked["auto"][i] = one.grounded, one.auto
            if one.is_exact is not None and one.is_exact_under_auto is not None:
                self._exact["grounded"][i], self._exact["auto"][i] = one.is_exact, one.is_exact_under_auto
            if (i + 1) % SEARCHED_TOGETHER == 0:
                yield 0.0
        yield 0.0

    def search(self, search: Search) -> Iterator[float]:
        """Looks every question up in the table."""
        for place, i in enumerate(self._expected, start=1):
            question = self._items[i].question
            found = next(iter(search.best(question.question, count=1)), None)
            answer = found.row.answer if found else ""
            self._found[i], self._exact["search"][i] = found, answer == question.reference
            self._marked["search"][i] = self._written(i, answer)
            if place % SEARCHED_TOGETHER == 0 or place == len(self._expected):
                yield 0.0

    def progress(self, under_way: float) -> ExamProgress:
        answered = sum(len(self._exact[policy]) + len(self._marked[policy]) for policy in self._wanted)
        wanted = sum(map(len, self._wanted.values())) + (len(self._items) if self._is_judged else 0)
        total = (len(self._wanted) + 1) * len(self._expected) + wanted
        return ExamProgress(answered + len(self._consulted) + len(self._found) + int(under_way), total)

    def result(self) -> ExamResult:
        asked = [
            Asked(
                item.set_name,
                item.question,
                {policy: exact[i] for policy, exact in self._exact.items() if i in exact},
                {policy: marked[i] for policy, marked in self._marked.items() if i in marked},
                fmean(self._drafts[i].logps) if i in self._drafts else None,
                self._found.get(i),
                self._consulted[i].told if i in self._consulted else None,
            )
            for i, item in enumerate(self._items)
        ]
        records = [record(one, [*self._wanted]) for one in asked]
        return ExamResult(scores(asked, self._policies), comparisons(asked), confidence(asked), records)

    def _of(self, batch: Sequence[int]) -> list[Item]:
        return [self._items[i] for i in batch]

    def _written(self, i: int, answer: str) -> Marked:
        return self._marker.written(self._items[i].question, answer)


def examine(
    network: Network,
    renderer: Renderer,
    sets: Sequence[QuestionSet],
    rows: Sequence[Row],
    *,
    untaught: Sequence[Row] = (),
    before_sample: int = 40,
    batch_size: int = 96,
    judge: Judge | None = None,
) -> Iterator[ExamProgress | ExamResult]:
    """Examines base, tuned model and search on `sets`; yields progress between batches and the result last.

    `before` is the base alone, `after` has the adapter on and is absent where there is none, `search` is absent where
    no answer is expected, `grounded` and `auto` are there where `judge` and adapter are. `rows` are those
    that were taught, and what is searched; whether one answer was taken for another is asked of them and of the
    `untaught` rows of the table. Call after `network.use()`.
    batch_size: questions answered together; decoding reads all weights for every token, so the more share them, the
    better.

    `exact` is found by one forward pass over question and reference where that is cheaper. Such a question is not
    generated: greedy decoding takes the most probable token each time, so it would give the reference to the letter and
    stop (in bf16 up to near-ties). The others are, under `before` only for `before_sample` questions of each set.
    """
    judge = judge if network.has_adapter else None
    exam = _Exam(
        Examiner(network, renderer.stop_id),
        Marker([*rows, *untaught], renderer),
        [item for question_set in sets for item in items_of(question_set, renderer, before_sample)],
        ("before", "after") if network.has_adapter else ("before",),
        is_judged=judge is not None,
    )
    parts = [exam.score(min(SCORED_TOGETHER, batch_size)), exam.answer(batch_size), exam.search(Search(rows))]
    if judge:
        parts.append(exam.consult(judge))
    for under_way in chain.from_iterable(parts):
        yield exam.progress(under_way)
    yield exam.result()


def write_exam(run: RunFolder, result: ExamResult, extra: dict[str, Any]) -> None:
    """Writes `answers.jsonl`, then `exam.json` with `extra` beside the sets: a run with an `exam.json` is finished."""
    write_lines(run.answers, result.answers)
    write_json(run.exam, {**extra, **result.written()})
