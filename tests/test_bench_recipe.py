"""The bench of the recipe reads the figures that a run leaves, judges the worst of them and loses none.

One real run of the tiny model shows that what is read is there; the runs side by side are stand-ins of a few lines.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from bench import recipe
from bench.runs import Run, RunFailedError, Variant, Workplace, make_record
from bench.targets import MEASURES, Record, in_lines, summed
from tests.tiny import PEFT_TALKS, tiny_folder
from znatok import cli
from znatok.errors import RunError

pytestmark = [*PEFT_TALKS, pytest.mark.filterwarnings("ignore:.*torch_dtype.*:FutureWarning")]

TABLE = """question,answer
Что такое резистор?,"Резистор — это деталь, она ограничивает ток."
Зачем нужен конденсатор?,"Конденсатор запасает заряд, сглаживает напряжение."
Чему равен ток при 12 В и 6 Ом?,Ток равен 2 А.
"""
WORDINGS = """question,answer
сколько ампер через шесть ом от двенадцати вольт,Ток равен 2 А.
чем бы тут придержать ток,"Резистор — это деталь, она ограничивает ток."
"""
NEAR = "question\nЧто такое варикап?\nЧто такое варистор?\n"
LEARNS = "--num-train-epochs 2 --per-device-train-batch-size 3 --warmup-steps 1 --finishing-rounds 0 --r 4"
BY_NAME = {measure.name: measure for measure in MEASURES}

STAND_IN = """\
import json, pathlib, sys, time
command, words = sys.argv[1], sys.argv[2:]
told = dict(zip(words, words[1:]))
with open("RUNS", "a") as runs:
    print(command, *words, file=runs)
BEFORE
score = {"exact": 0.5 + int(told.get("--seed", 0)) / 10, "passed": 0.5}
if command == "train":
    run = pathlib.Path(told["--run"])
    run.mkdir()
    (run / "plan.json").write_text(json.dumps({"device": "cpu", "dtype": "float32"}))
    (run / "seed").write_text(told["--seed"])
    summary = {"run": str(run), "rows": 3, "train_seconds": 1.5, "stopped_because": "known"}
    print(json.dumps(summary | {"exam": {"trained": {"after": score}}}))
else:
    score["exact"] = 0.5 + int((pathlib.Path(words[0]) / "seed").read_text()) / 10
    print(json.dumps({"sets": {"trained": {"after": score}}, "forgetting": None}))
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """A table with its questions beside it."""
    (tmp_path / "детали.csv").write_text(TABLE, encoding="utf-8")
    (tmp_path / "детали_wordings.csv").write_text(WORDINGS, encoding="utf-8")
    (tmp_path / "детали_unknown_near.csv").write_text(NEAR, encoding="utf-8")
    return tmp_path


def asked(folder: Path, *flags: str):
    return recipe.parse(["--tables", str(folder / "детали.csv"), "--results", str(folder / "all.jsonl"), *flags])


def the_run(folder: Path, *flags: str) -> Run:
    return next(recipe._runs(asked(folder, *flags)))


# ---- a real run ------------------------------------------------------------------------------------------------------


@pytest.fixture
def real(folder, capsys) -> Record:
    """What is kept of a run of the tiny model, trained and examined in this process."""
    model = tiny_folder(folder / "tiny")
    run = the_run(folder, "--model", str(model), "--variant", f"little: {LEARNS}")
    assert cli.run(["train", *run.training(), "--run", str(folder / "run"), "--json"]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert cli.run(["exam", str(folder / "run"), *run.examination(), "--json"]) == 0
    examined = json.loads(capsys.readouterr().out)
    plan = json.loads((folder / "run" / "plan.json").read_text(encoding="utf-8"))
    return make_record(run, trained, examined, plan) | {"seconds": {"train": 3.5, "exam": 2.5}, "jobs": 1}


def test_every_figure_is_read_where_a_real_run_leaves_it(real):
    json.dumps(real)
    read = {measure.name: measure.read(real) for measure in MEASURES}
    always = "trained_exact reworded_passed questions_after questions_search far_wrong near_wrong bits_percent"
    always += " captured_percent training_seconds train_seconds exam_seconds"
    assert [name for name in always.split() if read[name] is None] == []
    assert real["sets"]["questions"]["after"]["n"] == 2
    assert real["sets"]["unknown_near"]["after"]["n"] == 2
    assert read["training_seconds"] == real["summary"]["train_seconds"]
    assert real["summary"]["rows"] == 3
    assert (real["language"], real["device"], real["flags"]) == ("ru", "cpu", LEARNS.split())
    (result,) = summed([real])
    assert result["targets"]["trained_exact"] == {"wanted": 0.99, "met": read["trained_exact"] == 1}
    assert "trained_exact" in in_lines(result)[1]


# ---- measures and targets --------------------------------------------------------------------------------------------


def made(seed: int = 0, **changes) -> Record:
    """A record as a run leaves it, with all that is measured."""
    shares = {"exact": 1.0, "passed": 0.9, "refused": 0.0, "confidently_wrong": 0.1}
    sets = {
        "trained": {"after": shares},
        "reworded": {"after": shares},
        "questions": {
            "after": shares | {"passed": 0.6},
            "search": {"passed": 0.8},
            "grounded": {"passed": 0.86},
            "auto": {"passed": 0.7, "confidently_wrong": 0.05, "declined": 0.2, "among_three": 0.95},
        },
        "unknown_far": {"after": shares | {"refused": 0.5}, "auto": {"confidently_wrong": 0.04}},
        "unknown_near": {"after": shares, "auto": {"confidently_wrong": 0.1}},
    }
    forgetting = {
        "bits_per_byte": {"ru": {"before": 1.0, "after": 1.02}, "en": {"before": 2.0, "after": 2.1}},
        "trained_answers": {"ru": 0.1, "en": 0.0},
        "n": {"ru": 10, "en": 30},
    }
    record = {
        "variant": "default",
        "flags": [],
        "model": "builtin",
        "table": "aquarium",
        "language": "ru",
        "seed": seed,
        "commit": "abc",
        "scope": None,
        "device": "cpu",
        "dtype": "float32",
        "jobs": 1,
        "seconds": {"train": 2_300.0, "exam": 100.0},
        "summary": {"rows": 72, "train_seconds": 1_500.0},
        "sets": sets,
        "forgetting": forgetting,
    }
    return record | changes


def met(record: Record) -> dict[str, bool]:
    return {name: target["met"] for name, target in summed([record])[0]["targets"].items()}


def test_the_targets_are_those_of_the_language_the_scope_and_the_machine():
    assert met(made()) == {
        "trained_exact": True,
        "reworded_passed": False,
        "questions_after": True,
        "questions_grounded": True,
        "grounded_above_search": True,
        "auto_wrong": True,
        "auto_declined": True,
        "auto_named": True,
        "far_wrong_auto": False,
        "near_wrong_auto": True,
        "bits_percent": False,
        "captured_percent": False,
        "train_seconds": True,
    }
    english = met(made(language="en"))
    assert (english["questions_after"], english["questions_grounded"]) == (False, False)
    strict = met(made(scope="strict"))
    assert (strict["far_refused"], strict["trained_refused"], strict["reworded_refused"]) == (False, True, True)
    assert "bits_percent" not in strict
    assert met(made(device="cuda"))["train_seconds"] is False
    assert "train_seconds" not in met(made(jobs=2))


def test_percentages_and_points_are_counted_right():
    assert BY_NAME["bits_percent"].read(made()) == pytest.approx(5)
    assert BY_NAME["captured_percent"].read(made()) == pytest.approx(2.5)
    assert BY_NAME["grounded_above_search"].read(made()) == pytest.approx(6)


def test_of_a_thousand_made_up_rows_a_little_less_has_to_be_known():
    wanted = BY_NAME["trained_exact"].wanted
    assert wanted(made(summary={"rows": 1_000})) == 0.98
    assert wanted(made(summary={"rows": 999})) == 0.99


def test_what_was_not_measured_is_neither_a_figure_nor_a_target():
    (result,) = summed([made(sets={"trained": {"after": {"exact": None}}}, forgetting=None, seconds={"train": 1.0})])
    assert set(result["measures"]) == {"training_seconds", "train_seconds"}
    assert set(result["targets"]) == {"train_seconds"}


def test_the_worst_seed_decides_and_the_median_stands_beside_it():
    def of(seed: int, exact: float, harder: float) -> Record:
        bits = {"ru": {"before": 1.0, "after": 1 + harder}}
        sets = {"trained": {"after": {"exact": exact}}}
        return made(seed, sets=sets, forgetting={"bits_per_byte": bits, "n": {}, "trained_answers": {}})

    (result,) = summed([of(2, 1.0, 0.01), of(0, 0.98, 0.04), of(1, 1.0, 0.02)])
    assert result["seeds"] == [0, 1, 2]
    assert result["measures"]["trained_exact"] == {"worst": 0.98, "median": 1.0, "seeds": [0.98, 1.0, 1.0]}
    assert result["measures"]["bits_percent"] == {"worst": 4.0, "median": 2.0, "seeds": [4.0, 2.0, 1.0]}
    assert result["targets"]["trained_exact"] == {"wanted": 0.99, "met": False}
    assert result["targets"]["bits_percent"] == {"wanted": 3, "met": False}


def test_a_share_that_is_the_bound_itself_reaches_it():
    assert BY_NAME["auto_wrong"].is_met(0.1 + 0.2, 0.3)
    assert BY_NAME["grounded_above_search"].is_met(100 * (0.86 - 0.81), 5)


def test_variants_and_tables_are_summed_apart_and_mixed_code_is_told():
    results = summed([made(), made(variant="long"), made(1, commit="def"), made(table="dataset")])
    assert [(one["variant"], one["table"], one["commits"]) for one in results] == [
        ("default", "aquarium", ["abc", "def"]),
        ("long", "aquarium", ["abc"]),
        ("default", "dataset", ["abc"]),
    ]
    assert in_lines(results[0])[0] == "default, aquarium (72 rows), seeds 0, 1, commit abc and def"
    assert any(line.endswith("MISSED (≥ 0.95)") for line in in_lines(results[0]))


# ---- the flags -------------------------------------------------------------------------------------------------------


def test_all_tables_are_measured_with_three_seeds_and_have_all_questions_beside_them():
    default = recipe.parse([])
    assert [(one.name, one.language) for one in default.tables] == [
        ("dataset", "ru"),
        ("beekeeping", "en"),
        ("aquarium", "ru"),
    ]
    assert all(one.wordings and one.unknown_near for one in default.tables)
    assert (default.seeds, default.jobs, default.variants) == ([0, 1, 2], 1, [Variant("default")])


def test_a_variant_is_a_name_and_flags():
    given = recipe.parse(["--variant", "long: --num-train-epochs 32 --rewording=0.8", "--variant", "plain:"])
    assert given.variants == [Variant("long", ("--num-train-epochs", "32", "--rewording=0.8")), Variant("plain")]
    assert given.variants[0].value("--rewording") == "0.8"
    assert given.variants[0].value("--r") is None


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--tables", "dataset,none.csv"], "none.csv"),
        (["--tables", "dataset,dataset"], "called dataset"),
        (["--seeds", "0,0"], "0,0"),
        (["--seeds", "one"], "one"),
        (["--variant", "--rewording 0.5"], "has no name"),
        (["--variant", "other: --seed 5"], "--seed"),
        (["--variant", "a: --r 8", "--variant", "a: --r 4"], "called a"),
        (["--jobs", "0"], "above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(flags, said, capsys):
    with pytest.raises(SystemExit) as refused:
        recipe.parse([f"{flags[0]}={flags[1]}", *flags[2:]])
    assert refused.value.code == 2
    assert said in capsys.readouterr().err


def test_a_run_is_told_its_table_seed_model_and_questions(folder):
    run = the_run(folder, "--seeds", "7", "--model", "tiny", "--variant", "small: --r 4")
    table = str((folder / "детали.csv").resolve())
    assert list(run.training()) == [table, "--seed", "7", "--r", "4", "--model", "tiny"]
    assert list(run.examination()) == [
        *("--questions", table.replace(".csv", "_wordings.csv")),
        *("--unknown-near", table.replace(".csv", "_unknown_near.csv")),
    ]
    own = the_run(folder, "--variant", "other: --model qwen3-0.6b")
    assert list(own.training())[-2:] == ["--model", "qwen3-0.6b"]


def test_a_table_with_nothing_beside_it_is_examined_on_its_rows_alone(folder):
    for file in folder.glob("*_*.csv"):
        file.unlink()
    assert list(the_run(folder).examination()) == []


# ---- runs ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stand_in(folder):
    """Makes a workplace whose runs are stand-ins; `before` is what they do first."""

    def make(jobs: int = 1, before: str = "pass") -> Workplace:
        file = folder / "stand_in.py"
        file.write_text(STAND_IN.replace("RUNS", str(folder / "runs.txt")).replace("BEFORE", before), encoding="utf-8")
        return Workplace(jobs, [sys.executable, str(file)])

    return make


def commands(folder: Path) -> list[str]:
    return [line.split(" ")[0] for line in (folder / "runs.txt").read_text(encoding="utf-8").splitlines()]


def test_results_are_kept_as_each_run_ends_and_what_is_there_is_not_run_again(folder, stand_in):
    first, failed = recipe.run_all(asked(folder, "--seeds", "0,1"), stand_in())
    assert failed == []
    assert [one["sets"]["trained"]["after"]["exact"] for one in first] == [0.5, 0.6]
    assert commands(folder) == ["train", "exam"] * 2
    again, _ = recipe.run_all(asked(folder, "--seeds", "2,1"), stand_in())
    assert commands(folder) == ["train", "exam"] * 3
    assert [one["seed"] for one in again] == [2, 1]
    assert again[1] == first[1]
    written = [json.loads(line) for line in (folder / "all.jsonl").read_text(encoding="utf-8").splitlines()]
    assert written == [*first, again[0]]


@pytest.mark.parametrize("change", ["table", "wordings", "flags", "model"])
def test_another_table_other_questions_flags_or_model_are_another_run(folder, stand_in, change):
    recipe.run_all(asked(folder, "--seeds", "0"), stand_in())
    flags = {"flags": ("--variant", "default: --r 4"), "model": ("--model", "other")}.get(change, ())
    if not flags:
        name = {"table": "детали.csv", "wordings": "детали_wordings.csv"}[change]
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write("А это что?,Ток равен 2 А.\n")
    recipe.run_all(asked(folder, "--seeds", "0", *flags), stand_in())
    assert commands(folder) == ["train", "exam"] * 2


def test_a_run_that_fails_is_named_with_its_reason_and_the_others_go_on(folder, stand_in, capsys):
    before = 'if told.get("--seed") == "1": sys.exit("no such memory")'
    done, failed = recipe.run_all(asked(folder, "--seeds", "0,1,2"), stand_in(before=before))
    assert [one["seed"] for one in done] == [0, 2]
    assert [(one["seed"], one["reason"]) for one in failed] == [(1, "no such memory")]
    assert "default, детали, seed 1: no such memory" in capsys.readouterr().err
    done, failed = recipe.run_all(asked(folder, "--seeds", "0,1,2"), stand_in())
    assert (len(done), failed) == (3, [])


def test_training_that_came_to_no_exam_is_a_failure(folder, stand_in):
    before = 'print(json.dumps({"exam": None, "stopped_because": "interrupted"})); sys.exit()'
    with pytest.raises(RunFailedError, match="interrupted"):
        stand_in(before=before).measure(the_run(folder))


def test_results_that_are_damaged_are_told_before_anything_is_run(folder, stand_in):
    (folder / "all.jsonl").write_text('{"variant": "def', encoding="utf-8")
    with pytest.raises(RunError, match=r"all\.jsonl"):
        recipe.run_all(asked(folder), stand_in())
    assert not (folder / "runs.txt").exists()


def test_runs_go_on_side_by_side(folder, stand_in):
    beside = 'while command == "train" and len(open("RUNS").readlines()) < 2: time.sleep(0.01)'
    workplace = stand_in(2, beside.replace("RUNS", str(folder / "runs.txt")))
    done, failed = recipe.run_all(asked(folder, "--seeds", "0,1", "--jobs", "2"), workplace)
    assert (len(done), failed) == (2, [])
    assert {one["jobs"] for one in done} == {2}


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="there is nothing to share"
)
def test_two_runs_have_no_processor_in_common(folder, stand_in):
    file = str(folder / "processors.txt")
    before = f'time.sleep(0.2); import os; print(*os.sched_getaffinity(0), file=open({file!r}, "a"))'
    recipe.run_all(asked(folder, "--seeds", "0,1", "--jobs", "2"), stand_in(2, before))
    shares = {frozenset(line.split()) for line in Path(file).read_text(encoding="utf-8").splitlines()}
    assert len(shares) == 2
    assert not frozenset.intersection(*shares)


def test_a_bench_that_is_ended_leaves_no_process_and_keeps_what_was_done(folder, stand_in):
    others = psutil.Process().children()
    workplace = stand_in(before='told.get("--seed") == "1" and time.sleep(60)')

    def end() -> None:
        while len(commands(folder)) < 3 if (folder / "runs.txt").exists() else True:
            time.sleep(0.01)
        workplace.close()

    ending = threading.Thread(target=end)
    ending.start()
    done, failed = recipe.run_all(asked(folder, "--seeds", "0,1,2"), workplace)
    ending.join()
    assert [one["seed"] for one in done] == [0]
    assert [one["reason"] for one in failed][1] == "not begun"
    assert psutil.Process().children() == others
    assert len((folder / "all.jsonl").read_text(encoding="utf-8").splitlines()) == 1


@pytest.mark.slow
def test_the_real_commands_are_run(folder):
    model = tiny_folder(folder / "tiny")
    flags = ("--model", str(model), "--variant", f"little: {LEARNS}", "--seeds", "0,1", "--jobs", "2")
    done, failed = recipe.run_all(asked(folder, *flags), Workplace(2))
    assert failed == []
    (result,) = summed(done)
    assert result["measures"]["exam_seconds"]["worst"] > 0
    assert len(result["measures"]["trained_exact"]["seeds"]) == 2
