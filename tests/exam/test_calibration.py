"""The questions by which it is learned how sure a model may be, and what is learned from them."""

import csv
import re
from importlib.resources import files
from pathlib import Path

import pytest
import torch

from tests.answering.taught import ROWS, taught_network
from tests.tiny import PEFT_TALKS, teach, tiny_network
from znatok.answering.confidence import Calibration
from znatok.answering.evidence import Draft
from znatok.answering.policies import Judge
from znatok.data.likeness import plain
from znatok.data.read import read_table
from znatok.data.reword.heldout import FRAMES as HELDOUT
from znatok.data.search import Search
from znatok.exam.calibration import calibrate
from znatok.exam.calibration_questions import FRAMES, IN_TRAIN, Size, calibration_sets, in_full
from znatok.exam.examine import ExamProgress
from znatok.exam.question_file import read_questions
from znatok.exam.sets import TOO_NEAR, reworded_set, trained_set, unknown_far_set
from znatok.model.adapter import Adapter
from znatok.records import Row

pytestmark = PEFT_TALKS
ROOT = Path(__file__).parents[2]
HOBBIES = ROOT / "tests" / "data" / "hobbies"


def table():
    with (ROOT / "dataset.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    return [Row(number, line["question"], line["answer"]) for number, line in enumerate(lines, start=1)]


TABLE = table()
ONE_FRAME = [
    Row(number, f"What is a {name}?", f"The {name} is thing {number} of its kind.")
    for number, name in enumerate("resistor capacitor transistor diode switch antenna".split(), start=1)
]


def questions(rows, size=IN_TRAIN, seed=0):
    return {one.name: one.questions for one in calibration_sets(rows, size, seed)}


# ---- the questions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [IN_TRAIN, in_full(125)])
def test_there_are_as_many_of_each_kind_as_are_wanted(size):
    made = questions(TABLE, size)
    assert {name: len(members) for name, members in made.items()} == {
        "answerable": size.answerable,
        "near": size.near,
        "far": size.far,
    }


@pytest.mark.parametrize("rows", [TABLE, ONE_FRAME])
def test_none_of_them_is_asked_in_an_exam_or_stands_in_the_table(rows):
    examined = [
        question
        for made in (trained_set(rows), reworded_set(rows), unknown_far_set(rows))
        for question in made.questions
    ]
    known = {plain(one.question) for one in examined}
    asked = [one.question for members in questions(rows, in_full(125)).values() for one in members]
    assert not known & set(map(plain, asked))


def test_the_seed_alone_decides_them():
    assert questions(TABLE) == questions(TABLE)
    assert questions(TABLE) != questions(TABLE, seed=1)


def test_answerable_ones_ask_for_rows_all_over_the_table_and_expect_their_answers():
    members = questions(TABLE)["answerable"]
    rows = {row.number: row for row in TABLE}
    assert all(one.reference == rows[one.row].answer for one in members)
    assert len({one.row for one in members}) == len(members)
    assert max(one.row for one in members) > 115
    few = questions(ONE_FRAME, Size(24, 0, 0))["answerable"]
    assert [sum(one.row == row.number for one in few) for row in ONE_FRAME] == [4] * 6
    assert len({one.question for one in few}) > 20


def test_half_of_them_are_as_hard_to_find_as_what_people_ask():
    search, members = Search(TABLE), questions(TABLE, Size(120, 0, 0))["answerable"]
    found = [search.best(one.question, 1)[0] for one in members]
    hits = [one.row.number == asked.row for one, asked in zip(found, members, strict=True)]
    framed, put_together = hits[::2], hits[1::2]
    assert sum(framed) / len(framed) > 0.9
    assert 0.4 < sum(put_together) / len(put_together) < 0.85


def test_frames_are_none_of_the_exams():
    for language, frames in FRAMES.items():
        assert not set(frames) & set(HELDOUT[language])
        assert all(("{q}" in frame) != ("{Q}" in frame) for frame in frames)


@pytest.mark.parametrize("rows", [TABLE, ONE_FRAME])
def test_near_ones_are_in_the_words_of_the_table_and_no_row_has_all_of_them(rows):
    def stems(text):
        return {word[:5].lower().replace("ё", "е") for word in re.findall(r"[^\W\d_]{4,}", text)}

    near = questions(rows, Size(0, 6, 0))["near"]
    assert len(near) == 6
    for one in near:
        assert (one.row, one.reference) == (0, "")
        assert stems(one.question)
        assert not any(stems(one.question) <= stems(f"{row.question} {row.answer}") for row in rows)
        assert Search(rows).best(one.question, 1)[0].score > 0.05


def test_near_ones_are_as_near_to_the_table_as_what_people_ask_that_no_row_answers():
    """The question is near to the table by as much as those are; docs/log.md has the figures."""
    for name in ("aquarium", "beekeeping"):
        rows = read_table(HOBBIES / f"{name}.csv").rows
        search, made = Search(rows), questions(rows, in_full(len(rows)))["near"]
        people = read_questions(HOBBIES / f"{name}_unknown_near.csv")
        ours, theirs = (
            sorted(search.best(one, 1)[0].score for one in asked) for asked in ([one.question for one in made], people)
        )
        for part in (0.5, 0.9):
            assert ours[int(part * len(ours))] == pytest.approx(theirs[int(part * len(theirs))], abs=0.08)


def test_a_table_that_has_no_words_to_change_gives_no_near_questions():
    rows = [Row(1, "2+2?", "4."), Row(2, "3+3?", "6.")]
    assert questions(rows)["near"] == ()
    assert len(questions(rows)["far"]) == IN_TRAIN.far


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_shipped_lists_have_forty_questions_and_none_of_the_exams(language):
    folder = files("znatok.exam").joinpath("questions")
    ours, theirs = (
        folder.joinpath(f"{name}.{language}.txt").read_text(encoding="utf-8").splitlines()
        for name in ("calibration_far", "unknown_far")
    )
    assert len(set(ours)) == len(ours) >= 40
    assert not set(map(plain, ours)) & set(map(plain, theirs))
    assert (sum("а" <= letter <= "я" for letter in "".join(ours).lower()) > 500) == (language == "ru")


def test_far_ones_that_a_row_may_answer_are_left_out():
    rows = [*TABLE, Row(126, "Чем заняты ежи, когда им скучно?", "Они спят.")]
    far = [one.question for one in questions(rows, in_full(125))["far"]]
    assert "Чем заняты ежи, когда им скучно?" not in far
    search = Search(rows)
    assert all(found.score < TOO_NEAR for one in far for found in search.best(one, 1))


# ---- what is learned from them ---------------------------------------------------------------------------------------

SMALL = Size(8, 4, 4)


@pytest.fixture(scope="module")
def taught():
    return taught_network()


@pytest.fixture(scope="module")
def pieces(taught):
    return list(calibrate(*taught, ROWS, SMALL, together=5))


def test_calibration_comes_last_and_progress_grows_to_its_total(pieces):
    *progress, calibration = pieces
    assert isinstance(calibration, Calibration)
    assert all(isinstance(piece, ExamProgress) for piece in progress)
    done = [piece.done for piece in progress]
    assert done == sorted(done)
    assert done[-1] == progress[-1].total == sum(calibration.questions.values())
    assert calibration.questions["answerable"] == 8


def test_the_same_weights_and_rows_give_the_same_calibration(taught, pieces):
    *_, again = calibrate(*taught, ROWS, SMALL, together=5)
    assert again == pieces[-1]


def test_what_the_weights_know_is_surer_than_what_they_do_not():
    torch.manual_seed(0)
    network, renderer = tiny_network()
    network.add_adapter(Adapter())
    asked = calibration_sets(ROWS, SMALL)[0].questions
    teach(network, [renderer.conversation(one.question, one.reference) for one in asked[:5]], 60)
    *_, calibration = calibrate(network, renderer, ROWS, SMALL)
    judge = Judge(Search(ROWS), renderer, calibration)

    def confidence(question):
        *_, written = network.writing([renderer.prompt(question)], [100], renderer.stop_id)
        return judge.of_weights(question, Draft(written.ids[0], written.logps[0]), judge.closest(question))

    known, unknown = confidence(asked[0].question), confidence("Где живёт кит?")
    assert known > 0.5 > unknown


def test_gradients_and_adapter_are_as_they_were_between_the_pieces(taught):
    network, _ = taught
    for _ in calibrate(*taught, ROWS, SMALL):
        assert torch.is_grad_enabled()
        assert network.has_adapter
