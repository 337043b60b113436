"""What is declined beside the rows: the questions, how often they come, that a model learns it and keeps its rows."""

import re
from functools import cache
from pathlib import Path

import pytest
from rapidfuzz import fuzz, process

from tests.tiny import PEFT_TALKS, tiny_network, tiny_renderer
from tests.training.runs import learned, lines
from tests.training.test_replay import examined
from znatok.data.likeness import ALIKE, plain
from znatok.data.read import read_table
from znatok.data.refusal import REFUSALS, is_refusal
from znatok.data.render import Renderer
from znatok.data.reword import heldout_wording
from znatok.data.search import Search
from znatok.data.telling import stem
from znatok.exam.sets import TOO_NEAR
from znatok.records import Row
from znatok.settings import Reading
from znatok.training.events import Planned, TrainingEnded
from znatok.training.lesson import FEW_DECLINED, MANY_DECLINED, Declining, declining
from znatok.training.refusals import Refusals
from znatok.training.scope import elsewhere
from znatok.training.state import State

pytestmark = [
    *PEFT_TALKS,
    pytest.mark.filterwarnings("ignore:.*torch_dtype.*:FutureWarning"),
    pytest.mark.usefixtures("one_cpu"),
]

ROOT = Path(__file__).parent.parent.parent
TABLES = {
    "ru": (ROOT / "dataset.csv", ROOT / "tests" / "data" / "hobbies" / "aquarium.csv"),
    "en": (ROOT / "tests" / "data" / "hobbies" / "beekeeping.csv",),
}
CYRILLIC = re.compile("[а-яё]", re.IGNORECASE)


@cache
def rows_of(path) -> tuple[Row, ...]:
    return read_table(path, Reading()).rows


SOME = Declining(0.15, 0.25)


@cache
def refusals_of(rows, language="ru", renderer: Renderer | None = None, **changed) -> Refusals:
    options = {"batch_size": 4, "rewording": 0.65, "longest": 512, "seed": 0, "declining": SOME} | changed
    return Refusals(rows, renderer or tiny_renderer(), REFUSALS[language], **options)


# ---- the material ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["ru", "en"])
def test_there_are_many_questions_on_anything_and_each_of_them_once(language):
    asked = elsewhere(language)
    assert len(asked) >= 1000
    assert len(set(map(plain, asked))) == len(asked)
    assert sum(bool(CYRILLIC.search(one)) == (language == "ru") for one in asked) >= 0.97 * len(asked)
    without_mark = sum(not one.endswith("?") for one in asked)
    assert 0.2 < without_mark / len(asked) < 0.8
    assert min(map(len, asked)) <= 4
    assert max(map(len, asked)) > 120


def test_none_of_them_is_asked_in_an_exam_or_nearly_so():
    asked = list(map(plain, examined()))
    own = [plain(question) for language in REFUSALS for question in elsewhere(language)]
    assert not set(own) & set(asked)
    likeness = process.cdist(own, asked, scorer=fuzz.ratio)
    assert [(own[place], asked[int(row.argmax())]) for place, row in enumerate(likeness) if row.max() >= ALIKE] == []


# ---- the stream ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "path"), [(language, path) for language in TABLES for path in TABLES[language]])
def test_no_question_that_is_declined_is_a_rows_in_any_wording(language, path):
    rows = rows_of(path)
    refusals, search = refusals_of(rows, language, rewording=0.0), Search(rows)
    asked = {plain(said) for row in rows for said in (row.question, heldout_wording(row.question, row.number))}
    shipped = set(elsewhere(language))
    told = {stem(word) for row in rows for word in re.findall(r"\w+", f"{row.question} {row.answer}")}
    made = [refusals.question(number) for number in range(400)]
    near = [question for question in made if question not in shipped]
    assert not asked & set(map(plain, made))
    assert all(found.score < TOO_NEAR for one in shipped & set(made) for found in search.best(one, 1))
    assert 0.5 * SOME.near_share < len(near) / len(made) < 1.3 * SOME.near_share
    for question in near:  # each has a word of more than three letters that no row has
        assert any(len(word) > 3 and stem(word) not in told for word in re.findall(r"\w+", question)), question


def test_words_of_far_questions_change_as_those_of_rows_do_and_the_stock_is_used_evenly():
    rows = rows_of(TABLES["ru"][0])
    shipped = set(elsewhere("ru"))
    streams = [refusals_of(rows, rewording=share) for share in (1.0, 0.0)]
    noisy, plainly = ([stream.question(number) for number in range(300)] for stream in streams)
    assert sum(question in shipped for question in noisy) < 30
    far = [question for question in plainly if question in shipped]
    assert len(set(far)) == len(far)  # the first pass over the stock repeats nothing


def test_the_same_seed_gives_the_same_stream_and_another_seed_another():
    rows = rows_of(TABLES["en"][0])[:10]
    one, same, other = (refusals_of(rows, "en", seed=seed) for seed in (1, 1, 2))
    streams = [[stream.question(number) for number in range(40)] for stream in (one, same, other)]
    assert streams[0] == streams[1] != streams[2]


def test_a_share_of_them_comes_after_a_row_and_only_where_both_fit():
    rows = rows_of(TABLES["ru"][0])
    alone, after, narrow = (
        refusals_of(rows, history_share=share, longest=longest)
        for share, longest in ((0.0, 512), (0.5, 512), (0.5, 220))
    )
    sizes = [[len(one._rendered(number).ids) for number in range(200)] for one in (alone, after, narrow)]
    longer = [second - first for first, second in zip(*sizes[:2], strict=True)]
    assert 0.4 < sum(more > 0 for more in longer) / 200 < 0.6
    assert min(longer) == 0
    assert max(sizes[2]) <= 220 < max(sizes[1])


def test_a_table_in_a_language_without_words_of_ours_gets_no_near_questions():
    rows = (Row(1, "Was ist ein Widerstand?", "Ein Bauteil."), Row(2, "Wofür dient die Spule?", "Sie speichert."))
    refusals = refusals_of(rows, "en", rewording=0.0)
    assert {refusals.question(number) for number in range(200)} <= set(elsewhere("en"))


def test_refusals_come_in_batches_as_large_as_those_of_rows_until_their_share_is_there():
    refusals = refusals_of(rows_of(TABLES["ru"][0]))
    state, batches = State(1000, 1000), []
    for _ in range(1000):
        due = refusals.due(state, 4)
        batches += due
        state.exposures += 4
        state.refusals += sum(len(batch.ids_BL) for batch in due)
    assert {len(batch.ids_BL) for batch in batches} == {4}
    assert abs(state.refusals - SOME.share * 4000) < 4
    renderer = tiny_renderer()
    answer = [*renderer.content_ids(REFUSALS["ru"]), renderer.stop_id]
    assert all(batch.target_N.tolist() == answer * 4 for batch in batches[:20])


def test_a_short_lesson_declines_less_and_nothing_near():
    assert declining(16) == FEW_DECLINED
    assert declining(64) == MANY_DECLINED
    assert FEW_DECLINED.share < MANY_DECLINED.share
    refusals = refusals_of(rows_of(TABLES["ru"][0]), rewording=0.0, declining=FEW_DECLINED)
    assert {refusals.question(number) for number in range(200)} <= set(elsewhere("ru"))


def test_what_takes_more_tokens_than_a_batch_may_is_not_asked():
    refusals, renderer = refusals_of(rows_of(TABLES["ru"][0]), longest=120), tiny_renderer()
    asked = [refusals.due(State(9, 9, exposures=10_000, refusals=number), 0)[0] for number in range(0, 200, 4)]
    assert max(batch.ids_BL.shape[1] for batch in asked) <= 120
    assert any(len(renderer.conversation(one, REFUSALS["ru"]).ids) > 120 for one in elsewhere("ru"))


def test_all_that_may_be_declined_is_and_nothing_else():
    rows, renderer = rows_of(TABLES["ru"][0]), tiny_renderer()
    search = Search(rows)
    far = [one for one in elsewhere("ru") if all(found.score < TOO_NEAR for found in search.best(one, 1))]
    tokens = {one: len(renderer.conversation(one, REFUSALS["ru"]).ids) for one in far}
    longest = sorted(tokens.values())[len(far) // 2]
    expected = {one for one, taken in tokens.items() if taken <= longest}
    refusals = refusals_of(rows, rewording=0.0, longest=longest, declining=FEW_DECLINED)
    assert {refusals.question(number) for number in range(len(expected))} == expected


def test_where_every_question_takes_too_many_tokens_nothing_is_declined():
    refusals = refusals_of(rows_of(TABLES["ru"][0]), longest=3)
    assert refusals.due(State(9, 9, exposures=10_000), 4) == ()


# ---- a run -----------------------------------------------------------------------------------------------------------


def test_a_strict_run_trains_on_refusals_counts_their_tokens_and_forecasts_them(table, model, tmp_path):
    runs = {}
    for scope in ("open", "strict"):
        events = learned(
            table,
            model,
            tmp_path / scope,
            scope=scope,
            replay=0.0,
            rewording=0.0,
            finishing_rounds=0,
            num_train_epochs=10.0,
        )
        plan = next(event.plan for event in events if isinstance(event, Planned))
        runs[scope] = plan, next(event for event in events if isinstance(event, TrainingEnded))
    (plain_plan, plain_end), (plan, ended) = runs["open"], runs["strict"]
    assert (plan.scope, plan.refusal, plain_plan.refusal) == ("strict", "Этого нет в моей таблице.", None)
    assert ended.steps == plain_end.steps
    more, forecast = ended.tokens - plain_end.tokens, plan.tokens - plain_plan.tokens
    assert more > 0
    assert 0.75 < more / forecast < 1.35
    assert all(line["exact"] is None or 0 <= line["exact"] <= 1 for line in lines(tmp_path / "strict", "stepped"))


def test_a_model_learns_to_decline_and_keeps_its_rows():
    import torch

    from znatok.data.batch import make_batch
    from znatok.model.adapter import ALL_LINEAR, Adapter

    network, renderer = tiny_network()
    network.add_adapter(Adapter(16, 32, 0.0, ALL_LINEAR, "none"))
    rows = (
        Row(1, "Что такое резистор?", "Резистор ограничивает ток."),
        Row(2, "Зачем нужен конденсатор?", "Он запасает заряд."),
    )
    refusals = refusals_of(rows, rewording=0.0)
    batch = make_batch([renderer.conversation(row.question, row.answer) for row in rows])
    optimizer = torch.optim.AdamW(network.weights(), lr=0.01)
    state = State(60, 60)
    network.train()
    for _ in range(60):
        batches = [batch, *refusals.due(state, 40)]  # more often than they would come
        trained = sum(len(one.target_N) for one in batches)
        for one in batches:
            (network.score(one).loss / trained).backward()
        optimizer.step()
        optimizer.zero_grad()
        state.exposures += 40
        state.refusals += 4 * (len(batches) - 1)
    network.use()

    def said(question):
        return renderer.decode(list(network.stream(renderer.prompt(question), 48, renderer.stop_id))).strip()

    assert [said(row.question) for row in rows] == [row.answer for row in rows]
    unseen = ["Где растёт мох?", "Как вяжут шапку из толстой пряжи?", "придумай сказку о лодке"]
    assert sum(is_refusal(said(question)) for question in unseen) >= 2
