"""A table whose rows have one wording of people's own, and the other wordings to ask: what an own wording is worth.

    python -m bench.wordings TABLE FOLDER [--taught 1]

Of the wordings in TABLE_wordings.csv the one at this place of each row (1 is its first) comes into a column
`paraphrases`, the others are left to be asked. FOLDER gets TABLE-own1.csv, TABLE-own1_wordings.csv and, where there is
one, TABLE-own1_unknown_near.csv, as `bench.recipe` wants them; there `--paraphrases train` teaches them all.
"""

import argparse
import csv
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from znatok.data.read import read_table
from znatok.exam.sets import unknown_near_file
from znatok.records import Row


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.wordings", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--taught", type=int, default=1, help="the place of the wording that is taught, from 1 on")
    asked = parser.parse_args()
    try:
        print(write_table(asked.table, asked.folder, asked.taught))
    except ValueError as error:
        parser.error(str(error))


def write_table(table: Path, folder: Path, taught: int) -> Path:
    """The table with a wording of each row, written into `folder` with what is asked about it.

    Raises ValueError where a row has no wording at that place, or a wording's answer is no row's.
    """
    rows = read_table(table).rows
    wordings = _wordings(table.with_name(f"{table.stem}_wordings.csv"))
    if lacking := [row.number for row in rows if not 1 <= taught <= len(wordings[row.answer])]:
        raise ValueError(f"no wording {taught} for row {lacking[0]} and {len(lacking) - 1} others")
    if strange := wordings.keys() - {row.answer for row in rows}:
        raise ValueError(f"no row has the answer {min(strange)!r}")
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / f"{table.stem}-own{taught}.csv"
    own = [wordings[row.answer][taught - 1 : taught] for row in rows]
    _write(
        written, ("question", "answer", "paraphrases"), [_cells(row, one) for row, one in zip(rows, own, strict=True)]
    )
    left = [
        (wording, row.answer)
        for row in rows
        for place, wording in enumerate(wordings[row.answer], start=1)
        if place != taught
    ]
    _write(written.with_name(f"{written.stem}_wordings.csv"), ("question", "answer"), left)
    if (near := unknown_near_file(table)).is_file():
        shutil.copy(near, unknown_near_file(written))
    return written


def _wordings(file: Path) -> dict[str, list[str]]:
    """By answer, in the order of the file."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in read_table(file).rows:
        found[row.answer].append(row.question)
    return found


def _cells(row: Row, own: Sequence[str]) -> tuple[str, str, str]:
    return row.question, row.answer, "\n".join((*row.paraphrases, *own))


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(header)
        table.writerows(rows)


if __name__ == "__main__":
    main()
