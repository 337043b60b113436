"""Letters of another alphabet, invisible characters, broken encodings: found, and nothing else called so."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from znatok.data.characters import broken, candidates, has_no_break_space, hidden, known_stems, mixed

ROOT = Path(__file__).parent.parent.parent
CELLS = [
    cell
    for name in ("dataset.csv", "dataset_wordings.csv")
    for record in csv.reader((ROOT / name).read_text(encoding="utf-8").splitlines())
    for cell in record
]
RUSSIAN = st.text("абвгдеёжзийклмнопрстуфхцчшщъыьэюяАБВГДЕ «»—…№.,!?1234567890", max_size=80)


def strange(text, beside=()):
    known = known_stems([text, *beside])
    return [(found.word, found.letters, found.script) for word in candidates(text) if (found := mixed(word, known))]


@pytest.mark.parametrize(
    ("text", "word", "letters", "script"),
    [
        ("Что такое peзистор?", "peзистор", "p, e", "latin"),
        ("Cопротивление цепи", "Cопротивление", "C", "latin"),
        ("Сколько будет мA?", "мA", "A", "latin"),
        ("5 Bт и 3 кBт", "кBт", "B", "latin"),
        ("Плата Аrduino", "Аrduino", "А", "cyrillic"),
        ("a resistоr", "resistоr", "о", "cyrillic"),
        ("Мiкроскоп", "Мiкроскоп", "i", "latin"),
        ("СЕНTЯБРЬ", "СЕНTЯБРЬ", "T", "latin"),
    ],
)
def test_a_letter_of_the_other_alphabet_is_named_with_its_word(text, word, letters, script):
    assert (word, letters, script) in strange(text)


@pytest.mark.parametrize(
    "text",
    [
        "КТ315, КТ315Б, KT315B и КТ315A",
        "МОм, кОм, pH, мВт, MHz, мкФ, µF, °C, ΔUвых",
        "R = (Uпит - Uд) / I, где Uвых = Uвх · R2 / (R1 + R2)",
        "Cвх, Pмакс, Eпит, Kу, Tпл, xср, h21э, Hмакс, Xс",
        "IGBT-транзистор, H-мост, USB-кабель, Wi-Fi, RC-цепь",
        "по USBу, на Arduinoе, SMSка, PDFа, в Facebookе",
        "I2C и SPI, NE555, 2N3904, R1Ом",
        "Привет, world! COM-порт и диск C: на земле",
        "ελληνικά и русский, 日本語 и English",
    ],
)
def test_formulas_units_part_numbers_and_foreign_names_are_no_mistakes(text):
    assert strange(text) == []


def test_our_own_tables_are_clean():
    known = known_stems(CELLS)
    for cell in CELLS:
        assert [word for word in candidates(cell) if mixed(word, known)] == []
        assert hidden(cell) == []
        assert broken(cell) is None
        assert not has_no_break_space(cell)


def test_a_short_word_is_known_by_the_same_word_elsewhere():
    assert strange("Tок в цепи") == []
    assert strange("Tок в цепи", ["Чему равен ток?"]) == [("Tок", "T", "latin")]
    assert strange("Cтолы стоят", ["На столе"]) == [("Cтолы", "C", "latin")]
    assert strange("Arduinо", ["Arduino Uno"]) == [("Arduinо", "о", "cyrillic")]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("ре\u200bзистор", ["U+200B"]),
        ("ре\xadзистор", ["U+00AD"]),
        ("\ufeffЧто это?", ["U+FEFF"]),
        ("звонок\x07", ["U+0007"]),
        ("a\u202eb\u2066c\u202e", ["U+202E", "U+2066"]),
        ("два\u200dслова", ["U+200D"]),
        ("две строки\nи\tтабуляция\r\n", []),
        ("семья 👨\u200d👩\u200d👧 и می\u200cخواهم", []),
        ("обычный текст", []),
    ],
)
def test_control_and_invisible_characters_are_named_by_their_codes(text, codes):
    assert hidden(text) == codes


@pytest.mark.parametrize(("text", "has"), [("5\xa0В", True), ("1\u202f000", True), ("5 В", False), ("a\nb", False)])
def test_spaces_that_do_not_break_are_seen(text, has):
    assert has_no_break_space(text) is has


@pytest.mark.parametrize("encoding", ["cp1251", "cp1252", "latin-1"])
@pytest.mark.parametrize("text", ["Что такое резистор?", "диод", "Напряжение — 5 В", "«да»"])
def test_utf8_read_as_something_else_is_seen(text, encoding):
    damaged = text.encode("utf-8").decode(encoding, "ignore" if encoding == "latin-1" else "replace")
    assert broken(damaged)


@pytest.mark.parametrize("text", ["It’s", "50 °C", "café", "ёлка — 5 €"])
def test_signs_read_in_a_wrong_encoding_are_seen(text):
    assert broken(text.encode("utf-8").decode("cp1252"))


@pytest.mark.parametrize("text", ["??? ????? ????????", "Что\ufffdэто", "Р§С‚Рѕ", "Ð§Ñ‚Ð¾"])
def test_lost_letters_are_seen(text):
    assert broken(text)


@pytest.mark.parametrize(
    "text",
    [
        "СССР и РСФСР; РОССИЯ, С. и Р., от А до С…",
        "Правда?? Точно???",
        "À la carte, São Paulo, ÂNGELA, crème brûlée, Ñandú, Ðð",
        "АБВГДЕЁ «ёлки» № 5 — ±3°, „так“ и ‘так’",
    ],
)
def test_sound_text_is_not_called_broken(text):
    assert broken(text) is None


@given(RUSSIAN)
def test_russian_text_is_neither_broken_nor_strange(text):
    assert broken(text) is None or "?? ??" in text
    assert hidden(text) == []
    assert strange(text) == []


@given(st.text(max_size=60))
def test_any_text_can_be_looked_at(text):
    for word in candidates(text):
        mixed(word, known_stems([text]))
    hidden(text)
    broken(text)
    has_no_break_space(text)
