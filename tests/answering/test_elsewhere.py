import pytest

from znatok.answering.elsewhere import is_elsewhere
from znatok.data.search import Search
from znatok.records import Row

ROWS = (
    Row(1, "Что такое резистор?", "Резистор — это деталь, она ограничивает ток."),
    Row(2, "Зачем нужен конденсатор?", "Конденсатор запасает заряд."),
)


@pytest.mark.parametrize("question", ["Who wrote Hamlet?", "Где живёт ёж?"])
def test_a_far_question_is_elsewhere_unless_a_row_is_told(question):
    closest = Search(ROWS).best(question)
    assert is_elsewhere(closest, tells_a_row=False)
    assert not is_elsewhere(closest, tells_a_row=True)


def test_a_question_near_to_a_row_never_is():
    closest = Search(ROWS).best("Для чего служит конденсатор?")
    assert not is_elsewhere(closest, tells_a_row=False)
