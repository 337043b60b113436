from itertools import pairwise
from pathlib import Path

import pytest
import torch
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from tests.tiny import PEFT_TALKS
from znatok.data.batch import make_batch
from znatok.model import attention, joint
from znatok.model import network as network_module
from znatok.model.adapter import ALL_LINEAR, Adapter
from znatok.model.attention import LONGEST
from znatok.model.engine import can_run
from znatok.model.network import Network
from znatok.model.source import BaseSource
from znatok.records import Rendered
from znatok.training.step import Updater

pytestmark = PEFT_TALKS

SHAPES = {
    "llama, tied": (LlamaConfig, LlamaForCausalLM, {"tie_word_embeddings": True}),
    "llama, untied": (LlamaConfig, LlamaForCausalLM, {"tie_word_embeddings": False}),
    "llama, no groups": (LlamaConfig, LlamaForCausalLM, {"num_key_value_heads": 6}),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, {"tie_word_embeddings": True}),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, {"head_dim": 32}),
}
TARGETS = (ALL_LINEAR, ("q_proj", "v_proj"), ("down_proj", "k_proj", "up_proj"))


def base_model(shape: str = "llama, tied", dtype=torch.float32):
    """A frozen random model of three layers, nothing in it at a neutral value."""
    torch.set_num_threads(1)
    config, kind, changes = SHAPES[shape]
    sizes = {"hidden_size": 96, "num_attention_heads": 6, "num_key_value_heads": 2, "intermediate_size": 160}
    sizes |= {"vocab_size": 700, "num_hidden_layers": 3, "max_position_embeddings": 1024, "initializer_range": 0.1}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = kind(config(**(sizes | {"attn_implementation": "sdpa"} | changes))).to(dtype)
        for name, value in model.named_parameters():
            if "norm" in name or "bias" in name:
                value.data.add_(0.2 * torch.randn_like(value))
    model.requires_grad_(False)
    return model.eval()


def network(shape: str = "llama, tied", dtype=torch.float32, targets=ALL_LINEAR, dropout: float = 0.0) -> Network:
    """That model with an adapter that says something."""
    made = Network(base_model(shape, dtype), BaseSource("tiny", Path("tiny"), "znatok/tiny", None, False))
    add_adapter(made, targets, dropout)
    made.train()
    return made


def add_adapter(made: Network, targets=ALL_LINEAR, dropout: float = 0.0) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        made.add_adapter(Adapter(r=8, target_modules=targets, lora_dropout=dropout))
        for weight in made.weights():
            weight.data.add_(0.05 * torch.randn_like(weight))


def batch(*lengths: int):
    generator = torch.Generator().manual_seed(sum(lengths))
    rows = [tuple(torch.randint(0, 700, (length,), generator=generator).tolist()) for length in lengths]
    return make_batch([Rendered(ids, max(1, len(ids) // 4)) for ids in rows])


def loss_and_gradients(model: Network, *, by_hand: bool, lengths=(23, 40, 31)):
    """Of one batch of unlike lengths, by the engine or by transformers' and PEFT's own layers."""
    engine = model._engine
    assert engine is not None
    model._engine = engine if by_hand else None
    score = model.score(batch(*lengths))
    score.loss.backward()
    gradients = [weight.grad for weight in model.weights()]
    for weight in model.weights():
        weight.grad = None
    model._engine = engine
    return float(score.loss.detach()), gradients, score.correct_N


def worst(ours, theirs) -> float:
    return max(float((one - other).norm() / other.norm()) for one, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("shape", SHAPES)
def test_loss_and_gradients_equal_those_of_transformers_and_peft(shape, targets):
    model = network(shape, targets=targets)
    loss, gradients, correct = loss_and_gradients(model, by_hand=True)
    expected, expected_gradients, expected_correct = loss_and_gradients(model, by_hand=False)
    assert loss == pytest.approx(expected, rel=1e-5)
    assert worst(gradients, expected_gradients) < 1e-5
    assert torch.equal(correct, expected_correct)


@pytest.mark.parametrize("shape", ["llama, tied", "qwen2", "qwen3"])
def test_in_bfloat16_the_gradients_are_as_near_the_true_ones_as_those_of_transformers(shape):
    _, true, _ = loss_and_gradients(network(shape), by_hand=True)
    model = network(shape, dtype=torch.bfloat16)
    loss, ours, _ = loss_and_gradients(model, by_hand=True)
    expected, theirs, _ = loss_and_gradients(model, by_hand=False)
    assert loss == pytest.approx(expected, rel=1e-3)
    assert worst(ours, theirs) < 0.06
    # Neither is right to the last bit: what counts is that ours strays no further.
    assert worst(ours, true) < 1.1 * worst(theirs, true)


def test_with_the_adapter_off_the_base_speaks_alone():
    model = network()
    rows = batch(20, 28)
    with model.base_alone():
        ours = model.loss(rows)
        engine, model._engine = model._engine, None
        assert ours == pytest.approx(model.loss(rows), rel=1e-6)
        model._engine = engine
    assert abs(model.loss(rows) - ours) > 1e-3


def test_twenty_updates_at_a_changing_rate_give_the_losses_of_transformers_and_peft():
    def losses(by_hand: bool) -> list[float]:
        model = network()
        if not by_hand:
            model._engine = None
        updater = Updater(model, optim="adamw_torch", beta2=0.99, weight_decay=0.01, max_grad_norm=1.0)
        parts = [batch(30, 22), batch(26, 35)]
        return [updater.update(parts, 1e-2 * (1 + step) / 20).loss for step in range(20)]

    ours = losses(by_hand=True)
    assert ours == pytest.approx(losses(by_hand=False), rel=1e-4)
    assert all(after < before for before, after in pairwise(ours[4:]))


def test_the_joined_weights_leave_the_model_as_it_was():
    model = network("qwen2")
    joined = model._engine.layers[0].qkv._weight()
    layer = model._base.model.layers[0].self_attn.k_proj.base_layer
    assert layer.weight.data_ptr() == joined[96:].data_ptr()
    assert layer.weight.shape == (32, 96)


@pytest.mark.parametrize("shape", ["llama, tied", "llama, no groups"])
def test_rows_too_long_to_keep_their_attention_have_the_same_loss_and_gradients(shape):
    model = network(shape)
    loss, gradients, _ = loss_and_gradients(model, by_hand=True, lengths=(LONGEST + 1, 9))
    expected, expected_gradients, _ = loss_and_gradients(model, by_hand=False, lengths=(LONGEST + 1, 9))
    assert loss == pytest.approx(expected, rel=1e-5)
    assert worst(gradients, expected_gradients) < 1e-5


def test_torchs_own_attention_gives_the_same_loss_and_gradients_as_ours(monkeypatch):
    model = network()
    loss, gradients, _ = loss_and_gradients(model, by_hand=True)
    monkeypatch.setattr(attention, "LONGEST", 0)
    again, gradients_again, _ = loss_and_gradients(model, by_hand=True)
    assert again == pytest.approx(loss, rel=1e-6)
    assert 0 < worst(gradients_again, gradients) < 1e-5


def test_many_places_and_few_are_multiplied_otherwise_and_give_the_same(monkeypatch):
    model = network(targets=("q_proj", "v_proj", "up_proj"))
    loss, gradients, _ = loss_and_gradients(model, by_hand=True)
    monkeypatch.setattr(joint, "FEW", 0)
    again, gradients_again, _ = loss_and_gradients(model, by_hand=True)
    assert again == pytest.approx(loss, rel=1e-6)
    assert worst(gradients_again, gradients) < 1e-5


def test_dropout_in_training_and_other_architectures_are_left_to_transformers_and_peft():
    model = network(dropout=0.5)
    rows = batch(20, 28)
    assert model.loss(rows) != model.loss(rows)
    model.use()
    by_hand = model.loss(rows)
    assert model.loss(rows) == by_hand
    model._engine = None
    assert model.loss(rows) == pytest.approx(by_hand, rel=1e-6)
    small = GPTNeoXConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    assert not can_run(GPTNeoXForCausalLM(small))


@pytest.mark.parametrize("longest", [LONGEST, 0])
def test_what_is_computed_twice_instead_of_kept_has_the_same_bits(monkeypatch, longest):
    monkeypatch.setattr(attention, "LONGEST", longest)
    model = network()
    loss, gradients, _ = loss_and_gradients(model, by_hand=True)
    assert model.keep_less()
    assert model.keeps_less
    assert not model.keep_less()
    again, gradients_again, _ = loss_and_gradients(model, by_hand=True)
    assert again == loss
    assert all(torch.equal(one, other) for one, other in zip(gradients_again, gradients, strict=True))


def test_batches_that_are_padded_so_that_few_sizes_come_up_say_the_same(monkeypatch):
    model, rows = network(), batch(23, 40, 31)
    loss, gradients, correct = loss_and_gradients(model, by_hand=True)
    logps, kl = model.log_probs(rows), model.divergence(rows)
    monkeypatch.setattr(network_module, "by_onednn", lambda *_: True)
    padded_loss, padded_gradients, padded_correct = loss_and_gradients(model, by_hand=True)
    assert padded_loss == pytest.approx(loss, rel=1e-5)
    assert worst(padded_gradients, gradients) < 1e-5
    assert torch.equal(padded_correct, correct)
    torch.testing.assert_close(model.log_probs(rows), logps)
    torch.testing.assert_close(model.divergence(rows), kl)
    model.hold(rows, 0.5)
    held = [weight.grad.clone() for weight in model.weights()]
    monkeypatch.undo()
    for weight in model.weights():
        weight.grad = None
    model.hold(rows, 0.5)
    assert worst(held, [weight.grad for weight in model.weights()]) < 1e-5
