import pytest
import torch

from tests.model.test_engine import batch, network
from tests.tiny import PEFT_TALKS
from znatok.model.graphs import MOST
from znatok.training.step import Replayed, Updater

pytestmark = [
    *PEFT_TALKS,
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


def on_gpu(graphed: bool, dtype=torch.float32):
    model = network(dtype=dtype)
    model._model.to("cuda")
    model._settle()
    if not graphed:
        model._graphs = None
    return model


def gradients(model, rows):
    score = model.backward(rows, 0.01)
    found = [weight.grad.clone() for weight in model.weights()]
    for weight in model.weights():
        weight.grad.zero_()
    return score, found


def test_a_recorded_pass_gives_the_loss_hits_and_gradients_of_a_plain_one():
    plain, graphed = on_gpu(False), on_gpu(True)
    for lengths in ((23, 40, 31), (20, 21, 22), (60, 33, 61)):
        rows = batch(*lengths)
        for _ in range(2):  # recorded, then replayed
            score, ours = gradients(graphed, rows)
            expected, theirs = gradients(plain, rows)
            assert float(score.loss) == pytest.approx(float(expected.loss.detach()), rel=1e-4)
            assert torch.equal(score.correct_N, expected.correct_N)
            assert torch.allclose(score.logp_N, expected.logp_N, atol=1e-3)
            for one, other in zip(ours, theirs, strict=True):
                assert (one - other).norm() < 2e-3 * other.norm()
    assert 2 <= len(graphed._graphs._recorded) <= 3


def test_updates_with_recorded_passes_and_accumulation_give_the_losses_of_plain_ones():
    def losses(graphed: bool) -> list[float]:
        updater = Updater(on_gpu(graphed), optim="adamw_torch", beta2=0.99, weight_decay=0.01, max_grad_norm=1.0)
        parts = [batch(30, 22), batch(26, 35), batch(70, 12)]
        return [updater.update(parts, 1e-2 * (1 + step) / 20).loss for step in range(20)]

    assert losses(True) == pytest.approx(losses(False), rel=2e-3)


def test_more_sizes_than_there_is_room_for_go_the_plain_way_and_stay_right():
    plain, graphed = on_gpu(False), on_gpu(True)
    for length in range(20, 20 + 32 * (MOST + 2), 32):
        rows = batch(length, length - 3)
        ours, theirs = graphed.backward(rows, 0.1).loss.detach(), plain.backward(rows, 0.1).loss.detach()
        assert float(ours) == pytest.approx(float(theirs), rel=1e-4)
    assert len(graphed._graphs._recorded) == MOST


def test_a_recorded_hold_gives_the_divergence_and_gradients_of_a_plain_one():
    plain, graphed = on_gpu(False), on_gpu(True)
    plain._held_graphs = None

    def held(model, rows):
        kl = model.hold(rows, 0.01)
        found = [weight.grad.clone() for weight in model.weights()]
        for weight in model.weights():
            weight.grad.zero_()
        return float(kl), found

    for lengths in ((40,), (37,), (70,)):
        rows = batch(*lengths)
        for _ in range(2):  # recorded, then replayed
            kl, ours = held(graphed, rows)
            expected, theirs = held(plain, rows)
            assert kl == pytest.approx(expected, rel=1e-3)
            for one, other in zip(ours, theirs, strict=True):
                assert (one - other).norm() < 5e-3 * other.norm()
    assert graphed._held_graphs._recorded


def test_updates_with_replay_give_the_losses_and_divergences_of_plain_ones():
    def seen(graphed: bool) -> list[float]:
        model = on_gpu(graphed)
        if not graphed:
            model._held_graphs = None
        updater = Updater(model, optim="adamw_torch", beta2=0.99, weight_decay=0.01, max_grad_norm=1.0)
        replayed = Replayed((batch(50), batch(33)), 0.01)
        steps = [updater.update([batch(30, 22)], 5e-3, replayed) for _ in range(12)]
        return [value for step in steps for value in (step.loss, step.kl)]

    assert seen(True) == pytest.approx(seen(False), rel=5e-3)
