import pytest

from tests.data.reword.tables import AQUARIUM, ENGLISH, LAW
from znatok.data.reword.language import language_among, language_of, languages_of
from znatok.records import Row


def rows(*pairs):
    return [Row(number, question, answer) for number, (question, answer) in enumerate(pairs, 1)]


def test_the_language_is_that_of_most_letters():
    assert [language_of(text) for text in ("Что такое LED?", "What is «Ом»?", "", "5")] == ["ru", "en", "en", "en"]


def test_russian_and_english_tables_are_known_as_such():
    assert languages_of(AQUARIUM) == languages_of(LAW) == {"ru"}
    assert languages_of(ENGLISH) == {"en"}
    assert languages_of([*AQUARIUM, *ENGLISH]) == {"ru", "en"}
    assert languages_of(rows(("Столица Франции?", "Париж"), ("Столица Венгрии?", "Будапешт, был Пешт"))) == {"ru"}


@pytest.mark.parametrize(
    "table",
    [
        rows(("Резистор дегеніміз не?", "Резистор — токты шектейтін бөлшек.")),
        rows(("Що таке резистор?", "Резистор — це деталь, яка обмежує струм у колі.")),
        rows(("Какво е резистор?", "Резисторът е елемент, който ограничава тока във веригата.")),
        rows(("Шта је отпорник?", "Отпорник је део који ограничава струју.")),
        rows(("Was ist ein Widerstand?", "Ein Widerstand ist ein Bauteil, das den Strom begrenzt.")),
        rows(("Wat is een weerstand?", "Een weerstand is een onderdeel dat de stroom in een keten beperkt.")),
        rows(("¿Qué es una resistencia?", "Una resistencia limita la corriente.")),
        rows(("Apa itu resistor?", "Resistor adalah komponen yang membatasi arus.")),
        rows(("抵抗器とは何ですか？", "抵抗器は電流を制限する部品です。")),
        rows(("12 + 5 = ?", "17")),
        [],
    ],
)
def test_other_languages_in_the_same_letters_are_neither(table):
    assert languages_of(table) == frozenset()


def test_a_question_in_a_language_that_the_table_does_not_speak_is_other():
    assert language_among("Что это?", frozenset({"ru"})) == "ru"
    assert language_among("What is it?", frozenset({"ru"})) == "other"
    assert language_among("Що таке?", frozenset()) == "other"
    assert language_among("What is it?", frozenset({"ru", "en"})) == "en"
