import pytest
import torch
import torch.nn.functional as F

from tests.model.test_engine import batch, network, worst
from tests.tiny import PEFT_TALKS
from znatok.model.loss import CHUNK, divergence

pytestmark = PEFT_TALKS

N = CHUNK + 44


@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_divergence_and_its_gradient_are_those_of_the_formula_written_out(dtype, close):
    torch.manual_seed(0)
    tuned, base = (torch.randn(N, 32, dtype=dtype) for _ in range(2))
    head, weight = torch.randn(900, 32, dtype=dtype), torch.rand(N)
    tuned.requires_grad_()
    kl, kl_N = divergence(tuned, base, head, weight)
    (0.3 * kl).backward()
    ours, tuned.grad = tuned.grad, None

    wide, p = F.linear(tuned, head).float(), F.linear(base, head).float().softmax(-1)
    plain_N = (p * (p.log() - wide.log_softmax(-1))).sum(-1)
    (0.3 * (plain_N * weight).sum()).backward()
    torch.testing.assert_close(kl_N, plain_N.detach(), rtol=close, atol=close)
    assert kl.item() == pytest.approx((plain_N * weight).sum().item(), rel=close)
    assert (ours.float() - tuned.grad.float()).norm() < close * tuned.grad.float().norm()


def test_without_weights_every_place_counts_one_and_a_model_does_not_diverge_from_itself():
    torch.manual_seed(0)
    tuned, base, head = torch.randn(N, 32, requires_grad=True), torch.randn(N, 32), torch.randn(900, 32)
    kl, kl_N = divergence(tuned, base, head)
    assert kl.item() == pytest.approx(kl_N.sum().item())
    kl, kl_N = divergence(tuned, tuned.detach(), head)
    kl.backward()
    assert kl_N.abs().max() < 1e-5
    assert tuned.grad.abs().max() < 1e-5


def held(model, *, by_hand: bool):
    """The divergence and the gradients of one batch, by the engine or by transformers' and PEFT's own layers."""
    engine = model._engine
    model._engine = engine if by_hand else None
    kl = model.hold(batch(23, 40, 31), 0.2)
    gradients = [weight.grad for weight in model.weights()]
    for weight in model.weights():
        weight.grad = None
    model._engine = engine
    return float(kl), gradients


def written_out(model):
    """The same from transformers' and PEFT's logits, all of it in plain sight."""
    rows = batch(23, 40, 31)
    ids, places = torch.from_numpy(rows.ids_BL), torch.from_numpy(rows.position_N)
    with torch.no_grad(), model._model.disable_adapter():
        base = model._model(input_ids=ids).logits.flatten(0, 1)[places].log_softmax(-1)
    tuned = model._model(input_ids=ids).logits.flatten(0, 1)[places].log_softmax(-1)
    kl = (base.exp() * (base - tuned)).sum()
    (0.2 * kl).backward()
    gradients = [weight.grad for weight in model.weights()]
    for weight in model.weights():
        weight.grad = None
    return float(kl.detach()), gradients


@pytest.mark.parametrize("by_hand", [True, False])
@pytest.mark.parametrize("shape", ["llama, tied", "qwen3"])
def test_holding_a_model_to_its_base_has_the_gradients_of_a_plain_divergence(shape, by_hand):
    model = network(shape)
    kl, gradients = held(model, by_hand=by_hand)
    expected, expected_gradients = written_out(model)
    assert kl == pytest.approx(expected, rel=1e-4)
    assert kl > 1
    assert worst(gradients, expected_gradients) < 1e-4


def test_holding_adds_to_the_gradients_that_are_there_and_leaves_the_adapter_on():
    model = network()
    loss = float(model.score(batch(20, 25)).loss.detach())
    model.hold(batch(23, 40, 31), 0.2)
    once = [weight.grad.clone() for weight in model.weights()]
    model.hold(batch(23, 40, 31), 0.2)
    for weight, gradient in zip(model.weights(), once, strict=True):
        torch.testing.assert_close(weight.grad, 2 * gradient)
    score = model.score(batch(20, 25))
    assert float(score.loss.detach()) == loss
    assert score.loss.requires_grad


def test_dropout_is_drawn_for_the_tuned_model_and_never_for_the_base():
    model = network(dropout=0.5)
    model.train()
    rows = batch(23, 40)
    ids, places = torch.from_numpy(rows.ids_BL), torch.from_numpy(rows.position_N)
    assert torch.equal(model._base_hidden(ids, places), model._base_hidden(ids, places))
    assert float(model.hold(rows, 1.0)) != float(model.hold(rows, 1.0))
