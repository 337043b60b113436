import pytest
import torch
import torch.nn.functional as F

from tests.tiny import PEFT_TALKS, teach, tiny_folder, tiny_network
from znatok.data.batch import make_batch
from znatok.errors import RunError
from znatok.model.adapter import Adapter
from znatok.model.base import load_network
from znatok.model.loss import answer_loss
from znatok.model.optimizer import make_optimizer
from znatok.model.source import find_base
from znatok.records import Rendered

pytestmark = PEFT_TALKS

ROWS = (
    ("Что такое резистор?", "Резистор — это деталь, она ограничивает ток."),
    ("Зачем нужен конденсатор?", "Конденсатор запасает заряд."),
    ("Чему равен ток?", "Ток равен 2 А."),
)


def rendered(renderer):
    return [renderer.conversation(question, answer) for question, answer in ROWS]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_the_chunked_loss_and_its_gradient_equal_cross_entropy(dtype, tolerance):
    torch.manual_seed(0)
    hidden = torch.randn(600, 32, dtype=dtype, requires_grad=True)
    head, target = torch.randn(900, 32, dtype=dtype), torch.randint(0, 900, (600,))
    loss, correct, logp = answer_loss(hidden, head, target)
    loss.backward()
    ours, hidden.grad = hidden.grad, None
    logits = F.linear(hidden, head).float()
    expected = F.cross_entropy(logits, target, reduction="sum")
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert (ours - hidden.grad).norm() / hidden.grad.norm() < tolerance
    assert torch.equal(correct, logits.argmax(-1) == target)
    assert not logp.requires_grad
    torch.testing.assert_close(logp, logits.log_softmax(-1).gather(1, target[:, None]).squeeze(1).detach())


def test_a_stream_gives_what_generate_gives():
    network, renderer = tiny_network()
    network.add_adapter(Adapter(r=4))
    teach(network, rendered(renderer), 12)
    for question, _ in ROWS:
        prompt = renderer.prompt(question)
        assert (
            list(network.stream(prompt, 40, renderer.stop_id)) == network.generate([prompt], [40], renderer.stop_id)[0]
        )


def test_decoding_equals_that_of_transformers():
    network, renderer = tiny_network()
    network.add_adapter(Adapter(r=4))
    for steps in (0, 6, 8):
        teach(network, rendered(renderer), steps)
        questions = [question for question, _ in ROWS] + ["А", "What is a resistor, and why does it grow warm at 2 A?"]
        prompts = [renderer.prompt(question) for question in questions]
        limits = [40, 7, 25, 1, 40]
        ours = network.generate(prompts, limits, renderer.stop_id)
        assert ours == network._generate_by_transformers(prompts, limits, renderer.stop_id)


@pytest.mark.parametrize("knows", [True, False])
def test_what_is_written_comes_with_the_log_probability_of_each_id(knows):
    network, renderer = tiny_network()
    network.add_adapter(Adapter(r=4))
    teach(network, rendered(renderer), 8)
    if not knows:
        network._engine = None
    prompts = [renderer.prompt(question) for question, _ in ROWS]
    *_, written = network.writing(prompts, [20, 3, 9], renderer.stop_id)
    for prompt, ids, logps in zip(prompts, written.ids, written.logps, strict=True):
        scored = network.log_probs(make_batch([Rendered((*prompt, *ids), len(prompt))]))
        assert logps == pytest.approx(scored.tolist(), abs=1e-4)


def test_batched_answers_equal_single_ones_and_keep_their_own_limits():
    network, renderer = tiny_network()
    network.add_adapter(Adapter(r=4))
    teach(network, rendered(renderer), 12)
    prompts = [renderer.prompt(question) for question, _ in ROWS]
    together = network.generate(prompts, [40, 3, 40], renderer.stop_id)
    alone = [network.generate([prompt], [40], renderer.stop_id)[0] for prompt in prompts]
    assert together == [alone[0], alone[1][:3], alone[2]]


def test_a_saved_adapter_is_read_back(tmp_path):
    network, renderer = tiny_network()
    network.add_adapter(Adapter(r=4))
    teach(network, rendered(renderer), 5)
    network.save_adapter(tmp_path / "adapter")
    before = network.loss(make_batch(rendered(renderer)))
    teach(network, rendered(renderer), 5)
    assert network.loss(make_batch(rendered(renderer))) != before
    network.read_adapter(tmp_path / "adapter")
    assert network.loss(make_batch(rendered(renderer))) == before


def test_an_adapter_of_another_depth_is_refused(tmp_path):
    network, _ = tiny_network()
    network.add_adapter(Adapter(r=4, target_modules=("q_proj",)))
    network.save_adapter(tmp_path / "adapter")
    (tmp_path / "adapter" / "adapter_config.json").write_text(
        (tmp_path / "adapter" / "adapter_config.json").read_text().replace('"q_proj"', '"q_proj", "v_proj"')
    )
    other, _ = tiny_network()
    with pytest.raises(RunError):
        other.load_adapter(tmp_path / "adapter")


def test_lora_with_dropout_keeps_the_forward_of_peft():
    network, renderer = tiny_network()
    network.add_adapter(Adapter(r=4, lora_dropout=0.5))
    teach(network, rendered(renderer), 3)
    network.train()
    batch = make_batch(rendered(renderer))
    assert network.loss(batch) != network.loss(batch)
    network.use()
    assert network.loss(batch) == network.loss(batch)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:bitsandbytes", "ignore::FutureWarning")
def test_classic_trains_in_four_bits_on_a_cpu(tmp_path):
    import bitsandbytes

    folder = tiny_folder(tmp_path / "tiny")
    network = load_network(find_base(str(folder)), "float32", "cpu", "nf4", drops=True)
    layers = [layer for layer in network._base.modules() if isinstance(layer, bitsandbytes.nn.Linear4bit)]
    assert len(layers) == 14
    assert {layer.weight.quant_type for layer in layers} == {"nf4"}
    network.add_adapter(Adapter(lora_dropout=0.05, target_modules=("q_proj", "k_proj", "v_proj", "o_proj")))
    network.train()
    _, renderer = tiny_network()
    batch = make_batch(rendered(renderer))
    optimizer = make_optimizer(network.weights(), "adamw_8bit", 0.01, 0.999, 0.0)
    assert type(optimizer) is bitsandbytes.optim.AdamW8bit
    losses = []
    for _ in range(8):
        loss = network.score(batch).loss / len(batch.target_N)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] * 0.9
    assert all(isinstance(layer.weight, bitsandbytes.nn.Params4bit) for layer in layers)
