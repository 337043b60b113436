"""What may be said next is guessed from the rows; the weights alone decide what is said."""

import pytest

from tests.answering.taught import AGREES, FINDS, KNOWN, OTHER, ROWS, STRANGE, judge_of, taught_network
from tests.tiny import PEFT_TALKS
from znatok.answering import guesses as guesses_module
from znatok.answering.guesses import Guesses
from znatok.answering.policies import answered

pytestmark = PEFT_TALKS

REFUSAL = "Этого нет в моей таблице."


@pytest.fixture(scope="module")
def taught():
    return taught_network()


@pytest.fixture
def renderer(taught):
    return taught[1]


def rest(renderer, what_follows, ids):
    return renderer.decode(list(what_follows(ids)))


def test_before_anything_is_written_the_nearest_row_is_guessed(renderer):
    guesses = Guesses(ROWS, renderer)
    assert tuple(guesses.at(KNOWN.question)([])) == renderer.answer_ids(KNOWN.answer)
    assert tuple(guesses.at("Зачем нужен конденсатор")([])) == renderer.answer_ids(OTHER.answer)


def test_what_was_written_decides_which_of_the_nearest_it_is(renderer):
    ids = renderer.answer_ids(OTHER.answer)
    assert tuple(Guesses(ROWS, renderer).at(KNOWN.question)(list(ids[:4]))) == ids[4:]


@pytest.mark.parametrize("written", [2, 3, 4, 9])
def test_a_row_that_is_not_near_is_recognised_by_what_was_written(renderer, written, monkeypatch):
    monkeypatch.setattr(guesses_module, "CLOSEST", 0)
    ids = renderer.answer_ids(OTHER.answer)
    assert tuple(Guesses(ROWS, renderer).at("?")(list(ids[:written]))) == ids[written:]


def test_where_one_row_goes_over_into_another_that_one_is_guessed_from_there_on(renderer):
    known, other = renderer.answer_ids(KNOWN.answer), renderer.answer_ids(OTHER.answer)
    written = [*known[:6], *other[5:11]]
    assert tuple(Guesses(ROWS, renderer).at(KNOWN.question)(written)) == other[11:]


def test_a_refusal_is_guessed_too(renderer):
    ids = renderer.answer_ids(REFUSAL)
    assert tuple(Guesses(ROWS, renderer, REFUSAL).at("?")(list(ids[:3]))) == ids[3:]


def test_nothing_is_guessed_where_no_answer_goes_on_so(renderer):
    guess = Guesses(ROWS, renderer, REFUSAL).at(KNOWN.question)
    assert list(guess(renderer.content_ids("zzz qqq"))) == []
    assert list(guess(renderer.answer_ids(KNOWN.answer))) == []


def test_of_a_large_table_only_the_nearest_rows_are_taken_apart(renderer, monkeypatch):
    monkeypatch.setattr(guesses_module, "MOST_ROWS", 2)
    taken = []
    answer_ids = renderer.answer_ids
    monkeypatch.setattr(renderer, "answer_ids", lambda answer: taken.append(answer) or answer_ids(answer))
    monkeypatch.setattr(guesses_module, "CLOSEST", 1)
    guess = Guesses(ROWS, renderer, REFUSAL).at(KNOWN.question)
    assert list(guess(answer_ids(OTHER.answer)[:4])) == []
    assert taken == [KNOWN.answer, REFUSAL]


def test_guesses_spare_passes_and_change_no_answer(taught, monkeypatch):
    network, renderer = taught
    judge, guesses = judge_of(network, renderer, AGREES, FINDS), Guesses(ROWS, renderer, REFUSAL)
    passes = []
    embed = network._engine.embed
    monkeypatch.setattr(network._engine, "embed", lambda ids: passes.append(ids.numel()) or embed(ids))
    for question in (KNOWN.question, STRANGE):  # to the second the weights say what is not the nearest row's
        passes.clear()
        found = answered(network, judge, question, (), "weights", 200, guesses.at(question))
        assert renderer.decode(list(found.ids)) == KNOWN.answer
        assert len(passes) < 8 < len(renderer.answer_ids(KNOWN.answer))
