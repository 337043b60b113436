"""Every row that was read is accounted for, and so is every paraphrase of a row that was taken."""

import json
from dataclasses import replace

import pytest

from tests.tiny import tiny_folder
from znatok.data.problems import with_problems
from znatok.data.read import read_table
from znatok.data.render import load_renderer
from znatok.exam.sets import reworded_set, trained_set
from znatok.model.source import find_base
from znatok.run_folder import RunFolder, read_rows, write_lines
from znatok.settings import make_settings
from znatok.training.accounting import row_records
from znatok.training.plan import make_plan

ROWS = [f"Что такое деталь {letter}?;Это {letter}." for letter in "абвгдежзийклмнопрстуфхцчшщ"]
TABLE = ["вопрос;ответ;перефразировки"]
TABLE += [f"{row};Скажи про {at}|Деталь номер {at}" if at % 3 else f"{row};Про {at}" for at, row in enumerate(ROWS)]
TABLE += [TABLE[3], TABLE[5], "ЧТО ТАКОЕ ДЕТАЛЬ А;Иное.;", TABLE[3]]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tiny_folder(tmp_path_factory.mktemp("tiny"))
    return find_base(str(folder)), load_renderer(folder, folder / "tokenizer.json")


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("\n".join(TABLE), encoding="utf-8")
    return with_problems(read_table(path))


def plan_of(base, table, **asked):
    source, renderer = base
    return make_plan(make_settings({"model": source.name, "dtype": "float32"} | asked), table, source, renderer)


ASKED = [
    {"preset": "learn"},
    {"preset": "quick"},
    {"preset": "classic", "optim": "adamw_torch", "quantization": "none"},
    {"preset": "classic", "optim": "adamw_torch", "quantization": "none", "paraphrases": "split", "spread_rows": 5},
    {"minutes": 0.01},
    {"paraphrases": "train", "test_size": 0.3},
    {"paraphrases": "exam", "spread_rows": 4, "test_size": 0.5},
]


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_read_is_trained_heldout_left_and_refused_together(base, table, asked):
    plan = plan_of(base, table, **asked)
    records = row_records(table, plan)
    rows = [record for record in records if record["use"] != "problem"]
    assert [record["row"] for record in rows] == list(range(1, len(TABLE)))
    counts = {use: sum(record["use"] == use for record in rows) for use in ("trained", "heldout", "left", "refused")}
    assert sum(counts.values()) == len(TABLE) - 1 == table.read
    assert counts["trained"] == len(plan.rows)
    assert counts["heldout"] == len(plan.heldout)
    assert counts["refused"] == 3
    assert {record["reason"] for record in rows if record["use"] == "refused"} == {"duplicate"}
    assert {record["kind"] for record in records[len(rows) :]} >= {"duplicate", "conflict"}
    assert json.dumps(records)


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_every_paraphrase_of_a_row_that_was_taken_has_a_use(base, table, asked):
    plan = plan_of(base, table, **asked)
    records = [record for record in row_records(table, plan) if "paraphrases" in record]
    given = {row.number: list(row.paraphrases) for row in table.rows if row.paraphrases}
    assert {record["row"]: [one["wording"] for one in record["paraphrases"]] for record in records} == given
    uses = [one["use"] for record in records for one in record["paraphrases"]]
    assert uses.count("trained") == plan.trained_paraphrases
    assert uses.count("examined") == plan.examined_paraphrases
    assert {one["use"] for record in records if record["use"] != "trained" for one in record["paraphrases"]} <= {"left"}


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_the_folder_alone_gives_the_rows_and_the_sets_back(base, table, asked, tmp_path):
    plan = plan_of(base, table, **asked)
    run = RunFolder(tmp_path)
    write_lines(run.rows, row_records(table, plan))
    trained, heldout = read_rows(run, "trained"), read_rows(run, "heldout")
    assert sorted(trained, key=lambda row: row.number) == sorted(plan.rows, key=lambda row: row.number)
    assert [row.number for row in heldout] == sorted(row.number for row in plan.heldout)
    assert trained_set(trained) == trained_set(plan.rows)
    assert reworded_set(trained) == reworded_set(plan.rows)
    whole = {row.number: row for row in table.rows}
    for row in (*heldout, *read_rows(run, "left")):
        assert row == whole[row.number]


def test_a_table_without_paraphrases_has_none_in_its_records(base, tmp_path):
    path = tmp_path / "plain.csv"
    path.write_text("\n".join(["вопрос;ответ", *ROWS]), encoding="utf-8")
    records = row_records(table := read_table(path), plan_of(base, table))
    assert records[0] == {"row": 1, "question": "Что такое деталь а?", "answer": "Это а.", "use": "trained"}
    assert not any("paraphrases" in record for record in records)


def test_a_wording_given_twice_is_used_once(base, table):
    rows = tuple(row for row in table.rows if row.number != 2)
    table = replace(table, rows=(replace(table.rows[1], paraphrases=("Иначе", "Иначе", "По-другому")), *rows))
    records = row_records(table, plan_of(base, table, paraphrases="train"))
    assert [one["use"] for one in next(r for r in records if r["row"] == 2)["paraphrases"]] == [
        "trained",
        "left",
        "trained",
    ]
