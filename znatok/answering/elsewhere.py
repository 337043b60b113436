"""Whether an answer is from the table at all, where a model of scope `open` also answers other questions."""

from collections.abc import Sequence

from znatok.data.search import Found

FAR = 0.1
"""Likeness of the nearest row below which a question is far from all of them. By itself it says little: of what people
ask about the rows 13 to 33 per cent lies below, of questions on other things 67 to 88 (docs/recipe.md)."""


def is_elsewhere(closest: Sequence[Found], tells_a_row: bool) -> bool:
    """Whether question and answer are about something else: the question is far from all rows, the answer no row's.

    closest: what search finds for the question.  tells_a_row: whether the answer is like that of some row.
    """
    return not tells_a_row and all(one.score < FAR for one in closest)
