"""The questions that no row answers: shipped far ones, and near ones beside dataset.csv."""

import csv
from importlib.resources import files
from pathlib import Path

import pytest

from znatok.exam.measures import chrf, normalised

ROOT = Path(__file__).parent.parent.parent
CYRILLIC = set("абвгдеёжзийклмнопрстуфхцчшщъыьэюя")


def far(language: str) -> list[str]:
    """Read as the installed package reads them."""
    text = files("znatok.exam").joinpath("questions", f"unknown_far.{language}.txt").read_text(encoding="utf-8")
    return text.splitlines()


def column(name: str, column: str = "question") -> list[str]:
    with (ROOT / name).open(encoding="utf-8", newline="") as file:
        return [row[column] for row in csv.DictReader(file)]


NEAR = column("dataset_unknown_near.csv")
TAUGHT = column("dataset.csv") + column("dataset_wordings.csv")


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_package_ships_far_questions_in_both_languages(language):
    questions = far(language)
    assert len(questions) >= 70
    assert all(question.strip() == question != "" for question in questions)
    assert len({normalised(question) for question in questions}) == len(questions)
    assert all(bool(CYRILLIC & set(question.lower())) == (language == "ru") for question in questions)


def test_far_and_near_questions_do_not_ask_what_is_taught():
    asked = {normalised(question) for question in TAUGHT}
    assert not asked & {normalised(question) for question in [*far("ru"), *far("en"), *NEAR]}


def test_near_questions_are_many_and_each_is_there_once():
    assert len(NEAR) >= 70
    assert all(question.strip() == question != "" for question in NEAR)
    assert len({normalised(question) for question in NEAR}) == len(NEAR)


def test_near_questions_are_worded_like_the_table_and_far_ones_are_not():
    def likeness(question: str) -> float:
        return max(chrf(question, row) for row in column("dataset.csv"))

    near = sorted(map(likeness, NEAR[::4]))
    away = sorted(map(likeness, far("ru")[::4]))
    assert near[len(near) // 2] > 1.5 * away[len(away) // 2]
