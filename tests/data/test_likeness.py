"""The same question typed differently, and questions that are nearly the same."""

import random
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz import fuzz

from znatok.data.likeness import ALIKE, SHORT, nearly_alike, plain


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Что такое резистор?", "что такое резистор"),
        ("ЧТО ТАКОЕ РЕЗИСТОР?", "Что  такое\xa0резистор ?!"),
        ("Ещё ёлка", "еще елка"),
        ("«Ток» — это…", "ток - это"),
        ("2,5 В", "2.5 В"),
        ("I=U/R", "I = U / R"),
        ("аналого-цифровой", "аналого цифровой"),
        ("ре\xadзи\u200bстор", "резистор"),
        ("и\u0306", "й"),
    ],
)
def test_what_only_typing_makes_different_is_the_same(one, other):
    assert plain(one) == plain(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Что такое C?", "Что такое C++?"),
        ("Что такое C#?", "Что такое C++?"),
        ("1 МОм", "1 мОм"),
        ("МВт", "мВт"),
        ("5 %", "5"),
        ("-5 °C", "5 °C"),
        ("10²", "102"),
        ("a < b", "a > b"),
        ("2,5", "25"),
        ("?", "!"),
    ],
)
def test_what_means_something_else_stays_different(one, other):
    assert plain(one) != plain(other)


@given(st.text("абвёЁМОмpHC 12+-−–—#%=.,!?«»(…)\xad", max_size=20))
def test_plain_text_stays_as_it_is(text):
    assert plain(plain(text)) == plain(text)


@given(st.text(max_size=40))
def test_only_an_empty_text_becomes_empty(text):
    assert bool(plain(text)) == bool(text.strip())


def test_different_facts_may_be_nearly_alike():
    questions = ["что такое транзистор", "что такое резистор", "зачем нужен диод"]
    likeness = nearly_alike(questions, 5)
    assert (likeness.count, likeness.closest, likeness.members) == (1, ((0, 1),), (0, 1))


def test_questions_with_different_numbers_are_different():
    assert nearly_alike([f"что такое деталь номер {number}" for number in range(300)], 5).count == 0


def test_the_closest_come_first_and_all_are_counted():
    questions = ["как проверить диод мультиметром", "как проверить диоды мультиметром", "как проверить диод омметром"]
    likeness = nearly_alike(questions, 1)
    assert likeness.closest == ((0, 1),)
    assert likeness.count >= 1


def test_long_questions_are_compared_word_by_word_and_with_shorter_ones():
    words = "почему при включении старого лампового усилителя в первые секунды слышен громкий гул в колонках".split()
    likeness = nearly_alike([" ".join(words), " ".join([*words[:-1], "динамиках"]), "почему гул"], 5)
    assert likeness.closest == ((0, 1),)
    short, long = "а" * 30 + " " + "б" * 20, "а" * 30 + " " + "б" * 20 + " в" * 8
    assert len(short) < SHORT < len(long)
    assert nearly_alike([short, long], 5).count == 0
    pair = [" ".join("абвгдежзийкл" * 2 + "мн"), " ".join("абвгдежзийкл" * 2 + "мнопрстуфх")]
    assert len(pair[0]) <= SHORT < len(pair[1])
    assert nearly_alike(pair, 5).closest == ((0, 1),)


def brute(questions):
    return {(i, j) for (i, one), (j, other) in combinations(enumerate(questions), 2) if fuzz.ratio(one, other) >= ALIKE}


@pytest.mark.parametrize("letters", ["абвг ", "".join(map(chr, range(0x4E00, 0x4E00 + 400)))])
def test_blocks_find_what_comparing_each_with_each_finds(letters):
    rng = random.Random(0)
    seeds = ["".join(rng.choices(letters, k=rng.randint(8, 40))) for _ in range(120)]
    places = [(text, rng.randrange(len(text))) for text in seeds * 3]
    changed = [text[:at] + rng.choice(letters) + text[at + 1 :] for text, at in places]
    questions = list(dict.fromkeys(text for text in seeds + changed if text.strip()))
    assert len(questions) > 300
    expected = brute(questions)
    likeness = nearly_alike(questions, 1000)
    assert set(likeness.closest) == expected
    assert likeness.count == len(expected) > 100
    assert set(likeness.members) == {place for pair in expected for place in pair}


@given(st.lists(st.text("абв ", min_size=1, max_size=80).filter(str.strip), unique=True, max_size=8))
def test_any_questions_can_be_compared(questions):
    likeness = nearly_alike(questions, 3)
    assert len(likeness.closest) == min(3, likeness.count)
    assert all(one < other for one, other in likeness.closest)
