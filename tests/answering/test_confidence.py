"""How sure an answer is: the regression, the thresholds, and the file that keeps them."""

import json
import random
from dataclasses import fields

import pytest

from znatok.answering.confidence import (
    FAR_LOST,
    FAR_TARGET,
    KEPT,
    NEAR_TARGET,
    WRONG_TARGET,
    Judged,
    fit,
    fit_calibration,
    is_whole,
    read_calibration,
)
from znatok.answering.evidence import Evidence
from znatok.run_folder import RunFolder, write_json

INPUTS = len(fields(Evidence))


def evidence(strength):
    return [strength] * INPUTS


def judged(kind, strength, weights, said, search):
    """A question with evidence of one strength, and what would be right."""
    return Judged(kind, evidence(strength), weights, said, search)


def questions(rng, near=0.4):
    """The stronger the evidence the more is right: the weights only where it is strongest. Their rows are told rightly
    where they are."""
    for _ in range(120):
        strength = rng.random()
        knows, finds = strength > 0.8, strength > 0.3
        yield judged("answerable", strength, knows, knows if strength > 0.5 else None, finds)
    for kind in ("near", "far"):
        for _ in range(20):
            yield judged(kind, rng.uniform(0.0, near), False, None, False)


def given(calibration, one):
    """Whether a question is answered under `auto`, and whether rightly."""
    weights, search = calibration.probabilities(one.numbers)
    if weights >= calibration.sure:
        return True, one.weights_right
    if one.said_right is not None and weights >= search:
        return weights >= calibration.least, one.said_right
    return search >= calibration.least and is_whole(one.numbers), one.search_right


def shares(calibration, asked, kind):
    """Of the questions of a kind: answered rightly, and wrongly."""
    told = [given(calibration, one) for one in asked if one.kind == kind]
    return (sum(is_given and is_right == wanted for is_given, is_right in told) / len(told) for wanted in (True, False))


@pytest.fixture(scope="module")
def calibration():
    return fit_calibration(list(questions(random.Random(0))))


def test_more_evidence_is_more_confidence():
    rng = random.Random(0)
    inputs = [evidence(rng.random()) for _ in range(80)]
    fitted = fit(inputs, [one[0] > 0.5 for one in inputs])
    given = [fitted.probability(evidence(step / 10)) for step in range(11)]
    assert given == sorted(given)
    assert given[0] < 0.1
    assert given[-1] > 0.9
    assert 0.3 < fitted.probability(evidence(0.5)) < 0.7


def test_probabilities_are_what_happens():
    rng = random.Random(1)
    inputs = [[rng.random(), rng.random()] for _ in range(2000)]
    fitted = fit(inputs, [rng.random() < one[0] for one in inputs])
    for low in (0.1, 0.4, 0.7):
        members = [fitted.probability(one) for one in inputs if low < one[0] < low + 0.2]
        assert sum(members) / len(members) == pytest.approx(low + 0.1, abs=0.07)


@pytest.mark.parametrize("is_right", [True, False])
def test_answers_that_are_all_alike_give_a_probability_and_no_certainty(is_right):
    fitted = fit([evidence(0.5)] * 20, [is_right] * 20)
    assert fitted.probability(evidence(0.5)) == pytest.approx(21 / 22 if is_right else 1 / 22, abs=0.01)
    assert 0 < fitted.probability(evidence(1e9)) < 1


def test_the_thresholds_hold_the_targets_and_let_through_what_they_can(calibration):
    asked = list(questions(random.Random(0)))
    right, wrong = shares(calibration, asked, "answerable")
    assert right > 0.55
    assert wrong <= WRONG_TARGET
    assert sum(shares(calibration, asked, "near")) <= NEAR_TARGET
    assert sum(shares(calibration, asked, "far")) <= FAR_TARGET


def test_the_likelier_unanswerable_questions_look_the_more_is_declined():
    easy, hard = (fit_calibration(list(questions(random.Random(0), near))) for near in (0.1, 0.9))
    asked = list(questions(random.Random(1)))
    assert next(shares(easy, asked, "answerable")) > next(shares(hard, asked, "answerable"))


def test_where_nothing_is_right_everything_is_declined():
    rng = random.Random(0)
    bad = [judged("answerable", rng.random(), False, False, False) for _ in range(40)]
    calibration = fit_calibration(bad)
    assert not any(given(calibration, one)[0] for one in bad)


def test_where_the_weights_know_everything_they_answer_alone():
    rng = random.Random(0)
    known = [judged("answerable", rng.uniform(0.9, 1), True, True, rng.random() > 0.3) for _ in range(40)]
    unknown = [judged("far", rng.uniform(0, 0.3), False, None, False) for _ in range(20)]
    calibration = fit_calibration([*known, *unknown])
    assert all(calibration.probabilities(one.numbers)[0] >= calibration.sure for one in known)
    assert not any(calibration.probabilities(one.numbers)[0] >= calibration.sure for one in unknown)


def test_where_the_weights_spoil_the_row_that_they_tell_the_row_is_given():
    rng = random.Random(0)
    known = [judged("answerable", rng.uniform(0.6, 1), False, True, True) for _ in range(40)]
    unknown = [judged("far", rng.uniform(0, 0.3), False, None, False) for _ in range(40)]
    calibration = fit_calibration([*known, *unknown])
    right, wrong = shares(calibration, known, "answerable")
    assert right >= KEPT
    assert wrong == 0


def at(kind, *likenesses):
    return [judged(kind, likeness, False, None, False) for likeness in likenesses]


def test_far_is_as_like_as_a_far_question_may_be_and_hardly_any_answerable_one_is():
    known = at("answerable", *[place / 200 for place in range(100, 200)])
    assert fit_calibration([*known, *at("far", 0.1, 0.3, 0.505, 0.52)]).far == 0.505
    far = fit_calibration([*known, *at("far", 0.1, 0.3, 0.9)]).far
    assert far == 0.3
    calibration = fit_calibration([*known, *at("far", *[place / 100 for place in range(100)])])
    assert sum(calibration.is_far(place / 200) for place in range(100, 200)) / 100 <= FAR_LOST
    assert calibration.is_far(0.4)
    assert not calibration.is_far(0.6)


def test_near_questions_do_not_move_what_is_far():
    known, far = at("answerable", *[0.5] * 60), at("far", 0.1, 0.2)
    assert fit_calibration([*known, *far]).far == fit_calibration([*known, *far, *at("near", 0.3, 0.4)]).far == 0.2


def test_where_no_far_question_stands_apart_none_is_far():
    calibration = fit_calibration([*at("answerable", *[0.0] * 60), *at("far", 0.0, 0.2)])
    assert calibration.far is None
    assert not calibration.is_far(0.0)
    assert fit_calibration(at("answerable", 0.5, 0.6)).far is None


def test_a_calibration_of_before_knows_no_far_question(calibration, tmp_path):
    run, record = RunFolder(tmp_path), calibration.describe()
    del record["far"]
    write_json(run.confidence, record)
    assert read_calibration(run).far is None


def test_a_calibration_is_kept_and_read_back(calibration, tmp_path):
    run = RunFolder(tmp_path)
    assert read_calibration(run) is None
    write_json(run.confidence, calibration.describe())
    assert read_calibration(run) == calibration
    assert calibration.questions == {"answerable": 120, "near": 20, "far": 20}


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record.pop("sure"),
        lambda record: record.update(least="often"),
        lambda record: record.update(far="off"),
        lambda record: record["search"]["weights"].pop(),
        lambda record: record["weights"].update(scales=[0] * INPUTS),
        lambda record: record.update(weights=[]),
        lambda record: record.update(questions=7),
    ],
)
def test_a_damaged_calibration_is_none(calibration, tmp_path, damage):
    record = json.loads(json.dumps(calibration.describe()))
    damage(record)
    write_json(RunFolder(tmp_path).confidence, record)
    assert read_calibration(RunFolder(tmp_path)) is None
    RunFolder(tmp_path).confidence.write_text("{", encoding="utf-8")
    assert read_calibration(RunFolder(tmp_path)) is None


def test_the_same_questions_give_the_same_calibration(calibration):
    assert fit_calibration(list(questions(random.Random(0)))) == calibration
