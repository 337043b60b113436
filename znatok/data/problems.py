"""What may go wrong with the rows of a table: found before anything is trained, by no model and nothing random.

Rows with the same fault share one message, and nothing is changed: what is learned is what the table says. Faults of
single cells and rows that are equal to the letter are found where the table is read.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from znatok.data.characters import MixedWord, broken, candidates, has_no_break_space, hidden, known_stems, mixed
from znatok.data.likeness import MOST_QUESTIONS, nearly_alike, plain
from znatok.messages import text
from znatok.records import Problem, Row, Severity, Table

NAMED = 5
"""Rows, pairs or words named in one message; it says how many more there are."""

FRAME_SHARE = 0.8
FRAME_ROWS = 10
"""A frame is what so large a share of the questions has in common, in a table of so many rows or more."""

SHARED_ANSWERS = 3
"""Questions with one answer from which they are mentioned."""

_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


def with_problems(table: Table, found: Iterable[Problem] | None = None) -> Table:
    """The table with `found`, or else what `find_problems` finds, among its problems; the gravest first."""
    added = find_problems(table.rows, table.path.name) if found is None else found
    problems = sorted((*table.problems, *added), key=lambda problem: _SEVERITIES.index(problem.severity))
    return replace(table, problems=tuple(problems))


def find_problems(rows: Sequence[Row], file: str) -> tuple[Problem, ...]:
    """What to know about `rows` before they are learned, one problem a kind. `file`: the table's name in messages."""
    searches: tuple[Callable[[Sequence[Row], str], Iterator[Problem]], ...] = (
        _broken_text,
        _strange_letters,
        _asked_twice,
        _asked_by_paraphrases,
        _odd_spaces,
        _nearly_alike,
        _one_frame,
        _one_answer,
    )
    return tuple(problem for search in searches for problem in search(rows, file))


def _cells(row: Row) -> tuple[str, ...]:
    return row.question, row.answer, *row.paraphrases


def _broken_text(rows: Sequence[Row], file: str) -> Iterator[Problem]:
    """Cells in a wrong encoding; control and invisible characters in the others."""
    wrong, unseen = {}, {}
    for row in rows:
        cells = _cells(row)
        if piece := next(filter(None, map(broken, cells)), None):
            wrong[row.number] = piece
        elif codes := list(dict.fromkeys(code for cell in cells for code in hidden(cell))):
            unseen[row.number] = ", ".join(codes)
    for kind, found in (("broken_encoding", wrong), ("invisible", unseen)):
        if found:
            first = next(iter(found))
            yield row_problem(kind, "warning", file, list(found), found=found[first])


def _strange_letters(rows: Sequence[Row], file: str) -> Iterator[Problem]:
    """Words with letters of another alphabet that only look right."""
    suspects = {row.number: [word for cell in _cells(row) for word in candidates(cell)] for row in rows}
    if not any(suspects.values()):
        return
    known = known_stems([cell for row in rows for cell in _cells(row)])
    found: dict[str, list[tuple[int, MixedWord]]] = {"latin": [], "cyrillic": []}
    for number, words in suspects.items():
        for word in dict.fromkeys(words):
            if reading := mixed(word, known):
                found[reading.script].append((number, reading))
    for script, places in found.items():
        if places:
            others = [text("problems.word", row=number, word=reading.word) for number, reading in places[1:]]
            first = places[0][1]
            yield row_problem(
                f"homoglyph_{script}",
                "warning",
                file,
                list(dict.fromkeys(number for number, _ in places)),
                also=_also(others),
                word=first.word,
                letters=first.letters,
            )


def _odd_spaces(rows: Sequence[Row], file: str) -> Iterator[Problem]:
    numbers = [row.number for row in rows if any(map(has_no_break_space, _cells(row)))]
    if numbers:
        yield row_problem("no_break_space", "note", file, numbers)


def _asked_twice(rows: Sequence[Row], file: str) -> Iterator[Problem]:
    """Questions that differ only in how they were typed: with one answer repeated, with several not to be learned."""
    groups: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        groups[plain(row.question)].setdefault(row.question, row)
    repeats, conflicts = [], []
    for group in groups.values():
        first_with: dict[str, Row] = {}
        for row in group.values() if len(group) > 1 else ():
            twin = first_with.setdefault(plain(row.answer), row)
            if twin is not row:
                repeats.append((row.number, twin.number))
            elif len(first_with) > 1:
                conflicts.append((row.number, next(iter(first_with.values())).number))
    yield from _pairs("conflict", "warning", file, conflicts)
    yield from _pairs("repetition", "warning", file, repeats)


def _asked_by_paraphrases(rows: Sequence[Row], file: str) -> Iterator[Problem]:
    """Paraphrases that ask what another row answers differently, and those that say nothing new."""
    if not any(row.paraphrases for row in rows):
        return
    owners: dict[str, Row] = {}
    for row in rows:
        owners.setdefault(plain(row.question), row)
    conflicts, repeats = [], []
    for row in rows:
        fresh = new_paraphrases(row)
        if len(fresh) < len(row.paraphrases):
            repeats.append(row.number)
        for wording in fresh:
            owner = owners.setdefault(plain(wording), row)
            if owner is not row and plain(owner.answer) != plain(row.answer):
                conflicts.append((row.number, owner.number))
    yield from _pairs("paraphrase_conflict", "warning", file, conflicts)
    if repeats:
        yield row_problem("paraphrase_repeats", "note", file, repeats)


def new_paraphrases(row: Row) -> tuple[str, ...]:
    """The paraphrases of a row that differ from its question and from each other in more than how they were typed."""
    distinct: dict[str, str] = {}
    for wording in row.paraphrases:
        distinct.setdefault(plain(wording), wording)
    distinct.pop(plain(row.question), None)
    return tuple(distinct.values())


def _nearly_alike(rows: Sequence[Row], file: str) -> Iterator[Problem]:
    """Pairs of questions that are nearly the same: often different facts, so they are named and no more."""
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(plain(row.question), row)
    if len(first) > MOST_QUESTIONS:
        yield Problem(None, "not_compared", "note", text("problems.not_compared", file=file, most=MOST_QUESTIONS))
        return
    asked = list(first.values())
    likeness = nearly_alike(list(first), NAMED)
    if not likeness.count:
        return
    pairs = [(asked[one], asked[other]) for one, other in likeness.closest]
    one, other = pairs[0]
    numbers = [one.number, other.number, *(asked[place].number for place in likeness.members)]
    others = [text("problems.pair", row=a.number, other=b.number) for a, b in pairs[1:]]
    yield row_problem(
        "near_duplicate",
        "note",
        file,
        list(dict.fromkeys(numbers)),
        also=_also(others, "pairs", likeness.count - 1),
        other=other.number,
        one=_shortened(one.question),
        two=_shortened(other.question),
    )


def _one_frame(rows: Sequence[Row], file: str) -> Iterator[Problem]:
    """One form for nearly all questions, such as «Что такое …?», with no paraphrases beside it."""
    if len(rows) < FRAME_ROWS or sum(bool(row.paraphrases) for row in rows) * 2 > len(rows):
        return
    needed = FRAME_SHARE * len(rows)
    questions = [plain(row.question).split() for row in rows]
    opening, framed = _common_start(questions, needed)
    closing, framed = _common_start([words[len(opening) :][::-1] for words in framed], needed)
    said = sum(len(words) - len(closing) for words in framed)
    # One word in common, as «Кто», makes a frame only where little else is said.
    if len(opening) + len(closing) >= 2 or ((opening or closing) and said <= 2 * len(framed)):
        frame = " ".join((*opening, "…", *reversed(closing)))
        kind = "one_frame"
        message = text(f"problems.{kind}", file=file, frame=frame, count=len(framed), rows=len(rows))
        yield Problem(None, kind, "note", message)


def _common_start(questions: list[list[str]], needed: float) -> tuple[list[str], list[list[str]]]:
    """The words that at least `needed` of the questions begin with, one word of each left over; and those questions."""
    start: list[str] = []
    while True:
        place = len(start)
        longer = [words for words in questions if len(words) > place + 1]
        word, count = next(iter(Counter(words[place] for words in longer).most_common(1)), ("", 0))
        if count < needed:
            return start, questions
        start.append(word)
        questions = [words for words in longer if words[place] == word]


def _one_answer(rows: Sequence[Row], file: str) -> Iterator[Problem]:
    """Answers that several questions share, the commonest by name."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[plain(row.answer)].append(row)
    shared = sorted((group for group in groups.values() if len(group) >= SHARED_ANSWERS), key=len, reverse=True)
    if shared:
        others = [text("problems.answer", answer=_shortened(group[0].answer), count=len(group)) for group in shared[1:]]
        numbers = [row.number for row in shared[0]]
        message = text(
            "problems.one_answer",
            file=file,
            answer=_shortened(shared[0][0].answer),
            count=len(numbers),
            rows=_listed(map(str, numbers), len(numbers)),
            also=_also(others),
        )
        yield Problem(numbers[0], "one_answer", "note", message, tuple(numbers[1:]))


def _pairs(kind: str, severity: Severity, file: str, pairs: Sequence[tuple[int, int]]) -> Iterator[Problem]:
    """One problem for all pairs of a row and the row before it that it clashes with."""
    if pairs:
        others = [text("problems.pair", row=row, other=other) for row, other in pairs[1:]]
        rows = list(dict.fromkeys(row for row, _ in pairs))
        yield row_problem(kind, severity, file, rows, also=_also(others, "pairs"), other=pairs[0][1])


def row_problem(
    kind: str, severity: Severity, file: str, rows: Sequence[int], also: str | None = None, **values: object
) -> Problem:
    """One problem of several rows. also: what the message says of the others, if not only their numbers."""
    others = _listed(map(str, rows[1:]), len(rows) - 1)
    if also is None:
        also = text("problems.rows" if len(rows) > 2 else "problems.row", rows=others) if others else ""
    message = text(f"problems.{kind}", file=file, row=rows[0], also=also, **values)
    return Problem(rows[0], kind, severity, message, tuple(rows[1:]))


def _also(others: Sequence[str], kind: str = "also", count: int | None = None) -> str:
    """The rest of a message: what else has the same fault; `count` where `others` are not all."""
    return text(f"problems.{kind}", others=_listed(others, count or len(others), "; ")) if others else ""


def _listed(names: Iterable[str], count: int, between: str = ", ") -> str:
    """The first few names, and how many of `count` are not named."""
    shown = list(names)[:NAMED]
    rest = count - len(shown)
    return between.join(shown) + (text("problems.more", count=rest) if rest else "")


def _shortened(cell: str) -> str:
    line = " ".join(cell.split())
    return line if len(line) <= 60 else line[:59] + "…"
