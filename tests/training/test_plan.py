import pytest

from tests.tiny import tiny_folder
from znatok import messages
from znatok.data.read import read_table
from znatok.data.render import load_renderer
from znatok.errors import TableError
from znatok.model.source import find_base
from znatok.settings import make_settings
from znatok.training.lesson import ENOUGH_EXPOSURES
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
    yield
    messages.set_language(None)


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


# ---- rows in the prompt ----------------------------------------------------------------------------------------------


def lines_on_grounding(plan):
    return [(choice.value, choice.reason) for choice in plan.choices if choice.name == "rows in the prompt"]


def test_learn_puts_rows_into_a_share_of_the_prompts_and_quick_and_classic_do_not(base, table):
    ((value, why),) = lines_on_grounding(plan_of(base, table))
    assert value == "15%"
    assert "in 15% of the exposures up to 2 like rows" in why
    assert lines_on_grounding(plan_of(base, table, preset="quick")) == []
    assert lines_on_grounding(plan_of(base, table, preset="classic", optim="adamw_torch", quantization="none")) == []


def test_a_number_of_rows_that_changes_nothing_is_said(base, table):
    ((value, why),) = lines_on_grounding(plan_of(base, table, grounding=0.0, grounded_rows=3))
    assert value == "none"
    assert "--grounded-rows changes nothing" in why


def test_rows_in_the_prompt_are_in_the_forecast_of_tokens_memory_and_time(base, table):
    without, some, more = (
        plan_of(base, table, grounding=share, grounded_rows=rows) for share, rows in ((0.0, 2), (0.15, 2), (0.5, 4))
    )
    assert without.tokens < some.tokens < more.tokens
    assert without.memory_bytes < some.memory_bytes
    assert without.exam_tokens < some.exam_tokens
    row = without.tokens / without.exposures / len(without.rows)
    assert some.tokens == pytest.approx(without.tokens * (1 + 0.15 * 2), rel=0.02)
    assert more.tokens <= without.tokens * (0.5 + 0.5 * 512 / row)


def test_the_forecast_of_tokens_is_what_the_stream_then_takes(base, table):
    from itertools import islice

    from znatok.training.exposures import Exposures, Grounding

    renderer = base[1]
    plan = plan_of(base, table, grounding=0.3, rewording=0.0)
    stream = Exposures(plan.rows, renderer, batch_size=25, rewording=0.0, seed=0, grounding=Grounding(0.3, 2, 512))
    taken = sum(shown.batch.tokens for shown in islice(stream, 5 * 8))
    assert taken / 8 == pytest.approx(plan.tokens / plan.exposures, rel=0.1)
