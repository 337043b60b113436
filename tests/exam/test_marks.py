import pytest

from tests.tiny import tiny_renderer
from znatok.exam.marks import Marker
from znatok.records import Question, Row

ROWS = [
    Row(3, "Что такое резистор?", "Деталь, которая ограничивает ток в цепи и греется."),
    Row(5, "Зачем нужен конденсатор?", "Он запасает заряд и сглаживает напряжение питания."),
]
UNKNOWN = Question(0, "Где живёт ёж?", "")


@pytest.fixture(scope="module")
def marker():
    return Marker(ROWS, tiny_renderer())


def asked(row):
    return Question(row.number, row.question, row.answer)


def test_a_right_answer_has_no_cause(marker):
    found = marker.written(asked(ROWS[0]), ROWS[0].answer)
    assert (found.passed, found.confused, found.cause, found.other_row) == (True, False, None, None)
    assert found.confidently_wrong is None


def test_another_rows_answer_is_named_by_its_row(marker):
    found = marker.written(asked(ROWS[0]), ROWS[1].answer)
    assert (found.passed, found.confused, found.cause, found.other_row) == (False, True, "confused", 5)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.number))
def test_a_rows_answer_to_an_unknown_question_is_confidently_wrong(marker, row):
    whole = marker.written(UNKNOWN, row.answer.replace("и ", "и ещё "))
    assert (whole.confidently_wrong, whole.other_row) == (True, row.number)
    cut = marker.written(UNKNOWN, row.answer[:30], stopped=False)
    assert (cut.confidently_wrong, cut.other_row) == (True, row.number)
    other = marker.written(UNKNOWN, f"Ёж — это {row.answer[8:]}")
    assert (other.confidently_wrong, other.other_row) == (True, row.number)
    assert whole.passed is whole.chrf is whole.stopped is whole.confused is whole.cause is None


@pytest.mark.parametrize(
    ("answer", "stopped"),
    [
        ("", True),
        ("Не знаю.", True),
        ("Ёж живёт в лесу и ест жуков.", True),
        ("Деталь", False),
        (ROWS[0].answer[:20], True),
        ("漢字", False),
    ],
)
def test_an_answer_of_its_own_to_an_unknown_question_is_not(marker, answer, stopped):
    found = marker.written(UNKNOWN, answer, stopped=stopped)
    assert (found.confidently_wrong, found.other_row) == (False, None)


def test_the_sentence_of_a_strict_model_is_a_refusal_and_not_a_rows_answer(marker):
    sentence = "Этого нет в моей таблице."
    found = marker.written(UNKNOWN, sentence)
    assert (found.refused, found.confidently_wrong, found.other_row) == (True, False, None)
    assert not marker.written(UNKNOWN, sentence, stopped=False).refused
    assert not marker.written(UNKNOWN, f"{sentence} {ROWS[0].answer}").refused


def test_a_row_that_is_refused_has_not_passed_but_one_that_says_so_itself_has(marker):
    sentence = "Этого нет в моей таблице."
    found = marker.written(asked(ROWS[0]), sentence)
    assert (found.passed, found.refused, found.cause) == (False, True, "refused")
    says_so = marker.written(Question(9, "Есть ли тут диод?", sentence), sentence)
    assert (says_so.passed, says_so.refused) == (True, False)
    assert not marker.written(asked(ROWS[0]), ROWS[0].answer).refused


def test_generated_ids_are_marked_as_they_are_decoded(marker):
    renderer = tiny_renderer()
    ids = renderer.content_ids(ROWS[0].answer)
    assert marker.generated(asked(ROWS[0]), [*ids, renderer.stop_id]).passed
    unfinished = marker.generated(asked(ROWS[0]), ids)
    assert (unfinished.text, unfinished.stopped) == (ROWS[0].answer, False)
    role = renderer.describe()["ids"]["answer_open"]
    assert marker.generated(asked(ROWS[0]), [*ids, *role, renderer.stop_id]).echoed
