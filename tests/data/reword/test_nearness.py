from znatok.data.reword.nearness import Nearness, pieces
from znatok.records import Row

ROWS = [
    Row(1, "Что такое транзистор?", "Транзистор усиливает слабый сигнал."),
    Row(2, "Что такое биполярный транзистор?", "Биполярный транзистор имеет базу и коллектор."),
    Row(3, "Что такое диод?", "Диод пропускает ток в одну сторону."),
    Row(4, "Что такое ток?", "Ток — это движение зарядов."),
    Row(5, "Как зовут кошку?", "Мурка."),
    Row(6, "Как назвали кошку?", "Мурка."),
]
NEARNESS = Nearness(ROWS)


def nearest(wording):
    return [row.number for place, row in enumerate(ROWS) if NEARNESS.is_nearest(wording, place)]


def test_a_wording_is_nearest_to_the_row_whose_words_it_has_in_any_form():
    assert nearest("биполярные транзисторы") == [2]
    assert nearest("что усиливает сигналы") == [1]
    assert nearest("пропускает ток в одну сторону") == [3]


def test_a_general_topic_belongs_to_its_own_row_and_not_to_the_narrower_one():
    assert nearest("транзистор") == [1]
    assert nearest("про ток") == [4]


def test_rows_with_one_answer_are_no_rivals():
    assert nearest("как зовут кошку") == [5, 6]


def test_a_wording_with_nothing_of_any_row_is_as_near_to_all_but_told_by_none():
    assert nearest("облако") == [1, 2, 3, 4, 5, 6]
    assert not any(NEARNESS.is_told("облако", place) for place in range(6))
    assert NEARNESS.is_told("база и коллектор", 1)


def test_rare_words_tell_more():
    assert NEARNESS.rarity("коллектор") > NEARNESS.rarity("транзистор") > 0
    assert NEARNESS.rarity("облако") == 0


def test_pieces_are_beginnings_of_words_whole_numbers_and_pairs_where_no_spaces_are():
    assert pieces("Ёлка 12В") == ["елк", "12в"]
    assert pieces("резистор") == ["рез", "резис", "резисто"]
    assert pieces("抵抗器") == ["抵抗", "抗器"]
    assert pieces("") == []
