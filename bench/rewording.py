"""What the families of wordings carry: how fast they are made, and what of people's own wordings they make findable.

    python -m bench.rewording [--table dataset.csv] [--wordings dataset_wordings.csv] [--draws 40] [--show 0] [--json]

No model is trained. Plain search looks for the row of each human wording among the rows as training would show them:
the question and so many drawn wordings of each, the answer left out. That says which words a family teaches, not what
a model makes of them: that is `znatok train --rewording-mix FAMILY --seed N`, then `znatok exam --questions FILE`.
With --show some wordings are printed to be read.
"""

import argparse
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path

from znatok.data.read import read_table
from znatok.data.reword import Reworder
from znatok.data.search import Search
from znatok.records import Row
from znatok.settings import REWORDING_FAMILIES, RewordingFamily


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--table", type=Path, default=Path("dataset.csv"))
    parser.add_argument("--wordings", type=Path, default=Path("dataset_wordings.csv"))
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--show", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rows, people = read_table(asked.table).rows, read_table(asked.wordings).rows
    mixes: dict[str, Sequence[RewordingFamily]] = {family: (family,) for family in REWORDING_FAMILIES}
    mixes |= {
        "all": REWORDING_FAMILIES,
        **{f"without {family}": [one for one in REWORDING_FAMILIES if one != family] for family in REWORDING_FAMILIES},
    }
    result: dict[str, dict[str, float]] = {
        "question alone": found([Row(row.number, row.question, "") for row in rows], rows, people),
        "question and answer": found(rows, rows, people),
    }
    for name, mix in mixes.items():
        began = time.perf_counter()
        reworder = Reworder(rows, mix)
        for place in range(len(rows)):
            reworder.reword(place, random.Random(place))
        first_pass = time.perf_counter() - began
        rng = random.Random(0)
        began = time.perf_counter()
        said = [[reworder.reword(place, rng) for _ in range(asked.draws)] for place in range(len(rows))]
        rate = asked.draws * len(rows) / (time.perf_counter() - began)
        shown = [Row(row.number, row.question, " ".join(texts)) for row, texts in zip(rows, said, strict=True)]
        fresh = {(place, text) for place, texts in enumerate(said) for text in texts if text != rows[place].question}
        result[name] = found(shown, rows, people) | {
            "distinct": round(len(fresh) / (asked.draws * len(rows)), 3),
            "first_pass_seconds": round(first_pass, 2),
            "wordings_per_second": round(rate),
        }
        if asked.show and name == "all":
            every = [(row.question, text) for row, texts in zip(rows, said, strict=True) for text in texts]
            for question, text in random.Random(1).sample(every, min(asked.show, len(every))):
                print(f"{question}  →  {text}")
    print(json.dumps(result) if asked.json else "\n".join(f"{name}: {values}" for name, values in result.items()))


def found(shown: Sequence[Row], rows: Sequence[Row], people: Sequence[Row]) -> dict[str, float]:
    """The share of people's wordings whose row search finds first, and among three."""
    search = Search(shown)
    answer_of = {row.number: row.answer for row in rows}
    named = [[answer_of[one.row.number] == asked.answer for one in search.best(asked.question)] for asked in people]
    return {
        "first": round(sum(places[:1] == [True] for places in named) / len(people), 3),
        "among_three": round(sum(map(any, named)) / len(people), 3),
    }


if __name__ == "__main__":
    main()
