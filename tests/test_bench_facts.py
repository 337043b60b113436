"""The made-up facts of the bench: as many as asked for, each another, none against another, always the same."""

import csv
import io
import random
import re
from collections import Counter
from itertools import islice

import pytest
from rapidfuzz.distance import OSA
from rapidfuzz.process import cdist

from bench import facts
from bench.facts import LANGUAGES, MOST, Fact
from znatok.data.problems import find_problems
from znatok.data.read import read_table
from znatok.data.reword import language_of

FIELD = re.compile(r"\{(\w+)\}")

languages = pytest.mark.parametrize("language", LANGUAGES)


def some(language: str, count: int = 1_000, seed: int = 0) -> list[Fact]:
    return list(islice(facts.facts(language, seed), count))


def written(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.setattr("sys.argv", ["bench.facts", *words])
    facts.main()
    return capsys.readouterr().out


@languages
def test_all_facts_are_different(language):
    every = list(facts.facts(language))
    assert len(every) == MOST >= 10_000
    assert len({fact.question for fact in every}) == len({fact.answer for fact in every}) == MOST


@languages
def test_a_seed_always_gives_the_same_facts_and_a_longer_table_begins_with_the_shorter(language):
    assert some(language, 300) == some(language, 900)[:300]
    assert some(language, 300) != some(language, 300, seed=1)


@languages
def test_answers_have_60_to_200_characters_and_no_field_is_left_empty(language):
    assert [fact.answer for fact in some(language) if not 60 <= len(fact.answer) <= 200] == []
    assert [fact for fact in some(language) if "{" in fact.question + fact.answer] == []


@languages
def test_sentences_are_in_their_language(language):
    assert {language_of(text) for fact in some(language, 48) for text in (fact.question, fact.answer)} == {language}


@languages
def test_an_answer_can_be_checked_by_the_name_of_its_thing_and_a_value_of_its_own(language):
    names = facts._names(language, random.Random(0))
    for name, one in zip(names, zip(*[iter(some(language))] * 3, strict=False), strict=False):
        assert all(name in fact.question and name in fact.answer for fact in one)
    numbers = Counter(tuple(re.findall(r"\d+", fact.answer)) for fact in some(language))
    assert numbers[()] == 0


@languages
def test_no_two_answers_on_a_thing_say_the_same_value_so_none_can_contradict(language):
    for kind in facts._sentences()[language]["kinds"]:
        said = Counter(field for fact in kind["facts"] for field in set(FIELD.findall(fact["answer"])))
        assert said.pop("name") == len(kind["facts"]) == 3
        assert set(said.values()) == {1}


def test_both_languages_ask_for_the_same_kinds_of_facts_in_the_same_order():
    fields = {
        language: [
            [sorted(FIELD.findall(fact["answer"])) for fact in kind["facts"]]
            for kind in facts._sentences()[language]["kinds"]
        ]
        for language in LANGUAGES
    }
    assert fields["ru"] == fields["en"]
    assert len(fields["ru"]) >= 8


@languages
def test_one_slip_of_a_finger_never_makes_another_name(language):
    names = list(islice(facts._names(language, random.Random(0)), 1_200))
    near = cdist(names, names, scorer=OSA.distance, score_cutoff=1)
    assert (near <= 1).sum() == len(names)  # each is near to itself alone


def test_russian_numbers_want_the_genitive_plural():
    rng = random.Random(0)
    assert {facts._many(rng, 5, 98) % 10 for _ in range(500)} == {0, 5, 6, 7, 8, 9}


@languages
def test_our_own_reader_takes_every_row_without_a_word_of_complaint(language, tmp_path, capsys, monkeypatch):
    (tmp_path / "facts.csv").write_text(written(capsys, monkeypatch, "300", "--lang", language), encoding="utf-8")
    table = read_table(tmp_path / "facts.csv")
    assert [(row.question, row.answer) for row in table.rows] == [
        (fact.question, fact.answer) for fact in some(language, 300)
    ]
    assert table.refused == ()
    problems = [*table.problems, *find_problems(table.rows, "facts.csv")]
    assert {problem.severity for problem in problems} <= {"note"}


def test_what_is_written_is_a_table(capsys, monkeypatch):
    said = written(capsys, monkeypatch, "7", "--lang", "en", "--seed", "3")
    assert said.count("\n") == 8
    lines = list(csv.DictReader(io.StringIO(said)))
    assert [Fact(**line) for line in lines] == some("en", 7, seed=3)


@pytest.mark.parametrize("words", [["0"], [str(MOST + 1)], ["many"], ["10", "--lang", "de"], []])
def test_what_makes_no_sense_is_refused(words, capsys):
    with pytest.raises(SystemExit) as refused:
        facts.parse(words)
    assert refused.value.code == 2
    assert "bench.facts" in capsys.readouterr().err
