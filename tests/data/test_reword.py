"""One question in many wordings: what may change and what must not."""

import csv
import random
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from znatok.data.reword import _CHATTER, _FRAMES, _GREETINGS, _REQUESTS, Reworder, heldout_wording, language_of

DATASET = Path(__file__).parents[2] / "dataset.csv"
with DATASET.open(encoding="utf-8", newline="") as rows:
    QUESTIONS = [row["question"] for row in csv.DictReader(rows)]
REWORDER = Reworder(QUESTIONS)
OPTOCOUPLER = "Что такое оптопара (оптоизолятор)?"
NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
ABBREVIATION = re.compile(r"\b[^\W\d_]*[^\W\d_][A-ZА-ЯЁ]\w*|\b[A-ZА-Я]-\w+|\b[A-ZА-Я]\d\w*")
NAME = re.compile(r"(?<=[а-яё,] )[А-ЯЁ][а-яё]+")
ENGLISH = ["What is a resistor?", "How does a diode work?", "Why does an LED need a resistor?", "When does ice melt?"]


def wordings(question, draws, seed=0, reworder=REWORDER):
    rng = random.Random(seed)
    return [reworder.reword(question, rng) for _ in range(draws)]


def outside_brackets(question):
    """A bracketed synonym may be left out, and may stand for the word before it."""
    return re.sub(r"\S+\s+\([^()]*\)", "", question)


# What survives


@pytest.mark.parametrize("seed", range(8))
def test_numbers_abbreviations_and_names_of_the_demonstration_survive(seed):
    rng = random.Random(seed)
    for question in QUESTIONS:  # 8 × 125 draws
        said = REWORDER.reword(question, rng)
        assert Counter(NUMBER.findall(question)) <= Counter(NUMBER.findall(said))
        kept = outside_brackets(question)
        assert Counter(ABBREVIATION.findall(kept)) <= Counter(ABBREVIATION.findall(said)), said
        assert [name for name in NAME.findall(kept) if name.lower() not in said.lower()] == []


def test_the_demonstration_has_numbers_abbreviations_and_names():
    text = " ".join(map(outside_brackets, QUESTIONS))
    assert {"0,1", "104", "555", "2000", "1:10"} <= set(NUMBER.findall(text))
    assert {"ESR", "RC", "H-мост", "I2C", "мАч", "мкФ", "УЗО"} <= set(ABBREVIATION.findall(text))
    assert {"Ома", "Шоттки", "Холла", "Шмитта"} <= set(NAME.findall(text))


EXACT = [
    "0,5",
    "NE555",
    "USB-C",
    "12 В",
    "5 мм",
    "-40 °C",
    "1/4",
    "2N3904",
    "кОм",
    "pH",
    "220/12 В",
    "100%",
    "C++",
    "м²",
]
PLAIN = [
    "почему",
    "нагревается",
    "транзистор",
    "аналого-цифровой",
    "и",
    "схеме",
    "«включать»",
    "когда-то,",
    "т.е.",
    "—",
]


@settings(max_examples=200, deadline=None)
@given(
    words=st.lists(st.sampled_from(EXACT + PLAIN), min_size=1, max_size=9),
    end=st.sampled_from(["?", "", ".", "?!"]),
    seed=st.integers(0, 2**32),
)
def test_numbers_units_and_abbreviations_survive_to_the_letter(words, end, seed):
    question = " ".join(words) + end
    said = Reworder([question]).reword(question, random.Random(seed))
    # in the middle of other words, so that "0,5" is not found in "20,5"
    wanted = Counter(word for word in words if word in EXACT)
    found = {word: len(re.findall(rf"(?<!\S){re.escape(word)}(?![^\s?.!])", said)) for word in wanted}
    assert {word: count for word, count in wanted.items() if found[word] < count} == {}, said


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_number_stays_with_its_unit_and_a_formula_in_one_piece(seed):
    question = "Чему равен ток I = U / R при 12 В и 6 Ом?"
    said = Reworder([question]).reword(question, random.Random(seed)).lower()
    assert [part for part in ("i = u / r", "12 в", "6 ом") if part not in said] == []


@settings(max_examples=200, deadline=None)
@given(question=st.text(max_size=40).filter(str.strip) | st.text("аб1? ().,-/_'\n", max_size=12).filter(str.strip))
def test_no_wording_is_ever_empty_and_no_question_is_too_odd(question):
    reworder = Reworder([question])
    for said in wordings(question, 10, reworder=reworder):
        assert said.strip()
        assert any(map(str.isalnum, said)) or not any(map(str.isalnum, question))


@pytest.mark.parametrize(
    "question", ["(LED)", "???", "а_бвгд", "l'eau", "Почему?", "— — что", "x(y)", "О'Нил и д'Артаньян?", "«»", "5"]
)
def test_odd_questions_are_reworded_too(question):
    assert all(said.strip() for said in wordings(question, 200, reworder=Reworder([question])))


def test_the_word_that_tells_a_question_from_the_others_is_never_dropped():
    telling = ["резистор", "транзистор", "диод", "тиристор"]
    reworder = Reworder([f"Что такое — простыми словами — {word}?" for word in telling])
    for word in telling:
        for said in wordings(f"Что такое — простыми словами — {word}?", 200, reworder=reworder):
            assert sum(letter in said.lower() for letter in set(word)) >= len(set(word)) - 2


def test_names_are_known_by_their_capital_and_may_lose_only_that():
    said = [text.lower() for text in wordings("Как читается закон Джоуля — Ленца для Arduino?", 300)]
    assert all("джоуля" in text and "ленца" in text and "arduino" in text for text in said)


@pytest.mark.parametrize(
    "question", ["ЧТО ТАКОЕ ТРАНЗИСТОР И ЗАЧЕМ ОН НУЖЕН?", "How Does A Bipolar Transistor Work Here?"]
)
def test_capitals_everywhere_name_nothing(question):
    said = wordings(question, 200, reworder=Reworder([question]))
    assert len({text.lower() for text in said}) > 60
    assert min(len(text) for text in said) < len(question) * 0.7


def test_small_letters_spare_abbreviations_and_units():
    said = wordings("Чем TVS на 12 В отличается от MOSFET?", 300)
    assert all("TVS" in text and "12 В" in text and "MOSFET" in text for text in said)
    assert "чем TVS на 12 В отличается от MOSFET" in said


# What changes


def test_the_same_state_of_the_generator_gives_the_same_wording():
    one, other = Reworder(QUESTIONS), Reworder(reversed(QUESTIONS))
    for question in QUESTIONS:
        assert wordings(question, 3, 7, one) == wordings(question, 3, 7, other)


@pytest.mark.parametrize(
    "question", ["Что такое резистор?", "Зачем светодиоду нужен последовательный резистор?", *ENGLISH[:2]]
)
def test_a_question_gets_many_wordings(question):
    assert len(set(wordings(question, 60))) >= 30


def test_a_bracketed_synonym_is_sometimes_left_out_and_sometimes_alone():
    said = [text.lower() for text in wordings(OPTOCOUPLER, 400)]
    assert any("оптопара" in text and "изолятор" not in text for text in said)
    assert any("оптоизолятор" in text and "оптопар" not in text for text in said)
    assert any("оптопара (оптоизолятор)" in text for text in said)
    assert "что такое оптопара" in said
    assert "что такое оптоизолятор" in said


def test_a_number_in_brackets_is_no_synonym():
    for question, kept in (("Какой нужен блок (12 В)?", "12 В"), ("Что такое NE555 (таймер)?", "NE555")):
        assert all(kept in text for text in wordings(question, 200))


def test_english_questions_get_english_openings_and_frames():
    reworder = Reworder(ENGLISH)
    said = [text for question in ENGLISH for text in wordings(question, 100, reworder=reworder)]
    assert any(text.startswith(_GREETINGS["en"]) for text in said)
    assert not re.search("[а-яё]", "".join(said + [heldout_wording(q, n) for q in ENGLISH for n in range(6)]).lower())
    assert heldout_wording(ENGLISH[0], 0) == "Could you please explain: what is a resistor?"


@pytest.mark.parametrize(
    "questions",
    [
        ["抵抗器とは何ですか？", "コンデンサの役割は何ですか？"],
        ["Резистор дегеніміз не?", "Диод қалай жұмыс істейді?"],
        ["ما هو المقاوم؟", "ما هو الثنائي؟"],
        ["12 + 5 = ?", "2²"],
    ],
)
def test_a_table_in_another_language_is_reworded_too(questions):
    reworder = Reworder(questions)
    for number, question in enumerate(questions):
        assert all(said.strip() for said in wordings(question, 100, reworder=reworder))
        assert question.lower() in heldout_wording(question, number).lower()


def test_the_language_is_that_of_most_letters():
    assert [language_of(text) for text in ("Что такое LED?", "What is «Ом»?", "", "5")] == ["ru", "en", "en", "en"]


# Held out


def fixed_parts(frame):
    return [part.strip() for part in re.split(r"\{[qQ]\}", frame) if part.strip()]


def test_heldout_frames_are_never_trained():
    parts = [part.lower() for frames in _FRAMES.values() for frame in frames for part in fixed_parts(frame)]
    said = [text.lower() for question in QUESTIONS + ENGLISH for text in wordings(question, 20)]
    assert [(part, text) for text in said for part in parts if part in text] == []


def test_openings_and_asides_of_training_never_occur_in_heldout_frames():
    for language, frames in _FRAMES.items():
        parts = [part.lower() for frame in frames for part in fixed_parts(frame)]
        trained = [*_GREETINGS[language], *_REQUESTS[language], *_CHATTER[language].split()]
        for words in (words.strip(" ,:!.").lower() for words in trained):
            # A single letter («А», "I") frames nothing.
            assert len(words) == 1 or [part for part in parts if re.search(rf"\b{words}\b", part)] == []


@pytest.mark.parametrize("number", range(6))
def test_a_heldout_wording_keeps_the_words_of_the_question(number):
    for question in [*QUESTIONS, *ENGLISH, "Что такое {q} и {}?", "NE555 — это что?", "I2C — что это?"]:
        said = heldout_wording(question, number)
        assert question[1:] in said
        assert question.lower() in said.lower()
        assert said != question
    assert "NE555" in heldout_wording("NE555 — это что?", number)


def test_neighbouring_rows_get_different_frames():
    assert len({heldout_wording("Что такое диод?", number) for number in range(12)}) == 6
