import pytest
import torch

from tests.model.test_engine import SHAPES, network
from tests.tiny import PEFT_TALKS
from znatok.model import decode as decode_module
from znatok.model.attention import LONGEST
from znatok.model.decode import Desk, decode, decode_guessed, room

pytestmark = PEFT_TALKS

LENGTHS, LIMITS = (5, 17, 1, 30, 9, 12), (40, 7, 25, 1, 40, 33)

STOP = 699
"""An id that hardly comes up."""


def prompts(*lengths: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(0, 700, (length,), generator=generator).tolist() for length in lengths]


def talker(shape="llama, tied"):
    model = network(shape)
    model.use()
    return model


def stop_id(model, asked) -> int:
    """An id that ends some of the answers at different places, and some not at all."""
    answers = [set(answer) for answer in model._generate_by_transformers(asked, [40] * len(asked), STOP)]
    shared = [(sum(number in answer for answer in answers), number) for number in range(700)]
    return max(one for one in shared if one[0] < len(answers))[1]


@pytest.mark.parametrize("shape", SHAPES)
def test_answers_are_those_of_transformers_to_the_letter(shape):
    model, asked = talker(shape), prompts(*LENGTHS)
    stop = stop_id(model, asked)
    ours = model.generate(asked, LIMITS, stop)
    assert ours == model._generate_by_transformers(asked, LIMITS, stop)
    assert len({len(answer) for answer in ours}) > 3


def test_with_the_adapter_off_the_base_answers():
    model, asked = talker(), prompts(*LENGTHS)
    with model.base_alone():
        ours = model.generate(asked, LIMITS, STOP)
        assert ours == model._generate_by_transformers(asked, LIMITS, STOP)
    assert model.generate(asked, LIMITS, STOP) != ours


def test_a_base_without_an_adapter_decodes_by_the_same_layers():
    from pathlib import Path

    from tests.model.test_engine import base_model
    from znatok.model.network import Network
    from znatok.model.source import BaseSource

    model, asked = Network(base_model(), BaseSource("tiny", Path("tiny"), "znatok/tiny", None, False)), prompts(4, 9)
    assert model.generate(asked, [20, 20], STOP) == model._generate_by_transformers(asked, [20, 20], STOP)
    assert model._engine is not None


@pytest.mark.parametrize("together", [2, 8, 50])
def test_looking_rarely_at_what_was_written_changes_nothing(together):
    model, asked = talker(), prompts(*LENGTHS)
    stop = stop_id(model, asked)
    often = list(model._decode(asked, LIMITS, stop))
    desk = Desk(model._engine, len(asked), room(asked, LIMITS), together)
    rarely = list(decode(desk, asked, LIMITS, stop, adapted=True))
    assert [sorted(zip(rows, ids, strict=True)) for rows, ids, _ in rarely] == [
        sorted(zip(rows, ids, strict=True)) for rows, ids, _ in often
    ]


def test_steps_rounded_up_to_a_few_sizes_change_nothing():
    model, asked = talker(), prompts(*LENGTHS)
    stop = stop_id(model, asked)
    expected = list(model._decode(asked, LIMITS, stop))
    desk = Desk(model._engine, len(asked), room(asked, LIMITS), in_few_sizes=True)
    assert len({len(rows) for rows, *_ in expected}) > 3  # rows ended at several places
    for (rows, ids, _), (same_rows, same_ids, _) in zip(
        decode(desk, asked, LIMITS, stop, adapted=True), expected, strict=True
    ):
        assert sorted(zip(rows, ids, strict=True)) == sorted(zip(same_rows, same_ids, strict=True))


def test_the_same_memory_serves_again_for_fewer_and_shorter_rows():
    model, asked = talker(), prompts(*LENGTHS)
    desk = Desk(model._engine, len(asked), room(asked, LIMITS))
    first = list(decode(desk, asked, LIMITS, STOP, adapted=True))
    again, few = prompts(3, 8), [6, 11]
    assert desk.holds(2, room(again, few))
    assert not desk.holds(7, 10)
    assert not desk.holds(1, 71)
    *_, (rows, ids, _) = decode(desk, again, few, STOP, adapted=True)
    assert (rows, ids) == ([1], [model.generate(again, few, STOP)[1][-1]])
    assert list(decode(desk, asked, LIMITS, STOP, adapted=True)) == first


def test_prompts_are_read_in_parts_where_they_are_many(monkeypatch):
    model, asked = talker(), prompts(*LENGTHS)
    whole = model.generate(asked, LIMITS, STOP)
    monkeypatch.setitem(decode_module.PREFILLED, "cpu", 30)
    assert model.generate(asked, LIMITS, STOP) == whole


def test_a_prompt_longer_than_attention_is_kept_for_is_answered_alike():
    model, asked = talker(), prompts(LONGEST + 40, 6)
    assert model.generate(asked, [9, 12], STOP) == model._generate_by_transformers(asked, [9, 12], STOP)


def test_two_decodings_at_a_time_do_not_disturb_each_other():
    model, (one, other) = talker(), prompts(11, 6)
    alone = [model.generate([one], [12], STOP)[0], model.generate([other], [12], STOP)[0]]
    streams = [model.stream(one, 12, STOP), model.stream(other, 12, STOP)]
    assert [list(pair) for pair in zip(*zip(*streams, strict=True), strict=True)] == alone


def test_what_was_learned_meanwhile_is_spoken():
    model, asked = talker(), prompts(7)
    before = model.generate(asked, [12], STOP)
    for weight in model.weights():
        weight.data.mul_(2)
    assert model.generate(asked, [12], STOP) == model._generate_by_transformers(asked, [12], STOP) != before


# ---- answers that were guessed --------------------------------------------------------------------------------------


def at(*answers: list[int]):
    """Guesses that it will be the first of these answers that begins so."""

    def what_follows(written):
        return next((answer[len(written) :] for answer in answers if answer[: len(written)] == list(written)), ())

    return what_follows


def looks(model, monkeypatch) -> list[int]:
    """How many tokens each pass through the layers takes in, as they come."""
    widths: list[int] = []
    layer = model._engine.layers[0]
    infer = layer.infer
    monkeypatch.setattr(
        layer, "infer", lambda x_NH, places, mix: widths.append(places.columns) or infer(x_NH, places, mix)
    )
    return widths


@pytest.mark.parametrize("few_sizes", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_right_guess_spares_passes_and_changes_nothing(shape, few_sizes, monkeypatch):
    model, (asked,) = talker(shape), prompts(9)
    said = model.generate([asked], [40], STOP)[0]
    logps = [logp for _, logp in model.stream_scored(asked, 40, STOP)]
    widths = looks(model, monkeypatch)
    desk = Desk(model._engine, 1, len(asked) + 40, in_few_sizes=few_sizes)
    found = list(decode_guessed(desk, asked, 40, STOP, True, at([1, 2], said)))
    assert [id for id, _ in found] == said
    assert [logp for _, logp in found] == pytest.approx(logps, abs=1e-4)
    assert len(widths) == 4  # the prompt; then 8, 16, and the 15 that are left


@pytest.mark.parametrize("few_sizes", [False, True])
@pytest.mark.parametrize("wrong_from", [0, 1, 5, 20])
def test_a_guess_that_turns_wrong_is_left_there(wrong_from, few_sizes):
    model, (asked,) = talker(), prompts(9)
    said = model.generate([asked], [40], STOP)[0]
    guess = [*said[:wrong_from], *((id + 1) % 690 for id in said[wrong_from:])]
    desk = Desk(model._engine, 1, len(asked) + 40, in_few_sizes=few_sizes)
    assert [id for id, _ in decode_guessed(desk, asked, 40, STOP, True, at(guess))] == said


def test_another_guess_serves_where_the_first_turned_wrong(monkeypatch):
    model, (asked,) = talker(), prompts(9)
    said = model.generate([asked], [40], STOP)[0]
    widths = looks(model, monkeypatch)
    guess = at([*said[:12], 3, 4, 5], said)
    assert [id for id, _ in model.stream_scored(asked, 40, STOP, guess)] == said
    assert len(widths) < 8


@pytest.mark.parametrize("limit", [1, 2, 8, 9, 10, 39])
def test_a_guess_never_leads_past_the_limit_or_the_end_of_turn(limit):
    model, (asked,) = talker(), prompts(9)
    said = model.generate([asked], [40], STOP)[0]
    assert [id for id, _ in model.stream_scored(asked, limit, STOP, at(said))] == said[:limit]
    stop = said[20]
    until = said[: said.index(stop) + 1]
    assert [id for id, _ in model.stream_scored(asked, 40, stop, at(said))] == until


def test_guesses_of_which_none_is_right_cost_no_pass(monkeypatch):
    model, (asked,) = talker(), prompts(9)
    said = model.generate([asked], [12], STOP)[0]
    widths = looks(model, monkeypatch)
    guess = at([(said[0] + 1) % 690, 3], [])
    assert [id for id, _ in model.stream_scored(asked, 12, STOP, guess)] == said
    assert len(widths) == 12
