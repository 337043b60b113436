"""English questions asked in other words, for many kinds of questions and subjects."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.reword.tables import ENGLISH
from znatok.data.reword.english import material, stripped

ASKED = [
    ("What is a resistor?", "what exactly is a resistor", "resistor, what is that"),
    ("What is an optocoupler (opto-isolator)?", "what is an opto-isolator all about", "optocoupler definition"),
    ("What are enzymes?", "what exactly are enzymes", "I'd like to know what enzymes are."),
    ("What is the boiling point of water?", "what's the boiling point of water", "tell me the boiling point of water."),
    ("What is a mortise gauge used for?", "mortise gauge purpose", "what does a mortise gauge do"),
    ("What does CPU stand for?", "CPU meaning", "I don't know what CPU means."),
    ("How does a compost heap work?", "compost heap working principle", "I don't get how a compost heap works."),
    ("How do magnets work?", "how magnets work", "what happens inside magnets"),
    ("How do I repot an orchid?", "steps to repot an orchid", "I want to repot an orchid. How?"),
    ("What is the best way to store bread?", "how do I store bread", "is there a way to store bread"),
    ("What is the difference between jam and jelly?", "jam vs jelly", "what sets jam apart from jelly"),
    ("How does a crow differ from a raven?", "how do I tell a crow from a raven", "crow vs raven"),
    ("Which is better, coal or gas?", "coal or gas: which is better", "pros and cons of coal and gas"),
    ("What happens if I overwater a cactus?", "suppose I overwater a cactus. What next?"),
    ("What should I do if my bread does not rise?", "my bread does not rise. What should I do?"),
    ("Can I freeze milk?", "is it ok to freeze milk", "I want to freeze milk. Can I?"),
    ("Is it safe to eat raw beans?", "can I eat raw beans", "would it be wrong to eat raw beans"),
    ("Should I prune roses in winter?", "is it necessary to prune roses in winter"),
    ("Do I need to rinse rice?", "should I rinse rice", "rinse rice: necessary or not"),
    ("Why do leaves turn yellow?", "leaves turn yellow: why is that", "for what reason do leaves turn yellow"),
    ("Who was Ada Lovelace?", "tell me about Ada Lovelace.", "I'd like to know who Ada Lovelace was."),
    ("Where is cork used?", "uses of cork", "applications of cork"),
    ("How much salt does a loaf need?", "roughly how much salt does a loaf need"),
    ("When was the telephone invented?", "was the telephone invented: when"),
]
ASKED = [(question, expected) for question, *many in ASKED for expected in many if expected != "a resistor definition"]


@pytest.mark.parametrize(("question", "expected"), ASKED)
def test_a_question_is_asked_in_another_frame(question, expected):
    assert expected in material(question, "An answer.").frames


def test_there_are_questions_enough():
    assert len({question for question, _ in ASKED}) >= 20


TOLD = [
    (
        "A transistor is a semiconductor device that amplifies weak signals. It has three legs and is used in radios.",
        (
            "what do you call a semiconductor device that amplifies weak signals",
            "which semiconductor device amplifies weak signals",
            "what amplifies weak signals",
            "what has three legs and is used in radios",
        ),
    ),
    ("A saw is a tool used to cut wood.", ("which tool is used to cut wood", "what is used to cut wood")),
    ("Enzymes are the proteins that speed up reactions.", ("what are the proteins that speed up reactions called",)),
    (
        "Ada Lovelace was a mathematician who wrote the first program.",
        ("who is a mathematician who wrote the first program", "which mathematician wrote the first program"),
    ),
    ("Milk can be frozen for three months, but shake it.", ("is it true that milk can be frozen for three months",)),
]


@pytest.mark.parametrize(("answer", "expected"), [(answer, one) for answer, many in TOLD for one in many])
def test_the_answer_is_turned_into_a_question(answer, expected):
    assert expected in sum(material("What is this?", answer).told, ())


def test_a_sentence_about_the_topic_asks_for_the_topic():
    said = material("What is a mortise gauge?", "A mortise gauge marks two parallel lines at once.").told[0]
    assert "what marks two parallel lines at once" in said


def test_short_answers_are_turned_into_nothing():
    assert material("What is the capital of France?", "Paris").told == ()
    assert material("How many?", "42").told == ()


def test_a_request_before_the_question_is_no_part_of_it():
    assert stripped("Could you tell me what a dog is?") == "what a dog is"
    assert stripped("NATO stands for what?") == "NATO stands for what"


def test_telling_words_are_without_the_small_ones_and_numbers_keep_their_units():
    words = {word.forms for word in material("How long do eggs boil?", "Eggs boil for 9 minutes in the water.").words}
    assert ("9 minutes",) in words
    assert ("eggs", "egg") in words
    assert ("water", "waters") in words
    assert not any(forms[0] in ("the", "for", "in") for forms in words)


@settings(max_examples=60, deadline=None)
@given(
    question=st.text(max_size=40) | st.text("what is a the how do (),.?—'’ 5A\n", max_size=50),
    answer=st.text(max_size=40) | st.text("It is a that the of which (),.?—'’ 5A\n", max_size=60),
)
def test_any_text_gives_material_and_never_raises(question, answer):
    made = material(question, answer)
    assert all(one.strip() for one in (*made.frames, *sum(made.told, ())))
    assert all(word.forms[0] for word in made.words)


WORDS = st.sampled_from(
    "what is are a the how does work why do I can if difference between and from resistor water it they that which "
    "used for to — , (LED) 12 V NE555 who was vs called mean it's".split()
)


@settings(max_examples=60, deadline=None)
@given(question=st.lists(WORDS, max_size=9).map(" ".join), answer=st.lists(WORDS, max_size=14).map(" ".join))
def test_any_words_in_any_order_give_material(question, answer):
    made = material(question, answer)
    assert all("{" not in one for one in (*made.frames, *sum(made.told, ())))


def test_every_row_has_material():
    for row in ENGLISH:
        made = material(row.question, row.answer)
        assert len(made.frames) >= 8, row.question
        assert len(made.words) >= 3
