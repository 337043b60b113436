"""What the base's tokenizer says of a table, and how long training will take."""

import json
from pathlib import Path

import pytest

from tests.tiny import tiny_folder
from znatok import messages
from znatok.data.render import load_renderer
from znatok.model.source import find_base
from znatok.records import Row, Table
from znatok.settings import make_settings
from znatok.training.checkup import CRUMBS, LONG_ANSWER, estimated_costs, forecast_minutes, token_problems
from znatok.training.lesson import row_costs
from znatok.training.plan import context_tokens, make_plan

SHORT = [("What is a resistor?", "A resistor is a part that limits the current."), ("How much?", "The current is 2 A.")]


@pytest.fixture(autouse=True)
def english():
    messages.set_language("en")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tiny_folder(tmp_path_factory.mktemp("tiny"))
    return find_base(str(folder)), load_renderer(folder, folder / "tokenizer.json")


def found(base, table):
    source, renderer = base
    return token_problems(table, source, renderer, row_costs(table.rows, renderer))


def table_of(*cells):
    rows = tuple(Row(number, *row) for number, row in enumerate(cells, start=1))
    return Table(Path("t.csv"), rows, (), "utf-8", ",", "q", "a")


def kinds(problems):
    return [(problem.kind, problem.severity, problem.row, problem.also) for problem in problems]


def answer_of(renderer, tokens):
    """An answer that takes so many tokens, its end included."""
    answer = "The current is 2 A. "
    while len(renderer.content_ids(answer)) < tokens - 1:
        answer += "is "
    return answer.strip() if len(renderer.content_ids(answer.strip())) == tokens - 1 else answer


def test_a_table_that_fits_has_nothing_to_be_told(base):
    assert found(base, table_of(*SHORT)) == ()


def test_rows_over_the_context_are_an_error_with_all_of_them_named(base):
    long = "very " * 600
    problems = found(base, table_of(*SHORT, ("Long?", long), ("Longer?", long), ("Short?", "Yes.", (long,))))
    assert kinds(problems)[:1] == [("over_context", "error", 3, (4, 5))]
    assert problems[0].message.startswith("t.csv, row 3: question and answer take ")
    assert f"holds {context_tokens(base[0])}. Shorten the answer (also rows 4, 5)." in problems[0].message


def test_long_answers_that_fit_are_a_warning(base):
    renderer = base[1]
    just, over = (answer_of(renderer, tokens) for tokens in (LONG_ANSWER, LONG_ANSWER + 8))
    problems = found(base, table_of(*SHORT, ("Just?", just), ("Over?", over)))
    assert kinds(problems)[:1] == [("long_answer", "warning", 4, ())]
    assert f"answers of more than {LONG_ANSWER} tokens" in problems[0].message


def test_a_tokenizer_that_splits_russian_into_crumbs_is_a_note_with_better_bases(base):
    problems = found(base, table_of(("Столица Монголии?", "Улан-Батор."), ("Почём фунт изюма?", "Дорого.")))
    assert kinds(problems) == [("crumbs", "note", None, ())]
    assert "tinyllama (3.4; 2.2 GB to fetch)" in problems[0].message
    assert "qwen3-0.6b (3.1; 1.5 GB to fetch)" in problems[0].message
    assert "gemma" not in problems[0].message
    tokens = float(problems[0].message.split(" tokens a word")[0].split()[-1])
    assert CRUMBS < tokens < 16


def test_crumbs_of_another_language_name_no_base_and_a_script_without_spaces_is_let_be(base):
    (problem,) = found(base, table_of(("Τι είναι αντίσταση;", "Ένα εξάρτημα."), ("Πόσο;", "Δύο αμπέρ.")))
    assert problem.kind == "crumbs"
    assert "tinyllama" not in problem.message
    japanese = ("電気抵抗器とは何ですか。教えてください。お願いします。", "電流を制限する部品です。" * 3)
    assert found(base, table_of(japanese)) == ()


def test_a_table_without_words_has_no_crumbs(base):
    assert found(base, table_of(("2 + 2 =", "4"), ("3 + 3 =", "6"))) == ()


def test_a_long_table_is_estimated_but_for_what_may_be_too_long(base):
    renderer = base[1]
    cells = [(f"Что такое деталь {number}?", f"Деталь {number} ограничивает ток." * 2) for number in range(2000)]
    cells[777] = ("Длинный?", "хвощ " * 120)
    cells[888] = ("Очень длинный?", "хвощ " * 600)
    rows = table_of(*cells).rows
    exact, estimated = row_costs(rows, renderer), estimated_costs(rows, *base)
    assert list(estimated) == list(exact)
    assert estimated[778] == exact[778]
    assert estimated[889] == exact[889]
    assert estimated != exact
    for name in ("tokens", "answer", "longest"):
        sums = [sum(getattr(cost, name) for cost in costs.values()) for costs in (exact, estimated)]
        assert sums[1] == pytest.approx(sums[0], rel=0.1)
    assert estimated_costs(rows[:900], *base) == row_costs(rows[:900], renderer)


def test_the_forecast_is_the_plans(base):
    table = table_of(*SHORT)
    plan = make_plan(make_settings({"model": base[0].name}), table, *base)
    assert forecast_minutes(table, *base, row_costs(table.rows, base[1])) == max(1, round(plan.seconds / 60))


@pytest.mark.parametrize("language", ["ru", "en"])
def test_every_message_is_filled_in_both_languages(base, language):
    messages.set_language(language)
    cells = [*SHORT, ("Длинный?", "хвощ " * 600), ("Средний?", "хвощ " * 60)]
    problems = found(base, table_of(*cells))
    assert [problem.kind for problem in problems] == ["over_context", "long_answer", "crumbs"]
    assert not any("{" in problem.message for problem in problems)
    assert json.dumps([problem.also for problem in problems]) == "[[], [], []]"
