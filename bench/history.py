"""Whether a run still knows its rows where another one was asked just before, as in a chat that keeps its history.

    python -m bench.history RUN [--seed 0] [--json]

Every trained question is asked alone, and after one earlier turn: another trained row with the table's answer, drawn by
the seed. Printed are the shares `exact` and `passed` of both, as the exam counts them; the weights alone answer.
"""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path

from znatok.data.render import Turn
from znatok.exam.items import Examiner, Item, alike
from znatok.exam.marks import Marker
from znatok.records import Question, Row
from znatok.run_folder import find_run, read_rows
from znatok.use.loading import Talker, load_run

TOGETHER = 32
"""Questions answered together."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.history", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    run = find_run(asked.run)
    rows, talker = read_rows(run, "trained"), load_run(run)
    talker.network.use()
    result = {
        "rows": len(rows),
        "alone": known(talker, rows, [()] * len(rows)),
        "after_another": known(talker, rows, earlier_turns(rows, asked.seed)),
    }
    print(json.dumps(result) if asked.json else "\n".join(f"{name}: {value}" for name, value in result.items()))


def earlier_turns(rows: Sequence[Row], seed: int) -> list[tuple[Turn, ...]]:
    """For each row, another one as the turn before it."""
    rng = random.Random(seed)
    others = [rng.choice([other for other in rows if other is not row]) for row in rows]
    return [((other.question, other.answer),) for other in others]


def known(talker: Talker, rows: Sequence[Row], histories: Sequence[Sequence[Turn]]) -> dict[str, float]:
    """The shares of the rows that are answered exactly, and that pass, each after its history."""
    examiner, marker = Examiner(talker.network, talker.renderer.stop_id), Marker(rows, talker.renderer)
    items = [
        Item(
            "trained",
            Question(row.number, row.question, row.answer),
            talker.renderer.conversation(row.question, row.answer, history),
            sampled=True,
        )
        for row, history in zip(rows, histories, strict=True)
    ]
    exact = passed = 0
    for batch in alike(items, range(len(items)), TOGETHER):
        members = [items[i] for i in batch]
        writing = examiner.writing([one.prompt for one in members], [one.limit for one in members])
        while pieces := examiner.some("after", writing):
            written = pieces[-1]
        for one, ids in zip(members, written.ids, strict=True):
            exact += tuple(ids) == one.reference
            passed += bool(marker.generated(one.question, ids).passed)
    return {"exact": round(exact / len(rows), 3), "passed": round(passed / len(rows), 3)}


if __name__ == "__main__":
    main()
