"""Wordings for a whole table: right, new, its own, the same from the same seed, and quick."""

import random
import time
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.reword.tables import AQUARIUM, DATASET, ENGLISH, OTHER, TABLES, reworder
from znatok.data.likeness import plain
from znatok.data.reword import Reworder
from znatok.data.reword.exact import numbers
from znatok.data.search import Search
from znatok.records import Row
from znatok.settings import REWORDING_FAMILIES


def wordings(rows, draws, mix=REWORDING_FAMILIES, seed=0):
    """(place, wording), `draws` for each row."""
    name = next((name for name, table in TABLES.items() if table is rows), None)
    made, rng = reworder(name, mix) if name else Reworder(rows, mix), random.Random(seed)
    return [(place, made.reword(place, rng)) for _ in range(draws) for place in range(len(rows))]


@pytest.mark.parametrize("rows", TABLES.values(), ids=TABLES)
def test_no_wording_is_another_rows_question_nor_empty(rows):
    owner = {plain(row.question): place for place, row in enumerate(rows)}
    for place, said in wordings(rows, 8):
        assert said.strip()
        assert owner.get(plain(said), place) == place


@pytest.mark.parametrize("rows", [*TABLES.values()][:-1], ids=[*TABLES][:-1])
def test_plain_search_finds_the_row_of_nearly_every_wording(rows):
    """Measured in the exam's own way, which is not the one that rejects: the two differ a little."""
    search = Search(rows)
    said = wordings(rows, 4, ("frames", "answer", "keywords"))
    right = sum(bool(found := search.best(text, count=1)) and found[0].row is rows[place] for place, text in said)
    assert right / len(said) > 0.93


@pytest.mark.parametrize("rows", TABLES.values(), ids=TABLES)
def test_most_wordings_are_new_and_each_row_has_many(rows):
    said = wordings(rows, 30)
    assert sum(text == rows[place].question for place, text in said) / len(said) < 0.05
    distinct = Counter(place for place, _ in set(said))
    assert min(distinct.values()) >= (8 if rows is OTHER else 20)


def test_numbers_of_the_question_stay_unless_the_answer_is_asked_from():
    asked = [row for row in DATASET if numbers(row.question)]
    for place, said in wordings(asked, 40, ("frames", "keywords", "noise")):
        assert Counter(numbers(asked[place].question)) - Counter(numbers(said)) == Counter(), said
    for place, said in wordings(DATASET, 4, ("answer",)):
        told = numbers(f"{DATASET[place].question} {DATASET[place].answer}")
        assert set(numbers(said)) <= set(told), said


def test_each_family_can_be_drawn_alone():
    said = {family: {text for _, text in wordings(AQUARIUM, 30, (family,))} for family in REWORDING_FAMILIES}
    assert any("для чего аквариуму" in text.lower() for text in said["frames"])
    assert any("фильтр" not in text.lower() and "аммиак" in text for text in said["answer"])
    assert min(map(len, said.values())) > 50
    for one in REWORDING_FAMILIES:
        for other in REWORDING_FAMILIES:
            assert one == other or len(said[one] & said[other]) < 10


def test_a_family_named_twice_comes_twice_as_often():
    def share(mix):
        drawn = [text.lower() for _, text in wordings(AQUARIUM, 60, mix)]
        return sum(
            any(mark in text for mark in ("правда", "верно ли", "это так", "говорят,", "слышал, что")) for text in drawn
        )

    assert share(("answer", "answer", "frames")) > 1.4 * share(("answer", "frames", "frames"))


def test_what_is_only_examined_is_never_said():
    examined = "для чего аквариуму нужен фильтр"
    rows = [replace(AQUARIUM[0], examined=(examined,)), *AQUARIUM[1:]]
    assert examined in {plain(said) for place, said in wordings(AQUARIUM, 100, ("frames",)) if place == 0}
    assert examined not in {plain(said) for _, said in wordings(rows, 100, ("frames",))}


def test_a_wording_nearer_to_another_row_is_rejected():
    rows = [
        Row(1, "Что такое диод?", "Диод пропускает ток в одну сторону."),
        Row(2, "Что такое диод Шоттки?", "Диод Шоттки — это диод на контакте металла с полупроводником."),
        Row(3, "Что такое мост?", "Мост соединяет берега."),
    ]
    said = {plain(text) for place, text in wordings(rows, 200) if place == 1}
    assert said.isdisjoint({"что такое диод", "диод что это", "диод", "определение диода"})


def test_paraphrases_of_the_table_are_reworded_too():
    rows = [replace(AQUARIUM[0], paraphrases=("Как правильно чистить внешний фильтр?",)), *AQUARIUM[1:]]
    said = {plain(text) for place, text in wordings(rows, 200, ("frames",)) if place == 0}
    assert "инструкция как правильно чистить внешний фильтр" in said or "чистить внешний фильтр как" in said


@pytest.mark.parametrize("rows", [AQUARIUM, ENGLISH, OTHER])
def test_the_same_seed_gives_the_same_wordings_whatever_was_asked_before(rows):
    one, other = Reworder(rows), Reworder(rows)
    for place in reversed(range(len(rows))):
        other.reword(place, random.Random(99))
    for place in range(len(rows)):
        first, second = random.Random(place), random.Random(place)
        assert [one.reword(place, first) for _ in range(20)] == [other.reword(place, second) for _ in range(20)]
        assert first.getstate() == second.getstate()


@settings(max_examples=60, deadline=None)
@given(
    cells=st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), min_size=1, max_size=4),
    family=st.sampled_from(REWORDING_FAMILIES),
    seed=st.integers(0, 2**32),
)
def test_any_table_gives_wordings_and_never_raises(cells, family, seed):
    rows = [Row(number, question.strip() or "?", answer) for number, (question, answer) in enumerate(cells, 1)]
    reworder, rng = Reworder(rows, (family, "noise")), random.Random(seed)
    assert all(reworder.reword(place, rng).strip() for place in range(len(rows)) for _ in range(4))


def test_wordings_cost_little_time():
    """2,000 a second are wanted in the steady state; the bound leaves room for a slow and busy machine."""
    rng = random.Random(0)
    for place in range(len(DATASET)):  # what is found once for each row
        reworder("dataset").reword(place, rng)
        reworder("dataset")._prepared(place)
    began = time.process_time()
    for step in range(2000):
        reworder("dataset").reword(step % len(DATASET), rng)
    assert time.process_time() - began < 4
