"""Where an answer comes from and how sure it is, in words; and what is said instead of one."""

from collections.abc import Sequence
from typing import Any

from znatok.answering.policies import Answered
from znatok.messages import text
from znatok.records import Row

MOST_SHOWN = 0.99
"""No more is ever claimed: a hundred per cent would be a promise."""


def source_in_words(answered: Answered) -> str:
    """The source with its confidence, such as "from the model's memory, 97%"."""
    percent = f"{100 * min(answered.confidence, MOST_SHOWN):.0f}"
    if answered.source == "outside":
        return text("chat.source.outside")
    if answered.row is None:
        return text(f"chat.source.{answered.source}", percent=percent)
    return text("chat.source.row", row=answered.row.number, percent=percent)


def declined_in_words(answered: Answered, *, can_choose: bool) -> str:
    """That there is no answer, and the closest questions by number. can_choose: a conversation goes on to choose in."""
    if not answered.closest:
        return text("chat.declined_alone")
    return numbered("chat.declined" if can_choose else "chat.declined_once", answered.closest)


def numbered(key: str, rows: Sequence[Row]) -> str:
    """The message `key`, and the questions of the rows below it by number."""
    questions = (f"  {number}. {' '.join(row.question.split())}" for number, row in enumerate(rows, start=1))
    return "\n".join([text(key), *questions])


def source_as_json(answered: Answered) -> dict[str, Any]:
    """The same for scripts. `row` and `closest` are rows of the table, by number; of what is not from the table it is
    not known how right it is."""
    return {
        "source": answered.source,
        "row": answered.row.number if answered.row else None,
        "confidence": None if answered.source == "outside" else round(answered.confidence, 4),
        "closest": [{"row": row.number, "question": row.question} for row in answered.closest],
    }
