from itertools import islice

from tests.tiny import tiny_renderer
from znatok.records import Row
from znatok.training.exposures import Exposures

ROWS = [Row(number, f"Что такое деталь {number}?", f"Деталь {number} — это вещь.") for number in range(1, 11)]


def first(batches, rewording=0.5, seed=0):
    exposures = Exposures(ROWS, tiny_renderer(), batch_size=4, rewording=rewording, seed=seed)
    return list(islice(exposures, batches))


def test_every_pass_shows_every_row_once():
    for start in (0, 3):
        places = [place for _, batch_places in first(6)[start : start + 3] for place in batch_places]
        assert sorted(places) == list(range(10))


def test_the_places_belong_to_the_rows_of_the_batch():
    renderer = tiny_renderer()
    for batch, places in first(3, rewording=0.0):
        for line, place in zip(batch.ids_BL, places, strict=True):
            expected = renderer.conversation(ROWS[place].question, ROWS[place].answer).ids
            assert tuple(line[: len(expected)]) == expected


def test_without_rewording_the_questions_stay_as_they_are_and_with_it_they_do_not():
    renderer = tiny_renderer()
    plain = {renderer.prompt(row.question) for row in ROWS}

    def share_of_plain(rewording):
        shown = [tuple(line) for batch, _ in first(60, rewording) for line in batch.ids_BL]
        return sum(any(line[: len(prompt)] == prompt for prompt in plain) for line in shown) / len(shown)

    assert share_of_plain(0.0) == 1.0
    assert 0.25 < share_of_plain(0.65) < 0.5


def test_rows_shown_again_come_as_they_stand_in_full_batches():
    exposures = Exposures(ROWS, tiny_renderer(), batch_size=4, rewording=1.0, seed=0)
    batches = exposures.again([7, 2, 9, 0, 5])
    assert [len(places) for _, places in batches] == [4, 4]
    shown = [place for _, places in batches for place in places]
    assert shown[:5] == [7, 2, 9, 0, 5]
    assert len(set(shown)) == 8
    expected = tiny_renderer().conversation(ROWS[7].question, ROWS[7].answer).ids
    assert tuple(batches[0][0].ids_BL[0][: len(expected)]) == expected
    assert exposures.again([]) == []


def test_the_seed_alone_decides_the_stream():
    def ids(seed):
        return [batch.ids_BL.tolist() for batch, _ in first(8, seed=seed)]

    assert ids(1) == ids(1)
    assert ids(1) != ids(2)
