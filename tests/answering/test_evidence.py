"""What speaks for an answer, each piece by itself."""

from dataclasses import replace
from math import log

import pytest

from tests.answering.taught import KNOWN, OTHER, ROWS
from tests.tiny import tiny_renderer
from znatok.answering.evidence import HEAD, Draft, beginning, gather, said_row
from znatok.data.search import Search

RENDERER, SEARCH = tiny_renderer(), Search(ROWS)


def draft(text, *probabilities, stops=True):
    ids = [*RENDERER.content_ids(text), *([RENDERER.stop_id] if stops else [])]
    given = [*probabilities, *[1.0] * (len(ids) - len(probabilities))]
    return Draft(tuple(ids), tuple(map(log, given)))


def evidence_of(question, one):
    return gather(question, one, SEARCH.best(question, 3), SEARCH, RENDERER)


def test_a_rows_own_answer_to_its_own_question_has_everything_for_it():
    evidence, said = evidence_of(KNOWN.question, draft(KNOWN.answer))
    assert said.row == KNOWN
    assert (evidence.mean, evidence.least, evidence.said, evidence.agrees) == (1, 1, 1, 1)
    assert 0 < evidence.lead < evidence.likeness <= 1


def test_a_rows_question_is_whole_in_any_frame_and_no_more_where_a_word_is_another():
    def whole(question):
        return evidence_of(question, draft(KNOWN.answer))[0].whole

    assert whole(KNOWN.question) == pytest.approx(1)
    assert whole(f"Скажи, пожалуйста: {KNOWN.question.lower()} Очень нужно.") > 0.9
    telling = max(KNOWN.question.split(), key=len)
    assert whole(KNOWN.question.replace(telling, "мемристор")) < 0.3


def test_the_mean_and_the_least_probability_are_those_of_the_beginning():
    evidence, _ = evidence_of(KNOWN.question, draft(KNOWN.answer, 0.25, 0.01))
    count = min(HEAD, len(draft(KNOWN.answer).ids))
    assert evidence.least == pytest.approx(0.01)
    assert evidence.mean == pytest.approx((0.25 * 0.01) ** (1 / count))
    long = draft(KNOWN.answer * 9)
    unsure_later = Draft(long.ids, (*long.logps[:HEAD], *[log(0.001)] * (len(long.ids) - HEAD)))
    assert evidence_of(KNOWN.question, unsure_later)[0].least == 1


def test_an_answer_of_another_row_does_not_agree_with_search():
    evidence, said = evidence_of(KNOWN.question, draft(OTHER.answer))
    assert said.row == OTHER
    assert evidence.agrees < 0.5
    assert evidence.said == 1


def test_an_answer_that_is_no_rows_is_no_rows():
    evidence, said = evidence_of(KNOWN.question, draft("Не знаю, спросите у соседа во дворе."))
    assert said is None
    assert evidence.said < 0.6


def test_a_question_that_has_nothing_in_common_with_the_table_has_no_likeness():
    evidence, _ = evidence_of("ξψ", draft(KNOWN.answer))
    assert (evidence.likeness, evidence.lead, evidence.whole, evidence.agrees) == (0, 0, 0, 0)


def test_the_beginning_of_an_answer_is_enough_to_know_whose_it_is():
    rows = [replace(row, answer=row.answer + " Дальше сказано ещё многое другое." * 5) for row in ROWS]
    cut = draft(rows[1].answer, stops=False)
    half = beginning(Draft(cut.ids[: HEAD // 2], cut.logps[: HEAD // 2]), RENDERER)
    assert len(half) < len(rows[1].answer) / 4
    assert said_row(half, Search(rows)).row == rows[1]
    assert said_row(half, Search(rows)).likeness > 0.9


def test_all_evidence_lies_between_nothing_and_everything():
    for question in (KNOWN.question, "ξψ", ""):
        for text in (KNOWN.answer, "", "🔌🔌🔌"):
            numbers = evidence_of(question, draft(text, 0.5))[0].numbers()
            assert all(0 <= number <= 1 for number in numbers), (question, text)
    assert evidence_of("?", Draft((), ()))[0].mean == 0
