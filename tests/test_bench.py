"""The benches measure what they say they do: the same rows for all, figures under their names, nobody's failure hidden.

The races here are run by stand-ins, processes of a few lines that train nothing and say how long it took.
"""

import json
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from bench import cpu, gpu, gpu_parts, growth, race
from bench.race import RivalError, UnequalError
from bench.rivals import Pace, Setup, Update, train_classic, train_ours, train_trl
from bench.work import LONGEST, WARM_UP, NoWorkError, Work, make_work, read_work
from tests.tiny import PEFT_TALKS, tiny_folder, tiny_renderer
from znatok.records import Rendered

SECONDS = {"ours": 1.0, "classic": 5.0, "float32": 2.0, "bfloat16": 4.0}
STAND_IN = f"""\
import json, sys, time
work, name, setup = json.load(open(sys.argv[1])), sys.argv[2], json.loads(sys.argv[3])
seconds = {SECONDS!r}.get(name) or {SECONDS!r}[setup["dtype"]] * (0.75 if setup["padding_free"] else 1)
say = lambda updates: print(json.dumps({{"updates": updates, "peak_memory_bytes": 1000}}), flush=True)
batches = iter(work["batches"])
tokens = lambda: sum(len(work["rows"][place]["ids"]) for place in next(batches))
loss = 3.0
say([])
for line in sys.stdin:
    BEFORE
    updates = []
    for _ in range(int(line)):
        loss -= 0.01
        updates.append({{"seconds": seconds, "tokens": tokens(), "loss": loss}})
    say(updates)
"""
ROWS = [
    ("Что такое резистор?", "Деталь."),
    ("Чему равен ток?", "Ток равен 2 А."),
    ("Зачем диод?", "Он пропускает ток."),
]
KEYS = """\
    ours trl classic ratio_trl ratio_classic spread losses floor peak_memory_bytes dtype trl_setup batch steps rows
    tokens_a_round threads rounds tried cpu features versions python"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """The tiny model beside a table of nine rows."""
    lines = [f'"{number}. {question}","{answer}"' for number in range(3) for question, answer in ROWS]
    (tmp_path / "table.csv").write_text("\n".join(["question,answer", *lines]), encoding="utf-8")
    (tmp_path / "model").mkdir()
    tiny_folder(tmp_path / "model")
    return tmp_path


@pytest.fixture
def compared(folder, monkeypatch):
    """Runs the comparison with stand-ins; `before` is what they do when they are asked for updates."""

    def run(*flags: str, before: str = "pass", installed: bool = True) -> dict:
        (folder / "stand_in.py").write_text(STAND_IN.replace("BEFORE", before), encoding="utf-8")
        monkeypatch.setattr(cpu, "find_spec", lambda name: name if installed else None)
        paths = ["--model", str(folder / "model"), "--table", str(folder / "table.csv")]
        asked = cpu.parse([*paths, "--batch", "2", "--steps", "4", "--rounds", "2", *flags])
        return cpu.compare(asked, stand_in)

    def stand_in(work_file: Path, name: str, setup: Setup) -> list[str]:
        python, _, _, *words = cpu.rival_command(work_file, name, setup)
        return [python, str(folder / "stand_in.py"), *words]

    return run


# ---- the flags -------------------------------------------------------------------------------------------------------


def test_the_comparison_has_eight_rows_a_batch_and_three_rounds():
    asked = cpu.parse([])
    assert (asked.batch, asked.rounds, asked.steps, asked.dtype, asked.alone) == (8, 3, 8, None, False)


def test_ours_alone_is_asked_for_with_its_own_steps():
    assert cpu.parse(["--alone", "--steps", "16", "--batch", "4"]).steps == 16
    assert cpu.parse(["--alone"]).steps == 12


@pytest.mark.parametrize("flags", [["--rounds", "0"], ["--batch", "two"], ["--steps", "-1"], ["--dtype", "float16"]])
def test_a_flag_that_makes_no_sense_is_refused(flags, capsys):
    with pytest.raises(SystemExit) as refused:
        cpu.parse(flags)
    assert refused.value.code == 2
    assert flags[1] in capsys.readouterr().err


# ---- the work --------------------------------------------------------------------------------------------------------


def work_of(lengths: list[int], **asked: int) -> Work:
    rows = [Rendered(tuple(range(length)), 1) for length in lengths]
    return make_work(rows, Path("model"), **{"threads": 1, "batch": 2, "steps": 8, "rounds": 2} | asked)


def test_in_every_round_each_row_comes_once():
    work = work_of([10, 20, 30, 40, 50, 60, 70])
    assert (work.steps, len(work.rows)) == (3, 6)
    for start in (WARM_UP, WARM_UP + work.steps):
        seen = [place for batch in work.batches[start : start + work.steps] for place in batch]
        assert sorted(seen) == list(range(6))


def test_after_the_rounds_there_is_one_more_batch_that_nobody_trains():
    work = work_of([10] * 6, rounds=4)
    assert len(work.batches) == WARM_UP + 4 * work.steps + 1


def test_fewer_rows_than_the_table_has_are_spread_over_it():
    assert [len(row.ids) for row in work_of(list(range(10, 90, 10)), steps=2).rows] == [10, 30, 50, 70]


def test_rows_that_the_classic_recipe_would_cut_are_given_to_nobody():
    assert {len(row.ids) for row in work_of([LONGEST + 1, 10, LONGEST, 20, 30]).rows} == {10, LONGEST, 20, 30}


def test_a_table_without_one_full_batch_is_refused():
    with pytest.raises(NoWorkError, match="2 rows of at most 512 tokens, and the table has 1 such"):
        work_of([10, LONGEST + 1])


def test_the_work_is_read_as_it_was_written(tmp_path):
    work = work_of([10, 20, 30, 40])
    work.write(tmp_path / "work.json")
    assert read_work(tmp_path / "work.json") == work


# ---- the comparison --------------------------------------------------------------------------------------------------


def test_every_figure_stands_under_its_key(compared):
    result = compared()
    assert set(result) == set(KEYS.split())
    json.dumps(result)
    assert (result["batch"], result["steps"], result["rows"], result["rounds"]) == (2, 4, 8, 2)
    assert result["peak_memory_bytes"] == {"ours": 1000, "trl": 1000, "classic": 1000}
    assert result["versions"]["torch"]
    assert result["floor"] > 0


def test_the_ratios_are_those_of_the_speeds(compared):
    result = compared("--dtype", "float32")
    assert (result["ratio_trl"], result["ratio_classic"]) == (1.5, 5.0)
    assert result["spread"]["ratio_trl"] == [1.5, 1.5]
    assert result["ours"] / result["classic"] == pytest.approx(5, rel=0.01)
    low, high = result["spread"]["ours"]
    assert low <= result["ours"] <= high


def test_trl_runs_as_it_is_fastest(compared):
    result = compared()
    assert result["trl_setup"] == "float32 padding-free"
    assert result["dtype"]["trl"] == "float32"
    speeds = result["tried"]
    assert speeds["float32"] == pytest.approx(2 * speeds["bfloat16"], rel=0.01)
    assert list(speeds)[-1] == "float32 padding-free"


def test_a_number_format_that_is_asked_for_is_asked_of_trl_too(compared):
    result = compared("--dtype", "bfloat16")
    assert list(result["tried"]) == [
        "bfloat16", "bfloat16 autocast", "float32 autocast", "float32 autocast padding-free"
    ]  # fmt: skip
    assert result["dtype"] == {"ours": "bfloat16", "trl": "bfloat16", "classic": "float32"}


def test_without_trl_its_figures_are_null_and_a_line_says_how_to_add_it(compared, capsys):
    result = compared(installed=False)
    assert [result[name] for name in ("trl", "ratio_trl", "trl_setup")] == [None] * 3
    assert (result["peak_memory_bytes"]["trl"], result["spread"]["trl"], result["tried"]) == (None, None, {})
    assert result["ratio_classic"] == 5.0
    assert 'pip install -c constraints.txt -e ".[bench]"' in capsys.readouterr().err


def test_a_setup_that_does_not_work_is_null_and_its_number_format_is_not_tried_again(compared, capsys):
    result = compared(before='if name == "trl" and setup["dtype"] == "bfloat16": sys.exit("no such products")')
    tried = result["tried"]
    assert (tried["bfloat16"], tried["bfloat16 autocast"], tried["float32 autocast"]) == (None, None, None)
    assert result["trl_setup"] == "float32 padding-free"
    assert "trl, bfloat16: no such products" in capsys.readouterr().err


def test_a_setup_that_is_far_behind_is_given_up(compared, capsys, monkeypatch):
    monkeypatch.setattr(race, "SLOW", 0.1)
    monkeypatch.setattr(race, "GRACE_SECONDS", 0)
    result = compared(before='if name == "trl" and setup["dtype"] == "bfloat16": time.sleep(60)')
    assert result["tried"]["bfloat16"] is None
    assert "trl, bfloat16: given up after 1 s" in capsys.readouterr().err


def test_one_that_fails_on_the_way_is_null_and_the_others_go_on(compared, capsys):
    result = compared(before='if name == "classic" and loss < 2.95: sys.exit("out of memory")')
    assert (result["classic"], result["ratio_classic"], result["dtype"]["classic"]) == (None, None, None)
    assert result["ratio_trl"] == 1.5
    assert "classic: out of memory" in capsys.readouterr().err


def test_ours_must_not_fail(compared):
    with pytest.raises(RivalError, match="a fault of ours"):
        compared(before='if name == "ours": sys.exit("a fault of ours")')


def test_one_that_trains_other_rows_ends_the_comparison(compared):
    with pytest.raises(UnequalError, match="trl trained"):
        compared(before='if name == "trl": tokens = lambda: 7')


def test_one_that_learns_nothing_is_named(compared):
    assert cpu.risen_losses(compared()) == []
    assert cpu.risen_losses(compared(before='loss += name == "classic"')) == ["classic"]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no alarm clock to interrupt with")
def test_who_is_interrupted_leaves_neither_a_process_nor_a_clock(tmp_path, monkeypatch):
    monkeypatch.setattr(race, "KIND_SECONDS", 0.1)
    busy = 'import time; print(\'{"updates": [], "peak_memory_bytes": 1}\', flush=True); time.sleep(60)'
    others = psutil.Process().children()
    rival = race.Rival([sys.executable, "-c", busy], tmp_path / "log")
    before = signal.signal(signal.SIGALRM, lambda *_: sys.exit(143))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(SystemExit):
            rival.train(1, limit_seconds=60)
    finally:
        signal.signal(signal.SIGALRM, before)
        rival.stop()
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer) and thread.is_alive()]
    assert psutil.Process().children() == others


# ---- those who are compared ------------------------------------------------------------------------------------------


class Rounds:
    """Asks for updates as the comparison does, and keeps what came back."""

    def __init__(self, *updates: int) -> None:
        self._waiting = list(updates)
        self.done: list[list[Update]] = []
        self.pace = Pace(self._ask, self.done.append)

    def _ask(self) -> int:
        if not self._waiting:
            raise SystemExit
        return self._waiting.pop(0)


def test_the_pace_lets_through_what_is_asked_for_and_adds_up_what_is_accumulated():
    def train() -> None:
        while True:
            rounds.pace.step()
            rounds.pace.trained(10, 0.5)
            rounds.pace.trained(20, 0.25)

    rounds = Rounds(1, 2)
    with pytest.raises(SystemExit):
        train()
    told = [[(update.tokens, update.loss) for update in one] for one in rounds.done]
    assert told == [[], [(30, 0.75)], [(30, 0.75)] * 2]


def trained(train: Callable[[Work, Setup, Pace], None], work: Work, setup: Setup) -> list[Update]:
    """Every update that `train` makes when it is asked for one round after the other."""
    rounds = Rounds(*[1] * (len(work.batches) - 1))
    with pytest.raises(SystemExit):
        train(work, setup, rounds.pace)
    return [update for one in rounds.done for update in one]


@pytest.fixture
def work(folder) -> Work:
    """Four rows in one batch, again and again, so that the loss can only fall."""
    renderer = tiny_renderer()
    rows = [renderer.conversation(question, answer) for question, answer in (*ROWS, ROWS[0])]
    return make_work(rows, folder / "model", threads=1, batch=4, steps=1, rounds=5)


@pytest.mark.parametrize("train", [pytest.param(train, marks=PEFT_TALKS) for train in (train_ours, train_classic)])
def test_each_trains_the_tokens_it_is_given_and_learns(train, work):
    updates = trained(train, work, Setup())
    assert [update.tokens for update in updates] == [work.tokens(batch) for batch in range(WARM_UP + 5)]
    assert updates[-1].loss < updates[0].loss
    assert min(update.seconds for update in updates) > 0


def test_ours_alone_is_measured(folder):
    paths = ["--model", str(folder / "model"), "--table", str(folder / "table.csv")]
    found = cpu.alone(cpu.parse(["--alone", *paths, "--dtype", "float32", "--batch", "2", "--steps", "3"]))
    assert found["tokens_per_second"] > 0
    assert (found["dtype"], found["batch"]) == ("float32", 2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # TRL's and datasets' own
@pytest.mark.parametrize("setup", [Setup(), Setup(padding_free=True)], ids=str)
def test_trl_trains_the_same_tokens_and_has_our_loss_before_anything_is_learned(setup, work):
    pytest.importorskip("trl")
    pytest.importorskip("datasets")
    ours, trl = trained(train_ours, work, Setup()), trained(train_trl, work, setup)
    assert [update.tokens for update in trl] == [update.tokens for update in ours]
    assert trl[0].loss == pytest.approx(ours[0].loss, rel=1e-5)
    assert trl[-1].loss < trl[0].loss


@pytest.mark.slow
def test_the_real_ones_are_compared(folder):
    paths = ["--model", str(folder / "model"), "--table", str(folder / "table.csv")]
    asked = cpu.parse([*paths, "--dtype", "float32", "--batch", "2", "--steps", "4", "--rounds", "4"])
    result = cpu.compare(asked, cpu.rival_command)
    assert cpu.risen_losses(result) == []
    assert result["classic"] > 0
    assert min(memory for memory in result["peak_memory_bytes"].values() if memory) > 100e6


# ---- bench.gpu, as far as a CPU goes ---------------------------------------------------------------------------------

TINY = {"device": "cpu", "tiny": True, "dtype": "float32", "quantization": "none", "rows": 2, "tokens": 5}


def test_every_case_of_the_gpu_bench_is_one_that_can_be_run():
    for part, cases in gpu.PARTS.items():
        assert part in gpu_parts.CASES
        assert cases
        assert json.loads(json.dumps(cases)) == cases
    assert gpu._parts("speed, job") == ["speed", "job"]


@pytest.mark.parametrize("part", ["speed", "rows", "profile", "decode"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_the_cases_of_the_gpu_bench_measure_on_a_cpu_too(part, monkeypatch):
    monkeypatch.setattr(gpu_parts, "WARM_UP", 1)
    monkeypatch.setattr(gpu_parts, "MEASURED", 2)
    found = gpu_parts.CASES[part](TINY)
    json.dumps(found)
    match part:
        case "profile":
            assert found["kernels"] > 20
        case "decode":
            assert found["one"]["equal"] == found["batch"]["equal"] == 1
        case _:
            assert found["tokens_per_second"] > 0
            assert not found["is_recorded"]


def test_the_cost_grows_along_one_thing_at_a_time_and_the_middle_is_measured_once(monkeypatch):
    asked = []

    def run_case(command, seconds):
        asked.append(json.loads(command[-1]))
        return {"tokens_per_second": 1000, "peak_memory_gib": 1.0}

    monkeypatch.setattr(growth, "run_case", run_case)
    found = list(growth.measure(["rows", "rank"], "cpu"))
    assert [(thing, value) for thing, value, _ in found] == [("rows", n) for n in (2, 8, 32)] + [
        ("rank", r) for r in (4, 16, 64)
    ]
    assert [(one["rows"], one["columns"], one["r"]) for one in asked] == [
        (2, 160, 16),
        (8, 160, 16),
        (32, 160, 16),
        (8, 160, 4),
        (8, 160, 64),
    ]
    assert found[0][2]["milliseconds"] == 320


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_an_update_of_other_rows_and_another_rank_is_measured_too():
    found = gpu_parts.CASES["speed"](TINY | {"columns": 12, "r": 4, "updates": (1, 2)})
    assert found["tokens_per_second"] > 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_the_base_of_the_gpu_bench_is_quantised_as_transformers_does_it():
    from bench.shapes import network_of

    network = network_of(TINY | {"quantization": "nf4"})
    assert network._engine is not None
    assert network._engine.layers[0].down._weight_OI is None
    assert "lora" in type(network._base.model.layers[0].mlp.up_proj).__module__


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("print('talk'); print('{\"a\": 1}')", {"a": 1}),
        ("raise SystemExit('it is broken')", {"error": "it is broken"}),
        ("print('no')", {"error": "no JSON: no"}),
        ("import time; time.sleep(60)", {"error": "longer than 1 s"}),
    ],
)
def test_a_case_that_fails_says_why_and_the_others_go_on(code, found):
    assert gpu.run_case([sys.executable, "-c", code], 1.4 if "sleep" in code else 30) == found
