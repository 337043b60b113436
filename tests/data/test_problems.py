"""What is said about the rows before they are learned. Each test also holds that nothing else is said."""

import csv
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from znatok import messages
from znatok.data.likeness import plain
from znatok.data.problems import find_problems, new_paraphrases, with_problems
from znatok.records import Problem, Row, Table

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def english():
    messages.set_language("en")


def rows_of(*cells):
    return tuple(Row(number, *row) for number, row in enumerate(cells, start=1))


def dataset(name="dataset.csv"):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return rows_of(*list(csv.reader(lines))[1:])


def found(*cells):
    return find_problems(rows_of(*cells), "t.csv")


def kinds(problems):
    return [(problem.kind, problem.severity, problem.row, problem.also) for problem in problems]


FAR = [("Зачем нужен диод?", "Пропускает ток в одну сторону."), ("Как устроен трансформатор?", "Две обмотки.")]


def test_a_sound_table_has_no_problems():
    assert found(*FAR) == ()
    assert find_problems([], "t.csv") == ()


def test_the_demonstration_table_has_only_a_note_on_like_questions():
    problems = find_problems(dataset(), "dataset.csv")
    assert [(problem.kind, problem.severity) for problem in problems] == [("near_duplicate", "note")]
    assert "“Что такое резистор?” and “Что такое транзистор?”" in problems[0].message
    assert "all are learned" in problems[0].message
    assert {problem.severity for problem in find_problems(dataset("dataset_wordings.csv"), "w.csv")} <= {"note"}


def test_a_question_typed_differently_with_another_answer_cannot_be_learned():
    problems = found(*FAR, ("зачем нужен диод", "Светит."), ("как устроен  трансформатор", "Из железа."))
    assert kinds(problems) == [("conflict", "warning", 3, (4,))]
    assert problems[0].message == (
        "t.csv, row 3: asks the same as row 1, only typed differently, and answers differently. Both cannot be "
        "learned: keep the right answer or make the question more precise (also rows 4 and 2)."
    )


def test_what_the_reader_tells_of_questions_equal_to_the_letter_is_not_told_again():
    assert found(*FAR, (FAR[0][0], "Светит.")) == ()
    assert kinds(found(*FAR, (FAR[0][0], "Светит."), ("ЗАЧЕМ НУЖЕН ДИОД?", "Греет."))) == [
        ("conflict", "warning", 4, ())
    ]


def test_a_repetition_but_for_typing_is_named_once_for_all():
    more = [("зачем нужен диод", "пропускает ток в одну сторону"), ("Как устроен трансформатор ?", "Две обмотки!")]
    problems = found(*FAR, *more)
    assert kinds(problems) == [("repetition", "warning", 3, (4,))]
    assert problems[0].message == (
        "t.csv, row 3: repeats row 1 but for capitals, punctuation or spaces. Both are learned; delete one (also rows "
        "4 and 2)."
    )


def test_like_questions_are_named_in_pairs_and_nothing_is_removed():
    rows = rows_of(("Что такое транзистор?", "Прибор."), ("Что такое резистор?", "Деталь."))
    (problem,) = find_problems(rows, "t.csv")
    assert kinds([problem]) == [("near_duplicate", "note", 1, (2,))]
    assert "t.csv, rows 1 and 2: the questions are nearly the same" in problem.message
    table = Table(Path("t.csv"), rows, (), "utf-8", ",", "q", "a")
    assert with_problems(table).rows == rows


def test_strange_letters_are_named_with_their_words():
    problems = found(*FAR, ("Где стоит peзистор?", "В цепи."), ("Что за плата Аrduino?", "Плата, как и cхема."))
    assert kinds(problems) == [("homoglyph_latin", "warning", 3, (4,)), ("homoglyph_cyrillic", "warning", 4, ())]
    assert problems[0].message == (
        "t.csv, row 3: in the word “peзистор” there are Latin letters (p, e) that look like Cyrillic ones, and to the "
        "model it is another word. Type it anew (also row 4, “cхема”)."
    )


def test_hidden_characters_odd_spaces_and_broken_text_are_one_message_a_kind():
    cells = [
        ("Где\u200b это?", "Там."),
        ("Куда\xa0идти?", "Прямо\u200b."),
        ("Р§С‚Рѕ это?", "Шум."),
        ("Кто\xa0тут?", "Я."),
    ]
    problems = found(*cells)
    assert kinds(problems) == [
        ("broken_encoding", "warning", 3, ()),
        ("invisible", "warning", 1, (2,)),
        ("no_break_space", "note", 2, (4,)),
    ]
    assert "“Р§С‚Рѕ”" in problems[0].message
    assert "U+200B" in problems[1].message
    assert problems[1].message.endswith("(also row 2).")


FRUIT = "яблоко груша слива вишня лимон банан киви арбуз дыня персик".split()


def framed(form, paraphrases=()):
    return [(form.format(word), f"Это {word} и только.", paraphrases) for word in FRUIT]


@pytest.mark.parametrize(
    ("form", "frame"),
    [
        ("Что такое {}?", "что такое …"),
        ("Назови цвет плода {} словом", "назови цвет плода … словом"),
        ("Столица {}", "столица …"),
        ("{} по-английски?", "… по английски"),
        ("Как {} зовут?", "как … зовут"),
    ],
)
def test_one_frame_for_all_questions_is_a_note(form, frame):
    problems = [problem for problem in found(*framed(form)) if problem.kind == "one_frame"]
    assert [(problem.severity, problem.row) for problem in problems] == [("note", None)]
    assert f"“{frame}”: 10 of 10" in problems[0].message


def test_no_frame_is_seen_in_few_rows_among_others_or_beside_paraphrases():
    def frames(*cells):
        return [problem for problem in found(*cells) if problem.kind == "one_frame"]

    what = framed("Что такое {}?")
    assert frames(*what[:9]) == []
    assert frames(*what[:7], *framed("Где растёт {} в саду?")[:1], *FAR) == []
    assert frames(*what[:8], *FAR) != []
    assert frames(*framed("Что такое {}?", ("Расскажи об этом плоде.",))) == []
    assert frames(*framed("Что {} значит в старых книгах о садах?")) != []
    assert frames(*[(f"Кто {word} {word[::-1]} {word}а {word}у?", "Я.") for word in FRUIT]) == []


def test_one_answer_for_many_questions_is_a_note():
    cells = [(f"{word.capitalize()} ли это?", "Да." if number % 2 else "нет") for number, word in enumerate(FRUIT)]
    (problem,) = [problem for problem in found(*cells) if problem.kind == "one_answer"]
    assert kinds([problem]) == [("one_answer", "note", 1, (3, 5, 7, 9))]
    assert "“нет”: 5 (rows 1, 3, 5, 7, 9)" in problem.message
    assert problem.message.endswith("(also “Да.”: 5).")
    assert not [problem for problem in found(*FAR, ("Ещё?", FAR[0][1])) if problem.kind == "one_answer"]


def test_a_paraphrase_that_asks_for_another_row_or_says_nothing_new_is_named():
    cells = [
        ("Зачем нужен диод?", "Пропускает ток.", ("Для чего он?", "ЗАЧЕМ НУЖЕН ДИОД")),
        ("Как устроен трансформатор?", "Две обмотки.", ("Для чего он",)),
        ("Чем греет утюг?", "Спиралью.", ("как устроен трансформатор",)),
    ]
    problems = found(*cells)
    assert kinds(problems) == [
        ("paraphrase_conflict", "warning", 2, (3,)),
        ("paraphrase_repeats", "note", 1, ()),
    ]
    assert "row 2: a paraphrase asks the same as row 1" in problems[0].message
    assert "(also rows 3 and 2)" in problems[0].message


def test_faults_in_paraphrases_are_found_too():
    assert kinds(found(*FAR, ("Чем греет утюг?", "Спиралью.", ("Чeм он греет?",)))) == [
        ("homoglyph_latin", "warning", 3, ())
    ]


def test_a_message_names_a_few_rows_and_counts_the_rest():
    cells = [(f"Где\xa0{word}?", f"Тут {word}.") for word in FRUIT]
    (problem,) = [problem for problem in found(*cells) if problem.kind == "no_break_space"]
    assert problem.message.endswith("(also rows 2, 3, 4, 5, 6 and 4 more).")
    assert problem.also == tuple(range(2, 11))


def test_the_gravest_come_first():
    told = Problem(9, "empty_answer", "error", "The answer is empty."), Problem(None, "header", "note", "A header.")
    table = Table(Path("t.csv"), rows_of(*FAR, ("Где\xa0peзистор?", "Тут.")), told[::-1], "utf-8", ",", "q", "a")
    checked = with_problems(table)
    assert [problem.severity for problem in checked.problems] == ["error", "warning", "note", "note"]
    assert with_problems(checked, ()) == checked


@pytest.mark.parametrize("language", ["ru", "en"])
def test_every_message_is_filled_in_both_languages(language):
    messages.set_language(language)
    cells = [
        *framed("Что такое {}?"),
        ("что такое яблоко", "Это яблоко и только."),
        ("что такое груша", "Иное."),
        ("Что такое\xa0каки?", "Да", ("Что такое каки",)),
        ("Где peзистор\u200b?", "Да"),
        ("Где Аrduino?", "Да", ("Что такое дыня?",)),
        ("Р§С‚Рѕ?", "Р§С‚Рѕ"),
    ]
    problems = found(*cells)
    assert len({problem.kind for problem in problems}) == 11
    for problem in problems:
        assert "{" not in problem.message
        assert problem.message.startswith("t.csv")
        assert problem.message.endswith(".")


PARAPHRASES = st.lists(st.sampled_from(["Что?", "что", "Как?", "А как?", "Где", "где?", "Кто это?"]), max_size=6)


@given(PARAPHRASES)
def test_paraphrases_that_say_something_new_are_kept_in_order(paraphrases):
    row = Row(1, "Кто это?", "Я.", tuple(paraphrases))
    fresh = new_paraphrases(row)
    said = [plain(wording) for wording in fresh]
    assert len(set(said)) == len(said)
    assert plain(row.question) not in said
    assert {*said, plain(row.question)} == {plain(wording) for wording in (row.question, *paraphrases)}
    firsts = {plain(wording): wording for wording in reversed(paraphrases) if plain(wording) in said}
    assert sorted(fresh, key=paraphrases.index) == list(fresh)
    assert set(fresh) == set(firsts.values())


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1), st.lists(st.text(min_size=1), max_size=2))))
def test_any_rows_can_be_looked_at(cells):
    rows = rows_of(*[(question, answer, tuple(wordings)) for question, answer, wordings in cells])
    for problem in find_problems(rows, "t.csv"):
        assert problem.row is None or 1 <= problem.row <= len(rows)
        assert problem.row not in problem.also
        assert len(set(problem.also)) == len(problem.also)


def test_ten_thousand_rows_are_checked_in_five_seconds_of_a_processor():
    rng = random.Random(0)
    words = [word for row in dataset() for word in row.question.split()]
    rows = []
    for number in range(1, 10_001):
        asked = " ".join(rng.choices(words, k=rng.randint(3, 20)))
        answer = " ".join(rng.choices(words, k=25))
        rows.append(Row(number, f"Что такое {asked}?" if number % 2 else asked, answer, (asked[::-1],) * (number % 3)))
    started = time.process_time()  # what else runs on the machine does not count
    problems = find_problems(rows, "t.csv")
    assert time.process_time() - started < 5
    assert problems


def test_a_table_too_long_to_compare_says_so(monkeypatch):
    monkeypatch.setattr("znatok.data.problems.MOST_QUESTIONS", 2)
    problems = found(*FAR, ("Что такое диод?", "Деталь."), ("Что такое диоды?", "Детали."))
    assert kinds(problems) == [("not_compared", "note", None, ())]
    assert replace(problems[0], message="").also == ()
