"""The exam's policies `grounded` and `auto`, on a model of which it is known what it knows."""

import json

import pytest

from tests.answering.taught import AGREES, FINDS, KNOWN, NEVER, OTHER, ROWS, STRANGE, by, judge_of, taught_network
from tests.tiny import PEFT_TALKS, tiny_network
from znatok.exam.examine import ExamProgress, examine
from znatok.records import Question, QuestionSet

pytestmark = PEFT_TALKS

OWN = QuestionSet(
    "questions",
    (Question(1, KNOWN.question, KNOWN.answer), Question(2, STRANGE, OTHER.answer)),
)
UNKNOWN = QuestionSet("unknown_far", (Question(0, "Где живёт кит?", ""), Question(0, "Кто поёт ночью?", "")))
SHORT = QuestionSet("unknown_far", (Question(0, "Зачем он?", ""), Question(0, "A fuse?", "")))
"""Nothing but words of a row, so that it may be meant."""


@pytest.fixture(scope="module")
def taught():
    return taught_network()


def examined(taught, sets, search=FINDS, weights=AGREES, least=0.5, **named):
    network, renderer = taught
    judge = judge_of(network, renderer, weights, search, least=least, **named)
    *progress, result = examine(network, renderer, sets, ROWS, judge=judge)
    assert all(isinstance(piece, ExamProgress) for piece in progress)
    assert progress[-1].done == progress[-1].total
    return result


def test_a_row_answers_what_the_weights_do_not_know(taught):
    result = examined(taught, [OWN])
    sets = result.sets["questions"]
    assert list(sets) == ["before", "after", "grounded", "auto", "search"]
    assert [sets[policy]["passed"] for policy in ("after", "grounded", "auto")] == [0.5, 1, 1]
    assert [sets[policy]["exact"] for policy in ("after", "grounded", "auto")] == [0.5, 1, 1]
    assert (sets["auto"]["declined"], sets["auto"]["confidently_wrong"], sets["auto"]["among_three"]) == (0, 0, 1)


def test_every_answer_is_told_with_its_source(taught):
    known, strange = examined(taught, [OWN]).answers
    assert (known["auto"]["source"], known["auto"]["row"], known["grounded"]) == ("weights", None, KNOWN.answer)
    assert (strange["auto"]["source"], strange["auto"]["row"], strange["grounded"]) == ("row", 2, OTHER.answer)
    assert strange["after"] == KNOWN.answer
    assert strange["auto"]["closest"][0] == 2
    assert strange["passed_by"]["grounded"] is strange["passed_by"]["auto"] is True


def test_auto_may_decline_and_is_not_right_then_but_never_wrong(taught):
    result = examined(taught, [OWN], least=1.0)
    sets = result.sets["questions"]
    assert sets["grounded"]["passed"] == 1
    auto = sets["auto"]
    assert (auto["passed"], auto["declined"], auto["confidently_wrong"], auto["exact"]) == (0.5, 0.5, 0, 0.5)
    assert result.answers[1]["auto"]["source"] == "declined"
    assert result.answers[1]["auto"]["row"] is None


def test_an_answer_given_that_is_not_right_is_confidently_wrong(taught):
    always = by(said=9.0)
    auto = examined(taught, [OWN], weights=always).sets["questions"]["auto"]
    assert (auto["passed"], auto["confidently_wrong"], auto["declined"]) == (0.5, 0.5, 0)


def test_questions_that_no_row_answers_are_declined_or_answered_all_the_same(taught):
    for asked, search, is_declined in ((UNKNOWN, NEVER, True), (UNKNOWN, FINDS, True), (SHORT, FINDS, False)):
        result = examined(taught, [asked], search=search, weights=NEVER)
        auto, grounded = (result.sets["unknown_far"][policy] for policy in ("auto", "grounded"))
        assert auto["declined"] == is_declined
        assert auto["confidently_wrong"] == (0 if is_declined else grounded["confidently_wrong"])
        assert auto["passed"] is auto["among_three"] is auto["exact"] is None
        assert "declined" not in grounded


FOREIGN = QuestionSet("unknown_far", (Question(0, "ξψ", ""),))


def test_an_answer_from_outside_the_table_is_neither_declined_nor_confidently_wrong(taught):
    result = examined(taught, [FOREIGN], search=NEVER, weights=NEVER, far=0.0)
    auto, (record,) = result.sets["unknown_far"]["auto"], result.answers
    assert record["auto"]["source"] == "outside"
    assert record["auto"]["row"] is None
    assert (auto["declined"], auto["confidently_wrong"], auto["n_generated"]) == (0, 0, 1)


def test_under_strict_it_is_declined_as_before(taught):
    strict = examined(taught, [FOREIGN, OWN], search=NEVER, weights=NEVER, far=0.9, is_open=False)
    assert strict.answers == examined(taught, [FOREIGN, OWN], search=NEVER, weights=NEVER).answers
    assert strict.sets["unknown_far"]["auto"]["declined"] == 1


def test_where_a_row_had_the_answer_one_from_outside_the_table_is_wrong(taught):
    missed = QuestionSet("questions", (Question(2, "ξψ", OTHER.answer),))
    result = examined(taught, [missed], search=NEVER, weights=NEVER, far=0.0)
    auto = result.sets["questions"]["auto"]
    assert result.answers[0]["auto"]["source"] == "outside"
    assert (auto["passed"], auto["exact"], auto["declined"], auto["confidently_wrong"]) == (0, 0, 0, 1)


def test_the_answers_of_the_weights_are_what_they_are_without(taught):
    network, renderer = taught
    *_, plain = examine(network, renderer, [OWN, UNKNOWN], ROWS)
    result = examined(taught, [OWN, UNKNOWN])
    for name in plain.sets:
        for policy in plain.sets[name]:
            assert plain.sets[name][policy] == result.sets[name][policy]
    assert [record["after"] for record in plain.answers] == [record["after"] for record in result.answers]
    assert json.loads(json.dumps(result.written())) == result.written()


def test_a_base_alone_has_neither_policy(taught):
    network, renderer = tiny_network()
    *_, result = examine(network, renderer, [OWN], ROWS, judge=judge_of(*taught, AGREES, FINDS))
    assert list(result.sets["questions"]) == ["before", "search"]
