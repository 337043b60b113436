"""Refusals: beside the rows, a model of scope `strict` is asked what no row answers, and learns to decline it.

Two kinds of questions. Far: shipped ones on anything else. Near: questions of the table in which the word that tells
what they are about gave way to a word from nowhere. Both also come reworded as rows are, by noise.
"""

import random
from collections import Counter
from collections.abc import Sequence

from rapidfuzz import fuzz

from znatok.data.batch import Batch, make_batch
from znatok.data.likeness import plain
from znatok.data.render import Renderer, Turn
from znatok.data.reword import heldout_wording, language_of
from znatok.data.reword.language import languages_of
from znatok.data.reword.noise import Noise
from znatok.data.telling import LEAST_LETTERS, long_words, stem, stems, telling_word, word_counts
from znatok.exam.sets import far_from
from znatok.records import Rendered, Row
from znatok.settings import Settings
from znatok.training.lesson import Declining, declining
from znatok.training.plan import Plan
from znatok.training.scope import elsewhere
from znatok.training.state import State

TRIES = 8
"""Rows and words that are tried for a near question; where none will do, a far one is asked."""

MOST_ALIKE = 60
"""Per cent of letters that a word and the one in its place may have in common: a slip of the finger leaves more, and a
misspelt question is still to be answered."""

ENDING = 2
"""Last letters that two words have in common where one takes the other's place, so that the sentence stays whole."""

MOST_TOKENS = 2
"""Of one byte of text: even a tokenizer that takes letters and their accents apart makes no more."""


class Refusals:
    """An endless stream of questions that are declined, decided by the seed; `State` knows the place in it."""

    def __init__(
        self,
        rows: Sequence[Row],
        renderer: Renderer,
        refusal: str,
        declining: Declining,
        *,
        batch_size: int,
        rewording: float,
        history_share: float = 0.0,
        longest: int,
        seed: int,
    ) -> None:
        """refusal: the answer.  declining: how many there are.  rewording: share of far questions with changed words.
        history_share: of those that come after a row, as rows themselves do: else more would be declined in first turns
        than was meant to be.  longest: tokens of one.
        """
        language = language_of(" ".join(row.question for row in rows))
        self._rows, self._renderer, self._refusal, self._declining = tuple(rows), renderer, refusal, declining
        self._batch_size, self._rewording, self._seed = batch_size, rewording, seed
        self._history_share = history_share
        self._longest = longest
        self._asked = _wordings(rows)
        far = [one for one in far_from(rows, elsewhere(language)) if plain(one) not in self._asked]
        self._far = self._short(far)
        self._shuffled: tuple[int, list[int]] = (-1, [])
        self._noise = Noise((*self._far, *(row.question for row in rows)))
        self._counts = word_counts(rows)
        self._stems = frozenset[str]().union(*(stems(" ".join(_said(row))) for row in rows))
        # Of other languages we have no words to put into a sentence.
        self._by_ending = _by_ending(self._far, self._stems) if language in languages_of(rows) else {}

    def due(self, state: State, rows_shown: int) -> tuple[Batch, ...]:
        """What is declined in the update that shows so many rows: a batch of as many as rows have, or nothing yet.

        Nothing ever where every shipped question is near to a row or too long.
        """
        due = int(self._declining.share * (state.exposures + rows_shown)) - state.refusals
        if not self._far or due < self._batch_size:
            return ()
        return (make_batch([self._rendered(state.refusals + place) for place in range(self._batch_size)]),)

    def question(self, number: int) -> str:
        """The question that comes after `number` others."""
        rng = random.Random(f"refusals {self._seed} {number}")
        if rng.random() < self._declining.near_share and (near := self._near(rng)):
            return near
        asked = self._next_far(number)
        said = self._noise.reword(asked, rng) if rng.random() < self._rewording else asked
        return said if plain(said) not in self._asked else asked

    def _rendered(self, number: int) -> Rendered:
        """The question after what comes before it, where something does and both together are not too long."""
        question = self.question(number)
        for history in (self._history(number), ()):
            rendered = self._renderer.conversation(question, self._refusal, history)
            if len(rendered.ids) <= self._longest:
                return rendered
        return self._renderer.conversation(self._next_far(number), self._refusal)

    def _history(self, number: int) -> tuple[Turn, ...]:
        """A row as the earlier turn, or nothing."""
        rng = random.Random(f"turns {self._seed} {number}")
        if rng.random() >= self._history_share:
            return ()
        row = rng.choice(self._rows)
        return ((row.question, row.answer),)

    def _next_far(self, number: int) -> str:
        """Passes over all of them, each in an order of its own."""
        done, place = divmod(number, len(self._far))
        return self._far[self._order(done)[place]]

    def _order(self, done: int) -> list[int]:
        """That of the pass after `done` others; kept until another is asked for."""
        if self._shuffled[0] != done:
            order = list(range(len(self._far)))
            random.Random(f"far {self._seed} {done}").shuffle(order)
            self._shuffled = done, order
        return self._shuffled[1]

    def _near(self, rng: random.Random) -> str | None:
        """A row's question with a word from nowhere where its telling word was; None where no such is found.

        The word must be that question's alone, and in its answer too, so that it names the subject; the new one must be
        in no row and be no misspelling of it.
        """
        for _ in range(TRIES):
            row = rng.choice(self._rows)
            word = telling_word(row, self._counts)
            there = self._by_ending.get(word[-ENDING:].lower(), ())
            if not there or self._counts[word.lower()] > 1 or stem(word) not in stems(row.answer):
                continue
            instead = rng.choice(there)
            question = row.question.replace(word, instead.capitalize() if word[0].isupper() else instead, 1)
            is_slip = fuzz.ratio(word.lower(), instead) > MOST_ALIKE
            if not is_slip and plain(question) not in self._asked:
                return question
        return None

    def _short(self, questions: Sequence[str]) -> list[str]:
        """Those that take no more tokens than a batch may. Short texts are not even counted."""
        around = len(self._renderer.conversation("", self._refusal).ids)
        return [
            one
            for one in questions
            if around + MOST_TOKENS * len(one.encode()) <= self._longest
            or around + len(self._renderer.content_ids(one)) <= self._longest
        ]


def make_refusals(renderer: Renderer, plan: Plan, settings: Settings, longest: int) -> Refusals | None:
    """What a run declines while it learns; None where its scope is `open`. longest: tokens of one."""
    if plan.refusal is None:
        return None
    return Refusals(
        plan.rows,
        renderer,
        plan.refusal,
        declining(plan.exposures),
        batch_size=plan.batch_size,
        rewording=settings.rewording,
        history_share=plan.history_share,
        longest=longest,
        seed=settings.seed,
    )


def _wordings(rows: Sequence[Row]) -> frozenset[str]:
    """Every wording of a row that is trained or examined."""
    return frozenset(
        plain(wording)
        for row in rows
        for wording in (row.question, *row.paraphrases, *row.examined, heldout_wording(row.question, row.number))
    )


def _said(row: Row) -> tuple[str, ...]:
    return row.question, *row.paraphrases, *row.examined, row.answer


def _by_ending(questions: Sequence[str], taken: frozenset[str]) -> dict[str, list[str]]:
    """Words of these questions that no row has, by their last letters."""
    counted = Counter(word.lower() for question in questions for word in long_words(question))
    words: dict[str, list[str]] = {}
    for word in counted:
        if len(word) > LEAST_LETTERS and stem(word) not in taken:
            words.setdefault(word[-ENDING:], []).append(word)
    return words
