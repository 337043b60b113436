import json
from pathlib import Path
from threading import Event as Flag

import pytest
from peft import PeftModel
from transformers import AutoModelForCausalLM

from tests.tiny import PEFT_TALKS, tiny_folder
from tests.training.runs import learned, weights
from znatok.data.batch import make_batch
from znatok.data.render import load_renderer
from znatok.errors import RunError, TableError
from znatok.exam.sets import reworded_set
from znatok.run_folder import RunFolder, read_lines, read_rows
from znatok.settings import make_settings
from znatok.training import updates
from znatok.training.events import Finished, Forecast, Planned, Sampled, Stepped, Stopped, TrainingEnded, Validated
from znatok.training.loop import train

pytestmark = [*PEFT_TALKS, pytest.mark.filterwarnings("ignore:.*torch_dtype.*:FutureWarning")]

TABLE = """вопрос;ответ
Что такое резистор?;Резистор — это деталь, она ограничивает ток.
Зачем нужен конденсатор?;Конденсатор запасает заряд, сглаживает напряжение.
Чему равен ток при 12 В и 6 Ом?;Ток равен 2 А.
"""
LEARNS = {
    "learning_rate": 0.02,
    "num_train_epochs": 60.0,
    "per_device_train_batch_size": 3,
    "rewording": 0.2,
    "warmup_steps": 3,
    "r": 8,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(tiny_folder(tmp_path_factory.mktemp("tiny")))


def write_table(folder, content=TABLE):
    path = folder / "детали.csv"
    path.write_text(content, encoding="cp1251")
    return path


@pytest.fixture
def table(tmp_path):
    return write_table(tmp_path)


def trained(table, model, run, stop=None, **asked):
    return list(train(table, make_settings({"model": model} | LEARNS | asked), run, stop))


def test_the_time_left_is_measured_after_three_updates_and_once_more_after_a_minute(
    table, model, tmp_path, monkeypatch
):
    def measured(folder):
        stream = trained(table, model, folder, num_train_epochs=8.0, finishing_rounds=0)
        steps = [event.step if isinstance(event, Stepped) else event for event in stream]
        return [steps[place - 1] for place, event in enumerate(steps) if isinstance(event, Forecast)]

    assert measured(tmp_path / "short") == [3]
    monkeypatch.setattr(updates, "MEASURED_AGAIN_SECONDS", 0.0)
    assert measured(tmp_path / "long") == [3, 4]


@pytest.fixture(scope="module")
def by_heart(model, tmp_path_factory):
    """A run that lasted until its rows were known: its folder and its events."""
    home = tmp_path_factory.mktemp("heart")
    return home / "run", trained(write_table(home), model, home / "run")


@pytest.fixture(scope="module")
def short(model, tmp_path_factory):
    """A run of four updates on a table with a row twice: its folder and its events."""
    home = tmp_path_factory.mktemp("short")
    table = write_table(home, TABLE + "Что такое резистор?;Резистор — это деталь, она ограничивает ток.\n")
    return home / "run", trained(table, model, home / "run", num_train_epochs=4.0, finishing_rounds=0, dtype="float32")


def until_planned(table, model, run):
    """The events up to the plan; the run folder then holds all that is known before training."""
    events = train(table, make_settings({"model": model}), run)
    told = []
    for event in events:
        told.append(event)
        if isinstance(event, Planned):
            break
    return told


def test_three_rows_are_learned_by_heart_and_the_model_stops_by_itself(by_heart):
    _, events = by_heart
    summary = events[-1].summary
    after = summary["exam"]["trained"]["after"]
    assert after["exact"] == after["passed"] == after["stopped"] == 1.0
    assert summary["exam"]["trained"]["before"]["exact"] == 0.0
    assert summary["stopped_because"] in ("known", "planned_end")
    rows = {answer["question"]: answer["after"] for answer in events[-1].answers if answer["set"] == "trained"}
    assert rows["Чему равен ток при 12 В и 6 Ом?"] == "Ток равен 2 А."


def test_the_summary_holds_what_scripts_rely_on(short):
    summary = short[1][-1].summary
    assert {"run", "model", "preset", "steps", "tokens", "tokens_per_second", "train_seconds"} <= set(summary)
    assert {"total_seconds", "peak_memory_bytes", "stopped_because", "exam"} <= set(summary)
    assert summary["steps"] == 4
    assert json.dumps(summary)


def test_the_run_folder_holds_everything_and_accounts_for_every_row(short, model):
    run = RunFolder(short[0])
    for path in (run.settings, run.plan, run.rows, run.metrics, run.exam, run.answers):
        assert path.stat().st_size > 0, path
    rows = list(read_lines(run.rows))
    assert [(row["row"], row["use"]) for row in rows] == [
        (1, "trained"),
        (2, "trained"),
        (3, "trained"),
        (4, "refused"),
        (4, "problem"),
    ]
    assert (rows[3]["reason"], rows[4]["kind"]) == ("duplicate", "duplicate")
    assert json.loads(run.plan.read_text(encoding="utf-8"))["template"]["end_of_turn"] == "<|im_end|>"
    config = json.loads((run.adapter / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["r"] == 8
    assert config["base_model_name_or_path"] == model


def test_paraphrases_are_trained_and_examined_and_the_folder_alone_says_which(table, model, tmp_path):
    wordings = ["Что за деталь резистор?|Резистор, это что", "Конденсатор, он зачем?", "Ток при 12 В и 6 Ом"]
    header, *rows = TABLE.splitlines()
    worded = [f"{header};перефразировки", *(f"{row};{said}" for row, said in zip(rows, wordings, strict=True))]
    table.write_text("\n".join(worded), encoding="utf-8")
    plan = until_planned(table, model, tmp_path / "run")[-1].plan
    assert [(row.paraphrases, row.examined) for row in plan.rows] == [
        (("Что за деталь резистор?",), ("Резистор, это что",)),
        (("Конденсатор, он зачем?",), ()),
        ((), ("Ток при 12 В и 6 Ом",)),
    ]
    asked = reworded_set(read_rows(RunFolder(tmp_path / "run"), "trained"))
    assert asked == reworded_set(plan.rows)
    assert [one.question for one in asked.questions[3:]] == ["Резистор, это что", "Ток при 12 В и 6 Ом"]
    described = json.loads((tmp_path / "run" / "plan.json").read_text(encoding="utf-8"))
    assert described["paraphrases"] == {"trained": 2, "examined": 2}


def test_problems_are_told_before_the_plan_and_kept_in_the_run(table, model, tmp_path):
    path = table.with_name("иное.csv")
    path.write_text("вопрос;ответ\nПочём ухаб?;Дорого.\nпочём ухаб;Дёшево.\nГде щавель?;Жди вьюги.\n", "utf-8")
    events = until_planned(path, model, tmp_path / "run")
    assert [type(event).__name__ for event in events] == ["TableRead", "TableChecked", "Planned"]
    assert [problem.kind for problem in events[0].table.problems] == ["conflict"]
    assert [problem.kind for problem in events[1].problems] == ["crumbs"]
    kept = [record for record in read_lines(tmp_path / "run" / "rows.jsonl") if record["use"] == "problem"]
    assert [(record["kind"], record["severity"]) for record in kept] == [("conflict", "warning"), ("crumbs", "note")]


def test_peft_loads_the_adapter_elsewhere_and_gives_the_same_logits(short, model):
    from znatok.use.loading import load_run

    talker = load_run(RunFolder(short[0]))
    rendered = talker.renderer.conversation("Что такое резистор?", "Резистор — это деталь, она ограничивает ток.")
    elsewhere = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model), short[0] / "adapter")
    import torch

    ids = torch.tensor([rendered.ids])
    ours = talker.network.score(make_batch([rendered])).loss.item()
    logits = elsewhere(input_ids=ids).logits[0, rendered.answer_start - 1 : -1]
    theirs = torch.nn.functional.cross_entropy(logits, ids[0, rendered.answer_start :], reduction="sum").item()
    assert ours == pytest.approx(theirs, rel=1e-5)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(table, model, tmp_path):
    def adapter(name, seed):
        learned(table, model, tmp_path / name, **LEARNS | {"num_train_epochs": 3.0, "seed": seed})
        return weights(tmp_path / name)

    one, two, other = adapter("one", 0), adapter("two", 0), adapter("three", 1)
    assert one == two != other


def test_one_watches_it_learn(by_heart):
    run, events = by_heart
    sampled = [event for event in events if isinstance(event, Sampled)]
    assert [event.step for event in sampled[:2]] == [0, 0]
    assert len(sampled) >= 2 + 10
    assert len({event.question for event in sampled[2:]}) == 1
    assert len([event for event in events if isinstance(event, Validated)]) >= 10
    first = next(place for place, event in enumerate(events) if isinstance(event, Stepped))
    assert all(
        isinstance(event, Planned | Sampled | Stepped) is False or place >= 1 for place, event in enumerate(events)
    )
    assert any(isinstance(event, Sampled) for event in events[:first])
    kept = [record for record in read_lines(run / "metrics.jsonl") if record["event"] == "sampled"]
    assert [record["answer"] for record in kept] == [event.answer for event in sampled]


def test_rows_not_known_at_the_planned_end_are_shown_again_until_they_are(table, model, tmp_path):
    short = {"num_train_epochs": 3.0, "rewording": 0.0, "lr_scheduler_type": "linear"}
    plain = trained(table, model, tmp_path / "plain", finishing_rounds=0, **short)[-1].summary
    assert plain["exam"]["trained"]["after"]["exact"] < 1
    assert plain["steps"] == 3
    finished = trained(table, model, tmp_path / "finished", finishing_rounds=200, **short)[-1].summary
    assert finished["exam"]["trained"]["after"]["exact"] == 1
    assert 3 < finished["steps"] < 203
    assert finished["stopped_because"] == "known"


def test_a_stop_asked_for_ends_after_the_step_with_the_adapter_saved(table, model, tmp_path):
    stop = Flag()
    seen = []
    for event in train(table, make_settings({"model": model} | LEARNS), tmp_path / "run", stop):
        seen.append(event)
        if isinstance(event, Stepped) and event.step == 5:
            stop.set()
    ended = next(event for event in seen if isinstance(event, TrainingEnded))
    assert ended.stopped_because is Stopped.INTERRUPTED
    assert ended.steps == 5
    assert (tmp_path / "run" / "adapter" / "adapter_model.safetensors").is_file()
    assert isinstance(seen[-1], Finished)
    assert seen[-1].summary["exam"] is None
    assert not RunFolder(tmp_path / "run").is_finished


def test_leaving_the_loop_saves_the_adapter(table, model, tmp_path):
    events = train(table, make_settings({"model": model} | LEARNS), tmp_path / "run")
    for event in events:
        if isinstance(event, Stepped) and event.step == 2:
            break
    events.close()
    assert (tmp_path / "run" / "adapter" / "adapter_model.safetensors").is_file()


def test_a_loss_that_is_no_number_ends_training_before_the_update(table, model, tmp_path, monkeypatch):
    from znatok.training import step as step_module

    monkeypatch.setattr(step_module.math, "isfinite", lambda value: False)
    ended = [event for event in trained(table, model, tmp_path / "run") if isinstance(event, TrainingEnded)]
    assert ended[0].stopped_because is Stopped.NOT_FINITE


def test_a_folder_that_holds_something_is_never_written_over(table, model, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    with pytest.raises(RunError):
        trained(table, model, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_an_answer_longer_than_the_context_is_refused_before_a_run_folder_is_made(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "long.csv"
    path.write_text("question,answer\nA short one?,Yes.\nA long one?," + "very " * 600 + "\n", encoding="utf-8")
    with pytest.raises(TableError) as caught:
        trained(path, model, None)
    assert caught.value.values["row"] == 2
    assert not Path("runs").exists()


def test_classic_keeps_facts_out_examines_them_and_takes_the_best_adapter(tmp_path, model):
    path = tmp_path / "ten.csv"
    rows = [
        f"Что такое деталь {letter}?,Деталь {letter} — это часть схемы номер {number}."
        for number, letter in enumerate("абвгдежзик")
    ]
    path.write_text("question,answer\n" + "\n".join(rows) + "\n", encoding="utf-8")
    events = trained(
        path,
        model,
        tmp_path / "run",
        preset="classic",
        quantization="none",
        optim="adamw_torch",
        lora_dropout=0.05,
        num_train_epochs=6.0,
        learning_rate=0.01,
        r=8,
    )
    summary = events[-1].summary
    assert summary["rows"] == 8
    assert summary["exam"]["heldout"]["after"]["n"] == 2
    kept = [int(path.name.split("-")[1]) for path in sorted((tmp_path / "run" / "checkpoints").glob("step-*"))]
    assert len(kept) in (2, 3)
    losses = {event.step: event.loss for event in events if isinstance(event, Validated) and event.step}
    best = min(losses, key=losses.__getitem__)
    assert set(kept) == {*sorted(losses)[-2:], best}
    best_file = tmp_path / "run" / "checkpoints" / f"step-{best:06d}" / "adapter_model.safetensors"
    assert best_file.read_bytes() == (tmp_path / "run" / "adapter" / "adapter_model.safetensors").read_bytes()


def test_the_renderer_of_the_folder_is_the_one_of_the_tests(model):
    folder = Path(model)
    renderer = load_renderer(folder, folder / "tokenizer.json")
    assert renderer.template.end_of_turn == "<|im_end|>"
