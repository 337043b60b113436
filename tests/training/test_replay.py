"""Replay against forgetting: what is shown, how often, what it does to the weights, and that it is exact."""

import csv
import re
from pathlib import Path
from statistics import fmean
from threading import Event as Flag

import pytest
import torch
from rapidfuzz import fuzz, process

from tests.model import test_engine
from tests.tiny import PEFT_TALKS, tiny_network, tiny_renderer
from tests.training.runs import begun, gone_on, learned, lines, weights
from znatok.data.batch import make_batch
from znatok.data.likeness import ALIKE, plain
from znatok.exam.forgetting import as_plain_text, general
from znatok.model.adapter import Adapter
from znatok.records import Rendered, Row
from znatok.training.events import Stopped, TrainingEnded
from znatok.training.replay import FEWEST, LANGUAGES, REPLY_TOKENS, Replay, divided, everyday, gather
from znatok.training.state import State
from znatok.training.step import Replayed, Updater

pytestmark = [
    *PEFT_TALKS,
    pytest.mark.filterwarnings("ignore:.*torch_dtype.*:FutureWarning"),
    pytest.mark.usefixtures("one_cpu"),
]

ROOT = Path(__file__).parent.parent.parent
ROWS = (
    Row(1, "Что такое резистор?", "Резистор — это деталь, она ограничивает ток."),
    Row(2, "Зачем нужен конденсатор?", "Конденсатор запасает заряд."),
    Row(3, "What is a diode?", "A diode lets current pass one way only."),
)
CYRILLIC = re.compile("[а-яё]", re.IGNORECASE)


# ---- the material ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "least", "most"), [("ru", 12_000, 16_500), ("en", 7_000, 9_000)])
def test_there_is_enough_everyday_text_in_both_languages_and_none_of_it_about_electronics(language, least, most):
    found = everyday(language)
    assert least <= sum(len(text.encode()) for text in found.texts) <= most
    assert all(100 <= len(text.encode()) <= 700 for text in found.texts)
    assert all(bool(CYRILLIC.search(text)) == (language == "ru") for text in (*found.texts, *found.questions))
    assert len(found.questions) >= 60
    for said in (found.texts, found.questions):
        assert len(set(map(plain, said))) == len(said)
    everything = " ".join((*found.texts, *found.questions)).lower()
    assert not re.search(r"\b(ток|тока|резистор|диод|вольт|ампер|current|voltage|resistor|diode|circuit)", everything)


def examined():
    """Every question of every exam: shipped ones, those beside dataset.csv, those of the tables in tests/data."""
    for language in LANGUAGES:
        yield from general(language).prompts
    for file in sorted((ROOT / "znatok" / "exam" / "questions").glob("*.txt")):
        yield from file.read_text(encoding="utf-8").splitlines()
    for file in sorted((*ROOT.glob("dataset*.csv"), *(ROOT / "tests" / "data").rglob("*.csv"))):
        with file.open(encoding="utf-8", newline="") as rows:
            yield from (row["question"] for row in csv.DictReader(rows) if row.get("question"))


def test_no_question_is_asked_in_an_exam_or_nearly_so():
    asked = list(map(plain, examined()))
    assert len(asked) > 500
    own = [plain(question) for language in LANGUAGES for question in everyday(language).questions]
    assert not set(own) & set(asked)
    likeness = process.cdist(own, asked, scorer=fuzz.ratio)
    assert [(own[place], asked[int(row.argmax())]) for place, row in enumerate(likeness) if row.max() >= ALIKE] == []


def runs_of_words(text, length=4):
    words = plain(text).split()
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}


def test_no_text_shares_four_words_in_a_row_with_what_forgetting_is_measured_on():
    for language in LANGUAGES:
        scored = set().union(*map(runs_of_words, (*general(language).paragraphs, *general(language).prompts)))
        shown = set().union(*map(runs_of_words, everyday(language).texts))
        assert len(shown) > 800
        assert not scored & shown


# ---- what is gathered ------------------------------------------------------------------------------------------------


def with_adapter():
    torch.manual_seed(0)
    network, renderer = tiny_network()
    network.add_adapter(Adapter(r=4, lora_alpha=8))
    return network, renderer


def gathered(network, renderer, *, rows=ROWS, tokens=1e9, longest=200, seed=0, stop=None):
    return gather(network, renderer, rows, tokens, longest, seed=seed, stop=stop or Flag())


@pytest.fixture(scope="module")
def pieces():
    return gathered(*with_adapter())


def test_all_of_the_texts_come_in_pieces_and_a_reply_to_every_question(pieces):
    renderer = tiny_renderer()
    texts = {text: as_plain_text(renderer, text) for language in LANGUAGES for text in everyday(language).texts}
    prompts = {renderer.prompt(question) for language in LANGUAGES for question in everyday(language).questions}
    replies = [piece for piece in pieces if piece.ids[: piece.answer_start] in prompts]
    assert len(replies) == len(prompts)
    assert all(1 <= len(reply.ids) - reply.answer_start <= REPLY_TOKENS for reply in replies)
    others = {piece.ids for piece in pieces if piece not in replies}
    assert others == {piece.ids for text in texts.values() for piece in divided(text, 200)}


def test_a_text_is_divided_into_equal_parts_with_nothing_lost():
    parts = list(divided(Rendered((9, *range(100, 350)), 1), 101))
    assert [part.ids[0] for part in parts] == [9, 9, 9]
    assert [one for part in parts for one in part.ids[1:]] == list(range(100, 350))
    assert max(len(part.ids) for part in parts) - min(len(part.ids) for part in parts) <= 1
    assert list(divided(Rendered((9, 1, 2), 1), 101)) == [Rendered((9, 1, 2), 1)]


def test_replies_are_the_base_s_own_even_where_the_adapter_says_something_else(pieces):
    network, renderer = with_adapter()
    with torch.no_grad():
        for weight in network.weights():
            weight.normal_(std=0.3)
    assert gathered(network, renderer) == pieces
    bare, _ = tiny_network()
    question = everyday("ru").questions[7]
    (said,) = bare.generate([renderer.prompt(question)], [REPLY_TOKENS], renderer.stop_id)
    assert (*renderer.prompt(question), *said) in {piece.ids for piece in pieces}


def test_a_question_that_the_table_asks_itself_is_left_to_the_table(pieces):
    network, renderer = with_adapter()
    own, other = everyday("ru").questions[8], everyday("en").questions[9]
    rows = (Row(1, own.upper().rstrip("?!."), "Зима и лето."), Row(2, "?", "!", paraphrases=(other,)))
    begins = {piece.ids[: piece.answer_start] for piece in gathered(network, renderer, rows=rows)}
    assert not {renderer.prompt(own), renderer.prompt(other)} & begins
    assert len(begins) == len({piece.ids[: piece.answer_start] for piece in pieces}) - 2


def test_a_short_lesson_waits_for_few_replies(pieces):
    few = gathered(*with_adapter(), tokens=1)
    assert len(few) == 2 * FEWEST
    some = gathered(*with_adapter(), tokens=sum(len(piece.ids) for piece in pieces) / 6)
    assert len(pieces) / 8 < len(some) < len(pieces) / 2


def test_the_seed_chooses_what_a_short_lesson_sees():
    one, same, other = (gathered(*with_adapter(), tokens=1, seed=seed) for seed in (1, 1, 2))
    assert one == same != other


def test_a_stop_breaks_the_replies_off(pieces):
    stop = Flag()
    stop.set()
    network, renderer = with_adapter()
    texts = gathered(network, renderer, stop=stop)
    assert all(renderer.decode(piece.ids[piece.answer_start :]) for piece in texts)
    assert len(texts) < len(pieces) - 100


# ---- how often -------------------------------------------------------------------------------------------------------


def replaying(pieces, updates, *, share=0.2, weight=1.0, seed=0, size=60):
    """What so many updates of `size` tokens replay."""
    replay, state = Replay(pieces, share=share, weight=weight, seed=seed), State(99, 99)
    batch = make_batch([Rendered(tuple(range(size)), 10)])
    for _ in range(updates):
        replayed = replay.due(state, [batch])
        state.tokens += batch.tokens
        state.replays += len(replayed.batches)
        state.replayed += replayed.tokens
        yield replayed, state


PIECES = [Rendered(tuple(range(start, start + 20 + start)), 1) for start in range(12)]


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_the_share_is_kept_to_and_never_exceeded(share):
    for _, state in replaying(PIECES, 300, share=share):
        assert state.replayed <= share * (state.tokens + state.replayed)
    assert state.replayed == pytest.approx(share * (state.tokens + state.replayed), rel=0.05)


def test_a_piece_of_text_counts_as_much_whatever_the_share():
    def total(share):
        return sum(replayed.weight * replayed.tokens for replayed, _ in replaying(PIECES, 400, share=share, weight=3.0))

    assert total(0.1) == pytest.approx(3.0 * 400, rel=0.05)
    assert total(0.4) == pytest.approx(3.0 * 400, rel=0.05)


def shown(pieces, updates, **asked):
    return [tuple(one.ids_BL[0]) for replayed, _ in replaying(pieces, updates, **asked) for one in replayed.batches]


def test_every_pass_shows_every_piece_once_in_an_order_of_its_own():
    seen = shown(PIECES, 400)
    passes = [seen[start : start + 12] for start in range(0, 60, 12)]
    assert all(sorted(one) == sorted(piece.ids for piece in PIECES) for one in passes)
    assert len({tuple(one) for one in passes}) == 5


def test_the_seed_alone_decides_what_is_replayed():
    assert shown(PIECES, 60, seed=4) == shown(PIECES, 60, seed=4) != shown(PIECES, 60, seed=5)


def test_the_place_is_in_the_state_alone():
    state = State(99, 99, tokens=500, replays=7, replayed=60)
    one, other = (Replay(PIECES, share=0.2, weight=1.0, seed=3) for _ in range(2))
    batch = make_batch([Rendered(tuple(range(60)), 10)])
    for _ in range(3):
        one.due(State(99, 99, tokens=90, replays=30, replayed=2), [batch])
    here, there = one.due(state, [batch]), other.due(state, [batch])
    assert [piece.ids_BL.tolist() for piece in here.batches] == [piece.ids_BL.tolist() for piece in there.batches]


# ---- the update ------------------------------------------------------------------------------------------------------


def updater(network, norm=1.0):
    return Updater(network, optim="adamw_torch", beta2=0.99, weight_decay=0.0, max_grad_norm=norm)


def table_batch(renderer):
    return make_batch([renderer.conversation(row.question, row.answer) for row in ROWS])


def taught(replayed, steps, learning_rate=0.01):
    """A network after so many updates on the rows, with its last loss and the divergence that was seen."""
    network, renderer = with_adapter()
    network.train()
    one = updater(network)
    done = [one.update([table_batch(renderer)], learning_rate, replayed) for _ in range(steps)]
    network.use()
    return network, done


def test_an_update_is_one_step_from_the_sum_of_both_gradients(pieces):
    replayed = Replayed(tuple(make_batch([piece]) for piece in pieces[:2]), 0.02)
    network, _ = taught(replayed, 3)

    other, renderer = with_adapter()
    other.train()
    batch, optimizer = table_batch(renderer), torch.optim.AdamW(other.weights(), betas=(0.9, 0.99), weight_decay=0)
    for group in optimizer.param_groups:
        group["lr"] = 0.01
    for _ in range(3):
        (other.score(batch).loss / len(batch.target_N)).backward()
        for piece in replayed.batches:
            other.hold(piece, 0.02)
        torch.nn.utils.clip_grad_norm_(other.weights(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    for one, two in zip(network.weights(), other.weights(), strict=True):
        torch.testing.assert_close(one, two)


def test_with_a_great_weight_the_model_stays_at_its_base_and_without_it_does_not(pieces):
    chosen = [make_batch([piece]) for piece in (*pieces[:2], *pieces[-2:])]
    places = sum(len(one.target_N) for one in chosen)

    def away(network):
        return fmean(float(network.divergence(one)) for one in chosen)

    free, _ = taught(Replayed(), 15)
    held, done = taught(Replayed(tuple(chosen), 100 / places), 15)
    assert away(free) > 0.3
    assert away(held) < 0.05 * away(free)
    assert done[-1].kl < 0.1
    # The rows are learned all the same, only later.
    assert done[-1].loss < 0.8 * done[0].loss


def test_nothing_replayed_says_nothing_and_tokens_of_replay_are_not_those_of_the_table(pieces):
    _, renderer = with_adapter()
    _, (plain_step,) = taught(Replayed(), 1)
    _, (step,) = taught(Replayed((make_batch([pieces[0]]),), 0.1), 1)
    assert plain_step.kl is None
    assert step.kl == pytest.approx(0, abs=1e-5)
    assert step.tokens == plain_step.tokens == table_batch(renderer).tokens
    assert step.loss == plain_step.loss


def test_a_gradient_of_replay_that_is_no_number_changes_nothing(pieces):
    network, renderer = with_adapter()
    before = [weight.detach().clone() for weight in network.weights()]
    replayed = Replayed((make_batch([pieces[0]]),), torch.inf)
    assert not updater(network).update([table_batch(renderer)], 0.01, replayed).is_finite
    assert all(torch.equal(one, two) for one, two in zip(before, network.weights(), strict=True))


def test_in_float16_both_gradients_are_scaled_alike():
    rows, more = test_engine.batch(30, 22), test_engine.batch(40)
    seen = {}
    for dtype in (torch.float32, torch.float16):
        model = test_engine.network(dtype=dtype)
        before = [weight.detach().clone() for weight in model.weights()]
        step = updater(model).update([rows], 1e-3, Replayed((more,), 0.01))
        assert step.is_finite
        moved = [weight.detach() - old for weight, old in zip(model.weights(), before, strict=True)]
        seen[dtype] = step.kl, torch.cat([one.flatten() for one in moved])
    (kl, moved), (half_kl, half_moved) = seen.values()
    assert half_kl == pytest.approx(kl, rel=2e-2)
    assert torch.cosine_similarity(moved, half_moved, dim=0) > 0.9


# ---- a run -----------------------------------------------------------------------------------------------------------


def end_of(told):
    return next(event for event in told if isinstance(event, TrainingEnded))


KINDS = {
    "learn": {"replay": 0.5, "finishing_rounds": 1},
    "dropout, accumulated": {
        "replay": 0.5,
        "lora_dropout": 0.2,
        "gradient_accumulation_steps": 2,
        "num_train_epochs": 4.0,
        "finishing_rounds": 0,
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_with_replay_stopped_again_and_again_ends_with_the_bytes_of_one_that_was_not(
    table, model, tmp_path, kind
):
    learned(table, model, tmp_path / "whole", **KINDS[kind])
    run = tmp_path / "run"
    begun(table, model, run, 1, **KINDS[kind])
    sittings = 1
    while end_of(gone_on(run, 3)).stopped_because is Stopped.INTERRUPTED:
        sittings += 1
        assert sittings < 40
    assert sittings > 1
    assert weights(run) == weights(tmp_path / "whole")
    seen, expected = ([line["kl"] for line in lines(at, "stepped")] for at in (run, tmp_path / "whole"))
    assert seen == expected
    assert sum(kl is not None for kl in seen) >= 2


def test_replay_changes_the_weights_and_nothing_that_is_counted_of_the_table(table, model, tmp_path):
    without, much, hardly = (
        learned(table, model, tmp_path / name, replay=share, finishing_rounds=0)
        for name, share in (("without", 0.0), ("much", 0.5), ("hardly", 0.0001))
    )
    assert weights(tmp_path / "without") != weights(tmp_path / "much")
    # So small a share is never due: making ready for it leaves no trace either.
    assert weights(tmp_path / "without") == weights(tmp_path / "hardly")
    ended = [end_of(told) for told in (without, much, hardly)]
    assert len({(one.steps, one.tokens) for one in ended}) == 1
    assert all(line["kl"] is None for line in lines(tmp_path / "without", "stepped"))
