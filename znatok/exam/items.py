"""The questions of an exam made ready for a model, and the model made ready to be asked, as base or as it was tuned."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch

from znatok.data.batch import make_batch
from znatok.data.render import Renderer
from znatok.exam.scores import Policy
from znatok.exam.sets import UNKNOWN_TOKENS, sample
from znatok.model.network import Network, Written
from znatok.records import Question, QuestionSet, Rendered

TOKENS_BETWEEN = 8
"""Tokens that a batch writes between two signs of progress."""

BEGINNING = 8
"""Tokens of an answer that are scored before the rest is."""

MOSTLY_KNOWN = ("trained", "reworded")
"""Sets whose answers the tuned model mostly knows to the letter: there one pass over the reference, which need not be
generated then, is cheaper than generating it. Elsewhere the pass would mostly come on top."""


@dataclass(frozen=True, slots=True)
class Item:
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


def items_of(question_set: QuestionSet, renderer: Renderer, before_sample: int) -> list[Item]:
    """The questions of a set; `before_sample` of them, evenly spread, are those that the base answers."""
    sampled = set(sample(question_set, before_sample))
    return [
        Item(question_set.name, question, _rendered(question, renderer), i in sampled)
        for i, question in enumerate(question_set.questions)
    ]


def _rendered(question: Question, renderer: Renderer) -> Rendered:
    if question.reference:
        return renderer.conversation(question.question, question.reference)
    prompt = tuple(renderer.prompt(question.question))
    return Rendered(prompt, len(prompt))


@dataclass(frozen=True, slots=True)
class Examiner:
    """The model under a policy. The adapter is switched, and gradients are off, inside a call only: whoever reads the
    exam's generator may do other things with the model in between, or never come back."""

    network: Network
    stop_id: int

    def exact(self, policy: Policy, items: Sequence[Item]) -> list[tuple[bool, list[float]]]:
        """For each item, whether every token of the reference and its end of turn is the most probable one, and the
        log-probabilities of those that were scored.

        A base almost never knows a whole answer: it is asked for the beginnings first, and for the rest only of those
        whose beginning was right.
        """
        if policy == "before":
            begun = self._scored(policy, [item.beginning for item in items])
            right = [item.rendered for item, (is_right, _) in zip(items, begun, strict=True) if is_right]
            rest = iter(self._scored(policy, right) if right else ())
            return [next(rest) if one[0] else one for one in begun]
        return self._scored(policy, [item.rendered for item in items])

    def _scored(self, policy: Policy, rendered: Sequence[Rendered]) -> list[tuple[bool, list[float]]]:
        batch = make_batch(rendered)
        with self._under(policy), torch.no_grad():
            score = self.network.score(batch)
        wrong = np.bincount(batch.row_N[~score.correct_N.cpu().numpy()], minlength=len(rendered))
        logps = np.split(score.logp_N.cpu().numpy(), np.cumsum(np.bincount(batch.row_N))[:-1])
        return [(count == 0, one.tolist()) for count, one in zip(wrong.tolist(), logps, strict=True)]

    def writing(self, prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> Iterator[Written]:
        """Greedy answers of a batch, to be drawn through `some`."""
        return self.network.writing(prompts, limits, self.stop_id)

    def some(self, policy: Policy, writing: Iterator[Written]) -> list[Written]:
        """The answers after each of the next few tokens; empty when all have ended."""
        with self._under(policy):
            return list(islice(writing, TOKENS_BETWEEN))

    def _under(self, policy: Policy) -> AbstractContextManager[Any]:
        return self.network.base_alone() if policy == "before" else nullcontext()


def alike(items: Sequence[Item], which: Sequence[int], batch_size: int) -> list[list[int]]:
    """`which` in batches of like limits, the longest first: what needs most memory fails at once or not at all."""
    order = sorted(which, key=lambda i: (items[i].limit, len(items[i].prompt)), reverse=True)
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
