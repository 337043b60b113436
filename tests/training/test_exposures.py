import json
import random
from dataclasses import replace
from itertools import islice

import pytest

from tests.tiny import tiny_renderer
from znatok.data.batch import arrange, make_batch
from znatok.data.reword import Reworder
from znatok.records import Row
from znatok.training.exposures import FIRST_PASSES, NEXT_PASSES, PARAPHRASE_SHARE, Exposures

ROWS = [Row(number, f"Что такое деталь {number}?", f"Деталь {number} — это вещь.") for number in range(1, 11)]


def first(batches, rewording=0.5, seed=0):
    exposures = Exposures(ROWS, tiny_renderer(), batch_size=4, rewording=rewording, seed=seed)
    return list(islice(exposures, batches))


def test_every_pass_shows_every_row_once():
    for start in (0, 3):
        places = [place for _, places in first(6)[start : start + 3] for place in places]
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


def test_rows_shown_again_come_as_they_stand_among_so_many_others_that_each_has_a_batch():
    exposures = Exposures(ROWS, tiny_renderer(), batch_size=4, rewording=1.0, seed=0)
    batches = exposures.again([7, 2])
    shown = [place for places in batches for place in places]
    assert [len(places) for places in batches] == [4, 4]
    assert len(set(shown)) == 8
    assert {7, 2} < set(shown)
    place = batches[0][0]
    expected = tiny_renderer().conversation(ROWS[place].question, ROWS[place].answer).ids
    assert tuple(exposures.as_they_stand(batches[0]).ids_BL[0][: len(expected)]) == expected
    assert exposures.again([]) == []


@pytest.mark.parametrize("count", [3, 5, 10])
def test_where_many_are_missed_every_row_comes_once(count):
    exposures = Exposures(ROWS, tiny_renderer(), batch_size=4, rewording=1.0, seed=0)
    shown = [place for places in exposures.again(range(count)) for place in places]
    assert sorted(shown) == list(range(len(ROWS)))


def test_batches_of_one_row_show_known_ones_between_the_missed():
    exposures = Exposures(ROWS, tiny_renderer(), batch_size=1, rewording=1.0, seed=0)
    shown = exposures.again([7, 2])
    assert len(shown) == 4
    assert {7, 2} < {place for (place,) in shown}


def test_the_seed_alone_decides_the_stream():
    def ids(seed):
        return [batch.ids_BL.tolist() for batch, _ in first(8, seed=seed)]

    assert ids(1) == ids(1)
    assert ids(1) != ids(2)


# ---- paraphrases of the table ----------------------------------------------------------------------------------------

OWN = [
    replace(row, paraphrases=(f"Расскажи про {row.number}-ю деталь", f"{row.number}-я деталь, какая она"))
    for row in ROWS
]


def prompts(rows, passes, **asked):
    """The questions that were shown, with the places of their rows."""
    renderer = tiny_renderer()
    exposures = Exposures(rows, renderer, **({"batch_size": 5, "rewording": 0.65, "seed": 0} | asked))
    known = {
        renderer.prompt(wording): (place, wording)
        for place, row in enumerate(rows)
        for wording in (row.question, *row.paraphrases)
    }
    shown = []
    for batch, places in islice(exposures, passes * 2):
        for line, place in zip(batch.ids_BL.tolist(), places, strict=True):
            found = next((one for prompt, one in known.items() if tuple(line[: len(prompt)]) == prompt), (place, None))
            assert found[0] == place
            shown.append((place, found[1]))
    return shown


def test_without_paraphrases_the_stream_is_what_the_seed_alone_made_it():
    renderer, reworder, rng = tiny_renderer(), Reworder(ROWS), random.Random(3)
    stream = iter(Exposures(ROWS, renderer, batch_size=4, rewording=0.65, seed=3))
    for _ in range(4):
        questions = [
            reworder.reword(place, rng) if rng.random() < 0.65 else row.question for place, row in enumerate(ROWS)
        ]
        rendered = [renderer.conversation(said, row.answer) for said, row in zip(questions, ROWS, strict=True)]
        for places in arrange([len(one.ids) for one in rendered], 4, rng):
            batch, places_shown = next(stream)
            assert places_shown == tuple(places)
            assert batch.ids_BL.tolist() == make_batch([rendered[place] for place in places]).ids_BL.tolist()


def test_paraphrases_are_shown_as_they_stand_in_their_share_and_the_question_still_is():
    shown = prompts(OWN, 60)
    assert len(shown) == 600
    said = [wording for _, wording in shown]
    questions = sum(wording in {row.question for row in ROWS} for wording in said) / 600
    paraphrases = sum(wording in {own for row in OWN for own in row.paraphrases} for wording in said) / 600
    assert abs(paraphrases - PARAPHRASE_SHARE) < 0.06
    assert abs(questions - (1 - PARAPHRASE_SHARE) * 0.35) < 0.06
    assert len(set(said)) == 31


def test_paraphrases_are_trained_even_where_nothing_is_reworded():
    assert None not in {wording for _, wording in prompts(OWN, 5, rewording=0.0)}
    assert len({wording for _, wording in prompts(OWN, 40, rewording=0.0)}) == 30


def test_examined_paraphrases_are_never_shown():
    hidden = [replace(row, examined=row.paraphrases, paraphrases=()) for row in OWN]
    plain, other = (Exposures(rows, tiny_renderer(), batch_size=4, rewording=0.65, seed=0) for rows in (ROWS, hidden))
    for (one, _), (two, _) in islice(zip(plain, other, strict=False), 12):
        assert one.ids_BL.tolist() == two.ids_BL.tolist()


def test_rows_shown_again_come_in_the_words_of_the_table():
    exposures = Exposures(OWN, tiny_renderer(), batch_size=4, rewording=0.65, seed=0)
    plain = Exposures(ROWS, tiny_renderer(), batch_size=4, rewording=0.65, seed=0)
    for places in exposures.again([1, 2, 3, 4]):
        one, two = exposures.as_they_stand(places), plain.as_they_stand(places)
        assert one.ids_BL.tolist() == two.ids_BL.tolist()


# ---- another row in front --------------------------------------------------------------------------------------------


def conversations(history_share, passes=1, rows=ROWS, **asked):
    """What was shown: ids without padding, the place where the trained part begins, the place of the row."""
    settings = {"batch_size": 5, "rewording": 0.0, "seed": 0} | asked
    exposures = Exposures(rows, tiny_renderer(), history_share=history_share, **settings)
    for batch, places in islice(exposures, passes * -(-len(rows) // 5)):
        for number, place in enumerate(places):
            answer = batch.target_N[batch.row_N == number]
            line = batch.ids_BL[number].tolist()
            yield line, answer.tolist(), place


def earlier(line, place, rows=ROWS):
    """The place of the row that came before; None where none did."""
    renderer, own = tiny_renderer(), rows[place]
    for other, row in enumerate(rows):
        whole = renderer.conversation(own.question, own.answer, [(row.question, row.answer)]).ids
        if tuple(line[: len(whole) - 1]) == whole[:-1]:
            return other
    alone = renderer.conversation(own.question, own.answer).ids
    assert tuple(line[: len(alone) - 1]) == alone[:-1]
    return None


def test_a_share_of_exposures_comes_after_another_row_of_the_table():
    before = [(earlier(line, place), place) for line, _, place in conversations(0.3, passes=60)]
    assert abs(sum(other is not None for other, _ in before) / len(before) - 0.3) < 0.06
    assert all(other != place for other, place in before)
    assert {other for other, _ in before} == {None, *range(10)}
    assert all(earlier(line, place) is not None for line, _, place in conversations(1.0))
    assert all(earlier(line, place) is None for line, _, place in conversations(0.0))


def test_nothing_of_the_row_in_front_is_trained():
    renderer = tiny_renderer()
    for _, answer, place in conversations(1.0):
        alone = renderer.conversation(ROWS[place].question, ROWS[place].answer)
        assert tuple(answer) == alone.ids[alone.answer_start :]


def test_where_no_share_is_asked_for_the_stream_is_what_it_was():
    plain = [batch.ids_BL.tolist() for batch, _ in first(9)]
    same = Exposures(ROWS, tiny_renderer(), batch_size=4, rewording=0.5, seed=0, history_share=0.0, longest=1)
    assert [batch.ids_BL.tolist() for batch, _ in islice(same, 9)] == plain


def test_what_would_be_too_long_comes_alone_and_no_row_is_left_out():
    renderer = tiny_renderer()
    rows = [*ROWS[:9], replace(ROWS[9], answer="Очень длинный ответ. " * 9)]
    longest = len(renderer.conversation(rows[9].question, rows[9].answer).ids)
    shown = list(conversations(1.0, passes=4, rows=rows, longest=longest))
    assert sorted(place for *_, place in shown) == sorted([*range(10)] * 4)
    assert all(earlier(line, place, rows) != 9 for line, _, place in shown)
    assert all(earlier(line, place, rows) is None for line, _, place in shown if place == 9)
    assert sum(earlier(line, place, rows) is not None for line, _, place in shown) > 25
    for line, *_ in conversations(1.0, passes=4, rows=rows, longest=longest):
        assert len(line) <= longest


def test_a_table_of_one_row_has_no_other_to_come_before():
    ((line, _, place),) = conversations(1.0, rows=ROWS[:1])
    assert earlier(line, place) is None


def test_with_rows_in_front_the_stream_goes_on_from_any_place_too():
    def fresh():
        return Exposures(OWN, tiny_renderer(), batch_size=4, rewording=0.65, seed=5, history_share=0.4)

    def as_lists(stream, count):
        return [(batch.ids_BL.tolist(), places) for batch, places in islice(stream, count)]

    whole = as_lists(fresh(), 9)
    for stopped in range(9):
        exposures, resumed = fresh(), fresh()
        list(islice(exposures, stopped))
        resumed.restore(json.loads(json.dumps(exposures.position())))
        assert as_lists(resumed, 9 - stopped) == whole[stopped:]


# ---- going on --------------------------------------------------------------------------------------------------------


def test_the_stream_goes_on_from_any_place_as_if_it_had_never_stopped():
    def fresh():
        return Exposures(OWN, tiny_renderer(), batch_size=4, rewording=0.65, seed=5)

    def as_lists(stream, count):
        return [(batch.ids_BL.tolist(), places) for batch, places in islice(stream, count)]

    whole = as_lists(fresh(), 9)
    for stopped in range(9):
        exposures = fresh()
        list(islice(exposures, stopped))
        resumed = fresh()
        resumed.restore(json.loads(json.dumps(exposures.position())))
        assert as_lists(resumed, 9 - stopped) == whole[stopped:]
        assert resumed.again([1, 2, 3]) == _after_nine(fresh()).again([1, 2, 3])


def _after_nine(exposures):
    list(islice(exposures, 9))
    return exposures


def test_rows_shown_again_are_the_same_whether_the_run_was_stopped_before_or_not():
    exposures = Exposures(ROWS, tiny_renderer(), batch_size=4, rewording=0.65, seed=5)
    list(islice(exposures, 4))
    resumed = Exposures(ROWS, tiny_renderer(), batch_size=4, rewording=0.65, seed=5)
    resumed.restore(json.loads(json.dumps(exposures.position())))
    assert resumed.again([3]) == exposures.again([3])
    assert resumed.again([4]) == exposures.again([4])


# ---- a few rows first ------------------------------------------------------------------------------------------------


def growing(curriculum_rows=3):
    return Exposures(ROWS, tiny_renderer(), batch_size=4, rewording=0.65, seed=5, curriculum_rows=curriculum_rows)


def passes(exposures, batches):
    """The rows of each pass."""
    found = {}
    for _, places in islice(exposures, batches):
        found.setdefault(exposures.position()["passes"], []).extend(places)
    return [sorted(one) for one in found.values()]


def test_a_curriculum_begins_with_few_rows_and_doubles_them_up_to_half_of_all():
    found = passes(growing(2), FIRST_PASSES + NEXT_PASSES + 3 * 4)
    sizes = [len(one) for one in found]
    assert sizes == [2] * FIRST_PASSES + [4] * NEXT_PASSES + [10] * 4
    assert found[-1] == list(range(10))
    assert all(one == found[0] for one in found[:FIRST_PASSES])
    assert set(found[0]) < set(found[FIRST_PASSES])
    assert all(len(set(one)) == len(one) for one in found)


def test_no_row_of_a_curriculum_misses_more_than_eight_of_its_exposures():
    for count in range(300, 1300):
        rows = [Row(number, "?", "!") for number in range(count)]
        exposures = Exposures(rows, tiny_renderer(), batch_size=4, rewording=0.0, seed=0, curriculum_rows=50)
        before = 0
        while (shown := exposures._count()) < count:
            before, exposures._passes = before + shown, exposures._passes + 1
        assert before <= 8 * count


def test_the_first_rows_of_a_curriculum_are_not_just_the_first_of_the_table():
    assert passes(growing(), 1)[0] != [0, 1, 2]


def test_without_a_curriculum_or_with_one_of_all_rows_every_pass_has_them_all():
    for rows in (0, 6, 10, 30):
        assert passes(growing(rows), 3) == [list(range(10))]


def test_a_curriculum_goes_on_from_any_place_too():
    def as_lists(stream, count):
        return [(batch.ids_BL.tolist(), places) for batch, places in islice(stream, count)]

    count = FIRST_PASSES + NEXT_PASSES + 3
    whole = as_lists(growing(), count)
    for stopped in range(count):
        exposures, resumed = growing(), growing()
        list(islice(exposures, stopped))
        resumed.restore(json.loads(json.dumps(exposures.position())))
        assert as_lists(resumed, count - stopped) == whole[stopped:]
