"""A run that was stopped goes on to what it would have come to; what does not fit is refused, and says so."""

import errno
import json
import shutil

import pytest
import torch

from tests.test_wrong_turns import refuse
from tests.tiny import PEFT_TALKS, tiny_folder
from tests.training.runs import LEARNS, TABLE, begun, gone_on, learned, lines, until, weights
from znatok import cli, messages
from znatok.errors import ModelError, RunError
from znatok.run_folder import RunFolder, write_json
from znatok.settings import make_settings
from znatok.training import refusals, updates
from znatok.training.events import (
    BatchHalved,
    ExamAdvanced,
    FellBack,
    MemorySpared,
    ModelLoaded,
    Planned,
    Resumed,
    Stepped,
    Stopped,
    TrainingEnded,
)
from znatok.training.loop import resume, train
from znatok.training.resume import find_begun
from znatok.training.scope import elsewhere

pytestmark = [
    *PEFT_TALKS,
    pytest.mark.filterwarnings("ignore:.*torch_dtype.*:FutureWarning"),
    pytest.mark.usefixtures("one_cpu"),
]


@pytest.fixture(scope="module")
def whole(table, model, tmp_path_factory):
    """A run that nothing stopped: its folder and its events."""
    run = tmp_path_factory.mktemp("whole") / "run"
    return run, list(train(table, make_settings({"model": str(model)} | LEARNS), run))


@pytest.fixture(scope="module")
def stopped(table, model, tmp_path_factory):
    """A run stopped after five updates."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    begun(table, model, run, 5)
    return run


@pytest.fixture
def run(stopped, tmp_path):
    """A copy of the stopped run."""
    return shutil.copytree(stopped, tmp_path / "run")


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


# ---- exact -----------------------------------------------------------------------------------------------------------

KINDS = {
    "learn": {},
    "dropout, accumulated": {"lora_dropout": 0.2, "gradient_accumulation_steps": 2},
    "strict": {"scope": "strict", "num_train_epochs": 4.0, "finishing_rounds": 0},
    "classic, the best taken": {
        "preset": "classic",
        "quantization": "none",
        "optim": "adamw_torch",
        "lora_dropout": 0.05,
        "gradient_accumulation_steps": 1,
        "logging_steps": 1,
        "finishing_rounds": 0,
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_stopped_after_every_single_update_ends_with_the_bytes_of_one_that_was_not(
    table, model, whole, tmp_path, monkeypatch, kind
):
    # Every sitting looks through all that might be declined; forty questions are looked through in a moment.
    monkeypatch.setattr(refusals, "elsewhere", lambda language: elsewhere(language)[:40])
    unstopped, events = whole
    if KINDS[kind]:
        unstopped = tmp_path / "whole"
        events = learned(table, model, unstopped, **KINDS[kind])
    steps = of(TrainingEnded, events)[0].steps
    run = tmp_path / "run"
    begun(table, model, run, 1, **KINDS[kind])
    sittings = 1
    while (ended := of(TrainingEnded, told := gone_on(run, 1))[0]).stopped_because is Stopped.INTERRUPTED:
        sittings += 1
        assert of(Resumed, told)[0].step == sittings - 1
        assert sittings <= steps + 1
    assert sittings >= steps - 1
    assert weights(run) == weights(unstopped)
    assert [line["step"] for line in lines(run, "stepped")] == list(range(1, steps + 1))
    for event, names in (("stepped", ("loss", "exact", "learning_rate", "tokens")), ("validated", ("step", "loss"))):
        one, other = ([[line[name] for name in names] for line in lines(at, event)] for at in (run, unstopped))
        assert one == other
    expected = of(TrainingEnded, events)[0]
    assert (ended.steps, ended.tokens, ended.stopped_because) == (
        expected.steps,
        expected.tokens,
        expected.stopped_because,
    )


def test_rows_missed_at_the_planned_end_are_shown_again_after_a_stop_too(whole):
    """Else the first kind above would not show what it is there to show."""
    _, events = whole
    planned = of(Planned, events)[0].plan.steps
    assert of(TrainingEnded, events)[0].steps > planned


@pytest.mark.parametrize("left_at", [0, 3])
def test_leaving_the_loop_saves_the_state_too(table, model, whole, tmp_path, left_at):
    events = train(table, make_settings({"model": str(model)} | LEARNS), tmp_path / "run")
    for event in events:
        if isinstance(event, ModelLoaded) and left_at == 0:
            break
        if isinstance(event, Stepped) and event.step == left_at:
            break
    events.close()
    told = gone_on(tmp_path / "run")
    assert of(Resumed, told)[0].step == (left_at or None)
    assert weights(tmp_path / "run") == weights(whole[0])


def test_what_was_not_planned_to_its_end_cannot_be_gone_on_with_and_what_was_begins_anew(table, model, whole, tmp_path):
    events = train(table, make_settings({"model": str(model)} | LEARNS), tmp_path / "run")
    for event in events:
        if isinstance(event, Planned):
            break
    events.close()
    shutil.copytree(tmp_path / "run", tmp_path / "torn")
    (tmp_path / "torn" / "rows.jsonl").unlink()
    with pytest.raises(RunError) as caught:
        find_begun(tmp_path / "torn", None)
    assert caught.value.key == "run.not_begun"
    assert of(Resumed, gone_on(tmp_path / "run"))[0].step is None
    assert weights(tmp_path / "run") == weights(whole[0])


def test_a_run_stopped_in_its_exam_goes_on_with_the_exam(table, model, whole, tmp_path):
    events = train(table, make_settings({"model": str(model)} | LEARNS), tmp_path / "run")
    for event in events:
        if isinstance(event, ExamAdvanced) and event.done > 1:
            break
    events.close()
    assert not RunFolder(tmp_path / "run").is_finished
    told = list(resume(RunFolder(tmp_path / "run")))
    assert of(Stepped, told) == []
    assert RunFolder(tmp_path / "run").is_finished
    assert weights(tmp_path / "run") == weights(whole[0])
    expected = whole[1][-1].summary["exam"]["trained"]["after"]["exact"]
    assert told[-1].summary["exam"]["trained"]["after"]["exact"] == expected


def test_an_adapter_changed_since_training_ended_is_not_examined_but_trained_again(table, model, whole, tmp_path):
    run = shutil.copytree(whole[0], tmp_path / "run")
    (run / "exam.json").unlink()
    (run / "adapter" / "adapter_model.safetensors").write_bytes(b"")
    told = gone_on(run)
    assert of(Resumed, told)
    assert weights(run) == weights(whole[0])


def test_a_damaged_state_is_named_and_the_one_before_ends_the_same(run, whole):
    newest = run / "checkpoints" / "step-000005" / "adapter_model.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    told = gone_on(run)
    resumed = of(Resumed, told)[0]
    assert resumed.step < 5
    assert resumed.damaged == (newest,)
    assert weights(run) == weights(whole[0])


def test_metrics_go_on_and_damaged_lines_are_dropped(run, whole):
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(b'{"event": "stepped", "step": 6, "loss": 9}\n{"event": "stepp\n' + bytes(40))
    gone_on(run)
    assert [line["loss"] for line in lines(run, "stepped")] == [line["loss"] for line in lines(whole[0], "stepped")]


def test_time_spent_before_counts_and_the_time_set_is_kept(table, model, tmp_path):
    begun(table, model, tmp_path / "run", 4, minutes=0.05)
    state = next((tmp_path / "run" / "checkpoints").glob("step-000004*")) / "training_state.json"
    before = json.loads(state.read_text(encoding="utf-8"))["state"]
    assert before["elapsed"] > before["seconds"] > 0
    told = list(resume(RunFolder(tmp_path / "run")))
    # The last step is one of those at which the number of steps is fitted to the time left.
    assert of(TrainingEnded, told)[0].steps == of(Stepped, told)[-1].steps
    summary = told[-1].summary
    assert summary["total_seconds"] > before["elapsed"]
    assert summary["train_seconds"] >= round(before["seconds"], 1)


# ---- what does not fit -----------------------------------------------------------------------------------------------


@pytest.fixture
def refused(run):
    """The message that going on with the run is refused with; the run stays as it was."""

    def refused(asked=None, data=None, error=RunError):
        before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
        messages.set_language("en")
        with pytest.raises(error) as caught:
            list(resume(RunFolder(run), asked, data))
        said = str(caught.value)
        assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
        return said

    return refused


def test_other_settings_are_refused_all_at_once_with_both_values(refused):
    said = refused({"seed": 3, "r": 16, "learning_rate": 0.01})
    assert "  --seed: in the run 0, now 3\n  --r: in the run 4, now 16\n" in said
    assert "learning-rate" not in said


def test_another_table_is_refused_with_the_row(refused, tmp_path):
    other = tmp_path / "детали.csv"
    other.write_text(TABLE.replace("2 А", "3 А"), encoding="utf-8")
    assert "row 3: in the run Ток равен 2 А., now Ток равен 3 А." in refused(data=other)
    other.write_text(TABLE.rsplit("Сколько", 1)[0], encoding="utf-8")
    said = refused(data=other)
    assert "rows of the table: in the run 5, now 4" in said
    assert "row 5: in the run Сколько взять?, now —" in said


def test_the_same_table_and_settings_are_taken(run, table, whole):
    until(TrainingEnded, resume(RunFolder(run), {"r": 4, "model": "auto"}, table))
    assert weights(run) == weights(whole[0])


def test_another_base_is_refused(refused, tmp_path):
    other = tiny_folder(tmp_path / "other")
    assert str(other) in refused({"model": str(other)})


def test_another_chat_template_is_refused(refused, model, run):
    plan = json.loads((run / "plan.json").read_text(encoding="utf-8"))
    plan["template"]["end_of_turn"] = "<|end|>"
    write_json(run / "plan.json", plan)
    assert "end_of_turn: in the run '<|end|>', now '<|im_end|>'" in refused()


def test_a_base_that_is_gone_is_said_to_be(refused, run):
    plan = json.loads((run / "plan.json").read_text(encoding="utf-8"))
    plan["source"]["name"] = "/nowhere/model"
    write_json(run / "plan.json", plan)
    assert "/nowhere/model" in refused(error=ModelError)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_run_of_a_gpu_is_not_gone_on_with_where_there_is_none(refused, run):
    plan = json.loads((run / "plan.json").read_text(encoding="utf-8"))
    write_json(run / "plan.json", plan | {"device": "cuda"})
    assert "GPU" in refused()


@pytest.mark.parametrize("damage", ["{", "[]", '{"table": 1}'])
def test_a_damaged_plan_is_named(refused, run, damage):
    (run / "plan.json").write_text(damage, encoding="utf-8")
    assert str(run / "plan.json") in refused()


def test_dtype_threads_and_batch_are_those_of_the_plan(run):
    plan = json.loads((run / "plan.json").read_text(encoding="utf-8"))
    write_json(run / "plan.json", plan | {"threads": 2, "dtype": "float64"})
    before = torch.get_num_threads()
    try:
        events = resume(RunFolder(run))
        told = next(event for event in events if isinstance(event, Planned)).plan
        assert (torch.get_num_threads(), told.threads, told.dtype, told.batch_size) == (2, 2, "float64", 2)
        events.close()
    finally:
        torch.set_num_threads(before)


# ---- a loss that is no number, and memory that does not suffice ------------------------------------------------------


def test_a_loss_that_is_no_number_goes_back_once_and_names_the_rows(table, model, tmp_path, monkeypatch):
    from znatok.training import step

    real, spoiled = step.math.isfinite, iter([True] * 9 + [False])
    monkeypatch.setattr(step.math, "isfinite", lambda value: next(spoiled, True) and real(value))
    events = learned(table, model, tmp_path / "run")
    (back,) = of(FellBack, events)
    assert back.step <= back.left
    assert 1 <= len(back.rows) <= 2
    assert set(back.rows) <= {1, 2, 3, 4, 5}
    place = events.index(back)
    before, after = of(Stepped, events[:place]), of(Stepped, events[place:])
    rates = {one.step: one.learning_rate for one in before}
    again = [one for one in after if one.step in rates]
    assert again == [] or all(one.learning_rate == rates[one.step] / 2 for one in again)
    assert after[-1].learning_rate == pytest.approx(0.01 * updates.FINISHING_RATE / 2)
    assert [line["step"] for line in lines(tmp_path / "run", "stepped")] == list(range(1, after[-1].step + 1))


def test_a_second_time_training_stops_and_names_the_rows(table, model, tmp_path, monkeypatch):
    from znatok.training import step

    monkeypatch.setattr(step.math, "isfinite", lambda value: False)
    events = learned(table, model, tmp_path / "run")
    (ended,) = of(TrainingEnded, events)
    assert ended.stopped_because is Stopped.NOT_FINITE
    assert set(ended.rows) <= {1, 2, 3, 4, 5}
    assert len(ended.rows) >= 1


def fails_to_allocate(monkeypatch, times):
    real, left = torch.Tensor.backward, iter(range(times))

    def backward(*arguments, **named):
        if next(left, None) is not None:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.")
        return real(*arguments, **named)

    monkeypatch.setattr(torch.Tensor, "backward", backward)


def test_where_memory_does_not_suffice_fewer_rows_are_taken_at_once(table, model, tmp_path, monkeypatch):
    settings = {"per_device_train_batch_size": 5, "num_train_epochs": 2.0, "finishing_rounds": 0}
    settings["dtype"] = "float32"  # in 16 bits the order of sums shows in the fourth place
    plain = learned(table, model, tmp_path / "plain", **settings)
    fails_to_allocate(monkeypatch, 3)
    events = learned(table, model, tmp_path / "run", **settings)
    assert of(MemorySpared, events) == [MemorySpared()]
    assert of(BatchHalved, events) == [BatchHalved(2)]
    assert len(of(Stepped, events)) == len(of(Stepped, plain)) == 2
    for one, other in zip(of(Stepped, events), of(Stepped, plain), strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-4)
        assert one.tokens == other.tokens


def test_where_it_does_not_even_for_one_row_the_run_ends_and_can_go_on_later(table, model, whole, tmp_path):
    with pytest.MonkeyPatch.context() as monkeypatch:
        fails_to_allocate(monkeypatch, 10**6)
        events = learned(table, model, tmp_path / "run")
    assert of(TrainingEnded, events)[0].stopped_because is Stopped.OUT_OF_MEMORY
    assert gone_on(tmp_path / "run")[-1].stopped_because is not Stopped.OUT_OF_MEMORY
    assert weights(tmp_path / "run") == weights(whole[0])


# ---- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZNATOK_LANG", "en")
    return tmp_path


def typed(capsys, *arguments):
    """The exit code of a command and what it said."""
    code = cli.run([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_resume_without_a_name_takes_the_newest_unfinished_run_and_says_where_it_stands(place, stopped, capsys, whole):
    shutil.copytree(whole[0], place / "runs" / "finished")
    shutil.copytree(stopped, place / "runs" / "детали")
    code, said, wrong = typed(capsys, "train", "--resume")
    assert (code, wrong) == (0, "")
    assert "Going on after step 5 of" in said
    assert weights(place / "runs" / "детали") == weights(whole[0])
    assert (place / "runs" / "детали" / "report.html").is_file()
    code, said, wrong = typed(capsys, "train", "--resume", "--run", "runs/детали", "--json")
    assert (code, json.loads(said)["steps"]) == (0, whole[1][-1].summary["steps"])
    assert "this training is finished" in wrong
    code, said, _ = typed(capsys, "train", "--resume")
    assert code == 0
    assert "is finished" in said


def test_where_nothing_was_begun_resume_says_so(place, capsys):
    assert typed(capsys, "train", "--resume")[::2] == (
        1,
        "There is no training in runs to go on with. Begin one: znatok train table.csv\n",
    )
    code, _, wrong = typed(capsys, "train", "--resume", "--run", "нет такой")
    assert code == 1
    assert wrong.startswith("нет такой: there is no training here to go on with.")


def test_the_same_command_again_says_how_to_go_on_and_trains_anew(place, stopped, table, model, capsys, monkeypatch):
    shutil.copytree(stopped, place / "runs" / "детали")
    command = ("train", table, "--model", model, "--num-train-epochs", "1", "--r", "2", "--finishing-rounds", "0")
    code, said, _ = typed(capsys, *command)
    assert code == 0
    hint = "An unfinished training on this table lies in runs/детали. To go on with it instead of beginning anew: "
    assert said.count(hint + "znatok train --resume --run runs/детали") == 1
    assert (place / "runs" / "детали-2" / "exam.json").is_file()
    code, _, wrong = typed(capsys, *command, "--run", "runs/детали")
    assert code == 1
    assert "znatok train --resume --run runs/детали" in wrong


def test_a_run_that_was_examined_while_it_was_stopped_still_goes_on(place, stopped, capsys, whole):
    shutil.copytree(stopped, place / "runs" / "детали")
    code, _, wrong = typed(capsys, "exam", "runs/детали")
    assert (code, wrong) == (0, "")
    code, said, wrong = typed(capsys, "train", "--resume")
    assert (code, wrong) == (0, "")
    assert "Going on after step 5 of" in said
    assert weights(place / "runs" / "детали") == weights(whole[0])
    assert "is finished" in typed(capsys, "train", "--resume")[1]


@pytest.mark.parametrize(
    ("name", "number"),
    [("replace", errno.ENOSPC), ("mkdir", errno.EACCES), ("mkdir", errno.EROFS), ("open", errno.EIO)],
)
def test_a_disk_that_refuses_a_state_ends_in_one_line_and_the_state_before_is_there(
    place, table, model, whole, capsys, name, number
):
    def is_meant(path):
        return path.name in ("step-000003", ".step-000003.unfinished")

    command = ["train", table, "--model", model, "--run", "run"]
    for setting, value in LEARNS.items():
        command += ["--" + setting.replace("_", "-"), value]
    with pytest.MonkeyPatch.context() as monkeypatch:
        refuse(monkeypatch, name, number, is_meant)
        code, _, wrong = typed(capsys, *command)
    assert code == 1
    assert wrong.count("\n") == 1
    assert wrong.startswith("run/checkpoints/step-000003: ")
    # A folder that cannot be opened cannot be removed either, until one goes on.
    assert name == "open" or list((place / "run").rglob(".*")) == []
    assert of(Resumed, gone_on(place / "run"))[0].step == 2
    assert weights(place / "run") == weights(whole[0])


def test_metrics_that_cannot_be_written_never_stop_training(table, model, whole, tmp_path):
    events = train(table, make_settings({"model": str(model)} | LEARNS), tmp_path / "run")
    for event in events:
        if isinstance(event, Planned):
            (tmp_path / "run" / "metrics.jsonl").mkdir()  # nothing can be written to a folder
            until(TrainingEnded, events)
    assert weights(tmp_path / "run") == weights(whole[0])


@pytest.mark.slow
@pytest.mark.parametrize(("scope", "warmup_steps"), [("open", 2000), ("strict", 6000)])
def test_a_loss_that_runs_away_goes_back_once_and_then_ends(table, model, tmp_path, scope, warmup_steps):
    wild = {"learning_rate": 0.9, "warmup_steps": warmup_steps, "num_train_epochs": 600.0, "scope": scope}
    wild |= {"lr_scheduler_type": "linear", "replay": 0.0, "rewording_mix": ("noise",)}
    events = learned(table, model, tmp_path / "run", **wild)
    (back,) = of(FellBack, events)
    assert back.rows == ()
    assert back.left >= back.step + 20
    assert of(TrainingEnded, events)[0].stopped_because is Stopped.DIVERGED
