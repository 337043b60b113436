"""Russian questions asked in other words: real inflected output, for many kinds of questions and subjects."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.reword.tables import AQUARIUM, COOKING, HISTORY, LAW
from znatok.data.reword.russian import material, stripped

TOOL = "Нужен для дела."


def frames(question, answer="Ответ."):
    return material(question, answer).frames


def told(answer, question="Что это?"):
    return {asked for group in material(question, answer).told for asked in group}


# The question's side

ASKED = [
    # electronics
    ("Что такое резистор?", "определение резистора", "расскажи про резистор.", "что называют резистором"),
    ("Что такое катушка индуктивности (дроссель)?", "определение катушки индуктивности", "дроссель — что это"),
    ("Что называют электрическим током?", "электрический ток — что это", "расскажи об электрическом токе."),
    ("Что понимают под электрическим напряжением?", "определение электрического напряжения"),
    ("Объясни, что такое p-n-переход.", "в чём суть p-n-перехода", "p-n-переход — что это"),
    ("Что такое ШИМ (широтно-импульсная модуляция)?", "определение ШИМ", "определение широтно-импульсной модуляции"),
    ("Для чего нужен подтягивающий резистор?", "назначение подтягивающего резистора"),
    ("Зачем литиевой батарее нужна плата защиты?", "для чего литиевой батарее нужна плата защиты"),
    ("Зачем в импульсном блоке питания нужна оптопара?", "какой толк от оптопары в импульсном блоке питания"),
    (
        "Чем подстроечный резистор отличается от переменного?",
        "в чём разница между подстроечным резистором и переменным",
    ),
    ("Чем шина I2C отличается от SPI?", "шина I2C и SPI: в чём разница", "отличие шины I2C от SPI"),
    ("Чем однополупериодный выпрямитель хуже мостового?", "в чём однополупериодный выпрямитель уступает мостовому"),
    ("Что лучше: твердотельное реле или механическое?", "твердотельное реле или механическое, что выбрать"),
    ("Как работает термопара?", "принцип работы термопары", "расскажи о термопаре: как она работает."),
    ("Почему вздуваются конденсаторы на плате?", "вздуваются конденсаторы на плате. В чём дело?"),
    ("Чему равна постоянная времени RC-цепи?", "как найти постоянную времени RC-цепи"),
    ("По какой формуле считают закон Ома для участка цепи?", "формула закона Ома для участка цепи"),
    ("Что означает код 104 на керамическом конденсаторе?", "как понимать код 104 на керамическом конденсаторе"),
    ("Где применяют H-мост?", "применение H-моста", "в каких случаях нужен H-мост"),
    ("Можно ли заменить предохранитель проволокой?", "хочу заменить предохранитель проволокой. Можно?"),
    # cooking
    ("Что такое сотейник?", "определение сотейника", "что понимают под сотейником"),
    ("Что делать, если суп пересолен?", "суп пересолен. Как быть?", "как поступить, если суп пересолен"),
    ("Как заварить зелёный чай?", "хочу заварить зелёный чай. Как это сделать?", "каким образом заварить зелёный чай"),
    ("Сколько варить яйца вкрутую?", "варить яйца вкрутую: сколько", "примерно сколько варить яйца вкрутую"),
    ("Чем отличается сода от разрыхлителя?", "сравни соду и разрыхлитель.", "чем сода не похожа на разрыхлитель"),
    ("Зачем тесту нужна расстойка?", "зачем тесту расстойка", "расстойка тесту зачем"),
    # history
    ("Кто такой Иван Грозный?", "расскажи про Ивана Грозного.", "что известно об Иване Грозном"),
    ("Что такое опричнина?", "в чём суть опричнины"),
    ("Когда отменили крепостное право?", "отменили крепостное право — когда это"),
    ("Какую роль играл Великий Новгород?", "хочу понять, какую роль играл Великий Новгород."),
    ("Чем вече отличается от боярской думы?", "разница между вечем и боярской думой"),
    # aquarium
    ("Зачем аквариуму нужен фильтр?", "фильтр аквариуму зачем", "чем аквариуму полезен фильтр"),
    ("Как часто менять воду в аквариуме?", "менять воду в аквариуме: как часто"),
    ("Что делать с чёрными водорослями?", "чёрные водоросли: что с этим делать", "куда деть чёрные водоросли"),
    ("Можно ли держать петушка с гуппи?", "допустимо ли держать петушка с гуппи"),
    # law
    ("Что такое доверенность?", "дай определение доверенности.", "слышал про доверенность, а что это такое"),
    ("Нужно ли заверять договор аренды?", "заверять договор аренды обязательно", "зачем заверять договор аренды"),
    ("Что означает исковая давность?", "значение исковой давности", "смысл исковой давности"),
    ("Что будет, если нарушить договор?", "чем кончится, если нарушить договор", "если нарушить договор, что будет"),
    ("Чем отличается договор подряда от трудового договора?", "отличия договора подряда от трудового договора"),
]
ASKED = [(question, expected) for question, *many in ASKED for expected in many]


@pytest.mark.parametrize(("question", "expected"), ASKED)
def test_a_question_is_asked_in_another_frame_with_the_right_forms(question, expected):
    assert expected in frames(question)


def test_there_are_questions_enough():
    assert len({question for question, _ in ASKED}) >= 35


def test_a_thing_that_serves_for_something_is_asked_for_its_purpose_and_another_is_not():
    assert "зачем нужна отвёртка" in frames("Что такое отвёртка?", "Отвёртка служит для винтов.")
    assert "зачем нужна инфляция" not in frames("Что такое инфляция?", "Инфляция — это рост цен.")


def test_without_a_reading_only_the_nominative_is_used():
    said = frames("Что такое Qwx-42?")
    assert "Qwx-42 — что это" in said
    assert "определение Qwx-42" in said  # an abbreviation never changes
    assert not any("нужен" in one for one in said)


def test_a_request_before_the_question_is_no_part_of_it():
    assert stripped("Расскажи, что такое фоторезистор.") == "что такое фоторезистор"
    assert stripped("Скажите, почему гудит блок?") == "почему гудит блок"
    assert stripped("Расскажи про Москву") == "расскажи про Москву"


def test_names_and_abbreviations_keep_their_letters():
    assert stripped("ШИМ — это что?") == "ШИМ — это что"
    assert stripped("Москва — это что?") == "Москва — это что"
    assert stripped("Резистор — это что?") == "резистор — это что"


# The answer's side

TOLD = [
    (
        "Светодиод — это диод, который излучает свет, когда течёт ток. Цвет зависит от материала.",
        ("какой диод излучает свет", "диод, который излучает свет, — как называется", "что излучает свет"),
    ),
    (
        "Геркон — это пара пружинных контактов из магнитного сплава, запаянных в колбу.",
        ("как называется пара пружинных контактов из магнитного сплава",),
    ),
    (
        "Варистор — это резистор, чьё сопротивление резко падает, когда растёт напряжение.",
        ("у какого резистора сопротивление резко падает",),
    ),
    (
        "Термистор — это резистор, сопротивление которого сильно зависит от температуры.",
        ("у какого резистора сопротивление сильно зависит от температуры",),
    ),
    (
        "Транзистор — это прибор, в котором слабый сигнал управляет более сильным током. На нём строят ключи.",
        ("в каком приборе слабый сигнал управляет более сильным током", "на чём строят ключи"),
    ),
    (
        "Сотейник — это глубокая сковорода с прямыми стенками. Он шире кастрюли. Им удобно тушить мясо.",
        ("как называется глубокая сковорода с прямыми стенками", "чем удобно тушить мясо"),
    ),
    (
        "Фильтр убирает из воды грязь и даёт место бактериям, которые едят аммиак.",
        ("что убирает из воды грязь и даёт место бактериям",),
    ),
    (
        "Чёрные водоросли растут от избытка света.",
        ("что растёт от избытка света", "правда, что чёрные водоросли растут от избытка света"),
    ),
    (
        "Губку фильтра промывают в старой аквариумной воде. Её нельзя мыть с мылом.",
        ("верно ли, что губку фильтра промывают в старой аквариумной воде", "что нельзя мыть с мылом"),
    ),
    (
        "Доверенность — это письменное полномочие, которое одно лицо выдаёт другому.",
        ("как называется письменное полномочие, которое одно лицо выдаёт другому",),
    ),
    (
        "Пётр Первый — это русский царь, который основал Санкт-Петербург и создал флот. Он правил с 1682 года.",
        ("какой русский царь основал Санкт-Петербург и создал флот", "кто основал Санкт-Петербург и создал флот"),
    ),
    (
        "Предохранитель нельзя заменять проволокой: загорятся провода.",
        ("что нельзя заменять проволокой",),
    ),
    (
        "Конденсатор — это две обкладки с диэлектриком. Его сопротивление зависит от частоты.",
        ("как называются две обкладки с диэлектриком", "у чего сопротивление зависит от частоты"),
    ),
]


@pytest.mark.parametrize(("answer", "expected"), [(answer, one) for answer, many in TOLD for one in many])
def test_the_answer_is_turned_into_a_question(answer, expected):
    assert expected in told(answer)


def test_orders_and_sentences_that_lean_on_others_are_no_statements():
    said = told("Поставьте деталь помощнее и уменьшите ток. Так она не сгорит. Однако это дорого стоит всем.")
    assert not any(one.startswith(("правда", "верно")) for one in said)


def test_short_answers_are_turned_into_nothing():
    assert told("Париж") == told("42") == told("Да.") == set()


# Words


def test_telling_words_come_in_their_forms_and_numbers_with_their_units():
    words = {word.forms[0]: word for word in material("Сколько варить яйца?", "Яйца варят 9 минут в воде.").words}
    assert "9 минут" in words
    assert words["воде"].forms[1] == "вода"
    assert "варить" in words
    assert words["варить"].is_asked
    assert "варят" not in words  # the same word in another form
    assert "в" not in words


# Anything


@settings(max_examples=60, deadline=None)
@given(
    question=st.text(max_size=40) | st.text("абв ё-—,.?()«»:что как 5A\n", max_size=40),
    answer=st.text(max_size=40) | st.text("абв ё-—,.?()«»:это который 5A\n", max_size=60),
)
def test_any_text_gives_material_and_never_raises(question, answer):
    made = material(question, answer)
    assert all(one.strip() for one in (*made.frames, *sum(made.told, ())))
    assert all(word.forms[0] for word in made.words)


WORDS = st.sampled_from(
    "что такое как работает почему зачем нужен чем отличается от если можно ли резистор воды Москва это который — , в "
    "из нём они его измеряют 12 В NE555 большой (ток) и или не нельзя бы кто где Иван «да» p-n-переход".split()
)


@settings(max_examples=60, deadline=None)
@given(question=st.lists(WORDS, max_size=9).map(" ".join), answer=st.lists(WORDS, max_size=14).map(" ".join))
def test_any_words_in_any_order_give_material(question, answer):
    made = material(question, answer)
    assert all("{" not in one for one in (*made.frames, *sum(made.told, ())))


@pytest.mark.parametrize("rows", [COOKING, HISTORY, AQUARIUM, LAW])
def test_every_row_of_several_subjects_has_material(rows):
    made = [material(row.question, row.answer) for row in rows]
    assert min(len(one.frames) for one in made) >= 8
    assert min(len(one.words) for one in made) >= 4
    # Now and then the first clause of an answer is too short to be asked about.
    assert sum(bool(one.told) for one in made) >= 0.8 * len(made)


@pytest.mark.parametrize(
    ("question", "is_loaded"), [("What is a dog? A cat.", False), ("Что такое пёс? Это зверь.", True)]
)
def test_the_dictionary_is_loaded_for_russian_tables_alone(question, is_loaded):
    program = f"""
import random, sys
from znatok.data.reword import Reworder
from znatok.records import Row
asked, answer = {question!r}.split("? ")
rows = [Row(1, asked + "?", answer), Row(2, "И?" if "ё" in asked else "So what?", "1")]
reworder, rng = Reworder(rows), random.Random(0)
for _ in range(40):
    reworder.reword(0, rng)
print("pymorphy3" in sys.modules, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, encoding="utf-8", check=True)
    assert done.stdout.split() == [str(is_loaded), "False"]
