import csv
import math
import re
import time
from collections import Counter
from pathlib import Path

import pytest

from znatok.data import search as search_module
from znatok.data.reword import heldout_wording
from znatok.data.search import Found, Search
from znatok.records import Row

ROOT = Path(__file__).parent.parent.parent
ROWS = [
    Row(1, "Что такое резистор?", "Деталь, которая ограничивает ток в цепи."),
    Row(2, "Зачем нужен конденсатор?", "Конденсатор запасает заряд и сглаживает напряжение."),
    Row(3, "What is a fuse?", "A thin wire that melts when the current is too high."),
    Row(7, "Чем меряют ток?", "Амперметром, а если он мал — микроамперметром.", ("Какой прибор покажет амперы?",)),
]


def lines(name):
    with (ROOT / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def table():
    return [Row(number, line["question"], line["answer"]) for number, line in enumerate(lines("dataset.csv"), start=1)]


def found(question, count=3, rows=ROWS):
    return [one.row.number for one in Search(rows).best(question, count)]


@pytest.mark.parametrize(
    ("question", "row"),
    [
        ("Что такое резистор?", 1),
        ("резисторы, они для чего", 1),
        ("РЕЗЕСТОР", 1),
        ("деталь, что ограничит ток", 1),
        ("чем сгладить напряжение", 2),
        ("melting of thin wires", 3),
        ("какой прибор для ампер", 7),
    ],
)
def test_a_row_is_found_by_its_question_its_answer_or_its_paraphrase_whatever_the_endings(question, row):
    assert found(question)[0] == row


def test_the_nearest_stands_first_and_no_more_are_given_than_asked_for():
    best = Search(ROWS).best("Чем же меряют ток?", count=2)
    assert [one.row.number for one in best] == [7, 1]
    assert 1 > best[0].score > best[1].score > 0


def test_what_has_nothing_in_common_with_the_table_finds_nothing():
    assert found("漢字") == found("?!") == found("") == []
    assert found("что угодно", rows=[]) == []


def test_a_score_is_one_where_the_texts_are_the_same():
    assert Search(ROWS).best("What is a fuse? A thin wire that melts when the current is too high.")[0].score == (
        pytest.approx(1, abs=1e-6)
    )


def counted(text):
    words = re.sub(r"[\W_]+", " ", text.casefold().replace("ё", "е")).split()
    plain = f" {' '.join(words)} " if words else ""
    runs = [plain[start : start + size] for size in (2, 3, 4) for start in range(len(plain) - size + 1)]
    return {run: 1 + math.log(count) for run, count in Counter(runs).items()}


def cosines(question, texts):
    """The formula by itself, run by run."""
    rows_with = Counter(run for text in texts for run in counted(text))

    def weighed(text):
        return {run: tf * math.log((len(texts) + 1) / rows_with.get(run, 0.5)) for run, tf in counted(text).items()}

    asked, known = weighed(question), [weighed(text) for text in texts]
    return [
        sum(weight * row.get(run, 0) for run, weight in asked.items()) / (math.hypot(*asked.values()) * length)
        if (length := math.hypot(*row.values()))
        else 0
        for row in known
    ]


@pytest.mark.parametrize(
    "question",
    ["Чем меряют ток, и зачем нужен ёмкий конденсатор?", "fuse wire WIRE", "ток 漢字 😀 ток", "\ud800 ток", "я"],
)
def test_the_score_is_the_cosine_of_tf_idf_over_runs_of_two_to_four_characters(question):
    rows = [*ROWS, Row(8, "?", "!"), Row(9, "Ё", "_")]
    texts = [" ".join((row.question, *row.paraphrases, row.answer)) for row in rows]
    expected = {row.number: score for row, score in zip(rows, cosines(question, texts), strict=True) if score}
    found = {one.row.number: one.score for one in Search(rows).best(question, len(rows))}
    assert expected
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_table_in_a_script_without_spaces_is_searched():
    rows = [
        Row(1, "電池とは何ですか", "電気を蓄える装置です"),
        Row(2, "抵抗の役割は", "電流を制限する部品です"),
        Row(3, "ตัวเก็บประจุคืออะไร", "อุปกรณ์ที่เก็บประจุไฟฟ้า"),
    ]
    assert [found(question, 1, rows) for question in ("電気を蓄える", "電流の制限", "เก็บประจุไฟฟ้า")] == [[1], [2], [3]]


@pytest.mark.parametrize("at_once", [1, 9, 2**16])
def test_the_scores_of_many_questions_are_those_of_each_by_itself(monkeypatch, at_once):
    monkeypatch.setattr(search_module, "_AT_ONCE", at_once)
    asked = ["Чем же меряют ток?", "漢字", "", "?", "а", "What melts?", "РЕЗЕСТОР резистор", "Чем же меряют ток?"]
    for rows in (ROWS, table()[:40], [Row(1, "?", "!"), *ROWS], []):
        search = Search(rows)
        alone = [one.score for question in asked for one in search.best(question, 1) or [Found(Row(0, "", ""), 0.0)]]
        assert search.nearest_scores(asked).tolist() == pytest.approx(alone, rel=1e-12)
    assert Search(ROWS).nearest_scores([]).tolist() == []


def test_of_equal_rows_the_first_is_taken():
    twice = [Row(number, "Что такое диод?", "Вентиль.") for number in (5, 3, 9)]
    assert found("диод", rows=twice) == [5, 3, 9]


def test_words_that_every_row_has_count_least():
    rows = [Row(number, f"Что такое {name}?", "Деталь.") for number, name in enumerate(("диод", "реле", "шунт"))]
    scores = {one.row.number: one.score for one in Search(rows).best("Что такое реле?")}
    assert scores[1] > 2 * max(scores[0], scores[2])


def test_every_question_of_the_demonstration_finds_its_own_row():
    rows = table()
    search = Search(rows)
    assert all(search.best(row.question, count=1)[0].row is row for row in rows)
    framed = [search.best(heldout_wording(row.question, row.number), count=1)[0].row is row for row in rows]
    assert sum(framed) >= 0.95 * len(framed)


def test_half_of_the_human_wordings_find_their_row_first_and_two_in_three_among_three():
    search, wordings = Search(table()), lines("dataset_wordings.csv")
    answers = [[one.row.answer for one in search.best(line["question"])] for line in wordings]
    right = [line["answer"] for line in wordings]
    assert sum(one[0] == answer for one, answer in zip(answers, right, strict=True)) / len(right) >= 0.48
    assert sum(answer in one for one, answer in zip(answers, right, strict=True)) / len(right) >= 0.63


def test_ten_thousand_rows_are_made_ready_in_seconds_and_searched_in_milliseconds():
    text = " ".join(f"{row.question} {row.answer}" for row in table()).split()
    rows = [
        Row(
            number, " ".join(text[number % 2000 : number % 2000 + 6]), " ".join(text[number % 1900 :][: 9 + number % 4])
        )
        for number in range(10_000)
    ]
    start = time.perf_counter()
    search = Search(rows)
    assert time.perf_counter() - start < 5
    start = time.perf_counter()
    for number in range(0, 10_000, 500):
        assert search.best(rows[number].question)
    assert (time.perf_counter() - start) / 20 < 0.1
