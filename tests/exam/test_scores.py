from dataclasses import replace

import pytest

from znatok.exam.marks import Marked
from znatok.exam.scores import Asked, Told, comparisons, confidence, record, scores
from znatok.exam.statistics import bootstrap, clopper_pearson
from znatok.records import Question

POLICIES = ("before", "after", "search")


def marked(is_right, chrf=50.0):
    return Marked("answer", is_right, chrf, True, False, False, None, None if is_right else "unrelated", None)


def asked(row, before, after, search=True, logprob=-1.0, name="questions", chrf=50.0):
    """A question whose answers passed, or did not, or were not given (None); exact is what passed."""
    passed = {"before": before, "after": after, "search": search}
    given = {policy: marked(is_right, chrf) for policy, is_right in passed.items() if is_right is not None}
    exact = {policy: bool(is_right) for policy, is_right in passed.items()}
    return Asked(name, Question(row, f"Вопрос {row}?", "Ответ."), exact, given, logprob, None)


def test_a_row_that_is_asked_twice_is_one_piece_of_evidence():
    members = [asked(row, False, row % 3 > 0) for row in range(1, 41) for _ in range(2)]
    after = scores(members, POLICIES)["questions"]["after"]
    assert (after["n"], after["n_generated"], after["passed"]) == (80, 80, pytest.approx(27 / 40))
    low, high = after["passed_ci"]
    narrow = clopper_pearson(54, 80)
    assert high - low > 1.2 * (narrow[1] - narrow[0])
    assert scores(members, POLICIES)["questions"]["before"]["passed_ci"] == list(clopper_pearson(0, 40))


def test_rows_asked_once_have_the_exact_interval_and_scores_a_bootstrapped_one():
    members = [asked(row, None, row > 5, chrf=float(row)) for row in range(1, 21)]
    after = scores(members, POLICIES)["questions"]["after"]
    assert after["passed_ci"] == list(clopper_pearson(15, 20))
    assert after["chrf_ci"] == list(bootstrap([[float(row)] for row in range(1, 21)]))


def test_a_question_of_no_row_stands_alone():
    members = [asked(0, None, place > 3) for place in range(10)]
    assert scores(members, POLICIES)["questions"]["after"]["passed_ci"] == list(clopper_pearson(6, 10))


@pytest.mark.parametrize("n", [1, 20])
def test_scores_that_are_all_alike_say_nothing_of_others(n):
    after = scores([asked(row, None, True) for row in range(1, n + 1)], POLICIES)["questions"]["after"]
    assert (after["chrf"], after["chrf_ci"]) == (50, None)
    assert after["passed_ci"] == list(clopper_pearson(n, n))


def test_what_both_answered_is_compared_and_a_row_is_right_where_all_its_questions_are():
    members = [
        *(asked(1, False, True), asked(1, False, True)),  # learned
        *(asked(2, False, True), asked(2, False, False)),  # half of it is not enough
        *(asked(3, True, False), asked(3, True, True)),  # lost
        *(asked(4, None, True), asked(4, None, True)),  # never asked of the base: its exactness alone is known
    ]
    found = comparisons(members)["questions"]
    assert found["passed"] == {"n": 3, "only_before": 1, "only_after": 1, "p": 1}
    assert found["exact"] == {"n": 4, "only_before": 1, "only_after": 2, "p": 1}


def test_nothing_answered_by_both_is_no_comparison():
    assert comparisons([asked(1, None, True)])["questions"]["passed"] is None


def test_confidence_tells_right_from_wrong_or_does_not():
    sure = [asked(1, None, True, logprob=-0.1), asked(2, None, False, logprob=-2.0)]
    assert confidence(sure) == {"questions": 1}
    assert confidence([*sure, asked(3, None, False, logprob=0.0)]) == {"questions": 0.5}
    assert confidence(sure[:1]) == {"questions": None}


def test_a_record_tells_who_was_right_and_marks_the_tuned_models_answer():
    line = record(asked(4, None, False, True, -0.5), ("before", "after"))
    assert line["passed_by"] == {"before": None, "after": False, "search": True}
    assert line["exact"] == {"before": False, "after": False}
    assert (line["passed"], line["cause"], line["logprob"], line["before"]) == (False, "unrelated", -0.5, None)


# ---- with rows in the prompt -----------------------------------------------------------------------------------------

EVERY = ("before", "after", "grounded", "auto", "search")


def decided(row, after, grounded, is_declined=False, is_among=True):
    plain = asked(row, None, after)
    right = grounded and not is_declined
    auto = replace(
        marked(right), declined=is_declined, among_three=is_among, confidently_wrong=not is_declined and not right
    )
    told = Told("declined" if is_declined else "row", None if is_declined else row, 0.75, (row, 8, 9))
    return replace(plain, marked=plain.marked | {"grounded": marked(grounded), "auto": auto}, told=told)


def test_auto_counts_what_is_declined_and_what_is_answered_wrongly_and_where_the_right_row_is_named():
    members = [
        decided(1, True, True),
        decided(2, False, True),
        decided(3, False, False),
        decided(4, False, False, is_declined=True, is_among=False),
    ]
    policies = scores(members, EVERY)["questions"]
    assert [policies[policy]["passed"] for policy in ("after", "grounded", "auto")] == [0.25, 0.5, 0.5]
    auto = policies["auto"]
    assert (auto["declined"], auto["confidently_wrong"], auto["among_three"]) == (0.25, 0.25, 0.75)
    assert auto["declined_ci"] == list(clopper_pearson(1, 4))
    assert "declined" not in policies["grounded"]


def test_a_set_without_them_has_no_such_policies():
    policies = scores([asked(1, None, True), decided(1, True, True)], EVERY)["questions"]
    assert (policies["auto"]["n"], policies["auto"]["n_generated"]) == (2, 1)
    assert list(scores([asked(1, None, True)], EVERY)["questions"]) == ["before", "after", "search"]


def test_a_record_tells_where_the_answer_under_auto_is_from():
    line = record(decided(2, False, True), ("before", "after"))
    assert line["auto"] == {"source": "row", "row": 2, "confidence": 0.75, "closest": [2, 8, 9]}
    assert line["grounded"] == "answer"
    assert line["passed_by"] == {"before": None, "after": False, "grounded": True, "auto": True, "search": True}
    assert line["passed"] is False
    declined = record(decided(4, False, False, is_declined=True), ("before", "after"))
    assert (declined["auto"]["source"], declined["passed_by"]["auto"]) == ("declined", False)
