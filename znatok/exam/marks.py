"""One answer and what the measures say of it; where nothing is expected, whether it is another question's answer."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from znatok.data.refusal import is_refusal
from znatok.data.render import Renderer, Template
from znatok.exam.causes import Cause, cause_of
from znatok.exam.measures import References, chrf, echoed, passed
from znatok.records import Question, Row


@dataclass(frozen=True, slots=True)
class Marked:
    """An answer and its marks. Null: `passed`, `chrf`, `stopped` and `confused` where no answer is expected (such
    answers are cut early), and `confidently_wrong` where one is. `other_row`: whose answer it gives instead, where it
    gives another row's.

    The last two are of the policy `auto` alone: whether the answer was declined, and whether the right row is among the
    three closest, which are named then. Under it `confidently_wrong` is also an answer given that is not right.
    """

    text: str
    passed: bool | None
    chrf: float | None
    stopped: bool | None
    echoed: bool
    confused: bool | None
    confidently_wrong: bool | None
    cause: Cause | None
    other_row: int | None
    declined: bool | None = None
    among_three: bool | None = None
    refused: bool = False
    """Whether it is the sentence with which a model of scope `strict` declines, and not the right answer."""


class Marker:
    """Marks answers to questions about the rows of one table, or about none of them."""

    def __init__(self, rows: Sequence[Row], renderer: Renderer) -> None:
        self._rows = rows
        self._references = References([row.answer for row in rows])
        self._prompt_marks = _prompt_marks(renderer.template)
        self._mark_ids = _mark_ids(renderer)
        self._renderer = renderer

    def generated(self, question: Question, ids: Sequence[int]) -> Marked:
        """What a model's answer is worth. decode() leaves control tokens out, so a role mark made of them is seen in
        the ids alone."""
        stopped, shows_mark = self._renderer.stop_id in ids, not self._mark_ids.isdisjoint(ids)
        return self.written(question, self._renderer.decode(ids), stopped, shows_mark)

    def written(self, question: Question, text: str, stopped: bool = True, shows_mark: bool = False) -> Marked:
        """What an answer that is there as text is worth."""
        is_echo = shows_mark or echoed(text, self._prompt_marks, question.question, question.reference)
        if not question.reference:
            place = self._references.said(text, is_cut=not stopped)
            taken = None if place is None else self._rows[place].number
            refused = stopped and is_refusal(text)
            return Marked(text, None, None, None, is_echo, None, taken is not None, None, taken, refused=refused)
        other = self._references.other(text, question.reference)
        is_right = passed(text, question.reference, stopped)
        cause = None
        if not is_right:
            cause = cause_of(text, question.reference, stopped=stopped, is_echo=is_echo, other=other)
        return Marked(
            text=text,
            passed=is_right,
            chrf=chrf(text, question.reference),
            stopped=stopped,
            echoed=is_echo,
            confused=other is not None,
            confidently_wrong=None,
            cause=cause,
            other_row=self._rows[other.place].number if other and cause == "confused" else None,
            refused=cause == "refused",
        )


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
