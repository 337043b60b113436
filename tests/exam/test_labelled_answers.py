"""`passed` against a person: answers marked by hand, in labelled_answers.toml, with the rule of marking at its head."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import sacrebleu

from znatok.exam.measures import chrf, passed


@dataclass(frozen=True, slots=True)
class Marked:
    language: str
    kind: str
    reference: str
    answer: str
    stopped: bool
    right: bool


def marked_answers() -> list[Marked]:
    table = tomllib.loads(Path(__file__).with_name("labelled_answers.toml").read_text(encoding="utf-8"))
    return [
        Marked(language, one["kind"], table["references"][language][one["reference"]], one["answer"], one["stopped"],
               one["right"])
        for language in ("ru", "en")
        for one in table[language]
    ]  # fmt: skip


MARKED = marked_answers()


def kappa(person: list[bool], measure: list[bool]) -> float:
    """Cohen's kappa: how far two markers agree beyond chance; 1 is always, 0 as often as by chance."""
    n = len(person)
    agreed = sum(one == other for one, other in zip(person, measure, strict=True)) / n
    yes, also_yes = sum(person) / n, sum(measure) / n
    by_chance = yes * also_yes + (1 - yes) * (1 - also_yes)
    return (agreed - by_chance) / (1 - by_chance)


def marks_of_the_measure(marked: list[Marked]) -> list[bool]:
    return [passed(one.answer, one.reference, one.stopped) for one in marked]


def agreement(marked: list[Marked]) -> float:
    return kappa([one.right for one in marked], marks_of_the_measure(marked))


def test_kappa_comes_out_as_in_the_textbook():
    # 20 both yes, 5 and 10 apart, 15 both no: 0.70 agreed, 0.50 by chance
    person = [True] * 20 + [True] * 5 + [False] * 10 + [False] * 15
    measure = [True] * 20 + [False] * 5 + [True] * 10 + [False] * 15
    assert kappa(person, measure) == pytest.approx(0.4)
    assert kappa(person, person) == 1


def test_passed_marks_as_a_person_does():
    assert agreement(MARKED) >= 0.9


@pytest.mark.parametrize("language", ["ru", "en"])
def test_passed_marks_as_a_person_does_in_each_language(language):
    assert agreement([one for one in MARKED if one.language == language]) >= 0.85


def test_what_passed_lets_through_is_almost_always_right():
    let_through = [one for one, mark in zip(MARKED, marks_of_the_measure(MARKED), strict=True) if mark]
    assert sum(not one.right for one in let_through) <= len(let_through) // 20


def test_answers_are_marked_in_both_languages_and_none_twice():
    for language in ("ru", "en"):
        marks = [one.right for one in MARKED if one.language == language]
        assert len(marks) >= 45
        assert 0.3 <= sum(marks) / len(marks) <= 0.7
    assert len({(one.reference, one.answer, one.stopped) for one in MARKED}) == len(MARKED)


def test_chrf_of_every_marked_answer_is_sacrebleus():
    for one in MARKED:
        assert (
            chrf(one.answer, one.reference) == sacrebleu.sentence_chrf(one.answer, [one.reference], word_order=2).score
        )
