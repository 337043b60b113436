"""From the weights where they are sure, with a row word for word where they are not, and perhaps not at all."""

from math import log

import pytest

from tests.answering.taught import (
    AGREES,
    FINDS,
    KNOWN,
    NAMES,
    NEVER,
    OTHER,
    STRANGE,
    THIRD,
    by,
    judge_of,
    taught_network,
)
from tests.tiny import PEFT_TALKS
from znatok.answering.confidence import LEAST_LEAD
from znatok.answering.evidence import HEAD, Draft
from znatok.answering.policies import answered
from znatok.data.search import Found

pytestmark = PEFT_TALKS


@pytest.fixture(scope="module")
def taught():
    return taught_network()


def told(taught, question, policy, weights=AGREES, search=FINDS, limit=200, history=(), **named):
    network, renderer = taught
    found = answered(network, judge_of(network, renderer, weights, search, **named), question, history, policy, limit)
    return found, renderer.decode(list(found.ids))


def verdict(taught, question, answer, weights, search, **named):
    """What is decided where the weights answer so."""
    network, renderer = taught
    judge = judge_of(network, renderer, weights, search, **named)
    ids = [*renderer.content_ids(answer), renderer.stop_id]
    return judge.verdict(question, Draft(ids, [log(0.9)] * len(ids)), judge.closest(question))


def test_the_weights_answer_where_they_are_sure(taught):
    for policy in ("auto", "grounded", "weights"):
        found, text = told(taught, KNOWN.question, policy)
        assert text == KNOWN.answer
        assert (found.source, found.row) == ("weights", None)
        assert found.confidence > 0.99
        assert found.closest[0] == KNOWN


@pytest.mark.parametrize("policy", ["auto", "grounded"])
def test_where_they_are_not_the_row_found_is_given_and_nothing_is_written(taught, policy):
    found, text = told(taught, STRANGE, policy)
    assert (found.source, found.row, text) == ("row", OTHER, "")
    assert found.confidence > 0.99


def test_a_row_with_another_word_in_its_place_is_not_given_however_probable(taught):
    assert told(taught, "Зачем нужен резонатор?", "auto", weights=NEVER)[0].source == "declined"
    assert told(taught, "Зачем нужен канденсатор?", "auto", weights=NEVER)[0].row == OTHER
    assert told(taught, "Зачем нужен резонатор?", "grounded", weights=NEVER)[0].row == OTHER


def test_from_the_weights_alone_the_answer_is_the_wrong_one_and_is_known_to_be_doubtful(taught):
    found, text = told(taught, STRANGE, "weights")
    assert text == KNOWN.answer
    assert (found.source, found.row) == ("weights", None)
    assert found.confidence < 0.5


def test_auto_declines_below_the_threshold_and_names_the_closest_rows(taught):
    found, text = told(taught, STRANGE, "auto", search=NEVER, weights=NEVER)
    assert (found.source, found.row, text) == ("declined", None, "")
    assert found.closest[0] == OTHER
    assert found.confidence < 0.01


def test_grounded_never_declines(taught):
    found, _ = told(taught, STRANGE, "grounded", search=NEVER, weights=NEVER)
    assert found.source == "row"


def test_of_two_rows_the_more_probable_one_is_given(taught):
    said, found = by(said=0.4), by(said=0.3)
    assert verdict(taught, STRANGE, KNOWN.answer, said, found, sure=0.99).row == KNOWN
    assert verdict(taught, STRANGE, KNOWN.answer, found, said, sure=0.99).row == OTHER
    for one, other in ((said, found), (found, said)):
        told = [float(name == "said") for name in NAMES]
        confidences = [one.probability(told), other.probability(told)]
        chosen = verdict(taught, STRANGE, KNOWN.answer, one, other, sure=0.99)
        assert chosen.confidence == pytest.approx(max(confidences))


def test_an_answer_that_is_no_rows_gives_way_to_the_row_found_however_improbable(taught):
    chosen = verdict(taught, STRANGE, "Не знаю, спросите у соседа во дворе.", by(mean=0.5), NEVER, sure=0.99)
    assert (chosen.row, chosen.is_declined) == (OTHER, True)
    assert chosen.confidence < 0.01


def test_what_the_weights_are_sure_of_is_never_declined(taught):
    chosen = verdict(taught, f"{KNOWN.question} Да?", KNOWN.answer, by(mean=0.5), NEVER, sure=0.2, least=0.98)
    assert (chosen.row, chosen.is_declined) == (None, False)
    assert 0.2 < chosen.confidence < 0.98


def test_where_no_row_has_anything_in_common_the_weights_answer_or_the_row_that_they_tell(taught):
    assert told(taught, "ξψ", "grounded")[0].closest == ()
    assert verdict(taught, "ξψ", "🔌🔌🔌", NEVER, FINDS).row is None
    assert verdict(taught, "ξψ", OTHER.answer, NEVER, FINDS).row == OTHER


ELSE = "Не знаю, спросите у соседа во дворе."
"""An answer that is like no row's."""


def outside(taught, answer=ELSE, question="Где живёт кит?", weights=NEVER, search=NEVER, **named):
    return verdict(taught, question, answer, weights, search, **({"far": 0.9} | named))


def test_far_from_all_rows_the_weights_answer_and_what_they_say_is_not_from_the_table(taught):
    assert outside(taught).source == "outside"
    assert not outside(taught).is_declined
    assert outside(taught, question="ξψ", far=0.0).source == "outside"


def test_nearer_than_that_or_under_strict_it_is_declined_as_before(taught):
    assert outside(taught, far=0.0).source == "declined"
    assert outside(taught, far=None, question="ξψ").source == "declined"
    assert outside(taught, is_open=False).source == "declined"
    assert outside(taught, is_open=False) == outside(taught, far=None)


def test_a_rows_answer_is_never_given_as_one_from_outside_the_table(taught):
    for row in (KNOWN, OTHER):
        assert outside(taught, row.answer).source == "declined"
        assert outside(taught, row.answer + " И ещё кое-что.").source == "declined"


def test_a_row_that_is_sure_is_given_however_far_the_question(taught):
    assert outside(taught, question=STRANGE, search=FINDS).source == "row"
    assert outside(taught, KNOWN.answer, KNOWN.question, weights=AGREES).source == "weights"


def test_the_weights_sure_of_what_no_row_says_are_marked_too(taught):
    assert outside(taught, weights=by(mean=9.0)).source == "outside"


def test_grounded_and_weights_know_no_outside(taught):
    for policy, source in (("auto", "outside"), ("grounded", "weights"), ("weights", "weights")):
        found, text = told(taught, "ξψ", policy, weights=NEVER, search=NEVER, far=0.9)
        assert (found.source, found.row) == (source, None)
        assert text == told(taught, "ξψ", "weights")[1]


def test_an_answer_comes_whole_though_it_is_judged_by_its_beginning(taught):
    network, renderer = taught
    judge = judge_of(network, renderer, AGREES, FINDS)
    for limit in (HEAD // 2, HEAD, HEAD + 1, 200):
        ids = list(answered(network, judge, "Что-то другое", (), "weights", limit).ids)
        assert ids == network.generate([renderer.prompt("Что-то другое")], [limit], renderer.stop_id)[0]


def test_the_history_is_remembered_under_every_policy(taught):
    history = [(KNOWN.question, KNOWN.answer)]
    for policy in ("weights", "grounded"):
        found, _ = told(taught, STRANGE, policy, history=history)
        assert found.source in ("weights", "row")


def test_the_tables_own_question_is_never_declined_however_unsure_all_are(taught):
    asked = KNOWN.question.rstrip("?").upper()
    for said, row in ((KNOWN.answer, None), (OTHER.answer, KNOWN), ("Не знаю.", KNOWN)):
        chosen = verdict(taught, asked, said, NEVER, NEVER, sure=0.98, least=0.98)
        assert (chosen.row, chosen.source) == (row, "row" if row else "weights")
    assert verdict(taught, f"{asked} R1", KNOWN.answer, NEVER, NEVER, sure=0.98, least=0.98).source == "declined"


def test_an_answer_that_only_resembles_the_tables_own_gives_way_to_it(taught):
    resembling = KNOWN.answer.replace("ток", "рок")
    assert verdict(taught, KNOWN.question, resembling, by(said=9.0), NEVER, sure=0.1).row == KNOWN


@pytest.mark.parametrize(("lead", "row"), [(LEAST_LEAD / 2, KNOWN), (LEAST_LEAD * 2, OTHER)])
def test_where_search_hardly_tells_two_rows_apart_the_row_that_the_weights_tell_is_given(taught, lead, row):
    network, renderer = taught
    judge = judge_of(network, renderer, NEVER, by(likeness=9.0), sure=0.99)
    ids = [*renderer.content_ids(KNOWN.answer), renderer.stop_id]
    closest = [Found(OTHER, 0.2), Found(THIRD, 0.2 - lead)]
    assert judge.verdict("про резонатор", Draft(ids, [log(0.9)] * len(ids)), closest).row == row


def test_the_tables_own_question_is_as_sure_from_memory_alone(taught):
    network, renderer = taught
    judge = judge_of(network, renderer, NEVER, NEVER)
    for answer, is_sure in ((KNOWN.answer, True), (OTHER.answer, False)):
        ids = [*renderer.content_ids(answer), renderer.stop_id]
        draft = Draft(ids, [log(0.9)] * len(ids))
        assert (judge.of_weights(KNOWN.question, draft, judge.closest(KNOWN.question)) > 0.99) == is_sure
