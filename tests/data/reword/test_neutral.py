from hypothesis import given, settings
from hypothesis import strategies as st

from znatok.data.reword.neutral import material


def test_a_german_row_is_asked_by_its_names_and_by_clauses_of_its_answer():
    made = material("Was ist ein Widerstand (Resistor)?", "Ein Widerstand ist ein Bauteil, das den Strom begrenzt.")
    assert made.frames == ("Was ist ein Widerstand", "Resistor")
    assert made.told[1:] == (("Ein Widerstand ist ein Bauteil",), ("das den Strom begrenzt",))
    assert {"Widerstand", "Strom", "begrenzt"} <= {word.forms[0] for word in made.words}
    assert made.asks == ()


def test_a_text_without_spaces_is_taken_in_clauses_and_pieces():
    made = material("抵抗器とは何ですか？", "抵抗器は電流を制限する部品です。電圧も分けます。")
    assert made.frames == ("抵抗器とは何ですか",)
    assert made.told == (("抵抗器は電流を制限する部品です",), ("電圧も分けます",))
    assert all(1 <= len(word.forms[0]) <= 4 for word in made.words)


@settings(max_examples=60, deadline=None)
@given(question=st.text(max_size=40), answer=st.text(max_size=60))
def test_any_text_gives_material_and_never_raises(question, answer):
    made = material(question, answer)
    assert all(one.strip() for group in made.told for one in group)
    assert all(word.forms[0] for word in made.words)
