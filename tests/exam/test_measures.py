import time

import pytest

from znatok.exam.measures import CHRF_TO_PASS, References, chrf, echoed, normalised, numbers, passed

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
DIODE = (
    "A diode is a part that lets the current through in one direction only. "
    "A silicon diode drops about 0.7 V and is used in rectifiers."
)


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        (RESISTOR, RESISTOR),
        ("  " + RESISTOR.replace("ё", "е").replace("—", "-").replace(" ток", "\u00a0ток").rstrip(".") + "\n", RESISTOR),
        (RESISTOR.lower(), RESISTOR),
        (RESISTOR.replace("ограничивает ток в цепи", "ограничивает ток"), RESISTOR),
        (RESISTOR.replace("который", "который чаще всего"), RESISTOR),
        (OHM.replace("делённому на", "поделённому на"), OHM),
        (OHM.replace("При 12 В и 6 Ом", "При 12 В и 6 Ом в цепи"), OHM),
        (FUSE, FUSE),
        (FUSE.replace("and so breaks", "which breaks"), FUSE),
        (DIODE.replace("0.7", "0,7"), DIODE),
        (DIODE.replace("about", "roughly"), DIODE),
        ("100 Ом", "100 ом."),
        ("0,5 А", "0.5 А"),
        ("«Да»", '"да"'),
        ("Yes!", "yes"),
    ],
)
def test_an_answer_that_says_the_same_passes(answer, reference):
    assert passed(answer, reference, stopped=True)


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        pytest.param(TRANSISTOR, RESISTOR, id="sibling term"),
        pytest.param("Транзистор", "Резистор", id="sibling word"),
        pytest.param(DIODE, FUSE, id="sibling term in English"),
        pytest.param(RESISTOR[: len(RESISTOR) // 2], RESISTOR, id="cut"),
        pytest.param(FUSE.split(". ")[0], FUSE, id="first sentence alone"),
        pytest.param(f"{RESISTOR} {TRANSISTOR}", RESISTOR, id="run-on into another row"),
        pytest.param(f"{RESISTOR} {RESISTOR}", RESISTOR, id="said twice"),
        pytest.param(f"{FUSE}\nuser\nWhat is a diode?\nassistant\n{DIODE}", FUSE, id="run-on into another turn"),
        pytest.param("Деталь, что мешает току и греется", RESISTOR, id="free paraphrase"),
        pytest.param("It limits the current and turns the energy into heat.", RESISTOR, id="English for Russian"),
        pytest.param("Предохранитель плавится, когда ток велик, и рвёт цепь.", FUSE, id="Russian for English"),
        pytest.param("", RESISTOR, id="empty"),
        pytest.param(" \n", FUSE, id="blank"),
        pytest.param("...", FUSE, id="dots"),
        pytest.param("Не знаю.", RESISTOR, id="declined"),
        pytest.param("5 МОм", "5 мОм", id="mega for milli"),
    ],
)
def test_an_answer_that_says_something_else_fails(answer, reference):
    assert not passed(answer, reference, stopped=True)


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        pytest.param(OHM.replace("2 А", "3 А"), OHM, id="wrong number"),
        pytest.param(FUSE.replace("1150", "1105"), FUSE, id="digits that changed places"),
        pytest.param(DIODE.replace("0.7", "0.07"), DIODE, id="wrong decimal"),
        pytest.param(DIODE.replace("0.7", "7"), DIODE, id="lost decimal point"),
        pytest.param(OHM.replace(" ток равен 2 А", " ток мал"), OHM, id="number left out"),
        pytest.param(OHM.replace("При 12 В и 6 Ом", "При 6 В и 12 Ом"), OHM, id="numbers that changed places"),
        pytest.param(RESISTOR + " Их 7.", RESISTOR, id="number of its own"),
        pytest.param("Вода в этой реке теплее −5 °C всегда", "Вода в этой реке теплее 5 °C всегда", id="wrong sign"),
        pytest.param("Заряд электрона равен 1,6·10⁻⁹ Кл", "Заряд электрона равен 1,6·10⁻¹⁹ Кл", id="wrong power"),
        pytest.param(TRANSISTOR + " Пример: КТ361.", TRANSISTOR + " Пример: КТ315.", id="number in a name"),
    ],
)
def test_a_number_alone_fails_an_answer_that_is_near_letter_by_letter(answer, reference):
    assert chrf(answer, reference) >= CHRF_TO_PASS
    assert not passed(answer, reference, stopped=True)


def test_a_near_answer_passes_only_if_it_stopped_by_itself():
    near = RESISTOR.replace("который", "который чаще всего")
    assert passed(near, RESISTOR, stopped=True)
    assert not passed(near, RESISTOR, stopped=False)


def test_an_empty_reference_is_passed_by_nothing():
    assert not passed("", "", stopped=True)
    assert not passed("...", "", stopped=True)


def test_a_reference_of_marks_alone_is_passed_by_itself():
    assert passed("?!", "?!", stopped=True)
    assert not passed("", "?!", stopped=True)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("При 12 В и 6 Ом ток равен 2 А.", ["12", "6", "2"]),
        ("0,5 или 0.5", ["0.5", "0.5"]),
        ("от −40 до +85 °C", ["-40", "85"]),
        ("5–10 В, 5-10 В, 5 — 10 В", ["5", "10", "5", "10", "5", "10"]),
        ("12.04.1961", ["12.04.1961"]),
        ("10 000 Ом, 10\u00a0000 Ом", ["10000", "10000"]),
        ("в 1945 100 штук", ["1945", "100"]),
        ("10⁻⁶ м², H₂O, КТ315", ["10", "-6", "2", "2", "315"]),
        ("половина, half", []),
        ("1. Снять. 2. Надеть.", ["1", "2"]),
    ],
)
def test_numbers_are_found_and_written_alike(text, found):
    assert numbers(text) == found


def test_chrf_is_sacrebleus_chrf_plus_plus():
    import sacrebleu

    for answer, reference in ((RESISTOR, RESISTOR), (RESISTOR, TRANSISTOR), (FUSE[:40], FUSE), ("", FUSE)):
        assert chrf(answer, reference) == sacrebleu.sentence_chrf(answer, [reference], word_order=2).score
    assert chrf("5", "5") == pytest.approx(100)
    assert chrf("", FUSE) == 0


def test_what_does_not_change_the_meaning_is_normalised_away():
    assert normalised("  «Ёлка» —\n ЗЕЛЁНАЯ?! ") == '"елка" - ЗЕЛЕНАЯ'
    assert normalised("Ток 0,5 А.") == normalised("ток  0.5 а")
    assert normalised("и\u0306") == normalised("й")
    assert normalised("МОм") != normalised("мОм")
    assert normalised("10 мк\u2126") == normalised("10 мк\u03a9")


CHATML_MARKS = ("<|im_start|>", "system", "<|im_end|>", "user", "assistant")
ZEPHYR_MARKS = ("<|user|>", "</s>", "<|assistant|>")
QUESTION = "Что такое резистор?"


@pytest.mark.parametrize(
    ("answer", "marks"),
    [
        (f"{RESISTOR}\nuser\nЧто такое диод?", CHATML_MARKS),
        (f"assistant\n{RESISTOR}", CHATML_MARKS),
        ("<|im_start|>" + RESISTOR, CHATML_MARKS),
        (f"{RESISTOR}\n<|user|>\nЧто такое диод?", ZEPHYR_MARKS),
        (f"Что такое резистор? {RESISTOR}", CHATML_MARKS),
        (f"«что такое резистор» — {RESISTOR}", ZEPHYR_MARKS),
        ("Что такое резистор", ()),
    ],
)
def test_prompt_text_in_an_answer_is_an_echo(answer, marks):
    assert echoed(answer, marks, QUESTION, RESISTOR)


@pytest.mark.parametrize(
    ("answer", "question", "reference"),
    [
        (RESISTOR, QUESTION, RESISTOR),
        ("", QUESTION, RESISTOR),
        ("The user presses it; an assistant helps in the system.", QUESTION, RESISTOR),
        ("Резистор — деталь.", "Резистор", "Элемент с сопротивлением."),
        ("Закон Ома: I = U / R", "Закон Ома", "Ток равен U / R"),
        ("Закон Ома", "Закон Ома", "Ток равен U / R"),
        (
            "Закон Ома для участка цепи — это I = U/R",
            "Закон Ома для участка цепи",
            "Закон Ома для участка цепи: I = U / R",
        ),
        ("Что такое резисторная сборка — неясно", "Что такое резистор?", RESISTOR),
        ("ChatML opens a turn with <|im_start|>", "How does ChatML open a turn?", "It opens a turn with <|im_start|>."),
    ],
)
def test_an_honest_answer_is_no_echo(answer, question, reference):
    assert not echoed(answer, CHATML_MARKS, question, reference)


def test_a_short_question_is_an_echo_with_its_question_mark():
    assert echoed("Зачем диод? Он выпрямляет ток.", (), "Зачем диод?", "Диод выпрямляет ток.")
    assert not echoed("Зачем диод, ясно: он выпрямляет ток.", (), "Зачем диод?", "Диод выпрямляет ток.")


REFERENCES = References([RESISTOR, TRANSISTOR, OHM, FUSE, DIODE])


def test_another_rows_answer_is_confused_and_its_own_is_not():
    assert REFERENCES.confused(TRANSISTOR, RESISTOR)
    assert REFERENCES.confused(TRANSISTOR.replace("обычно", "чаще всего"), RESISTOR)
    assert REFERENCES.confused(DIODE, FUSE)
    assert not REFERENCES.confused(RESISTOR, RESISTOR)
    assert not REFERENCES.confused(RESISTOR[:60], RESISTOR)
    assert not REFERENCES.confused(OHM.replace("2 А", "3 А"), OHM)


def test_an_answer_like_nothing_in_the_table_is_not_confused():
    assert not REFERENCES.confused("", RESISTOR)
    assert not REFERENCES.confused("漢字", RESISTOR)


def test_a_tie_goes_to_the_own_row():
    pair = References(["ток в цепи", "ток в сети"])
    assert not pair.confused("ток в", "ток в цепи")
    assert not pair.confused("ток в", "ток в сети")
    twice = References([FUSE, FUSE.upper(), DIODE])
    assert not twice.confused(FUSE, FUSE)


def test_a_reference_from_outside_the_table_counts_as_its_own_row():
    assert not References([TRANSISTOR]).confused(RESISTOR, RESISTOR)
    assert References([TRANSISTOR]).confused(TRANSISTOR, RESISTOR)


def test_ten_thousand_references_are_searched_in_milliseconds():
    answers = [f"{RESISTOR[: 60 + number % 80]} {number} {TRANSISTOR[number % 60 :]}" for number in range(10_000)]
    references = References(answers)
    start = time.perf_counter()
    for number in range(0, 10_000, 500):
        assert not references.confused(answers[number], answers[number])
    assert (time.perf_counter() - start) / 20 < 0.1
