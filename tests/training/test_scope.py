"""Which scope a run has, and what its plan says of it."""

import json

import pytest

from tests.tiny import tiny_renderer
from znatok.data.read import read_table
from znatok.data.render import load_renderer
from znatok.messages import text
from znatok.model.source import find_base, tokenizer_file
from znatok.records import Row
from znatok.run_folder import RunFolder
from znatok.settings import Reading, make_settings
from znatok.training.events import Planned
from znatok.training.lesson import row_costs
from znatok.training.loop import train
from znatok.training.plan import make_plan
from znatok.training.scope import CRUMBS, decide_scope, tokens_per_word

RUSSIAN = (Row(1, "Какова высота Эльбруса?", "Пять тысяч шестьсот сорок два метра."),)
KNOWN = (Row(1, "Что такое резистор?", "Резистор — это деталь, она ограничивает ток."),)
ENGLISH = (Row(1, "What is a resistor?", "A resistor is a part that limits the current."),)
CHINESE = (
    Row(1, "电阻是什么元件为什么要在电路里使用它呢请你解释一下", "它限制电流并且分压在所有电路里都可以见到它的身影"),
)


def scope_of(rows, **asked):
    renderer = tiny_renderer()
    return decide_scope(make_settings(asked), rows, row_costs(rows, renderer), renderer)


def per_word(rows):
    renderer = tiny_renderer()
    return tokens_per_word(rows, row_costs(rows, renderer), renderer)


def test_a_base_that_splits_the_language_into_crumbs_is_strict_in_that_language_and_any_other_open():
    assert per_word(RUSSIAN) > CRUMBS > per_word(ENGLISH)
    crumbs, known = scope_of(RUSSIAN), scope_of(ENGLISH)
    assert (crumbs.name, crumbs.refusal) == ("strict", "Этого нет в моей таблице.")
    assert f"{per_word(RUSSIAN):.1f} tokens" in crumbs.reason
    assert "--scope open" in crumbs.reason
    assert (known.name, known.refusal) == ("open", None)
    assert f"{per_word(ENGLISH):.1f} tokens" in known.reason


def test_where_words_cannot_be_counted_the_rest_is_kept():
    assert per_word(CHINESE) is None
    found = scope_of(CHINESE)
    assert (found.name, found.reason) == ("open", text("plan.why.scope_uncounted"))


@pytest.mark.parametrize(
    ("rows", "refusal"), [(KNOWN, "Этого нет в моей таблице."), (CHINESE, "That is not in my table.")]
)
def test_what_is_asked_for_is_done_in_the_language_of_the_table_or_in_english(rows, refusal):
    strict = scope_of(rows, scope="strict")
    assert (strict.name, strict.refusal, strict.reason) == ("strict", refusal, text("plan.why.scope_asked"))
    assert scope_of(RUSSIAN, scope="open").name == "open"


@pytest.mark.parametrize("preset", ["quick", "classic"])
def test_quick_and_classic_refuse_nothing_unless_they_are_told_to(preset):
    assert scope_of(RUSSIAN, preset=preset).reason == text("plan.why.scope_preset")
    assert scope_of(RUSSIAN, preset=preset).refusal is None
    assert scope_of(RUSSIAN, preset=preset, scope="strict").refusal


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "горы.csv"
    rows = "\n".join(f"Какова высота горы номер {n}?;Высота этой горы {n * 100} метров." for n in range(1, 9))
    path.write_text(f"вопрос;ответ\n{rows}\n", encoding="utf-8")
    return path


def plan_of(model, table, **asked):
    settings = make_settings({"model": str(model)} | asked)
    source = find_base(str(model))
    return make_plan(
        settings, read_table(table, Reading()), source, load_renderer(source.folder, tokenizer_file(source.folder))
    )


def line_of(plan, name):
    return next(((choice.value, choice.reason) for choice in plan.choices if choice.name == text(f"plan.{name}")), None)


def test_strict_replays_nothing_unless_replay_is_named(model, table):
    many = {"num_train_epochs": 30.0}
    assert plan_of(model, table, scope="open", **many).replay > 0
    strict = plan_of(model, table, scope="strict", **many)
    assert (strict.scope, strict.replay, strict.replay_cost) == ("strict", 0, 0)
    assert plan_of(model, table, scope="strict", replay=0.2, **many).replay == 0.2
    named = plan_of(model, table, scope="strict", replay_weight=2.0, **many)
    assert line_of(named, "replay") == (text("plan.replay_none"), text("plan.why.replay_strict"))


def test_refusals_are_in_the_forecast_but_change_neither_steps_nor_rows(model, table):
    opened, strict = (plan_of(model, table, scope=scope, num_train_epochs=16.0) for scope in ("open", "strict"))
    assert (opened.steps, opened.rows) == (strict.steps, strict.rows)
    assert 0.05 < strict.tokens / opened.tokens - 1 < 0.6


def test_the_plan_says_what_becomes_of_other_questions_and_why(model, table):
    plan = plan_of(model, table)
    value, reason = line_of(plan, "scope")
    assert plan.refusal in value
    assert f"{CRUMBS:g}" in reason
    assert line_of(plan_of(model, table, scope="open"), "scope") == (
        text("plan.scope_open"),
        text("plan.why.scope_asked"),
    )


def test_the_run_keeps_scope_and_sentence(model, table, tmp_path):
    events = train(table, make_settings({"model": str(model), "scope": "strict"}), tmp_path / "run")
    next(event for event in events if isinstance(event, Planned))
    plan = json.loads(RunFolder(tmp_path / "run").plan.read_text(encoding="utf-8"))
    events.close()
    assert (plan["scope"], plan["refusal"]) == ("strict", "Этого нет в моей таблице.")
