"""The two tables beside dataset.csv on which the recipe is measured: beekeeping in English, the aquarium in Russian.

They are only worth something while they are what they say they are: facts of their own, asked for in other words.
"""

import csv
import random
import re
from functools import cache
from pathlib import Path

import pytest

from znatok.data.problems import find_problems
from znatok.data.read import read_table
from znatok.data.reword import Reworder, heldout_wording, language_of
from znatok.exam.measures import chrf, normalised, numbers, overlap
from znatok.exam.question_file import read_questions
from znatok.exam.sets import unknown_near_file

HOBBIES = Path(__file__).parent / "hobbies"
LANGUAGES = {"beekeeping": "en", "aquarium": "ru"}
FUNCTION_WORDS = frozenset(
    """
    what which when where how why does should them they with from that this have into long many much often
    какой какая какое какие сколько можно почему когда если делать чего нужно нужен нужна всех того
""".split()
)
KINDS_OF_QUESTIONS = ("почему", "как", "сколько", "можно ли", "что делать", "зачем", "кто", "чего", "что", "при")

tables = pytest.mark.parametrize("name", LANGUAGES)


def lines(file: str) -> list[dict[str, str]]:
    with (HOBBIES / file).open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


@cache
def rows(name: str) -> list[tuple[str, str]]:
    return [(line["question"], line["answer"]) for line in lines(f"{name}.csv")]


@cache
def wordings(name: str) -> list[tuple[str, str]]:
    return [(line["question"], line["answer"]) for line in lines(f"{name}_wordings.csv")]


@cache
def near(name: str) -> list[str]:
    return [line["question"] for line in lines(f"{name}_unknown_near.csv")]


def stems(text: str) -> set[str]:
    """The beginnings of the words that carry something."""
    words = re.findall(r"[^\W_]+", text.lower())
    return {word[:5] for word in words if (len(word) > 3 or word.isdigit()) and word not in FUNCTION_WORDS}


# ---- the files -------------------------------------------------------------------------------------------------------


@tables
def test_the_files_are_written_as_dataset_csv_is(name):
    for file, header in (("", "question,answer"), ("_wordings", "question,answer"), ("_unknown_near", "question")):
        content = (HOBBIES / f"{name}{file}.csv").read_bytes()
        assert content.startswith(f"{header}\n".encode())
        assert content.endswith(b"\n")
        assert b"\r" not in content


@tables
def test_cells_are_one_line_of_plain_text_in_the_language_of_the_table(name):
    cells = [cell for pair in rows(name) + wordings(name) for cell in pair] + near(name)
    assert [cell for cell in cells if not cell or cell != " ".join(cell.split())] == []
    whole = [cell for pair in rows(name) for cell in pair] + near(name)
    assert [cell for cell in whole if language_of(cell) != LANGUAGES[name]] == []


@tables
def test_our_own_reader_takes_every_row_and_finds_nothing_graver_than_a_note(name):
    table = read_table(HOBBIES / f"{name}.csv")
    assert [(row.question, row.answer) for row in table.rows] == rows(name)
    assert table.refused == ()
    problems = [*table.problems, *find_problems(table.rows, table.path.name)]
    assert {problem.severity for problem in problems} <= {"note"}


@tables
def test_the_questions_that_no_row_answers_are_found_beside_the_table(name):
    assert list(read_questions(unknown_near_file(HOBBIES / f"{name}.csv"))) == near(name)


# ---- the rows --------------------------------------------------------------------------------------------------------


@tables
def test_the_rows_are_many_and_each_question_and_answer_is_there_once(name):
    assert len(rows(name)) >= 48
    for cells in zip(*rows(name), strict=True):
        assert len({normalised(cell) for cell in cells}) == len(cells)


@tables
def test_an_answer_has_100_to_280_characters_and_no_question_is_long(name):
    assert [answer for _, answer in rows(name) if not 100 <= len(answer) <= 280] == []
    assert [question for question, _ in rows(name) if not 15 <= len(question) <= 80] == []


@tables
def test_an_answer_names_its_subject_itself(name):
    opening = r"(It|They|This|That|Its|He|She|Because|Yes|No|Он|Она|Оно|Они|Это|Его|Её|Их|Да|Нет|Потому)\b"
    assert [answer for _, answer in rows(name) if re.match(opening, answer)] == []
    bare = [(question, answer) for question, answer in rows(name) if not stems(question) & stems(answer)]
    assert bare == []


@tables
def test_no_answer_would_pass_for_another(name):
    answers = [answer for _, answer in rows(name)]
    pairs = [
        (one, other) for place, one in enumerate(answers) for other in answers[:place] if overlap(one, other) > 0.3
    ]
    assert [pair for pair in pairs if chrf(*pair) >= 60] == []


@tables
def test_numbers_tell_most_of_the_rows_apart(name):
    said = [tuple(sorted(numbers(answer))) for _, answer in rows(name)]
    with_numbers = [one for one in said if one]
    assert len(with_numbers) >= 0.6 * len(said)
    assert len(set(with_numbers)) >= 0.75 * len(with_numbers)


def test_the_aquarium_is_asked_about_in_another_way_than_electronics():
    questions = [question.lower() for question, _ in rows("aquarium")]
    asked = {
        kind: sum(re.match(rf"{kind}\b", question) is not None for question in questions) for kind in KINDS_OF_QUESTIONS
    }
    assert min(asked[kind] for kind in ("почему", "как", "сколько", "можно ли", "что делать")) >= 5
    assert sum(question.startswith(("что такое", "что называют")) for question in questions) == 0


# ---- the wordings ----------------------------------------------------------------------------------------------------


@tables
def test_every_row_has_two_wordings_in_the_order_of_the_table_each_with_its_answer(name):
    assert [answer for _, answer in wordings(name)] == [answer for _, answer in rows(name) for _ in range(2)]


@tables
def test_a_wording_is_short_and_nothing_is_asked_twice(name):
    said = [wording for wording, _ in wordings(name)]
    assert [wording for wording in said if not 12 <= len(wording) <= 110] == []
    asked = [*said, *(question for question, _ in rows(name)), *near(name)]
    assert len({normalised(question) for question in asked}) == len(asked)


@tables
def test_wordings_have_other_words_than_the_question(name):
    shares = []
    for (wording, _), (question, _) in zip(wordings(name), [row for row in rows(name) for _ in range(2)], strict=True):
        own = stems(wording)
        shares.append((len(own & stems(question)) / len(own) if own else 0.0, wording))
    assert [wording for share, wording in shares if share > 0.5] == []
    assert sum(share for share, _ in shares) / len(shares) <= 0.2


@tables
def test_wordings_are_no_frames_around_the_question(name):
    for (wording, _), (question, _) in zip(wordings(name), [row for row in rows(name) for _ in range(2)], strict=True):
        assert question.rstrip("?.").lower() not in wording.lower()


@tables
def test_no_wording_is_one_that_training_or_the_held_out_frames_make(name):
    said = {normalised(wording) for wording, _ in wordings(name)}
    questions = [question for question, _ in rows(name)]
    reworder, rng = Reworder(read_table(HOBBIES / f"{name}.csv").rows), random.Random(0)
    made = {normalised(reworder.reword(place, rng)) for place in range(len(questions)) for _ in range(60)}
    framed = {normalised(heldout_wording(question, number)) for question in questions for number in range(12)}
    assert not said & (made | framed)


@tables
def test_no_wording_uses_the_words_of_a_held_out_frame(name):
    language = LANGUAGES[name]
    frames = {heldout_wording("Ы?" if language == "ru" else "Zq?", number).lower() for number in range(12)}
    parts = {part.strip() for frame in frames for part in re.split(r"ы\?|zq\?", frame)} - {""}
    assert len(parts) >= 6
    assert [(part, wording) for wording, _ in wordings(name) for part in parts if part in wording.lower()] == []


# ---- what no row answers ---------------------------------------------------------------------------------------------


@tables
def test_the_unknown_questions_are_many_and_near(name):
    assert len(near(name)) >= 40
    likeness = sorted(max(chrf(question, asked) for asked, _ in rows(name)) for question in near(name)[::6])
    assert likeness[len(likeness) // 2] > 25
    assert likeness[-1] < 95
