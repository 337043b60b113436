"""What only the exam asks: its frames are in no wording of training."""

import random
import re
from functools import lru_cache

import pytest

from tests.data.reword.tables import DATASET, TABLES, reworder, rows_of
from znatok.data.likeness import plain
from znatok.data.reword import heldout_wording
from znatok.data.reword.heldout import FRAMES
from znatok.data.reword.kinds import kinds
from znatok.data.reword.noise import _CHATTER, _GREETINGS, _REQUESTS

QUESTIONS = ["Что такое диод?", "What is a resistor?", "Что такое {q} и {}?", "NE555 — это что?", "I2C — что это?"]


def fixed_parts(frame):
    return [part.strip(" :.«»“”?,") for part in re.split(r"\{[qQ]\}", frame) if part.strip(" :.«»“”?,")]


PARTS = [part.lower() for frames in FRAMES.values() for frame in frames for part in fixed_parts(frame)]


@lru_cache
def everything_said(name):
    """Every frame and every question from an answer that training may use for these rows, and many draws."""
    rng, said = random.Random(0), []
    for place in range(len(TABLES[name])):
        material, _ = reworder(name)._prepared(place)
        said += material.frames
        said += [asked for group in material.told for asked in group]
        said += [reworder(name).reword(place, rng) for _ in range(20)]
    return said


@pytest.mark.parametrize("name", TABLES)
def test_no_wording_of_training_holds_a_frame_of_the_exam(name):
    said = everything_said(name)
    assert len(said) > 20 * len(TABLES[name])
    assert [(part, text) for text in said for part in PARTS if part in text.lower()] == []


@pytest.mark.parametrize("name", TABLES)
def test_no_wording_of_training_is_a_question_of_the_exam(name):
    asked = {plain(heldout_wording(row.question, number)) for row in TABLES[name] for number in range(6)}
    assert [text for text in everything_said(name) if plain(text) in asked] == []


def test_frames_of_training_hold_none_of_the_exams_words():
    """Not even a table that asks «Объясни простыми словами: …» itself is needed to see it: the frames are looked at."""
    frames = [frame for language in ("russian", "english") for kind in kinds(language) for frame in kind.frames]
    frames += [frame for language in ("russian", "english") for kind in kinds(language) for frame in kind.tool_frames]
    telling = re.compile(
        r"подскаж|пожалуйста|разобраться|помоги|новичк|коротко и ясно|доклад|объясн|простыми|друг спросил|"
        r"please|explain|work this out|help me|beginner|school|simple words|friend",
        re.IGNORECASE,
    )
    assert len(frames) > 300
    assert [frame for frame in frames if telling.search(frame)] == []


def test_openings_and_asides_of_training_never_occur_in_heldout_frames():
    for language, frames in FRAMES.items():
        parts = [part.lower() for frame in frames for part in fixed_parts(frame)]
        trained = [*_GREETINGS[language], *_REQUESTS[language], *_CHATTER[language].split()]
        for words in (words.strip(" ,:!.").lower() for words in trained):
            # A single letter («А», "I") frames nothing.
            assert len(words) == 1 or [part for part in parts if re.search(rf"\b{words}\b", part)] == []


def test_no_human_wording_was_made_by_a_frame_of_training():
    said = {plain(text) for text in everything_said("dataset")}
    wordings = rows_of("dataset_wordings.csv")
    assert len(wordings) == 250
    assert [row.question for row in wordings if plain(row.question) in said] == []


@pytest.mark.parametrize("number", range(6))
def test_a_heldout_wording_keeps_the_words_of_the_question(number):
    for question in [*(row.question for row in DATASET), *QUESTIONS]:
        said = heldout_wording(question, number)
        assert question[1:] in said
        assert question.lower() in said.lower()
        assert said != question
    assert "NE555" in heldout_wording("NE555 — это что?", number)


def test_neighbouring_rows_get_different_frames():
    assert len({heldout_wording("Что такое диод?", number) for number in range(12)}) == 6


def test_a_heldout_wording_is_in_the_alphabet_of_its_question():
    assert heldout_wording("What is a resistor?", 0) == "Could you please explain: what is a resistor?"
    assert not re.search("[а-яё]", "".join(heldout_wording("What is a resistor?", number) for number in range(6)))
