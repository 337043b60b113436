"""How well and how fast plain search finds the row of a question.

    python -m bench.search [--tables dataset,beekeeping,aquarium] [--against FILE] [--rows 10000] [--json]

A table is one of these names, or a file; what lies beside it is asked: TABLE_wordings.csv, whose rows are to be found,
and TABLE_unknown_near.csv, which no row answers. `first`, `among_three`, `among_ten`: the share of the wordings whose
row stands there; `mrr`: the mean of 1 / place; `reworded_first`: the same for the exam's set `reworded`. The areas
under the ROC curve say how well the score of the nearest row tells the wordings from questions of that table that no
row answers (`near`) and from the shipped ones on anything else (`far`), and wordings found first from others (`right`).
`whole`: the shares of `wordings`, `near` and `reworded` questions that ask for the row found first with all of its
words, so that it may be given; `right`: the share of all wordings that do and find their row.
`build_seconds` and `question_ms` are for so many rows made of the words of all tables.

--against: what another state of the code printed with --json. Printed is then for `first`, `among_three` and
`among_ten` of all tables together how many wordings only this state finds, how many only the other one, and the p-value
of McNemar's test. With many tries some p-values are small by chance.
"""

import argparse
import json
import random
import time
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from bench.recipe import TABLES
from znatok.answering.confidence import LEAST_WHOLE
from znatok.answering.evidence import WHOLE_POWER
from znatok.data.read import read_table
from znatok.data.reword import language_of
from znatok.data.search import Search
from znatok.exam.question_file import read_questions
from znatok.exam.sets import reworded_set, unknown_near_file
from znatok.exam.statistics import auroc, mcnemar
from znatok.records import Question, Row

PLACES = {"first": 1, "among_three": 3, "among_ten": 10}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.search", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tables", default=",".join(TABLES), help="names or files, with commas between")
    parser.add_argument("--against", type=Path, help="a file with what another state printed with --json")
    parser.add_argument("--rows", type=int, default=10_000, help="rows that the speed is measured with")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    tables = {name: TABLES.get(name, Path(name)) for name in asked.tables.split(",")}
    for table in tables.values():
        if not table.is_file() or not _wordings_file(table).is_file():
            parser.error(f"there is no {table}, or no {_wordings_file(table).name} beside it")
    result: dict[str, Any] = {"tables": {name: examined(table) for name, table in tables.items()}}
    result["speed"] = speed([row for table in tables.values() for row in read_table(table).rows], asked.rows)
    if asked.against:
        other = json.loads(asked.against.read_text(encoding="utf-8"))["tables"]
        result["against"] = compared(result["tables"], other)
    print(json.dumps(result) if asked.json else "\n".join(_lines(result)))


def examined(table: Path) -> dict[str, Any]:
    """The figures of one table; `places` has the place of the row of each wording, none where it is not found."""
    rows = read_table(table).rows
    search, answer_of = Search(rows), {row.number: row.answer for row in rows}
    places, scores = [], []
    wordings = read_table(_wordings_file(table)).rows
    for wording in wordings:
        found = search.best(wording.question, len(rows))
        answers = [answer_of[one.row.number] for one in found]
        places.append(answers.index(wording.answer) + 1 if wording.answer in answers else None)
        scores.append(found[0].score if found else 0.0)
    language = language_of(" ".join(row.question for row in rows))
    shipped = files("znatok.exam").joinpath("questions", f"unknown_far.{language}.txt").read_text(encoding="utf-8")
    near = unknown_near_file(table)
    near_ones = read_questions(near) if near.is_file() else ()
    return {
        "wordings": len(places),
        **{name: round(_share(places, last), 3) for name, last in PLACES.items()},
        "mrr": round(sum(1 / place for place in places if place) / len(places), 3),
        "reworded_first": round(_found_first(search, reworded_set(rows).questions), 3),
        "near": _told_apart(scores, _nearest(search, near_ones)),
        "far": _told_apart(scores, _nearest(search, shipped.splitlines())),
        "right": _rounded(auroc(scores, [place == 1 for place in places])),
        "whole": _whole(search, wordings, near_ones, [one.question for one in reworded_set(rows).questions]),
        "places": places,
    }


def speed(rows: Sequence[Row], count: int) -> dict[str, float]:
    """Seconds in which `count` rows of the same words are made ready, and milliseconds for a question of the table."""
    words, rng = " ".join(f"{row.question} {row.answer}" for row in rows).split(), random.Random(0)
    made = [
        Row(number, " ".join(rng.choices(words, k=6)), " ".join(rng.choices(words, k=22))) for number in range(count)
    ]
    began = time.perf_counter()
    search = Search(made)
    built = time.perf_counter()
    for row in rows:
        search.best(row.question)
    asked = time.perf_counter() - built
    return {
        "rows": count,
        "build_seconds": round(built - began, 2),
        "question_ms": round(1000 * asked / len(rows), 1),
    }


def compared(ours: dict[str, Any], others: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Wordings of the tables that both have: found only by this state, only by the other, and McNemar's p-value."""
    both = [name for name in ours if name in others]
    pairs = [pair for name in both for pair in zip(ours[name]["places"], others[name]["places"], strict=True)]
    counts = {name: [(_within(one, last), _within(two, last)) for one, two in pairs] for name, last in PLACES.items()}
    return {
        name: {
            "only_here": (gained := sum(one and not two for one, two in found)),
            "only_there": (lost := sum(two and not one for one, two in found)),
            "p": round(mcnemar(lost, gained), 3),
        }
        for name, found in counts.items()
    }


def _wordings_file(table: Path) -> Path:
    return table.with_name(f"{table.stem}_wordings.csv")


def _within(place: int | None, last: int) -> bool:
    return place is not None and place <= last


def _share(places: Sequence[int | None], last: int) -> float:
    return sum(_within(place, last) for place in places) / len(places)


def _found_first(search: Search, questions: Sequence[Question]) -> float:
    found = [[one.row.answer for one in search.best(asked.question, 1)] == [asked.reference] for asked in questions]
    return sum(found) / len(found)


def _nearest(search: Search, questions: Iterable[str]) -> list[float]:
    return [max((one.score for one in search.best(question, 1)), default=0.0) for question in questions]


def _whole(
    search: Search, wordings: Sequence[Row], near: Sequence[str], reworded: Sequence[str]
) -> dict[str, float | None]:
    def row_given(question: str) -> Row | None:
        found = search.best(question, 1)
        is_given = found and search.asked.share(question, found[0].row) ** WHOLE_POWER >= LEAST_WHOLE
        return found[0].row if is_given else None

    def share(flags: Sequence[bool]) -> float | None:
        return round(sum(flags) / len(flags), 3) if flags else None

    given = [row_given(wording.question) for wording in wordings]
    return {
        "wordings": share([row is not None for row in given]),
        "right": share([bool(row and row.answer == one.answer) for row, one in zip(given, wordings, strict=True)]),
        "near": share([row_given(one) is not None for one in near]),
        "reworded": share([row_given(one) is not None for one in reworded]),
    }


def _told_apart(answered: Sequence[float], unanswered: Sequence[float]) -> float | None:
    return _rounded(auroc([*answered, *unanswered], [True] * len(answered) + [False] * len(unanswered)))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _lines(result: dict[str, Any]) -> list[str]:
    named = {**result["tables"], **{name: result[name] for name in ("speed", "against") if name in result}}
    return [
        f"{name}: { ({key: it for key, it in values.items() if key != 'places'}) }" for name, values in named.items()
    ]


if __name__ == "__main__":
    main()
