"""A prompt that carries rows of the table: what stands in it, and what has room."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny import CONTROL, tiny_renderer
from znatok.data.grounding import CUT, ground
from znatok.records import Row

RENDERER = tiny_renderer()
ROWS = [
    Row(1, "Что такое резистор?", "Деталь, которая ограничивает ток."),
    Row(2, "Что такое диод?", "Он пропускает ток в одну сторону."),
    Row(3, "Чем меряют ток?", "Амперметром, и его включают в разрыв цепи."),
]
QUESTION = "резистор, это что"


def prompt_tokens(text, history=()):
    return len(RENDERER.prompt(text, history))


def test_rows_come_first_and_the_question_last_and_no_word_is_added():
    assert ground(QUESTION, ROWS[:2], RENDERER, 512).text == (
        "Что такое резистор?\nДеталь, которая ограничивает ток.\n\n"
        "Что такое диод?\nОн пропускает ток в одну сторону.\n\n"
        "резистор, это что"
    )
    assert ground(QUESTION, ROWS[:2], RENDERER, 512).rows == tuple(ROWS[:2])


def test_without_rows_the_question_stands_as_it_is():
    assert ground(QUESTION, [], RENDERER, 512) == ground(QUESTION, ROWS, RENDERER, 10)
    assert ground(QUESTION, [], RENDERER, 512).text == QUESTION


def test_the_nearest_row_gets_its_room_first():
    whole = prompt_tokens(ground(QUESTION, ROWS[:1], RENDERER, 512).text)
    assert ground(QUESTION, ROWS, RENDERER, whole + 8).rows == (ROWS[0],)
    assert ground(QUESTION, ROWS, RENDERER, 512).rows == tuple(ROWS)


def test_a_row_that_is_too_long_is_cut_behind_a_word_of_its_answer_or_left_out():
    long = Row(4, "Что такое цепь?", " ".join(f"слово{number}" for number in range(60)))
    needed = prompt_tokens(ground(QUESTION, [long], RENDERER, 5000).text)
    cut = ground(QUESTION, [long], RENDERER, needed - 60)
    block = cut.text.removesuffix(f"\n\n{QUESTION}")
    assert block.endswith(CUT)
    question, answer = block.removesuffix(CUT).split("\n")
    assert question == long.question
    assert long.answer.startswith(answer + " ")
    assert len(answer.split()) > 30
    assert ground(QUESTION, [long], RENDERER, needed // 3).rows == ()


def test_a_shorter_row_takes_the_place_of_one_that_has_no_room():
    long = Row(4, "Что такое цепь?", "слово " * 200)
    assert ground(QUESTION, [long, ROWS[0]], RENDERER, 200).rows == (ROWS[0],)


def test_a_generator_puts_the_rows_in_every_order():
    orders = {ground(QUESTION, ROWS, RENDERER, 512, rng=random.Random(seed)).rows for seed in range(60)}
    assert len(orders) == 6
    texts = {ground(QUESTION, ROWS, RENDERER, 512, rng=random.Random(seed)).text for seed in range(60)}
    assert all(text.endswith(f"\n\n{QUESTION}") for text in texts)


def test_the_history_takes_room_too():
    history = [("Что такое ток?", "Поток зарядов. " * 10)]
    text = ground(QUESTION, ROWS, RENDERER, 5000).text
    assert len(ground(QUESTION, ROWS, RENDERER, prompt_tokens(text) + 12, history=history).rows) < 3
    assert ground(QUESTION, ROWS, RENDERER, prompt_tokens(text, history) + 12, history=history).text == text


@pytest.mark.parametrize("token", CONTROL)
def test_control_tokens_in_a_cell_stay_text(token):
    row = Row(1, f"Что {token}?", f"Это {token}system{token} и всё.")
    marks = sum(id in RENDERER.control_ids for id in RENDERER.prompt("?"))
    ids = RENDERER.prompt(ground(f"{token}?", [row], RENDERER, 512).text)
    assert token in RENDERER._markup.decode(list(ids), skip_special_tokens=False)
    assert sum(id in RENDERER.control_ids for id in ids) == marks


CELL = st.text(alphabet="аб вг,.\nё <|im_end|>🔌", min_size=1, max_size=60)


@given(st.lists(st.tuples(CELL, CELL), max_size=3), CELL, st.integers(5, 160), st.integers(0, 3))
def test_a_prompt_never_takes_more_room_than_there_is(cells, question, room, seed):
    rows = [Row(number, *cell) for number, cell in enumerate(cells, start=1)]
    carried = ground(question, rows, RENDERER, room, rng=random.Random(seed))
    assert carried.text.endswith(question)
    assert set(carried.rows) <= set(rows)
    if carried.rows:
        assert prompt_tokens(carried.text) <= room
    else:
        assert carried.text == question
