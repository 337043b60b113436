"""What becomes of every row that was read: the records of a run's `rows.jsonl`."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from znatok.records import Row, Table
from znatok.training.plan import Plan


def row_records(table: Table, plan: Plan) -> list[dict[str, Any]]:
    """One record a row that was read, in the table's order, then one a problem.

    `use` is "trained", "heldout" (a fact kept out of training), "left" (the plan takes fewer rows) or "refused", with
    the reason; of a paraphrase "trained", "examined" or "left". A problem's `use` is "problem".
    """
    taught = {row.number: row for row in plan.rows}
    held = {row.number for row in plan.heldout}
    records: list[dict[str, Any]] = [
        {"row": one.number, "question": one.question, "answer": one.answer, "use": "refused", "reason": one.reason}
        for one in table.refused
    ]
    for row in table.rows:
        use = "trained" if row.number in taught else "heldout" if row.number in held else "left"
        record = {"row": row.number, "question": row.question, "answer": row.answer, "use": use}
        paraphrases = list(_paraphrases(row, taught.get(row.number)))
        records.append(record | ({"paraphrases": paraphrases} if paraphrases else {}))
    records.sort(key=lambda record: int(record["row"]))
    return [*records, *({"use": "problem"} | asdict(problem) for problem in table.problems)]


def _paraphrases(row: Row, taught: Row | None) -> Iterator[dict[str, str]]:
    uses = {"trained": list(taught.paraphrases), "examined": list(taught.examined)} if taught else {}
    for wording in row.paraphrases:
        use = next((use for use, wordings in uses.items() if wording in wordings), "left")
        if use != "left":
            uses[use].remove(wording)  # one that is given twice is used once
        yield {"wording": wording, "use": use}
