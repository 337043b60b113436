import pytest

from tests.tiny import tiny_folder
from znatok import messages
from znatok.data.read import read_table
from znatok.data.render import load_renderer
from znatok.errors import TableError
from znatok.model.source import find_base
from znatok.settings import REWORDING_FAMILIES, make_settings
from znatok.training.lesson import ENOUGH_EXPOSURES, FEW_DECLINED, HISTORY_SHARE, REPLAY_COST
from znatok.training.plan import make_plan


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tiny_folder(tmp_path_factory.mktemp("tiny"))
    return find_base(str(folder)), load_renderer(folder, folder / "tokenizer.json")


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "many.csv"
    lines = [f"What is part number {number}?,Part {number} is a thing of its own kind." for number in range(125)]
    path.write_text("question,answer\n" + "\n".join(lines), encoding="utf-8")
    return read_table(path)


@pytest.fixture(autouse=True)
def english():
    messages.set_language("en")


def plan_of(base, table, **asked):
    source, renderer = base
    return make_plan(make_settings({"model": source.name, "dtype": "float32"} | asked), table, source, renderer)


def test_learn_takes_every_row_and_leaves_nothing_to_be_decided(base, table):
    plan = plan_of(base, table)
    assert len(plan.rows) == 125
    assert plan.steps == round(plan.exposures * 32)
    assert plan.adapter.r == 16
    assert plan.adapter.lora_alpha == 32
    assert plan.adapter.lora_dropout == 0
    assert len(plan.adapter.target_modules) == 7
    assert "auto" not in str(plan.describe())


def test_quick_takes_sixteen_rows_spread_over_the_table_and_says_so(base, table):
    plan = plan_of(base, table, preset="quick")
    numbers = [row.number for row in plan.rows]
    assert len(numbers) == 16
    assert numbers[0] <= 8
    assert numbers[-1] >= 117
    assert any(choice.value == "16 / 125" for choice in plan.choices)


def test_classic_is_the_original_recipe_to_the_letter(base, table):
    settings = make_settings({"preset": "classic"})
    assert settings.quantization == "nf4"
    assert (settings.r, settings.lora_alpha, settings.lora_dropout, settings.bias) == (16, 32, 0.05, "none")
    assert settings.target_modules == ("q_proj", "k_proj", "v_proj", "o_proj")
    assert (settings.per_device_train_batch_size, settings.gradient_accumulation_steps) == (2, 4)
    assert (settings.num_train_epochs, settings.learning_rate) == (5, 2e-4)
    assert (settings.dtype, settings.optim) == ("float16", "paged_adamw_8bit")
    assert (settings.logging_steps, settings.save_total_limit) == (2, 2)
    assert (settings.test_size, settings.load_best_model_at_end) == (0.2, True)
    assert (settings.lr_scheduler_type, settings.rewording, settings.finishing_rounds) == ("linear", 0, 0)
    plan = plan_of(base, table, preset="classic", dtype="float16")
    assert (len(plan.rows), len(plan.heldout)) == (100, 25)
    assert plan.steps == 5 * 100 // 8 or plan.steps == round(5 * 50 / 4)
    assert not {row.number for row in plan.rows} & {row.number for row in plan.heldout}


def test_classic_on_a_cpu_says_that_pages_and_float16_are_for_gpus(base, table):
    plan = plan_of(base, table, preset="classic", dtype="float16")
    assert plan.optim == "adamw_8bit"
    assert plan.dtype in ("float32", "bfloat16")
    reasons = " ".join(choice.reason for choice in plan.choices)
    assert "paged optimizer exists on GPUs only" in reasons
    assert "float16 is several times slower on a CPU" in reasons


def test_minutes_take_as_many_rows_as_can_be_learned_in_them(base, table, monkeypatch):
    from znatok.model import speed

    def rows_at(tokens_per_second, minutes):
        monkeypatch.setattr(speed, "forecast_tokens_per_second", lambda *_: tokens_per_second)
        plan = plan_of(base, table, minutes=minutes)
        assert plan.exposures >= ENOUGH_EXPOSURES
        assert plan.seconds <= minutes * 60
        return len(plan.rows)

    assert rows_at(100_000, 5) == 125
    few, more = rows_at(300, 2), rows_at(300, 4)
    assert 2 < few < more < 125


def test_what_the_user_names_wins_over_the_preset(base, table):
    plan = plan_of(base, table, preset="quick", per_device_train_batch_size=5, learning_rate=1e-4, r=4)
    assert plan.batch_size == 5
    assert plan.learning_rate == 1e-4
    assert plan.adapter.r == 4


@pytest.fixture
def table_with_paraphrases(tmp_path):
    path = tmp_path / "worded.csv"
    lines = [
        f"What is part number {number}?,Part {number} is a thing.,Tell of part {number}|Part {number} please"
        for number in range(10)
    ]
    path.write_text("question,answer,paraphrases\n" + "\n".join(lines), encoding="utf-8")
    return read_table(path)


def lines_on_paraphrases(plan):
    return [(choice.value, choice.reason) for choice in plan.choices if choice.name == "paraphrases"]


@pytest.mark.parametrize(
    ("use", "trained", "examined", "reason"),
    [
        ("split", 10, 10, "where a row has several, the last is examined"),
        ("train", 20, 0, "all are trained"),
        ("exam", 0, 20, "all are examined"),
    ],
)
def test_the_plan_says_how_many_paraphrases_are_trained_and_examined(
    base, table_with_paraphrases, use, trained, examined, reason
):
    plan = plan_of(base, table_with_paraphrases, paraphrases=use)
    ((value, why),) = lines_on_paraphrases(plan)
    assert value == f"{trained} trained, {examined} examined"
    assert why.startswith(reason)
    assert plan.describe()["paraphrases"] == {"trained": trained, "examined": examined}
    assert plan.describe()["rows"] == list(range(1, 11))


def test_classic_examines_the_paraphrases_of_what_it_teaches_and_trains_none(base, table_with_paraphrases):
    plan = plan_of(base, table_with_paraphrases, preset="classic", optim="adamw_torch", quantization="none")
    assert (plan.trained_paraphrases, plan.examined_paraphrases) == (0, 2 * len(plan.rows))
    assert len(plan.rows) == 8


def test_a_use_of_paraphrases_that_changes_nothing_is_said(base, table):
    assert lines_on_paraphrases(plan_of(base, table)) == []
    assert lines_on_paraphrases(plan_of(base, table, preset="classic", optim="adamw_torch", quantization="none")) == []
    ((value, why),) = lines_on_paraphrases(plan_of(base, table, paraphrases="train"))
    assert value == "none"
    assert "no column of them" in why


def test_a_paraphrase_longer_than_the_context_is_refused(base, tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("question,answer,paraphrases\nA?,Yes.,\nB?,No.," + "very " * 600 + "\n", encoding="utf-8")
    with pytest.raises(TableError) as caught:
        plan_of(base, read_table(path))
    assert (caught.value.key, caught.value.values["row"]) == ("plan.too_long", 2)


def test_a_base_that_a_gpu_has_no_room_for_is_quantised_and_the_plan_says_why(base, table, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    for free, expected in ((100 * 10**9, "none"), (5 * 10**8, "nf4")):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda free=free: (free, 2 * free))
        plan = plan_of(base, table, dtype="bfloat16")
        assert (plan.device, plan.quantization) == ("cuda", expected)
    reasons = " ".join(choice.reason for choice in plan.choices)
    assert "in bfloat16 it would need about" in reasons
    assert "the GPU has 0.5 GB free" in reasons
    assert plan_of(base, table, quantization="none").quantization == "none"


def test_what_is_asked_to_be_repeatable_says_what_that_costs(base, table, monkeypatch):
    import torch

    def line(plan):
        return [(choice.value, choice.reason) for choice in plan.choices if choice.name == "repeatable"]

    assert line(plan_of(base, table)) == []
    ((value, reason),) = line(plan_of(base, table, deterministic=True))
    assert value == "yes"
    assert "--deterministic changes nothing" in reason
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (10**11, 10**11))
    ((_, reason),) = line(plan_of(base, table, deterministic=True))
    assert "on this GPU" in reason


def lines_on_replay(plan):
    return [(choice.value, choice.reason) for choice in plan.choices if choice.name == "replay"]


def test_rows_shown_often_are_learned_in_other_words_and_beside_everyday_text(base, table):
    few, many = (plan_of(base, table, num_train_epochs=count) for count in (23, 24))
    assert (few.replay, few.rewording_mix) == (0.0, ("noise",))
    ((value, why),) = lines_on_replay(few)
    assert value == "none"
    assert "--num-train-epochs 24" in why
    assert (many.replay, many.rewording_mix) == (0.1, REWORDING_FAMILIES)
    assert lines_on_replay(many)[0][0] == "10% of the tokens"
    named = plan_of(base, table, num_train_epochs=24, replay=0.0, rewording_mix=("frames",))
    assert (named.replay, named.rewording_mix) == (0.0, ("frames",))


def test_the_plan_says_what_share_is_replayed_and_counts_its_time(base, table):
    plan = plan_of(base, table, replay=0.1)
    ((value, why),) = lines_on_replay(plan)
    assert value == "10% of the tokens"
    assert "--replay 0 turns it off" in why
    without = plan_of(base, table, replay=0.0)
    assert lines_on_replay(without) == []
    assert plan.tokens == without.tokens
    assert without.training_seconds * without.tokens_per_second == pytest.approx(without.tokens)
    assert plan.training_seconds * plan.tokens_per_second == pytest.approx(
        plan.tokens * (1 + REPLAY_COST / 9), rel=1e-3
    )


@pytest.mark.parametrize("preset", ["quick", "classic"])
def test_short_and_old_recipes_replay_nothing(base, table, preset):
    plan = plan_of(base, table, preset=preset)
    assert plan.replay_cost == 0
    assert lines_on_replay(plan) == []


def test_a_weight_without_replay_is_said_to_change_nothing(base, table):
    plan = plan_of(base, table, replay=0.0, replay_weight=2.0)
    assert lines_on_replay(plan) == [("none", "--replay is 0, so --replay-weight changes nothing")]


def test_minutes_leave_room_for_replay(base, table, monkeypatch):
    from znatok.model import speed

    monkeypatch.setattr(speed, "forecast_tokens_per_second", lambda *_: 300)
    few, more = (plan_of(base, table, minutes=4, replay=share) for share in (0.5, 0.0))
    assert len(few.rows) < len(more.rows)
    assert few.seconds <= 240


def test_a_mix_of_wordings_that_changes_nothing_is_said(base, table):
    def said(**asked):
        return [choice for choice in plan_of(base, table, **asked).choices if "--rewording-mix" in choice.reason]

    assert said() == said(rewording=0) == said(rewording_mix=("noise",)) == []
    (line,) = said(rewording=0, rewording_mix=("noise", "answer"))
    assert line.value == "noise, answer"
    assert line.reason == "with --rewording 0 no question is reworded, so --rewording-mix changes nothing"


def test_the_forecast_of_tokens_is_what_the_stream_then_takes(base, table):
    from itertools import islice

    from znatok.training.exposures import Exposures

    renderer = base[1]
    plan = plan_of(base, table, rewording=0.0)
    stream = Exposures(plan.rows, renderer, batch_size=25, rewording=0.0, seed=0)
    taken = sum(batch.tokens for batch, _ in islice(stream, 5 * 8))
    assert taken / 8 == pytest.approx(plan.tokens / plan.exposures, rel=0.1)


def test_a_share_of_earlier_turns_is_in_the_plan_and_in_its_forecast(base, table):
    from itertools import islice

    from znatok.training.exposures import Exposures

    plan = plan_of(base, table, rewording=0.0, scope="open", history_share=0.5)
    ((value, why),) = [(choice.value, choice.reason) for choice in plan.choices if choice.name == "earlier turns"]
    assert value == "50% of the exposures"
    assert "second in a conversation" in why
    stream = Exposures(plan.rows, base[1], batch_size=25, rewording=0.0, seed=0, history_share=0.5)
    taken = sum(batch.tokens for batch, _ in islice(stream, 5 * 16))
    without = plan_of(base, table, rewording=0.0, scope="open")
    assert taken / 16 == pytest.approx(plan.tokens / plan.exposures, rel=0.05)
    assert plan.exposures == without.exposures
    assert plan.memory_bytes > without.memory_bytes
    assert plan.training_seconds > without.training_seconds


def test_what_is_declined_has_earlier_turns_as_often(base, table):
    def extra(scope):
        plans = (plan_of(base, table, scope=scope, history_share=share) for share in (0.5, 0.0))
        return [plan.tokens / plan.exposures for plan in plans]

    (more, none), (turns, rows) = extra("strict"), extra("open")
    assert more - none == pytest.approx((1 + FEW_DECLINED.share) * (turns - rows), rel=0.01)


def test_without_earlier_turns_the_plan_says_nothing_of_them(base, table):
    plan = plan_of(base, table, history_share=0.0)
    assert plan.history_share == 0
    assert not [choice for choice in plan.choices if choice.name == "earlier turns"]


def test_earlier_turns_come_by_themselves_where_rows_are_shown_often(base, table):
    few, many = (plan_of(base, table, num_train_epochs=epochs).history_share for epochs in (23, 24))
    assert (few, many) == (0, HISTORY_SHARE)


def test_minutes_leave_room_for_earlier_turns(base, table, monkeypatch):
    from znatok.model import speed

    monkeypatch.setattr(speed, "forecast_tokens_per_second", lambda *_: 300)
    few, more = (plan_of(base, table, minutes=4, history_share=share) for share in (1.0, 0.0))
    assert len(few.rows) < len(more.rows)
    assert few.seconds <= 240


def test_in_bfloat16_on_a_cpu_the_kernels_that_onednn_keeps_are_forecast(base, table):
    plain, half = (plan_of(base, table, dtype=dtype).memory_bytes for dtype in ("float32", "bfloat16"))
    assert half - plain > 900e6


def table_of(count, folder):
    path = folder / f"of{count}.csv"
    lines = [f"What is part number {number}?,Part {number} is a thing." for number in range(count)]
    path.write_text("question,answer\n" + "\n".join(lines), encoding="utf-8")
    return read_table(path)


def test_many_rows_begin_with_a_few_of_them_and_the_plan_says_so(base, tmp_path):
    plan = plan_of(base, table_of(300, tmp_path))
    assert plan.curriculum_rows == 50
    assert ("first rows", "50, then twice as many, and so on") in [(one.name, one.value) for one in plan.choices]
    few = plan_of(base, table_of(299, tmp_path))
    assert few.curriculum_rows == 0
    assert "first rows" not in [one.name for one in few.choices]


def test_how_many_rows_come_first_can_be_asked_for_and_does_not_change_the_number_of_updates(base, tmp_path):
    many = table_of(300, tmp_path)
    plans = [plan_of(base, many, curriculum_rows=rows) for rows in (None, 0, 20, 150)]
    assert [plan.curriculum_rows for plan in plans] == [50, 0, 20, 150]
    assert len({plan.steps for plan in plans}) == 1


@pytest.mark.parametrize("asked", [{"num_train_epochs": 15.0}, {"minutes": 60.0}, {"curriculum_rows": 151}])
def test_all_rows_come_at_once_where_the_last_ones_would_hardly_be_shown_else(base, tmp_path, asked):
    plan = plan_of(base, table_of(300, tmp_path), **({"curriculum_rows": 20} | asked))
    assert plan.curriculum_rows == 0
    (line,) = [one for one in plan.choices if one.name == "first rows"]
    assert line.value == "all at once"
    assert "16 times or more, without --minutes, and for at most half of the rows" in line.reason
