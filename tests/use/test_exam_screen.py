import io

import pytest
from rich.console import Console

from znatok import messages
from znatok.exam.statistics import clopper_pearson
from znatok.use.exam_screen import show_exam, what_rows_show


@pytest.fixture(autouse=True, params=["ru", "en"])
def language(request):
    messages.set_language(request.param)
    return request.param


def measures(n=125, **hits):
    shares = {name: (None if count is None else count / n) for name, count in hits.items()}
    ends = {f"{name}_ci": None if count is None else list(clopper_pearson(count, n)) for name, count in hits.items()}
    return {"n": n, "n_generated": n, **shares, **ends}


def known(exact, passed, stopped, n=125):
    return measures(n, exact=exact, passed=passed, stopped=stopped, confidently_wrong=None)


def unknown(wrong, n=102):
    return measures(n, exact=None, passed=None, stopped=None, confidently_wrong=wrong)


SETS = {
    "trained": {"before": known(0, 0, 1), "after": known(125, 125, 125), "search": known(125, 125, 125)},
    "reworded": {"before": known(0, 0, 1), "after": known(110, 113, 125), "search": known(121, 121, 125)},
    "questions": {"before": known(0, 0, 1), "after": known(60, 70, 120), "search": known(62, 62, 125)},
    "unknown_near": {"before": unknown(0), "after": unknown(60)},
    "unknown_far": {"before": unknown(0, 86), "after": unknown(2, 86)},
}

AUTO = measures(125, confidently_wrong=5, declined=10, among_three=113)
SILENT = measures(86, declined=81)


def answer(row, exact=True, **more):
    return {
        "set": "trained",
        "row": row,
        "question": f"Что такое деталь [{row}]?",
        "reference": "Это.",
        "exact": {"before": False, "after": exact},
        "before": "Не то \x1b[31mэто",
        "after": "Это.",
        "cause": None,
        "confused_with": None,
    } | more


UNKNOWN = answer(0, set="unknown_far", reference=None, exact={"before": None, "after": None}, question="Где ёж?")


def shown(answers, sets=SETS, forgetting=None, width=60):
    out = io.StringIO()
    console = Console(file=out, markup=False, highlight=False, width=width, color_system=None)
    show_exam(console, sets, answers, forgetting)
    return out.getvalue()


def test_the_scores_fit_sixty_columns_with_search_and_interval(language):
    said = shown([answer(1)])
    table = said.split("\n\n")[0].splitlines()
    assert max(map(len, said.splitlines())) <= 60
    right = next(line for line in table if "121" not in line and "90.4%" in line)
    assert right.split()[-4:] == ["0.0%", "90.4%", "96.8%", "83.8–94.9%"]
    assert sum("…" in line for line in table) == 0
    near = {"ru": "рядом с темой (102)", "en": "near the subject (102)"}[language]
    after = said[said.index(near) :].splitlines()
    assert "58.8%" in after[1]
    assert "—" in after[1]


def test_a_measure_that_a_set_has_not_is_left_out(language):
    said = shown([answer(1)])
    assert said.count({"ru": "ответ из таблицы", "en": "a row's answer"}[language]) == 2
    assert said.count(messages.text("screen.measure.stopped")) == 3
    assert said.count({"ru": "ответ до буквы", "en": "to the letter"}[language]) == 3


def test_three_lines_say_what_the_weights_know_what_rows_add_and_where_search_stands(language):
    more = {"grounded": known(100, 120, 125), "auto": known(90, 110, 125) | AUTO}
    sets = SETS | {"questions": SETS["questions"] | more, "unknown_far": SETS["unknown_far"] | {"auto": SILENT}}
    said = shown([answer(1)], sets, width=1000)
    weights, rows, search = (
        next(line for line in said.splitlines() if line.startswith(messages.text(f"report.line.{name}")))
        for name in ("weights", "rows", "search")
    )
    decimal = messages.text("report.figures.decimal")
    assert "56.0".replace(".", decimal) in weights
    for share in ("96.0", "88.0", "4.0", "8.0", "90.4", "94.2"):
        assert share.replace(".", decimal) in rows, share
    assert "49.6".replace(".", decimal) in search


def test_where_no_rows_were_given_there_are_two_lines(language):
    said = shown([answer(1)], width=1000)
    assert messages.text("report.line.rows") not in said
    assert messages.text("report.line.search") in said


@pytest.mark.parametrize(("n", "half", "least"), [(125, "±6", "5%"), (40, "±10", "15%"), (10_000, "±1", "0%")])
def test_one_sentence_says_what_so_many_rows_can_show(n, half, least):
    said = what_rows_show(n)
    assert half in said
    assert f"({least})" in said
    assert str(n) in said


def test_a_handful_of_rows_shows_nothing():
    assert what_rows_show(5) != what_rows_show(6)
    assert "±" not in what_rows_show(5)


def test_missed_rows_are_listed_with_their_causes(language):
    missed = [
        answer(4, exact=False, cause="confused", confused_with=9),
        answer(5, exact=False, cause="wrong_number"),
        answer(6, exact=False),
    ]
    said = shown([answer(1), *missed, UNKNOWN], width=200)
    assert f"4: Что такое деталь [4]? ({messages.text('report.cause.confused_with', row=9)})" in said
    assert f"5: Что такое деталь [5]? ({messages.text('report.cause.wrong_number')})" in said
    assert "6: Что такое деталь [6]?\n" in said
    assert "(3)" in said


def test_unknown_questions_are_neither_missed_nor_shown_as_pairs():
    said = shown([answer(1), UNKNOWN])
    assert "Где ёж?" not in said
    assert messages.text("screen.all_known", count=125) in said


def test_answers_cannot_touch_the_terminal():
    assert "\x1b" not in shown([answer(1)])


def test_forgetting_is_one_line(language):
    forgetting = {
        "bits_per_byte": {one: {"before": 1.0, "after": 1.0} for one in ("ru", "en")},
        "kl": {"ru": 0.0, "en": 0.0},
        "trained_answers": {
            "ru": 0.0,
            "ru_ci": [0, 0.3],
            "ru_before": 0.0,
            "en": 0.0,
            "en_ci": [0, 1],
            "en_before": 0.0,
        },
        "n": {"ru": 6, "en": 6},
    }
    assert messages.text("forgetting.hardly") in " ".join(shown([answer(1)], forgetting=forgetting).split())


def test_without_an_adapter_the_base_is_shown_alone():
    sets = {"trained": {"before": SETS["trained"]["before"], "search": SETS["trained"]["search"]}}
    said = shown([answer(1, exact=False) | {"exact": {"before": False}, "after": None}], sets)
    assert "0.0%" in said


@pytest.mark.parametrize("refused", [0, 84])
def test_one_line_says_what_the_weights_make_of_other_questions_and_refusals_are_counted_where_there_are_any(refused):
    after = measures(86, exact=None, passed=None, stopped=None, confidently_wrong=2, refused=refused)
    said = shown([answer(1)], SETS | {"unknown_far": {"before": unknown(0, 86), "after": after}}, width=200)
    line = next(line for line in said.splitlines() if line.startswith(messages.text("report.line.others")))
    assert f"{refused or 2} " in line
    assert "86" in line
    assert (messages.text("screen.measure.refused") in said) == bool(refused)
