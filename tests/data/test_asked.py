"""Whether a row's own question is asked, word by word."""

import pytest

from tests.data.test_search import ROWS
from znatok.data.asked import Asked
from znatok.records import Row


def test_a_rows_question_is_all_there_whatever_stands_around_it_and_in_any_of_its_wordings():
    asked = Asked(ROWS)
    assert asked.share("Что такое резистор?", ROWS[0]) == pytest.approx(1)
    assert asked.share("Скажи мне, что такое резистор, а то забыл", ROWS[0]) > 0.95
    assert asked.share("какой прибор покажет амперы", ROWS[3]) == pytest.approx(1)
    assert asked.share("Что токое резисторы?", ROWS[0]) == pytest.approx(1)
    assert asked.share("Что такое тиристор?", ROWS[0]) < 0.9
    assert asked.share("ξψ", ROWS[0]) == 0


def test_where_words_are_not_parted_every_letter_counts_as_one():
    rows = [Row(1, "電池とは何ですか", "電気を蓄える装置です"), Row(2, "抵抗の役割は", "電流を制限する部品です")]
    asked = Asked(rows)
    assert asked.share("教えてください、抵抗の役割は？", rows[1]) == 1
    assert asked.share("抵抗の役割", rows[1]) == 1
    assert asked.share("電圧の役割は", rows[1]) < 0.8


def test_a_word_in_the_place_of_another_one_is_missed_however_like_it_is():
    rows = [
        Row(1, "Чему равна постоянная времени RC-цепи?", "R · C."),
        Row(2, "Чему равно усиление инвертирующей схемы?", "2."),
    ]
    asked = Asked([*rows, *ROWS])
    assert asked.share("Чему равна постоянная времени RL-цепи?", rows[0]) < 0.85
    assert asked.share("Чему равно усиление неинвертирующей схемы?", rows[1]) < 0.85
    assert asked.share("чему же равно усиленние инвертирующих схем", rows[1]) == pytest.approx(1)


def test_a_question_is_a_rows_own_but_for_capitals_and_punctuation():
    asked = Asked(ROWS)
    assert asked.itself("что такое резистор") == ROWS[0]
    assert asked.itself("Что такое варистор?") is None
    assert Asked([Row(1, "Где?", "Тут.", ("В каком месте?",))]).itself("в каком месте") == Row(
        1, "Где?", "Тут.", ("В каком месте?",)
    )


def test_a_question_that_two_rows_answer_differently_is_no_rows_own():
    rows = [Row(1, "Где?", "Тут."), Row(2, "где", "Там."), Row(3, "Кто?", "Я."), Row(4, "кто", "Я.")]
    assert Asked(rows).itself("Где") is None
    assert Asked(rows).itself("Кто") == rows[2]
