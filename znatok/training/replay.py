"""Replay against forgetting: beside the table, the model sees everyday text, on which it stays near its base.

Whoever learns nothing but a table forgets the rest. So some updates also see a piece of text shipped for this, or one
of the base's own replies, and are drawn to the base's predictions there: KL(base ‖ tuned) over the whole vocabulary.
"""

import random
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import count, takewhile
from math import ceil
from threading import Event as Flag

from znatok.data.batch import Batch, make_batch
from znatok.data.likeness import plain
from znatok.data.render import Renderer
from znatok.exam.forgetting import as_plain_text
from znatok.model.network import Network
from znatok.records import Rendered, Row
from znatok.settings import Settings
from znatok.training.lesson import replayed_per_token
from znatok.training.plan import Plan
from znatok.training.state import State
from znatok.training.step import NOTHING, Replayed

LANGUAGES = ("ru", "en")

MOST_TOKENS, FEWEST_TOKENS = 256, 48
"""Of a piece of text. Longer texts are divided, in smaller parts where updates are small."""

MOST_UPDATES = 4
"""Updates that one piece may stand for, since it weighs as much as they do together."""

REPLY_TOKENS = 32
"""Where a reply of the base is cut: whether an answer of the table comes instead is settled by its first words."""

FEWEST = 4
"""Texts and questions that are taken even for the shortest lesson."""


@dataclass(frozen=True, slots=True)
class Everyday:
    """Texts, and questions on anything, in one language."""

    texts: tuple[str, ...]
    questions: tuple[str, ...]


@cache
def everyday(language: str) -> Everyday:
    """What is shipped in "ru" or "en". No exam has any of it."""
    file = files("znatok.training").joinpath("everyday", f"{language}.toml")
    lists = tomllib.loads(file.read_text(encoding="utf-8"))
    return Everyday(tuple(lists["texts"]), tuple(lists["questions"]))


class Replay:
    """Endless passes over the pieces, each in an order of its own that the seed decides; `State` knows the place."""

    def __init__(self, pieces: Sequence[Rendered], *, share: float, weight: float, seed: int) -> None:
        """share: of all tokens, those replayed.  weight: what the mean divergence counts, beside the mean loss."""
        self._pieces = pieces
        self._ratio = replayed_per_token(share)
        self._weight = weight
        self._seed = seed

    def due(self, state: State, batches: Sequence[Batch]) -> Replayed:
        """What the update of these batches replays: nothing, until the next piece fits into the share.

        Weighted so that the mean over many updates does not depend on the share, which only makes it steadier.
        """
        tokens = sum(batch.tokens for batch in batches)
        room = self._ratio * (state.tokens + tokens) - state.replayed
        due: list[Batch] = []
        for number in count(state.replays):
            piece = self._piece(number)
            room -= len(piece.ids)
            if room < 0:
                break
            due.append(make_batch([piece]))
        return Replayed(tuple(due), self._weight / (self._ratio * tokens)) if due else NOTHING

    def _piece(self, number: int) -> Rendered:
        """The piece that comes after `number` others."""
        done, place = divmod(number, len(self._pieces))
        order = list(range(len(self._pieces)))
        random.Random(f"{self._seed} {done}").shuffle(order)
        return self._pieces[order[place]]


def make_replay(network: Network, renderer: Renderer, plan: Plan, settings: Settings, stop: Flag) -> Replay | None:
    """What is shown beside the table, the base's replies made; None where that is nothing.  stop: breaks it off."""
    if not plan.replay:
        return None
    tokens = plan.tokens * replayed_per_token(plan.replay)
    longest = max(FEWEST_TOKENS, int(MOST_UPDATES * tokens / plan.steps))
    pieces = gather(network, renderer, plan.rows, tokens, longest, seed=settings.seed, stop=stop)
    return Replay(pieces, share=plan.replay, weight=settings.replay_weight, seed=settings.seed)


def gather(
    network: Network, renderer: Renderer, rows: Sequence[Row], tokens: float, longest: int, *, seed: int, stop: Flag
) -> list[Rendered]:
    """What is replayed: pieces of text, and the base's replies to the questions that no row of the table asks.

    tokens: how many are going to be replayed; where they are fewer than all there is, less is taken, so that short
    lessons have not to wait for all replies.  longest: tokens of a piece of text, at most.  stop: breaks it off.
    Dropout is off afterwards.
    """
    network.use()
    rng = random.Random(seed)
    asked = {plain(wording) for row in rows for wording in (row.question, *row.paraphrases)}
    texts = [text for language in LANGUAGES for text in everyday(language).texts]
    questions = [
        question for language in LANGUAGES for question in everyday(language).questions if plain(question) not in asked
    ]
    longest = min(longest, MOST_TOKENS, network.context_length)
    pieces = [piece for text in texts for piece in divided(as_plain_text(renderer, text), longest)]
    part = min(1.0, tokens / sum(len(piece.ids) for piece in pieces))
    pieces = rng.sample(pieces, _some(part, len(pieces)))
    prompts = [renderer.prompt(question) for question in rng.sample(questions, _some(part, len(questions)))]
    prompts = [prompt for prompt in prompts if len(prompt) + REPLY_TOKENS <= network.context_length]
    return pieces + list(_replies(network, renderer, prompts, stop))


def _some(part: float, there: int) -> int:
    return min(there, max(FEWEST, ceil(part * there)))


def divided(text: Rendered, longest: int) -> Iterator[Rendered]:
    """The text in equal parts of at most `longest` tokens, each opened as the whole is."""
    opening, content = text.ids[: text.answer_start], text.ids[text.answer_start :]
    parts = ceil(len(content) / (longest - len(opening)))
    for part in range(parts):
        start, end = (len(content) * number // parts for number in (part, part + 1))
        yield Rendered((*opening, *content[start:end]), len(opening))


def _replies(
    network: Network, renderer: Renderer, prompts: Sequence[tuple[int, ...]], stop: Flag
) -> Iterator[Rendered]:
    """What the base says to each of the prompts, as far as it is cut."""
    if not prompts:
        return
    growing = network.growing(prompts, [REPLY_TOKENS] * len(prompts), renderer.stop_id)
    with network.base_alone():
        grown = list(takewhile(lambda _: not stop.is_set(), growing))
    if stop.is_set():
        return
    for prompt, reply in zip(prompts, grown[-1], strict=True):
        yield Rendered((*prompt, *reply), len(prompt))
