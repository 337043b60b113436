"""The exam: base, tuned model and plain search answer the same questions, and every answer is measured."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain, islice
from statistics import fmean
from typing import Any

import numpy as np
import torch

from znatok.data.batch import make_batch
from znatok.data.render import Renderer
from znatok.exam.marks import Marked, Marker
from znatok.exam.scores import Asked, Policy, Scores, comparisons, confidence, record, scores
from znatok.exam.search import Found, Search
from znatok.exam.sets import UNKNOWN_TOKENS, sample
from znatok.model.network import Network, Written
from znatok.records import Question, QuestionSet, Rendered, Row
from znatok.run_folder import RunFolder, write_json, write_lines

TOKENS_BETWEEN = 8
"""Tokens that a batch writes between two signs of progress."""

BEGINNING = 8
"""Tokens of an answer that are scored before the rest is."""

SCORED_TOGETHER = 32
"""Rows scored in one forward pass; more would only take more memory."""

SEARCHED_TOGETHER = 64

MOSTLY_KNOWN = ("trained", "reworded")
"""Sets whose answers the tuned model mostly knows to the letter: there one pass over the reference, which need not be
generated then, is cheaper than generating it. Elsewhere the pass would mostly come on top."""


@dataclass(frozen=True, slots=True)
class ExamProgress:
    """Questions scored, answered and searched for so far, under every policy, of those to be."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class ExamResult:
    """`answers` as `answers.jsonl` has them, one a question; all else as `exam.json` has it.

    In an answer, `exact` holds base and tuned model, `before`, `after` and `search` the answers, null where there is
    none; the measures below them are those of `after`, or of `before` where there is no adapter.
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


@dataclass(frozen=True, slots=True)
class _Item:
    """A question of a set, ready for the model; `rendered` is the prompt alone where no answer is expected."""

    set_name: str
    question: Question
    rendered: Rendered
    sampled: bool

    @property
    def has_reference(self) -> bool:
        return bool(self.question.reference)

    @property
    def prompt(self) -> tuple[int, ...]:
        return self.rendered.ids[: self.rendered.answer_start]

    @property
    def reference(self) -> tuple[int, ...]:
        """The ids of the expected answer and its end of turn."""
        return self.rendered.ids[self.rendered.answer_start :]

    @property
    def beginning(self) -> Rendered:
        """The conversation up to the first few tokens of its answer."""
        return Rendered(self.rendered.ids[: self.rendered.answer_start + BEGINNING], self.rendered.answer_start)

    @property
    def limit(self) -> int:
        """New tokens after which an answer is cut: 1.5 times the reference's and 16."""
        return (3 * len(self.reference)) // 2 + 16 if self.has_reference else UNKNOWN_TOKENS

    def is_scored(self, policy: Policy) -> bool:
        """Whether `exact` is found without generating: see MOSTLY_KNOWN; the base generates its sample in any case."""
        return self.has_reference and (self.set_name in MOSTLY_KNOWN if policy == "after" else not self.sampled)


@dataclass(frozen=True, slots=True)
class _Examiner:
    """The model under a policy. The adapter is switched, and gradients are off, inside a call only: whoever reads the
    exam's generator may do other things with the model in between, or never come back."""

    network: Network
    stop_id: int

    def exact(self, policy: Policy, items: Sequence[_Item]) -> list[tuple[bool, float]]:
        """For each item, whether every token of the reference and its end of turn is the most probable one, and the
        mean log-probability of those that were scored.

        A base almost never knows a whole answer: it is asked for the beginnings first, and for the rest only of those
        whose beginning was right.
        """
        if policy == "before":
            begun = self._scored(policy, [item.beginning for item in items])
            right = [item.rendered for item, (is_right, _) in zip(items, begun, strict=True) if is_right]
            rest = iter(self._scored(policy, right) if right else ())
            return [next(rest) if one[0] else one for one in begun]
        return self._scored(policy, [item.rendered for item in items])

    def _scored(self, policy: Policy, rendered: Sequence[Rendered]) -> list[tuple[bool, float]]:
        batch = make_batch(rendered)
        with self._under(policy), torch.no_grad():
            score = self.network.score(batch)
        wrong = np.bincount(batch.row_N[~score.correct_N.cpu().numpy()], minlength=len(rendered))
        means = np.bincount(batch.row_N, score.logp_N.cpu().numpy()) / np.bincount(batch.row_N)
        return list(zip((wrong == 0).tolist(), means.tolist(), strict=True))

    def writing(self, items: Sequence[_Item]) -> Iterator[Written]:
        """Greedy answers of a batch, to be drawn through `some`."""
        return self.network.writing([item.prompt for item in items], [item.limit for item in items], self.stop_id)

    def some(self, policy: Policy, writing: Iterator[Written]) -> list[Written]:
        """The answers after each of the next few tokens; empty when all have ended."""
        with self._under(policy):
            return list(islice(writing, TOKENS_BETWEEN))

    def _under(self, policy: Policy) -> AbstractContextManager[Any]:
        return self.network.base_alone() if policy == "before" else nullcontext()


class _Exam:
    """An exam under way: what is known of each question so far. The methods that do a part of it yield between
    batches how many questions are under way beyond those done."""

    def __init__(self, examiner: _Examiner, marker: Marker, items: Sequence[_Item], policies: Sequence[Policy]) -> None:
        self._examiner, self._marker, self._items = examiner, marker, items
        self._policies: tuple[Policy, ...] = (*policies, "search")
        self._expected = [i for i, item in enumerate(items) if item.has_reference]
        self._wanted = {
            policy: [i for i, item in enumerate(items) if policy == "after" or item.sampled] for policy in policies
        }
        self._exact: dict[Policy, dict[int, bool]] = {policy: {} for policy in self._policies}
        self._marked: dict[Policy, dict[int, Marked]] = {policy: {} for policy in self._policies}
        self._logprob: dict[int, float] = {}
        self._found: dict[int, Found | None] = {}

    def score(self, batch_size: int) -> Iterator[float]:
        """Finds which references are given to the letter; those answers need not be generated to be known."""
        for policy in self._wanted:
            which = [i for i in self._expected if self._items[i].is_scored(policy)]
            for batch in self._alike(which, batch_size):
                scored = dict(zip(batch, self._examiner.exact(policy, self._of(batch)), strict=True))
                self._exact[policy] |= {i: is_right for i, (is_right, _) in scored.items()}
                if policy == "after":
                    known = [i for i in batch if self._exact[policy][i]]
                    self._marked[policy] |= {i: self._written(i, self._items[i].question.reference) for i in known}
                    self._logprob |= {i: scored[i][1] for i in known}
                yield 0.0

    def answer(self, batch_size: int) -> Iterator[float]:
        """Has the other answers generated."""
        for policy, wanted in self._wanted.items():
            for batch in self._alike([i for i in wanted if i not in self._marked[policy]], batch_size):
                members, writing = self._of(batch), self._examiner.writing(self._of(batch))
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
                    self._logprob |= zip(batch, map(fmean, said.logps), strict=True)
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
        done = sum(len(self._exact[policy]) + len(self._marked[policy]) for policy in self._wanted) + len(self._found)
        total = (len(self._wanted) + 1) * len(self._expected) + sum(map(len, self._wanted.values()))
        return ExamProgress(done + int(under_way), total)

    def result(self) -> ExamResult:
        asked = [
            Asked(
                item.set_name,
                item.question,
                {policy: exact[i] for policy, exact in self._exact.items() if i in exact},
                {policy: marked[i] for policy, marked in self._marked.items() if i in marked},
                self._logprob.get(i),
                self._found.get(i),
            )
            for i, item in enumerate(self._items)
        ]
        records = [record(one, [*self._wanted]) for one in asked]
        return ExamResult(scores(asked, self._policies), comparisons(asked), confidence(asked), records)

    def _of(self, batch: Sequence[int]) -> list[_Item]:
        return [self._items[i] for i in batch]

    def _written(self, i: int, answer: str) -> Marked:
        return self._marker.written(self._items[i].question, answer)

    def _alike(self, which: Sequence[int], batch_size: int) -> list[list[int]]:
        """`which` in batches of like limits, the longest first: what needs most memory fails at once or not at all."""
        items = self._items
        order = sorted(which, key=lambda i: (items[i].limit, len(items[i].prompt)), reverse=True)
        return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def examine(
    network: Network,
    renderer: Renderer,
    sets: Sequence[QuestionSet],
    rows: Sequence[Row],
    *,
    untaught: Sequence[Row] = (),
    before_sample: int = 40,
    batch_size: int = 96,
) -> Iterator[ExamProgress | ExamResult]:
    """Examines base, tuned model and search on `sets`; yields progress between batches and the result last.

    `before` is the base alone, `after` has the adapter on and is absent where there is none, `search` is absent where
    no answer is expected. `rows` are those that were taught, and what is searched; whether one answer was taken for
    another is asked of them and of the `untaught` rows of the table. Call after `network.use()`.
    batch_size: questions answered together; decoding reads all weights for every token, so the more share them, the
    better.

    `exact` is found by one forward pass over question and reference where that is cheaper. Such a question is not
    generated: greedy decoding takes the most probable token each time, so it would give the reference to the letter and
    stop (in bf16 up to near-ties). The others are, under `before` only for `before_sample` questions of each set.
    """
    items = [item for question_set in sets for item in _items(question_set, renderer, before_sample)]
    exam = _Exam(
        _Examiner(network, renderer.stop_id),
        Marker([*rows, *untaught], renderer),
        items,
        ("before", "after") if network.has_adapter else ("before",),
    )
    parts = (exam.score(min(SCORED_TOGETHER, batch_size)), exam.answer(batch_size), exam.search(Search(rows)))
    for under_way in chain.from_iterable(parts):
        yield exam.progress(under_way)
    yield exam.result()


def write_exam(run: RunFolder, result: ExamResult, extra: dict[str, Any]) -> None:
    """Writes `answers.jsonl`, then `exam.json` with `extra` beside the sets: a run with an `exam.json` is finished."""
    write_lines(run.answers, result.answers)
    write_json(run.exam, {**extra, **result.written()})


def _items(question_set: QuestionSet, renderer: Renderer, before_sample: int) -> list[_Item]:
    sampled = set(sample(question_set, before_sample))
    return [
        _Item(question_set.name, question, _rendered(question, renderer), i in sampled)
        for i, question in enumerate(question_set.questions)
    ]


def _rendered(question: Question, renderer: Renderer) -> Rendered:
    if question.reference:
        return renderer.conversation(question.question, question.reference)
    prompt = tuple(renderer.prompt(question.question))
    return Rendered(prompt, len(prompt))
