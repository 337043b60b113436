"""The exam: base and tuned model answer the same questions, and every answer is measured."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
import torch

from znatok.data.batch import make_batch
from znatok.data.render import Renderer, Template
from znatok.exam.measures import References, chrf, echoed, passed
from znatok.exam.sets import sample
from znatok.exam.statistics import clopper_pearson
from znatok.model.network import Network
from znatok.records import Question, QuestionSet, Rendered
from znatok.run_folder import RunFolder, write_json, write_lines

Policy = Literal["before", "after"]
TOKENS_BETWEEN = 8
"""Tokens that a batch writes between two signs of progress."""

BEGINNING = 8
"""Tokens of an answer that are scored before the rest is."""

SCORED_TOGETHER = 32
"""Rows scored in one forward pass; more would only take more memory."""

OF_AN_ANSWER = ("passed", "chrf", "stopped", "echoed", "confused")
"""Measures that need an answer; `exact` needs none."""


@dataclass(frozen=True, slots=True)
class ExamProgress:
    """Questions scored and answered so far, under every policy, of those to be."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class ExamResult:
    """`sets` as `exam.json` has it: SET, POLICY, MEASURE. `answers` as `answers.jsonl` has it: one record a question.

    In a record, `exact` holds both policies and `before` and `after` the answers, null where none was generated; the
    measures below are those of `after`, or of `before` where there is no adapter.
    """

    sets: dict[str, dict[str, dict[str, Any]]]
    answers: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Item:
    """A question of a set, ready for the model."""

    set_name: str
    question: Question
    rendered: Rendered
    sampled: bool

    @property
    def prompt(self) -> tuple[int, ...]:
        return self.rendered.ids[: self.rendered.answer_start]

    @property
    def beginning(self) -> Rendered:
        """The conversation up to the first few tokens of its answer."""
        return Rendered(self.rendered.ids[: self.rendered.answer_start + BEGINNING], self.rendered.answer_start)

    @property
    def limit(self) -> int:
        """New tokens after which an answer is cut: 1.5 times the reference's and 16."""
        return (3 * (len(self.rendered.ids) - self.rendered.answer_start)) // 2 + 16


@dataclass(frozen=True, slots=True)
class _Marked:
    """An answer and what the measures say of it."""

    text: str
    passed: bool
    chrf: float
    stopped: bool
    echoed: bool
    confused: bool


@dataclass(frozen=True, slots=True)
class _Examiner:
    """The model, and what is needed to mark its answers."""

    network: Network
    renderer: Renderer
    references: References
    marks: tuple[str, ...]
    mark_ids: frozenset[int]

    def exact(self, policy: Policy, items: Sequence[_Item]) -> list[bool]:
        """For each item, whether every token of the reference and its end of turn is the most probable one.

        A base almost never knows a whole answer: it is asked for the beginnings first, and for the rest only of those
        whose beginning was right.
        """
        if policy == "before":
            begun = self._all_right(policy, [item.beginning for item in items])
            right = [item.rendered for item, is_right in zip(items, begun, strict=True) if is_right]
            rest = iter(self._all_right(policy, right) if right else ())
            return [is_right and next(rest) for is_right in begun]
        return self._all_right(policy, [item.rendered for item in items])

    def _all_right(self, policy: Policy, rendered: Sequence[Rendered]) -> list[bool]:
        batch = make_batch(rendered)
        with self._under(policy), torch.no_grad():
            correct_N = self.network.score(batch).correct_N.cpu().numpy()
        return [bool(wrong == 0) for wrong in np.bincount(batch.row_N[~correct_N], minlength=len(rendered))]

    def growing(self, items: Sequence[_Item]) -> Iterator[list[list[int]]]:
        """Greedy answers of a batch, to be drawn through `some`."""
        limits = [item.limit for item in items]
        return self.network.growing([item.prompt for item in items], limits, self.renderer.stop_id)

    def some(self, policy: Policy, growing: Iterator[list[list[int]]]) -> list[list[list[int]]]:
        """The answers after each of the next few tokens; empty when all have ended."""
        with self._under(policy):
            return list(islice(growing, TOKENS_BETWEEN))

    def marked(self, items: Sequence[_Item], found: Sequence[Sequence[int]]) -> list[_Marked]:
        """What the measures say of a batch's answers."""
        return [
            self.mark(
                item.question,
                self.renderer.decode(ids),
                stopped=self.renderer.stop_id in ids,
                # decode() leaves control tokens out, so a role mark made of them is seen in the ids alone.
                shows_mark=not self.mark_ids.isdisjoint(ids),
            )
            for item, ids in zip(items, found, strict=True)
        ]

    def mark(self, question: Question, text: str, stopped: bool = True, shows_mark: bool = False) -> _Marked:
        return _Marked(
            text=text,
            passed=passed(text, question.reference, stopped),
            chrf=chrf(text, question.reference),
            stopped=stopped,
            echoed=shows_mark or echoed(text, self.marks, question.question, question.reference),
            confused=self.references.confused(text, question.reference),
        )

    def _under(self, policy: Policy) -> AbstractContextManager[Any]:
        return self.network.base_alone() if policy == "before" else nullcontext()


def examine(
    network: Network,
    renderer: Renderer,
    sets: Sequence[QuestionSet],
    answers: Sequence[str],
    *,
    before_sample: int = 40,
    batch_size: int = 96,
) -> Iterator[ExamProgress | ExamResult]:
    """Examines base and tuned model on `sets`; yields progress between batches and the result last.

    `before` is the base alone, `after` has the adapter on and is absent where there is none. `answers` are all answers
    of the table: whether one was taken for another is asked among them. Call after `network.use()`.
    batch_size: questions answered together; decoding reads all weights for every token, so the more share them, the
    better.

    `exact` is found by one forward pass over question and reference, for every question. An exact question is not
    generated: greedy decoding takes the most probable token each time, so it would give the reference to the letter and
    stop (in bf16 up to near-ties). The others are, under `before` only for `before_sample` questions of each set.
    """
    items = [item for question_set in sets for item in _items(question_set, renderer, before_sample)]
    policies: tuple[Policy, ...] = ("before", "after") if network.has_adapter else ("before",)
    examiner = _Examiner(network, renderer, References(answers), _prompt_marks(renderer.template), _mark_ids(renderer))
    everything = range(len(items))
    wanted = {policy: {i for i in everything if policy == "after" or items[i].sampled} for policy in policies}
    exact: dict[Policy, dict[int, bool]] = {policy: {} for policy in policies}
    marked: dict[Policy, dict[int, _Marked]] = {policy: {} for policy in policies}

    def progress(under_way: float = 0.0) -> ExamProgress:
        done = sum(len(exact[policy]) + len(marked[policy]) for policy in policies)
        return ExamProgress(done + int(under_way), sum(len(items) + len(wanted[policy]) for policy in policies))

    # The adapter is switched, and gradients are off, inside a batch only: whoever reads this generator may do other
    # things with the model in between, or never come back.
    for policy in policies:
        for batch in _alike(everything, items, min(SCORED_TOGETHER, batch_size)):
            exact[policy] |= zip(batch, examiner.exact(policy, [items[i] for i in batch]), strict=True)
            known = [i for i in batch if i in wanted[policy] and exact[policy][i]]
            marked[policy] |= {i: examiner.mark(items[i].question, items[i].question.reference) for i in known}
            yield progress()
    for policy in policies:
        for batch in _alike([i for i in wanted[policy] if not exact[policy][i]], items, batch_size):
            members = [items[i] for i in batch]
            growing = examiner.growing(members)
            while pieces := examiner.some(policy, growing):
                found = pieces[-1]
                yield progress(len(batch) * max(map(len, found)) / (1 + max(item.limit for item in members)))
            marked[policy] |= zip(batch, examiner.marked(members, found), strict=True)
            yield progress()
    yield _result(items, exact, marked)


def write_exam(run: RunFolder, result: ExamResult, extra: dict[str, Any]) -> None:
    """Writes `answers.jsonl`, then `exam.json` with `extra` beside the sets: a run with an `exam.json` is finished."""
    write_lines(run.answers, result.answers)
    write_json(run.exam, {**extra, "sets": result.sets})


def _items(question_set: QuestionSet, renderer: Renderer, before_sample: int) -> list[_Item]:
    sampled = set(sample(question_set, before_sample))
    return [
        _Item(question_set.name, question, renderer.conversation(question.question, question.reference), i in sampled)
        for i, question in enumerate(question_set.questions)
    ]


def _alike(which: Sequence[int], items: Sequence[_Item], batch_size: int) -> list[list[int]]:
    """`which` in batches of like limits, the longest first: what needs most memory fails at once or not at all."""
    order = sorted(which, key=lambda i: (items[i].limit, len(items[i].prompt)), reverse=True)
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def _prompt_marks(template: Template) -> tuple[str, ...]:
    """The pieces of text that the template puts around questions and answers, one by one."""
    around = "\n".join(asdict(template).values())
    for bracket in ("<", "["):
        around = around.replace(bracket, "\n" + bracket)
    for bracket in (">", "]"):
        around = around.replace(bracket, bracket + "\n")
    return tuple(dict.fromkeys(piece.strip() for piece in around.splitlines() if piece.strip()))


def _mark_ids(renderer: Renderer) -> frozenset[int]:
    """Control tokens of the prompt. The one that ends an answer is no echo."""
    used = {id for ids in renderer.describe()["ids"].values() for id in ids}
    return frozenset(used & renderer.control_ids - {renderer.stop_id})


def _result(
    items: Sequence[_Item], exact: dict[Policy, dict[int, bool]], marked: dict[Policy, dict[int, _Marked]]
) -> ExamResult:
    sets: dict[str, dict[str, dict[str, Any]]] = {}
    for name in dict.fromkeys(item.set_name for item in items):
        members = [i for i, item in enumerate(items) if item.set_name == name]
        sets[name] = {
            policy: _measures(
                [exact[policy][i] for i in members],
                [marked[policy][i] for i in members if i in marked[policy]],
            )
            for policy in exact
        }
    records = [
        _record(
            item,
            {policy: exact[policy][i] for policy in exact},
            {policy: marked[policy].get(i) for policy in exact},
        )
        for i, item in enumerate(items)
    ]
    return ExamResult(sets, records)


def _measures(exact: Sequence[bool], marked: Sequence[_Marked]) -> dict[str, Any]:
    """The measures of one set under one policy; shares of generated answers are null where none was generated."""
    measures: dict[str, Any] = {"n": len(exact), "n_generated": len(marked), **_share("exact", exact)}
    for name in OF_AN_ANSWER:
        values = [getattr(answer, name) for answer in marked]
        if name == "chrf":
            measures[name] = sum(values) / len(values) if values else None
        else:
            measures |= _share(name, values)
    return measures


def _share(name: str, hits: Sequence[bool]) -> dict[str, Any]:
    if not hits:
        return {name: None, f"{name}_ci": None}
    return {name: sum(hits) / len(hits), f"{name}_ci": list(clopper_pearson(sum(hits), len(hits)))}


def _record(item: _Item, exact: dict[Policy, bool], answers: dict[Policy, _Marked | None]) -> dict[str, Any]:
    before, after = answers.get("before"), answers.get("after")
    verdict = after if "after" in answers else before
    return {
        "set": item.set_name,
        "row": item.question.row,
        "question": item.question.question,
        "reference": item.question.reference,
        "exact": exact,
        "before": before.text if before else None,
        "after": after.text if after else None,
        **{name: getattr(verdict, name) if verdict else None for name in OF_AN_ANSWER},
    }
