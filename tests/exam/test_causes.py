import pytest

from znatok.exam.causes import cause_of
from znatok.exam.measures import References

RESISTOR = (
    "Резистор — это элемент с заданным электрическим сопротивлением, который ограничивает ток в цепи "
    "или делит напряжение. Поглощённая им энергия уходит в тепло."
)
TRANSISTOR = (
    "Транзистор — это полупроводниковый прибор, обычно с тремя выводами, в котором слабый сигнал управляет "
    "более сильным током. На нём строят усилители, ключи и логику."
)
OHM = (
    "Закон Ома для участка цепи записывают как I = U / R: ток в амперах равен напряжению в вольтах, делённому "
    "на сопротивление в омах. При 12 В и 6 Ом ток равен 2 А."
)
FUSE = (
    "A fuse is a thin wire that melts when the current grows beyond its rating, and so breaks the circuit. "
    "A 5 A fuse in a 230 V line carries up to 1150 W."
)
REFERENCES = References([RESISTOR, TRANSISTOR, OHM, FUSE, "Ток равен 2 А."])


def cause(answer, reference, stopped=True, is_echo=False):
    return cause_of(answer, reference, stopped=stopped, is_echo=is_echo, other=REFERENCES.other(answer, reference))


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("", RESISTOR, "empty"),
        (" ...\n", RESISTOR, "empty"),
        ("That is not in my table.", FUSE, "refused"),
        (f"{RESISTOR} {TRANSISTOR}", RESISTOR, "ran_on"),
        (f"{RESISTOR} {RESISTOR}", RESISTOR, "ran_on"),
        (f"{FUSE} And so on, and so on, and on and on.", FUSE, "ran_on"),
        (RESISTOR.replace("заданным", "данным") + " " + TRANSISTOR, RESISTOR, "ran_on"),
        (RESISTOR[: len(RESISTOR) // 2], RESISTOR, "cut"),
        (FUSE.split(". ")[0] + ".", FUSE, "cut"),
        ("Резистор", RESISTOR, "cut"),
        (TRANSISTOR, RESISTOR, "confused"),
        (TRANSISTOR.replace("обычно", "чаще всего"), RESISTOR, "confused"),
        (TRANSISTOR[:90], RESISTOR, "confused"),
        (OHM.replace("2 А", "3 А"), OHM, "wrong_number"),
        (FUSE.replace("1150 W", "1105 W"), FUSE, "wrong_number"),
        ("Ток равен 3 А.", "Ток равен 2 А.", "wrong_number"),
        (OHM.replace("При 12 В и 6 Ом", "При 6 В и 12 Ом"), OHM, "wrong_number"),
        (OHM.replace("равен 2 А", "равен два В"), OHM, "partly"),
        (RESISTOR.split(". ")[1], RESISTOR, "partly"),
        ("Предохранитель плавится, когда ток велик.", FUSE, "unrelated"),
        ("The capital of France is Paris.", RESISTOR, "unrelated"),
    ],
)
def test_the_cause_is_the_one_that_a_person_would_name(answer, reference, expected):
    assert cause(answer, reference) == expected


def test_an_echo_is_named_before_all_else_but_silence():
    assert cause(f"{RESISTOR}\nuser\nЧто такое диод?", RESISTOR, is_echo=True) == "echoed"
    assert cause("", RESISTOR, is_echo=True) == "empty"


def test_a_right_text_that_never_stopped_ran_on():
    assert cause(RESISTOR.replace("который", "который чаще всего"), RESISTOR, stopped=False) == "ran_on"


def test_a_word_that_goes_on_is_not_the_reference_with_more_behind_it():
    assert cause("Далеко за морем", "Да") != "ran_on"
    assert cause("Да, но не всегда", "Да") == "ran_on"


def test_a_reference_without_letters_has_no_near_answers():
    assert cause("Нет", "?!") == "unrelated"


def test_an_answer_that_is_hardly_like_another_row_is_not_confused_with_it():
    stray = "Ток течёт по проводу, а провод греется."
    assert REFERENCES.confused(stray, FUSE)
    assert cause(stray, FUSE) == "unrelated"
