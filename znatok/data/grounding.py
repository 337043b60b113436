"""The text of a prompt that carries rows of the table: one place for training, exam and chat. No torch here.

A row is its question and, on the next line, its answer; a blank line parts rows, and the user's question comes last, as
it does where it stands alone. No word of any language is added: each would cost tokens in every prompt.
"""

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from znatok.data.render import Renderer, Turn
from znatok.records import Row

BETWEEN = "\n\n"
CUT = "…"

BETWEEN_TOKENS = 4
"""What a blank line takes at most, where two texts are tokenised together that were counted apart."""

LEAST_CUT = 0.5
"""Share of an answer's words that must have room. Less of it would say what the row is about and little of the fact."""


@dataclass(frozen=True, slots=True)
class Grounded:
    """What stands in the prompt in the place of the question, and the rows that it carries."""

    text: str
    rows: tuple[Row, ...]


def ground(
    question: str,
    rows: Sequence[Row],
    renderer: Renderer,
    room: int,
    *,
    history: Sequence[Turn] = (),
    rng: random.Random | None = None,
) -> Grounded:
    """`question` under those of `rows` that have room, or a long beginning of their answer; alone where none has.

    rows: the nearest first; they are given room in this order.  room: tokens that the whole prompt may take, history
    included.  rng: puts the rows in a random order; without it they stand as they come.
    """
    left = room - _tokens(question, renderer, history)
    carried: list[tuple[Row, str]] = []
    for row in rows:
        if (block := _fitting(row, left - BETWEEN_TOKENS, renderer)) is not None:
            carried.append((row, block))
            left -= len(renderer.content_ids(block)) + BETWEEN_TOKENS
    order = list(range(len(carried)))
    if rng is not None:
        rng.shuffle(order)
    while order:
        text = BETWEEN.join([*(carried[place][1] for place in order), question])
        if _tokens(text, renderer, history) <= room:
            return Grounded(text, tuple(carried[place][0] for place in order))
        order.remove(max(order))  # the farthest one
    return Grounded(question, ())


def _tokens(text: str, renderer: Renderer, history: Sequence[Turn]) -> int:
    return len(renderer.prompt(text, history))


def _fitting(row: Row, room: int, renderer: Renderer) -> str | None:
    """The row as text of at most `room` tokens; its answer is cut behind a word where it must be."""

    def tokens(text: str) -> int:
        return len(renderer.content_ids(text))

    def beginning(words: int) -> str:
        return f"{row.question}\n{' '.join(said[:words])}{CUT}"

    whole = f"{row.question}\n{row.answer}"
    if tokens(whole) <= room:
        return whole
    said = row.answer.split(" ")
    words = bisect_right(range(1, len(said)), room, key=lambda count: tokens(beginning(count)))
    return beginning(words) if words and words >= LEAST_CUT * len(said) else None
