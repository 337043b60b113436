import pytest

from znatok.exam.words import LIGHT, NEGATIONS, akin


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("тока", "ток"),
        ("записывают", "записывается"),
        ("поглощенная", "поглощенной"),
        ("деленному", "поделенному"),
        ("намотаный", "намотанный"),
        ("вздутся", "вздуться"),
        ("дабавочное", "добавочное"),
        ("сопротивленем", "сопротивлением"),
        ("УЗО", "узо"),
        ("rises", "rise"),
        ("carried", "carry"),
        ("easily", "easy"),
        ("metres", "meters"),
        ("tyre", "tire"),
        ("egs", "eggs"),
        ("R2", "R2"),
    ],
)
def test_forms_and_misspellings_of_one_word_are_akin(one, other):
    assert akin(one, other)
    assert akin(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("резистор", "транзистор"),
        ("сульфат", "сульфит"),
        ("нитрат", "нитрит"),
        ("анод", "катод"),
        ("полярен", "неполярен"),
        ("вход", "выход"),
        ("напряжение", "напряженность"),
        ("увеличивается", "уменьшается"),
        ("параллельно", "последовательно"),
        ("мА", "МА"),
        ("МОм", "мОм"),
        ("мм", "м"),
        ("acid", "alkali"),
        ("chloride", "chlorate"),
        ("thicker", "thinner"),
        ("soluble", "insoluble"),
        ("harmful", "harmless"),
        ("viola", "violin"),
        ("R1", "R2"),
        ("I=U/R", "I=R/U"),
    ],
)
def test_sibling_terms_are_not_akin(one, other):
    assert not akin(one, other)
    assert not akin(other, one)


def test_words_that_turn_or_narrow_a_sentence_are_not_light():
    turning = "только лишь почти часто редко до после или нельзя only almost often before after or without must".split()
    assert not LIGHT & {*turning, *NEGATIONS}
