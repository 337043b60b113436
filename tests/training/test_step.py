import copy
import math

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaForCausalLM

from tests.tiny import PEFT_TALKS, tiny_network
from znatok.data.batch import make_batch
from znatok.model.adapter import Adapter
from znatok.training.step import Updater, rows_right

pytestmark = PEFT_TALKS

ROWS = (
    ("Что такое резистор?", "Резистор — это деталь, она ограничивает ток."),
    ("Зачем нужен конденсатор?", "Конденсатор запасает заряд."),
    ("Чему равен ток?", "Ток равен 2 А."),
    ("What is a diode?", "A diode lets current pass one way only."),
    ("Как проверить диод?", "Прозвоните диод в обе стороны."),
    ("Сколько взять?", "Хватит 100 мкФ."),
    ("Чем опасна молния?", "Она бьёт до 30 кА."),
    ("What is it for?", "It smooths the voltage."),
)


def taught_network():
    """A tiny network whose adapter is no longer zero, and the rendered rows."""
    network, renderer = tiny_network()
    network.add_adapter(Adapter(r=4, lora_alpha=8))
    torch.manual_seed(3)
    with torch.no_grad():
        for weight in network.weights():
            weight.normal_(std=0.05)
    network.train()
    return network, [renderer.conversation(question, answer) for question, answer in ROWS]


def updater(network):
    return Updater(network, optim="adamw_torch", beta2=0.99, weight_decay=0.0, max_grad_norm=1e9)


def gradients_of_one_update(groups):
    """The gradients that an update was made of, caught before they are cleared."""
    network, rendered = taught_network()
    trained = sum(len(one.ids) - one.answer_start for one in rendered)
    for group in groups:
        (network.score(make_batch([rendered[place] for place in group])).loss / trained).backward()
    return [weight.grad.clone() for weight in network.weights()]


def test_loss_and_gradients_equal_those_of_transformers_and_peft():
    network, rendered = taught_network()
    batch = make_batch(rendered)
    trained = len(batch.target_N)
    loss = network.score(batch).loss / trained
    loss.backward()

    base = LlamaForCausalLM(copy.deepcopy(network._base.config))
    plain = get_peft_model(
        base, LoraConfig(r=4, lora_alpha=8, target_modules=list(Adapter().target_modules), task_type="CAUSAL_LM")
    )
    ours = dict(network._model.named_parameters())
    with torch.no_grad():
        for name, value in plain.named_parameters():
            value.copy_(ours[name])
    ids = torch.from_numpy(batch.ids_BL)
    labels = torch.full_like(ids, -100)
    for number, one in enumerate(rendered):
        labels[number, one.answer_start : len(one.ids)] = ids[number, one.answer_start : len(one.ids)]
    mask = torch.tensor([[1] * len(one.ids) + [0] * (ids.shape[1] - len(one.ids)) for one in rendered])
    theirs = plain(input_ids=ids, attention_mask=mask, labels=labels).loss
    theirs.backward()

    assert loss.item() == pytest.approx(theirs.item(), rel=1e-5)
    compared = 0
    for name, value in plain.named_parameters():
        if "lora_" in name:
            error = (ours[name].grad - value.grad).norm() / value.grad.norm()
            assert error < 1e-5, name
            compared += 1
    assert compared == 2 * 7 * 2


def test_four_batches_of_two_accumulated_equal_one_batch_of_eight():
    whole = gradients_of_one_update([range(8)])
    parts = gradients_of_one_update([(0, 3), (1, 2), (4, 7), (5, 6)])
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)


def test_an_update_says_which_rows_were_right_in_every_token():
    _, rendered = taught_network()
    batch = make_batch(rendered[:3])
    correct_N = torch.ones(len(batch.target_N), dtype=torch.bool)
    correct_N[int((batch.row_N == 1).argmax())] = False
    assert rows_right(batch, correct_N) == [True, False, True]


def test_a_loss_that_is_no_number_changes_nothing():
    network, rendered = taught_network()
    with torch.no_grad():
        network.weights()[0][0, 0] = math.nan
    before = [weight.detach().clone() for weight in network.weights()]
    step = updater(network).update([make_batch(rendered)], 1e-2)
    assert not step.is_finite
    for weight, old in zip(network.weights(), before, strict=True):
        assert torch.equal(weight.isnan(), old.isnan())
        assert torch.equal(weight.nan_to_num(), old.nan_to_num())


def test_updates_lower_the_loss():
    network, rendered = taught_network()
    update = updater(network).update
    losses = [update([make_batch(rendered)], 1e-2).loss for _ in range(8)]
    assert losses[-1] < losses[0] / 1.5


def test_the_base_answers_as_before_with_the_adapter_off():
    plain, renderer = tiny_network()
    network, rendered = taught_network()
    prompt = renderer.prompt("Что такое резистор?")
    network.use()
    with network.base_alone():
        alone = network.generate([prompt], [12], renderer.stop_id)
    assert alone == plain.generate([prompt], [12], renderer.stop_id)
    assert network.score(make_batch(rendered)).loss.item() != pytest.approx(
        plain.score(make_batch(rendered)).loss.item()
    )
