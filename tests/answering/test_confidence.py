"""How sure an answer is: the regression, the thresholds, and the file that keeps them."""

import json
import random
from dataclasses import fields

import pytest

from znatok.answering.confidence import DECLINED_TARGET, WRONG_TARGET, Judged, fit, fit_calibration, read_calibration
from znatok.answering.evidence import Evidence
from znatok.run_folder import RunFolder, write_json

INPUTS = len(fields(Evidence))


def evidence(strength):
    return [strength] * INPUTS


def judged(kind, weights, weights_right, rows, rows_right):
    return Judged(kind, evidence(weights), weights_right, evidence(rows), rows_right)


def questions(rng):
    """Answers that are right where the evidence is strong, from the weights for half of the rows."""
    for place in range(60):
        knows, finds = place % 2 == 0, place % 10 != 1
        yield judged(
            "answerable",
            rng.uniform(0.8, 1.0) if knows else rng.uniform(0.2, 0.6),
            knows,
            rng.uniform(0.7, 1.0) if finds else rng.uniform(0.1, 0.4),
            finds,
        )
    for kind in ("near", "far"):
        for _ in range(20):
            yield judged(kind, rng.uniform(0.0, 0.4), False, rng.uniform(0.0, 0.4), False)


@pytest.fixture(scope="module")
def calibration():
    return fit_calibration(list(questions(random.Random(0))), grounded_rows=2)


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


def test_the_thresholds_hold_the_targets_where_they_can(calibration):
    asked = [one for one in questions(random.Random(0)) if one.kind == "answerable"]
    wrong = declined = 0
    for one in asked:
        if calibration.weights.probability(one.weights) >= calibration.sure:
            wrong += not one.weights_right
        elif calibration.rows.probability(one.rows) >= calibration.least:
            wrong += not one.rows_right
        else:
            declined += 1
    assert wrong / len(asked) <= WRONG_TARGET
    assert declined / len(asked) <= DECLINED_TARGET


def test_where_nothing_is_right_everything_is_declined():
    rng = random.Random(0)
    bad = [judged("answerable", rng.random(), False, rng.random(), False) for _ in range(40)]
    calibration = fit_calibration(bad, grounded_rows=2)
    assert all(calibration.weights.probability(one.weights) < calibration.sure for one in bad)
    assert all(calibration.rows.probability(one.rows) < calibration.least for one in bad)


def test_where_the_weights_know_everything_they_answer_alone():
    rng = random.Random(0)
    known = [judged("answerable", rng.uniform(0.9, 1), True, rng.random(), rng.random() > 0.3) for _ in range(40)]
    unknown = [judged("far", rng.uniform(0, 0.3), False, rng.random() / 4, False) for _ in range(20)]
    calibration = fit_calibration([*known, *unknown], grounded_rows=2)
    assert all(calibration.weights.probability(one.weights) >= calibration.sure for one in known)
    assert not any(calibration.weights.probability(one.weights) >= calibration.sure for one in unknown)


def test_a_calibration_is_kept_and_read_back(calibration, tmp_path):
    run = RunFolder(tmp_path)
    assert read_calibration(run) is None
    write_json(run.confidence, calibration.describe())
    assert read_calibration(run) == calibration
    assert calibration.questions == {"answerable": 60, "near": 20, "far": 20}


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record.pop("sure"),
        lambda record: record.update(least="often"),
        lambda record: record["rows"]["weights"].pop(),
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
    assert fit_calibration(list(questions(random.Random(0))), grounded_rows=2) == calibration
