"""What is wanted of the recipe, read off the results of its runs: the worst of the seeds has to reach it.

A record is what `bench.recipe` keeps of one run: the summary of `train`, the scores of the exam after it, what the
model forgot, and the seconds that the commands took. What an exam did not measure is null, and no target then.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

Record = dict[str, Any]
Reading = Callable[[Record], float | None]

MANY_ROWS = 1_000
"""Rows from which a table is one of the generator's: a little less has to be known to the letter."""

LESSON_ROWS, LESSON_SECONDS = 125, {"cuda": 90, "bfloat16": 1_200, "float32": 2_400}
"""So many seconds may `train` take for so many rows: on a GPU, or on a CPU by the number format of the weights."""

_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of a run, and the bound that is wanted of it; None where nothing is wanted of such a run."""

    name: str
    read: Reading
    more_is_better: bool = True
    wanted: Reading = lambda _: None

    def worst(self, values: Sequence[float]) -> float:
        return min(values) if self.more_is_better else max(values)

    def is_met(self, value: float, bound: float) -> bool:
        return value >= bound - _TOLERANCE if self.more_is_better else value <= bound + _TOLERANCE


def score(name: str, policy: str, measure: str) -> Reading:
    """Reads `sets.SET.POLICY.MEASURE`; None where it was not examined."""

    def read(record: Record) -> float | None:
        value = record["sets"].get(name, {}).get(policy, {}).get(measure)
        return None if value is None else float(value)

    return read


def least(russian: float, other: float | None = None) -> Reading:
    """A bound, by the language of the table where there are two."""
    return lambda record: russian if other is None or record["language"] == "ru" else other


def under(scope: str, bound: float) -> Reading:
    """A bound that is wanted where the run had this scope. A run that says nothing of its scope is open."""
    return lambda record: bound if (record["scope"] or "open") == scope else None


def _letters(record: Record) -> float:
    return 0.98 if record["summary"]["rows"] >= MANY_ROWS else 0.99


def _above_search(record: Record) -> float | None:
    """How many more of the questions weights and rows together answer than search alone, in points."""
    grounded, search = (score("questions", policy, "passed")(record) for policy in ("grounded", "search"))
    return None if grounded is None or search is None else 100 * (grounded - search)


def _harder(record: Record) -> float | None:
    """How many per cent more bits everyday text costs than the base, in the language where it is most."""
    bits = (record["forgetting"] or {}).get("bits_per_byte", {}).values()
    return max((100 * (one["after"] / one["before"] - 1) for one in bits), default=None)


def _captured(record: Record) -> float | None:
    """How many per cent of the general questions get an answer of the table."""
    forgotten = record["forgetting"] or {}
    asked = {language: count for language, count in forgotten.get("n", {}).items() if count}
    if not asked:
        return None
    shares = forgotten["trained_answers"]
    return float(100 * sum(shares[language] * count for language, count in asked.items()) / sum(asked.values()))


def _few_seconds(record: Record) -> float | None:
    """How long `train` may take; None where the table is longer, or other runs went on beside it."""
    if record["jobs"] > 1 or record["summary"]["rows"] > LESSON_ROWS:
        return None
    return LESSON_SECONDS.get(record["device"] if record["device"] == "cuda" else record["dtype"])


MEASURES = (
    Measure("trained_exact", score("trained", "after", "exact"), wanted=_letters),
    Measure("reworded_passed", score("reworded", "after", "passed"), wanted=least(0.95)),
    Measure("questions_after", score("questions", "after", "passed"), wanted=least(0.60, 0.75)),
    Measure("questions_search", score("questions", "search", "passed")),
    Measure("questions_grounded", score("questions", "grounded", "passed"), wanted=least(0.86, 0.90)),
    Measure("grounded_above_search", _above_search, wanted=least(5)),
    Measure("questions_auto", score("questions", "auto", "passed")),
    Measure("auto_wrong", score("questions", "auto", "confidently_wrong"), False, least(0.05)),
    Measure("auto_declined", score("questions", "auto", "declined"), False, least(0.25)),
    Measure("auto_named", score("questions", "auto", "among_three"), wanted=least(0.90)),
    Measure("far_wrong", score("unknown_far", "after", "confidently_wrong"), False),
    Measure("near_wrong", score("unknown_near", "after", "confidently_wrong"), False),
    Measure("far_wrong_auto", score("unknown_far", "auto", "confidently_wrong"), False, least(0.03)),
    Measure("near_wrong_auto", score("unknown_near", "auto", "confidently_wrong"), False, least(0.10)),
    Measure("far_refused", score("unknown_far", "after", "refused"), wanted=under("strict", 0.97)),
    Measure("trained_refused", score("trained", "after", "refused"), False, under("strict", 0.02)),
    Measure("reworded_refused", score("reworded", "after", "refused"), False, under("strict", 0.02)),
    Measure("bits_percent", _harder, False, under("open", 3)),
    Measure("captured_percent", _captured, False, under("open", 2)),
    Measure("training_seconds", lambda record: record["summary"]["train_seconds"], False),
    Measure("train_seconds", lambda record: record["seconds"]["train"], False, _few_seconds),
    Measure("exam_seconds", lambda record: record["seconds"].get("exam"), False),
)


def summed(records: Sequence[Record]) -> list[dict[str, Any]]:
    """For each variant and table, in the order of their first run: every measure and every target.

    `measures.NAME`: the worst of the seeds, the median, and each seed's. `targets.NAME`: what is wanted and whether the
    worst reaches it. What no run measured is left out.
    """
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record["variant"], record["table"]), []).append(record)
    return [_summed(sorted(group, key=lambda record: record["seed"])) for group in groups.values()]


def _summed(group: Sequence[Record]) -> dict[str, Any]:
    measures, targets = {}, {}
    for measure in MEASURES:
        values = [value for record in group if (value := measure.read(record)) is not None]
        if not values:
            continue
        worst = measure.worst(values)
        seeds = [_rounded(measure.read(record)) for record in group]
        measures[measure.name] = {"worst": _rounded(worst), "median": _rounded(median(values)), "seeds": seeds}
        if (bound := measure.wanted(group[0])) is not None:
            targets[measure.name] = {"wanted": bound, "met": measure.is_met(worst, bound)}
    first = group[0]
    return {
        **{name: first[name] for name in ("variant", "flags", "table", "language", "model", "device", "dtype")},
        "rows": first["summary"]["rows"],
        "seeds": [record["seed"] for record in group],
        "commits": list(dict.fromkeys(record["commit"] for record in group)),
        "measures": measures,
        "targets": targets,
    }


def in_lines(result: dict[str, Any]) -> list[str]:
    """One variant on one table, for people: a line for each measure, the target and whether it holds beside it."""
    seeds = ", ".join(map(str, result["seeds"]))
    commits = " and ".join(filter(None, result["commits"]))
    lines = [f"{result['variant']}, {result['table']} ({result['rows']} rows), seeds {seeds}, commit {commits}"]
    better = {measure.name: "≥" if measure.more_is_better else "≤" for measure in MEASURES}
    for name, figures in result["measures"].items():
        line = f"  {name:<22} worst {figures['worst']:>9g}  median {figures['median']:>9g}"
        if target := result["targets"].get(name):
            line += f"  {'met' if target['met'] else 'MISSED'} ({better[name]} {target['wanted']:g})"
        lines.append(line)
    return lines


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
