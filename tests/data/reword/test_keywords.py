import random

from znatok.data.reword.keywords import keyword_wording
from znatok.data.reword.material import Material, Word

WORDS = (
    Word(("код",), True),
    Word(("104",), True),
    Word(("нулей", "ноль"), False),
    Word(("пикофарадах", "пикофарад"), False),
    Word(("100 000 пФ",), False),
)
MATERIAL = Material((), (), WORDS, ("что значит",))


def drawn(material, count=300):
    rng = random.Random(0)
    return [keyword_wording(material, rng, (1, 2, 3, 3, 3)) for _ in range(count)]


def test_words_come_in_all_their_forms_with_and_without_a_question_word():
    said = " ".join(drawn(MATERIAL))
    assert all(form in said for word in WORDS for form in word.forms)
    assert any("что значит" in one for one in drawn(MATERIAL))
    assert any("что значит" not in one for one in drawn(MATERIAL))


def test_numbers_of_the_question_are_always_there():
    assert all("104" in one for one in drawn(MATERIAL))


def test_a_row_with_a_single_word_gives_none():
    assert drawn(Material((), (), WORDS[:1], ())) == [None] * 300
    assert drawn(Material((), (), (), ("что",))) == [None] * 300
