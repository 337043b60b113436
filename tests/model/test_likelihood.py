import pytest
import torch
import torch.nn.functional as F

from tests.tiny import PEFT_TALKS, teach, tiny_network
from znatok.data.batch import make_batch
from znatok.model.adapter import Adapter
from znatok.model.likelihood import kl_divergence, token_log_probs

pytestmark = PEFT_TALKS

ROWS = (
    ("Что такое резистор?", "Резистор — это деталь, она ограничивает ток."),
    ("Зачем нужен конденсатор?", "Он запасает заряд."),
    ("What is a fuse?", "It melts above 2 A."),
)


def batch_of(renderer):
    return make_batch([renderer.conversation(question, answer) for question, answer in ROWS])


def taught(steps=4):
    torch.manual_seed(0)
    network, renderer = tiny_network()
    network.add_adapter(Adapter())
    if steps:
        teach(network, [renderer.conversation(question, answer) for question, answer in ROWS], steps)
    network.use()
    return network, batch_of(renderer)


@torch.no_grad()
def distributions_of_transformers(network, batch):
    """The log-softmax of the logits that transformers and PEFT give, at the batch's target positions."""
    logits = network._model(input_ids=torch.from_numpy(batch.ids_BL)).logits.flatten(0, 1)
    return logits[torch.from_numpy(batch.position_N)].log_softmax(-1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_chunks_give_what_one_log_softmax_gives(dtype):
    torch.manual_seed(0)
    hidden, other = torch.randn(2, 600, 32, dtype=dtype)
    head, target = torch.randn(900, 32, dtype=dtype), torch.randint(0, 900, (600,))
    one, two = (F.linear(x, head).float().log_softmax(-1) for x in (hidden, other))
    logp = token_log_probs(hidden, head, target)
    assert logp.dtype == torch.float32
    torch.testing.assert_close(logp, one.gather(1, target[:, None]).squeeze(1), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(kl_divergence(hidden, other, head), (one.exp() * (one - two)).sum(-1))


def test_log_probs_are_those_of_transformers_with_the_adapter_and_without():
    network, batch = taught()
    target = torch.from_numpy(batch.target_N)[:, None]
    tuned = distributions_of_transformers(network, batch).gather(1, target).squeeze(1)
    with network.base_alone():
        base = distributions_of_transformers(network, batch).gather(1, target).squeeze(1)
        torch.testing.assert_close(network.log_probs(batch), base, rtol=1e-4, atol=1e-4)
    found = network.log_probs(batch)
    torch.testing.assert_close(found, tuned, rtol=1e-4, atol=1e-4)
    assert (found.dtype, found.device.type, found.requires_grad) == (torch.float32, "cpu", False)
    assert (tuned - base).abs().max() > 0.1
    assert float(found.sum()) == pytest.approx(-network.loss(batch), rel=1e-5)


def test_divergence_is_the_mean_over_each_row_of_what_transformers_logits_give():
    network, batch = taught()
    tuned = distributions_of_transformers(network, batch)
    with network.base_alone():
        base = distributions_of_transformers(network, batch)
    kl_N = (base.exp() * (base - tuned)).sum(-1)
    row_N = torch.from_numpy(batch.row_N)
    wanted = torch.stack([kl_N[row_N == row].mean() for row in range(len(ROWS))])
    found = network.divergence(batch)
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)
    assert (found.dtype, found.device.type, found.requires_grad) == (torch.float32, "cpu", False)
    assert (found > 0.01).all()


def test_a_model_does_not_diverge_from_itself():
    bare, renderer = tiny_network()
    assert bare.divergence(batch_of(renderer)).tolist() == [0] * len(ROWS)
    fresh, batch = taught(steps=0)
    assert fresh.divergence(batch).tolist() == pytest.approx([0] * len(ROWS), abs=1e-6)


def test_the_longer_it_is_taught_the_further_it_goes_from_the_base():
    little, batch = taught(steps=1)
    much, _ = taught(steps=12)
    assert 0 < little.divergence(batch).mean() < much.divergence(batch).mean()


def test_the_adapter_is_on_again_after_both():
    network, batch = taught()
    loss = network.loss(batch)
    network.log_probs(batch)
    network.divergence(batch)
    assert network.loss(batch) == loss
    assert network.score(batch).loss.requires_grad


def test_an_adapter_with_dropout_is_measured_without_it():
    torch.manual_seed(0)
    network, renderer = tiny_network()
    bare, _ = tiny_network()
    network.add_adapter(Adapter(lora_dropout=0.5))
    teach(network, [renderer.conversation(question, answer) for question, answer in ROWS], 4)
    batch = batch_of(renderer)
    assert torch.equal(network.divergence(batch), network.divergence(batch))
    assert (network.divergence(batch) > 0).all()
    with network.base_alone():
        torch.testing.assert_close(network.log_probs(batch), bare.log_probs(batch), rtol=1e-4, atol=1e-4)
