"""Which column holds the questions, which the answers: by their names, by what the user says, or by what is in them."""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from znatok.errors import TableError, UsageError

Record = list[str]
"""The cells of one row of a table, stripped. An empty one is a blank row of a sheet: it has a number and is no row."""

Asked = tuple[str | None, str | None]
"""The columns of questions and answers that the user names: by their names, or by their numbers from 1."""

Form = Literal["text", "sheet", "fields"]
"""What the records are of: text with delimiters, a sheet of a workbook, JSON with its fields as columns."""

HEADER_LINES = 10
"""The column names are looked for in so many lines."""

# The earlier a name stands, the sooner its column is taken. The other names make a header only in pairs: each alone
# may as well be a word that is taught.
_SURE_QUESTION = ("question", "questions", "вопрос", "вопросы")
_SURE_ANSWER = ("answer", "answers", "ответ", "ответы")
_QUESTION = (
    *(*_SURE_QUESTION, "текст вопроса", "question text", "ваш вопрос", "q", "prompt", "instruction", "запрос"),
    *("query", "термин", "term", "понятие", "front", "user", "input"),
)
_ANSWER = (
    *(*_SURE_ANSWER, "текст ответа", "answer text", "правильный ответ", "верный ответ", "correct answer", "a"),
    *("completion", "output", "response", "определение", "definition", "толкование", "back", "assistant"),
)
_PARAPHRASES = frozenset(
    {
        *("paraphrase", "paraphrases", "перефразировка", "перефразировки", "парафраз", "парафразы", "формулировки"),
        *("другая формулировка", "другие формулировки", "вариант вопроса", "варианты вопроса", "другие вопросы"),
        *("wordings", "other wordings", "rephrasing", "rephrasings", "question variants"),
    }
)
_ORNAMENTS = re.compile(r"(?:\d+[.)]|[\s\d_:*#№()\[\]\"'«»-])+")
_COLUMN_NAME = re.compile(r"[^\W\d]+(?:[ _-][^\W\d]+)?")

_BODY = 1000
"""So many records are looked at where columns are told by their content."""

_ASKS, _ASKS_NOT = 0.6, 0.3
"""Share of cells that end with a question mark: at least, in a column of questions; at most, in any other."""

_IS_TEXT, _LONGER = 0.6, 1.5
"""Share of cells with letters in a column of text; how much longer answers are than the cells of any other column."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Where questions, answers and other wordings stand. `header` is None where the first record is a fact already.

    start: the index of the first fact.  is_sure: that the header is one.  guessed: a column was told by its content.
    """

    question: int
    answer: int
    paraphrases: tuple[int, ...]
    width: int
    header: Record | None
    start: int
    is_sure: bool
    guessed: bool

    def name(self, index: int) -> str:
        """The name of a column, or its number from 1 where it has none."""
        return (self.header[index] if self.header and index < len(self.header) else "") or str(index + 1)


def find_columns(file: str, records: Sequence[Record], asked: Asked, form: Form = "text") -> Columns:
    """The columns of a table whose first record is not blank; in a table of fields it is their names.

    Raises: TableError where they cannot be told, UsageError where the user names one that is not there.
    """
    has_header = form == "fields"
    place = _sure_header(file, records, asked, has_header)
    is_sure = place is not None
    if place is None and any(_position(records[0], names) is not None for names in (_SURE_QUESTION, _SURE_ANSWER)):
        place = 0
    header, start = (records[place], place + 1) if place is not None else ([], 0)
    question, answer = _named(header, asked)
    by_name, by_content = question is not None and answer is not None, False
    width = len(header) if header and by_name else usual_width(records)
    _refuse_outside(file, width, asked)
    if question is None or answer is None:
        body = [record for record in records[start:] if record][:_BODY]
        pair, by_content = _by_content(body, width, question, answer, in_order=not has_header)
        if pair is None:
            raise _no_columns(file, header or records[0], width, form)
        question, answer = pair
    if question == answer:
        raise UsageError("read.same_column", file=file, name=asked[0])
    if not header and _is_header(records, question, answer):
        header, start = records[0], 1
    paraphrases = (place for place, name in enumerate(header) if normal_name(name) in _PARAPHRASES)
    return Columns(
        question=question,
        answer=answer,
        paraphrases=tuple(place for place in paraphrases if place not in (question, answer)),
        width=width,
        header=header or None,
        start=start,
        is_sure=is_sure,
        guessed=by_content or (is_sure and not by_name),
    )


def header_place(records: Sequence[Record], asked: Asked = (None, None)) -> int | None:
    """The index of the record that names both columns, among the first lines.

    What stands above it is a title. Where the names are not sure, it must look like one: no two cells filled.
    """
    if all(map(_is_number, asked)):
        asked = (None, None)
    for place, record in enumerate(records[:HEADER_LINES]):
        if None in _named(record, asked):
            continue
        sure = any(asked) or None not in (_position(record, _SURE_QUESTION), _position(record, _SURE_ANSWER))
        if sure or all(sum(map(bool, above)) < 2 for above in records[:place]):
            return place
    return None


def usual_width(records: Iterable[Record]) -> int:
    """The commonest number of columns, less those at the right where every cell is empty; never below two so."""
    filled = [record for record in records if record]
    commonest = Counter(map(len, filled)).most_common(1)
    width = commonest[0][0] if commonest else 0
    while width > 2 and not any(record[width - 1] for record in filled if len(record) >= width):
        width -= 1
    return width


def normal_name(cell: str) -> str:
    """A column name without case, numbers and ornaments."""
    return _ORNAMENTS.sub(" ", cell).strip().lower().replace("ё", "е")


def listed(names: Iterable[str]) -> str:
    """Cells in one line, each cut where it is long."""
    return " | ".join(map(shortened, names))


def shortened(cell: str) -> str:
    """A cell in one line of at most 60 letters."""
    line = " ".join(cell.split())
    return line if len(line) <= 60 else line[:59] + "…"


def _sure_header(file: str, records: Sequence[Record], asked: Asked, has_header: bool) -> int | None:
    """The index of the record that is beyond doubt the header; None where nothing says so."""
    first = records[: 1 if has_header else HEADER_LINES]
    place = header_place(first, asked)
    if place is not None:
        return place
    names = [name for name in asked if name is not None and not _is_number(name)]
    if not names:
        return 0 if has_header else None
    found = [[name for name in names if _place_of(name, record) is not None] for record in first]
    place = max(range(len(first)), key=lambda place: (len(found[place]), sum(map(bool, first[place]))))
    for name in names:
        if name not in found[place]:
            raise _unknown_column(file, name, first[place])
    return place


def _named(header: Record, asked: Asked) -> tuple[int | None, int | None]:
    """Positions of question and answer that the user, or else the names in `header`, tell."""
    question, answer = (None if name is None else _place_of(name, header) for name in asked)
    if asked[0] is None:
        found = _position(header, _QUESTION)
        question = None if found == answer else found
    if asked[1] is None:
        found = _position(header, _ANSWER)
        answer = None if found == question else found
    return question, answer


def _place_of(asked: str, header: Record) -> int | None:
    """Where the column is that the user means: by its number from 1, else by its name."""
    if _is_number(asked):
        return int(asked) - 1
    for form in (lambda name: name.strip().casefold(), normal_name):
        wanted, names = form(asked), list(map(form, header))
        if wanted and wanted in names:
            return names.index(wanted)
    return None


def _is_number(name: str | None) -> bool:
    return name is not None and name.isascii() and name.isdecimal() and len(name) < 100


def _position(header: Record, names: Sequence[str]) -> int | None:
    """The first column with the earliest of the names."""
    found = [(names.index(name), place) for place, name in enumerate(map(normal_name, header)) if name in names]
    return min(found)[1] if found else None


def _by_content(
    body: Sequence[Record], width: int, question: int | None, answer: int | None, *, in_order: bool
) -> tuple[tuple[int, int] | None, bool]:
    """Both columns, or None where they cannot be told; and whether what is in them told them.

    Two columns are taken as they stand (`in_order`) unless the question marks are all in the second.
    """
    if width < 2:
        return None, False
    columns = [place for place in range(width) if any(any(record[place : place + 1]) for record in body)]
    if len(columns) < 2:
        columns = [0, 1]
    others = [place for place in columns if place not in (question, answer)]
    if len(columns) == 2 and len(others) == 1:
        return (others[0] if question is None else question, others[0] if answer is None else answer), False
    asks = {place: _share(body, place, _is_asked) for place in columns}
    if len(others) == len(columns) == 2 and in_order and not _is_turned(asks[others[0]], asks[others[1]]):
        return (others[0], others[1]), False
    if question is None:
        asking = [place for place in others if asks[place] > _ASKS_NOT]
        if len(asking) != 1 or asks[asking[0]] < _ASKS:
            return None, False
        question = asking[0]
    if answer is None:
        answer = _longest(body, [place for place in others if place != question])
    return (None if answer is None else (question, answer)), True


def _is_turned(first_asks: float, second_asks: float) -> bool:
    return first_asks <= _ASKS_NOT and second_asks >= _ASKS


def _longest(body: Sequence[Record], columns: Sequence[int]) -> int | None:
    """The column of text whose cells are clearly the longest."""
    texts = [place for place in columns if _share(body, place, _has_letters) >= _IS_TEXT]
    lengths = {place: sum(len(record[place]) for record in body if len(record) > place) for place in texts}
    ranked = sorted(texts, key=lambda place: -lengths[place])
    is_clear = len(ranked) == 1 or (len(ranked) > 1 and lengths[ranked[0]] >= _LONGER * lengths[ranked[1]])
    return ranked[0] if is_clear else None


def _share(body: Sequence[Record], place: int, fits: Callable[[str], bool]) -> float:
    """Share of the filled cells of a column that fit."""
    cells = [record[place] for record in body if any(record[place : place + 1])]
    return sum(map(fits, cells)) / len(cells) if cells else 0.0


def _is_asked(cell: str) -> bool:
    return cell.rstrip(" .!\"'»”)").endswith("?")


def _has_letters(cell: str) -> bool:
    return any(map(str.isalpha, cell))


def _is_header(records: Sequence[Record], question: int, answer: int) -> bool:
    """Whether the first record holds short names, each shorter than all below it; in doubt it is a fact."""
    first, rest = records[0], [record for record in records[1:] if record]
    if len(first) <= max(question, answer) or not rest:
        return False
    lengths = {
        place: min((len(record[place]) for record in rest if any(record[place : place + 1])), default=0)
        for place in (question, answer)
    }
    are_names = all(_COLUMN_NAME.fullmatch(first[place]) for place in lengths)
    are_shorter = all(len(first[place]) < length for place, length in lengths.items())
    asked = sum(record[question].endswith("?") for record in rest if len(record) > question) / len(rest)
    return are_names and are_shorter and (asked >= 0.8 or 2 * len(first[question]) < lengths[question])


def _refuse_outside(file: str, width: int, asked: Asked) -> None:
    """Raises: UsageError where a column is asked for by a number that is too large, or 0."""
    for name in asked:
        if name is not None and _is_number(name) and not 1 <= int(name) <= width:
            raise UsageError("read.no_such_column", file=file, number=name, count=width)


def _unknown_column(file: str, asked: str, header: Record) -> UsageError:
    names = {name.casefold(): name for name in header if name}
    near = names[difflib.get_close_matches(asked.casefold(), names, n=1, cutoff=0.0)[0]]
    return UsageError("read.unknown_column", file=file, name=asked, near=shortened(near), names=listed(names.values()))


def _no_columns(file: str, first: Record, width: int, form: Form) -> TableError:
    if form == "fields":
        return TableError("read.no_fields", file=file, found=listed(first))
    key = "one_column" if width < 2 else "no_columns"
    found = shortened(" ".join(first)) if width < 2 else listed(first)
    return TableError(f"read.{key}" if form == "text" else f"read.{key}_in_sheet", file=file, found=found)
