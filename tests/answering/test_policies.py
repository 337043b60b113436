"""From the weights where they are sure, with rows in the prompt where they are not, and perhaps not at all."""

import pytest

from tests.answering.taught import KNOWN, OTHER, STRANGE, THIRD, by, judge_of, sources_of, taught_network
from tests.tiny import PEFT_TALKS
from znatok.answering.evidence import HEAD, Draft
from znatok.answering.policies import Sources, answered

pytestmark = PEFT_TALKS

AGREES = by(agrees=1.0)
NEVER = by()
"""A regression that finds every answer improbable."""


@pytest.fixture(scope="module")
def taught():
    return taught_network()


def told(taught, question, policy, weights=AGREES, rows=AGREES, limit=200, history=(), **named):
    network, renderer = taught
    found = answered(network, judge_of(network, renderer, weights, rows, **named), question, history, policy, limit)
    return found, renderer.decode(list(found.ids))


def test_the_weights_answer_where_they_are_sure(taught):
    for policy in ("auto", "grounded", "weights"):
        found, text = told(taught, KNOWN.question, policy)
        assert text == KNOWN.answer
        assert (found.source, found.row) == ("weights", None)
        assert found.confidence > 0.99
        assert found.closest[0] == KNOWN


@pytest.mark.parametrize("policy", ["auto", "grounded"])
def test_where_they_are_not_rows_are_shown_and_the_one_that_was_read_is_named(taught, policy):
    found, text = told(taught, STRANGE, policy)
    assert text == OTHER.answer
    assert (found.source, found.row) == ("row", OTHER)
    assert found.confidence > 0.99


def test_from_the_weights_alone_the_answer_is_the_wrong_one_and_is_known_to_be_doubtful(taught):
    found, text = told(taught, STRANGE, "weights")
    assert text == KNOWN.answer
    assert (found.source, found.row) == ("weights", None)
    assert found.confidence < 0.5


def test_auto_declines_below_the_threshold_and_names_the_closest_rows(taught):
    found, text = told(taught, STRANGE, "auto", rows=NEVER)
    assert (found.source, found.row, text) == ("declined", None, "")
    assert found.closest[0] == OTHER
    assert found.confidence < 0.01


def test_grounded_never_declines(taught):
    found, text = told(taught, STRANGE, "grounded", rows=NEVER)
    assert (found.source, text) == ("row", OTHER.answer)


def test_an_answer_that_is_none_of_the_rows_shown_comes_from_memory(taught):
    network, renderer = taught
    judge = judge_of(network, renderer, NEVER, AGREES)
    sources = judge.sources
    closest = sources.closest(KNOWN.question)
    prompt = renderer.prompt(KNOWN.question)
    *_, written = network.writing([prompt], [200], renderer.stop_id)
    draft = Draft(written.ids[0], written.logps[0])
    assert judge.of_rows(draft, closest, [THIRD], draft).row is None
    assert judge.of_rows(draft, closest, [KNOWN], draft).row == KNOWN


def test_where_no_row_has_anything_in_common_the_weights_answer_all_the_same(taught):
    found, text = told(taught, "ξψ", "grounded")
    assert found.source == "weights"
    assert found.closest == ()
    assert text == told(taught, "ξψ", "weights")[1]


def test_an_answer_comes_whole_though_it_is_judged_by_its_beginning(taught):
    network, renderer = taught
    judge = judge_of(network, renderer, AGREES, AGREES)
    for limit in (HEAD // 2, HEAD, HEAD + 1, 200):
        ids = list(answered(network, judge, "Что-то другое", (), "weights", limit).ids)
        assert ids == network.generate([renderer.prompt("Что-то другое")], [limit], renderer.stop_id)[0]


def test_rows_leave_room_for_the_longest_of_their_answers(taught):
    network, renderer = taught
    rows = [KNOWN, OTHER]
    answer = max(len(renderer.content_ids(row.answer)) for row in rows) + 1
    whole = sources_of(network, renderer, rows).grounded(STRANGE, sources_of(network, renderer, rows).closest(STRANGE))
    needed = len(renderer.prompt(whole.text)) + answer
    tight = Sources(rows, renderer, 2, needed - 10)
    assert len(whole.rows) == 2
    assert len(tight.grounded(STRANGE, tight.closest(STRANGE)).rows) < 2


def test_the_history_is_remembered_under_every_policy(taught):
    history = [(KNOWN.question, KNOWN.answer)]
    for policy in ("weights", "grounded"):
        found, _ = told(taught, STRANGE, policy, history=history)
        assert found.source in ("weights", "row")
    network, renderer = taught
    expected = network.generate([renderer.prompt(STRANGE, history)], [200], renderer.stop_id)[0]
    assert told(taught, STRANGE, "weights", history=history)[1] == renderer.decode(expected)
