"""Answers side by side: before, after and the table's, with the words marked in which they differ."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Literal

from znatok.messages import text
from znatok.use.report.figures import number, word
from znatok.use.report.records import Record, found
from znatok.use.report.scores import SETS

ANSWERS_SHOWN = 700
"""Answers on the page: more would make it slow to open on a phone. `answers.csv` has all."""

LETTERS_SHOWN = 2_000
"""Of one text on the page."""

LIKE_ENOUGH = 0.25
"""Share of common words below which two answers are simply different, and marks would only be noise."""

_WORDS = re.compile(r"""\s*(?:(?:[^\s.,;:!?…()«»"“”]|(?<=\d)[.,:](?=\d))+|[.,;:!?…()«»"“”])""")
"""A word or a mark of punctuation, with the space before it. A number keeps its decimal sign."""


CRUMB_LETTERS = 2

_Mark = Literal["", "ins", "del"]
_Code = tuple[str, int, int, int, int]
"""What difflib calls an operation: its name, and from where to where in either text."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of words: "ins" where only the answer has it, "del" where only the table has it."""

    mark: _Mark
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One question with its answers. `kind` of the verdict is one of exact, right, wrong, open."""

    row: int | None
    question: str
    kind: str
    verdict: str
    cause: str
    before: str | None
    after: tuple[Piece, ...]
    reference: tuple[Piece, ...]
    search: str
    grounded: str


@dataclass(frozen=True, slots=True)
class Group:
    """Answers to the questions of one set; `left_out` more are in `answers.csv` alone."""

    name: str
    total: int
    answers: tuple[Answer, ...]
    left_out: int


def grouped(records: Sequence[Record]) -> tuple[tuple[Group, ...], tuple[Group, ...]]:
    """The missed answers and the others, set by set. The missed are shown first, the others where there is room."""
    missed = _by_set(record for record in records if is_missed(record))
    others = _by_set(record for record in records if not is_missed(record))
    shown = _groups(missed, ANSWERS_SHOWN)
    room = ANSWERS_SHOWN - sum(len(group.answers) for group in shown)
    return shown, _groups(others, room)


def _by_set(records: Iterable[Record]) -> dict[str, list[Record]]:
    sets: dict[str, list[Record]] = {}
    for record in records:
        sets.setdefault(str(record.get("set")), []).append(record)
    return dict(sorted(sets.items(), key=lambda item: SETS.index(item[0]) if item[0] in SETS else len(SETS)))


def _groups(sets: dict[str, list[Record]], room: int) -> tuple[Group, ...]:
    shares = _shared_out([len(members) for members in sets.values()], room)
    return tuple(
        Group(set_name(name), len(members), tuple(map(_answer, members[:share])), len(members) - share)
        for (name, members), share in zip(sets.items(), shares, strict=True)
    )


def _shared_out(wanted: Sequence[int], room: int) -> list[int]:
    """How many of each to take so that the small ones are whole and the large ones alike."""
    given = [0] * len(wanted)
    for left, place in enumerate(sorted(range(len(wanted)), key=lambda place: wanted[place])):
        given[place] = min(wanted[place], room // (len(wanted) - left))
        room -= given[place]
    return given


def set_name(name: str) -> str:
    """A set as people call it."""
    return word(f"report.set.{name}", name)


def is_missed(record: Record) -> bool:
    """Whether the trained model failed here: a row that was taught must be known by heart, any other answer right."""
    if record.get("set") == "trained" and found(record, "exact", "after") is not None:
        return not record["exact"]["after"]
    if record.get("passed") is None:
        return bool(record.get("confidently_wrong"))
    return not record["passed"]


def verdict_on(record: Record) -> tuple[str, str]:
    """What became of a question: exact, right, wrong or open, and the same in words."""
    if found(record, "exact", "after"):
        return "exact", text("report.answer.exact")
    if record.get("passed") is not None:
        kind = "right" if record["passed"] else "wrong"
        return kind, text(f"report.answer.{kind}")
    for name, kind in (("refused", "right"), ("declined", "right"), ("confidently_wrong", "wrong")):
        if record.get(name):
            return kind, text(f"report.answer.{name}")
    return "open", text("report.answer.open") if record.get("after") is not None else ""


def cause_of(record: Record) -> str:
    """Why an answer is wrong, in words; "" where it is not, or where the cause is not known."""
    cause, row = record.get("cause"), record.get("confused_with")
    if cause is None:
        return text("report.answer.row", row=row) if record.get("confidently_wrong") and row is not None else ""
    if cause == "confused" and row is not None:
        return text("report.cause.confused_with", row=row)
    return word(f"report.cause.{cause}", str(cause))


def _answer(record: Record) -> Answer:
    kind, verdict = verdict_on(record)
    after, reference = differences(_cut(record.get("after")), _cut(record.get("reference")))
    before = record.get("before")
    return Answer(
        row=record.get("row") or None,  # 0: a question of the user's own, with an answer that is not in the table
        question=_cut(record.get("question")),
        kind=kind,
        verdict=verdict,
        cause=cause_of(record),
        before=None if before is None else _cut(before),
        after=after if record.get("after") is not None else (),
        reference=reference,
        search=_search(record),
        grounded=_grounded(record),
    )


def _search(record: Record) -> str:
    """Whether plain search found the answer, and in which row; "" where it was not asked."""
    passed = found(record, "passed_by", "search")
    if passed is None:
        return ""
    said = text("report.answer.search_right" if passed else "report.answer.search_wrong")
    row = record.get("search_row")
    return text("report.answer.search_row", said=said, row=number(row)) if isinstance(row, int) else said


def _grounded(record: Record) -> str:
    """Whether the answer of model or row is right; "" where it was not asked."""
    passed = found(record, "passed_by", "grounded")
    return "" if passed is None else text("report.answer.grounded_right" if passed else "report.answer.grounded_wrong")


def _cut(said: object) -> str:
    said = "" if said is None else str(said)
    return said if len(said) <= LETTERS_SHOWN else said[:LETTERS_SHOWN].rstrip() + " …"


def differences(
    answer: str, reference: str, like_enough: float = LIKE_ENOUGH
) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """The answer with the words that the reference lacks marked "ins", the reference with those left out marked "del".

    Nothing is marked where the two have less than the share `like_enough` of their words in common. The pieces of each
    put together are the text without the white space around it.

    Example:
        >>> answer, reference = differences("It is 3,5 kΩ.", "It is about 3,2 kΩ.")
        >>> [piece.text for piece in answer if piece.mark], [piece.text for piece in reference if piece.mark]
        (['3,5'], ['about 3,2'])
    """
    given, wanted = _WORDS.findall(answer.strip()), _WORDS.findall(reference.strip())
    plain = [one.strip() for one in given], [one.strip() for one in wanted]
    matcher = SequenceMatcher(None, *plain, autojunk=False)
    if not given or not wanted or matcher.ratio() < like_enough:
        return _pieces([("", given)]), _pieces([("", wanted)])
    codes = list(_without_crumbs(matcher.get_opcodes(), given))
    ours: list[tuple[_Mark, Sequence[str]]] = []
    theirs: list[tuple[_Mark, Sequence[str]]] = []
    for tag, start, end, start_there, end_there in codes:
        ours.append(("" if tag == "equal" else "ins", given[start:end]))
        theirs.append(("" if tag == "equal" else "del", wanted[start_there:end_there]))
    return _pieces(ours), _pieces(theirs)


def _without_crumbs(codes: Sequence[_Code], words: Sequence[str]) -> Iterator[_Code]:
    """The same, but a letter or two that agree between two differences belong to the difference."""
    for place, (tag, start, end, start_there, end_there) in enumerate(codes):
        is_inside = 0 < place < len(codes) - 1
        is_crumb = is_inside and len("".join(words[start:end]).strip()) <= CRUMB_LETTERS
        yield "replace" if is_crumb else tag, start, end, start_there, end_there


def _pieces(runs: Iterable[tuple[_Mark, Sequence[str]]]) -> tuple[Piece, ...]:
    """Runs of words as pieces, neighbours with the same mark as one; the space before a mark stays outside of it."""
    pieces: list[Piece] = []
    for mark, members in groupby(runs, key=lambda run: run[0]):
        joined = "".join(word for _, words in members for word in words)
        bare = joined.lstrip() if mark else joined
        if space := joined[: len(joined) - len(bare)]:
            pieces.append(Piece("", space))
        if bare:
            pieces.append(Piece(mark, bare))
    return tuple(pieces)
