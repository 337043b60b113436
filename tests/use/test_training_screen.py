import io
from pathlib import Path

import pytest
from rich.console import Console

from znatok import messages
from znatok.records import Problem, Row, Table
from znatok.training.events import (
    BatchHalved,
    ExamAdvanced,
    FellBack,
    Finished,
    Forecast,
    MemorySpared,
    Resumed,
    Sampled,
    Stepped,
    Stopped,
    TableChecked,
    TableRead,
    TrainingEnded,
)
from znatok.use.training_screen import TrainingScreen, duration


@pytest.fixture(autouse=True)
def russian():
    messages.set_language("ru")


def shown(*events, terminal=False):
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, markup=False, highlight=False, width=200, color_system=None)
    screen = TrainingScreen(console)
    for event in events:
        screen.show(event)
    return out.getvalue()


def stepped(step, exact=None):
    return Stepped(step, 100, 2.5, exact, 1e-3, step * 600, 230.4, 1700.0)


def test_a_step_shows_loss_speed_the_exact_share_and_the_time_left():
    assert shown(stepped(1)) == "Обучение потери 2.500 · 230 токенов/с · наизусть — · осталось 28 мин\n"
    assert "наизусть 42%" in shown(stepped(1, exact=0.42))


def test_without_a_terminal_lines_are_seconds_apart():
    assert shown(*(stepped(step) for step in range(1, 60))).count("\n") == 1
    assert shown(*(stepped(step) for step in range(1, 101))).count("\n") == 2


def test_on_a_terminal_a_bar_moves():
    said = shown(stepped(1), stepped(50), TrainingEnded(Stopped.KNOWN, 100, 60_000, 300.0), terminal=True)
    assert "━" in said
    assert "Обучение окончено: последний показ каждой строки был верен до буквы. Шагов 100, 5 мин." in said


def test_an_answer_on_the_way_is_marked_where_it_was_cut_and_cannot_touch_the_terminal():
    said = shown(Sampled(12, "Что это?", "Это \x1b[31mстол\x1b]52;c;AAAA\x07 и [/red]", is_cut=True))
    assert said == "Шаг 12: Что это?\n    Это [31mстол]52;c;AAAA и [/red] …\n"


def test_silence_is_said_to_be_silence():
    assert shown(Sampled(0, "Что это?", "", is_cut=False)) == "До обучения: Что это?\n    (молчит)\n"


def test_the_measured_forecast_follows_the_first_steps():
    assert shown(Forecast(648, 233.0, 1500.0)) == "Измерено: 233 токенов в секунду, шагов 648, осталось 25 мин.\n"


def test_the_exam_shows_how_far_it_is():
    assert shown(ExamAdvanced(1, 250)) == "Экзамен 1/250\n"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 с"), (89, "89 с"), (90, "2 мин"), (1700, "28 мин"), (9000, "2.5 ч")]
)
def test_a_length_of_time_is_said_as_people_say_it(seconds, said):
    assert duration(seconds) == said


def table_with(problems):
    return Table(Path("t.csv"), (Row(1, "А?", "Б."),), tuple(problems), "utf-8", ",", "question", "answer")


def test_a_few_problems_are_shown_and_the_rest_counted():
    problems = [Problem(number, "kind", "warning", f"Беда {number}.") for number in range(1, 10)]
    said = shown(TableRead(table_with(problems)))
    assert said.count("  ! Беда") == 6
    assert "Беда 6." in said
    assert said.endswith("  … и ещё 3. Все покажет znatok check t.csv\n")
    assert "ещё" not in shown(TableRead(table_with(problems[:6])))


def test_what_the_tokenizer_found_is_shown_too():
    said = shown(TableRead(table_with([])), TableChecked((Problem(None, "crumbs", "note", "Крошки."),)))
    assert said.endswith("\n  ! Крошки.\n")


def test_going_on_says_from_where_and_which_states_were_damaged():
    damaged = (Path("runs/т/checkpoints/step-000040/manifest.json"),)
    said = shown(Resumed(20, 96, damaged))
    assert said == (
        f"{damaged[0]}: это сохранённое состояние повреждено, поэтому взято более раннее.\n"
        "Обучение продолжается: пройдено шагов 20 из 96.\n"
    )
    assert "обучение начинается заново" in shown(Resumed(None, 96, ()))


def test_a_loss_that_ran_away_and_its_rows_are_said():
    assert "к шагу 20" in shown(FellBack(20, 44, ()))
    assert "(строки 3, 7)" in shown(FellBack(20, 44, (3, 7)))
    assert "(строки 3, 7)" in shown(TrainingEnded(Stopped.NOT_FINITE, 44, 60_000, 300.0, (3, 7)))
    assert "снова выросли" in shown(TrainingEnded(Stopped.DIVERGED, 44, 60_000, 300.0))


def test_memory_that_does_not_suffice_is_said():
    assert "считается дважды" in shown(MemorySpared())
    assert "за раз берётся меньше строк: 2" in shown(BatchHalved(2))
    assert "даже на одну строку" in shown(TrainingEnded(Stopped.OUT_OF_MEMORY, 0, 0, 0.0))


def test_a_run_without_an_exam_says_how_to_go_on():
    assert shown(Finished({"exam": None}, [])).startswith("Продолжить потом: znatok train --resume --run ")
