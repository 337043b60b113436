"""What only a GPU can show: 4 bits, float16 and decoding as recorded passes, and equal bytes when asked for."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.model.test_decode import LENGTHS, LIMITS, STOP, at, prompts, stop_id
from tests.model.test_engine import ALL_LINEAR, add_adapter, base_model, batch, loss_and_gradients, network, worst
from tests.model.test_graphs import gradients, on_gpu
from tests.model.test_quantised import source
from tests.tiny import PEFT_TALKS, tiny_folder
from tests.training.runs import weights, write_table
from znatok.model.base import load_by_transformers, load_network
from znatok.training.step import Updater

pytestmark = [
    *PEFT_TALKS,
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning:bitsandbytes", "ignore::FutureWarning", "ignore:inner dimension .*:UserWarning"
    ),
]


def quantised(folder, quantization, dtype="bfloat16", shape="llama, tied"):
    base_model(shape).save_pretrained(folder)
    model = load_by_transformers(source(folder), dtype, "cuda", quantization)
    add_adapter(model, ALL_LINEAR)
    model.train()
    return model


@pytest.mark.parametrize("shape", ["llama, tied", "qwen2", "qwen3"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_a_gpu_loss_and_gradients_are_those_of_transformers_and_peft(shape, dtype):
    model = network(shape, dtype=dtype)
    model._model.to("cuda")
    model._settle()
    model._graphs = None
    loss, ours, _ = loss_and_gradients(model, by_hand=True)
    expected, theirs, _ = loss_and_gradients(model, by_hand=False)
    is_exact = dtype is torch.float32
    assert loss == pytest.approx(expected, rel=1e-4 if is_exact else 5e-3)
    assert worst(ours, theirs) < (2e-3 if is_exact else 0.08)


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_a_quantised_base_is_recorded_and_gives_what_its_plain_pass_gives(tmp_path, quantization):
    model = quantised(tmp_path, quantization)
    assert model._graphs is not None
    graphs = model._graphs
    for lengths in ((23, 40, 31), (60, 33, 61)):
        rows = batch(*lengths)
        for _ in range(2):
            model._graphs = graphs
            score, ours = gradients(model, rows)
            model._graphs = None
            expected, theirs = gradients(model, rows)
            assert float(score.loss) == pytest.approx(float(expected.loss.detach()), rel=2e-2)
            assert worst(ours, theirs) < 0.05


def test_nf4_on_a_gpu_is_near_peft(tmp_path):
    model = quantised(tmp_path, "nf4", "float32")
    model._graphs = None
    loss, ours, _ = loss_and_gradients(model, by_hand=True)
    expected, theirs, _ = loss_and_gradients(model, by_hand=False)
    assert loss == pytest.approx(expected, rel=1e-3)
    assert worst(ours, theirs) < 1e-2


@pytest.mark.parametrize("graphed", [True, False])
def test_float16_learns_with_a_scaled_loss(graphed):
    model = on_gpu(graphed, torch.float16)
    assert model.needs_loss_scaling
    updater = Updater(model, optim="adamw_torch", beta2=0.99, weight_decay=0.0, max_grad_norm=1.0)
    exact = Updater(on_gpu(False), optim="adamw_torch", beta2=0.99, weight_decay=0.0, max_grad_norm=1.0)
    parts = [batch(30, 22), batch(26, 35)]
    losses = [updater.update(parts, 5e-3).loss for _ in range(20)]
    assert losses == pytest.approx([exact.update(parts, 5e-3).loss for _ in range(20)], rel=0.2)
    assert losses[-1] < losses[0]


def test_a_loss_that_is_no_number_changes_nothing_on_a_gpu():
    model = on_gpu(True)
    updater = Updater(model, optim="adamw_torch", beta2=0.99, weight_decay=0.0, max_grad_norm=1.0)
    assert updater.update([batch(20, 31)], 1e-2).is_finite
    with torch.no_grad():
        model.weights()[0][0, 0] = torch.nan
    before = [weight.detach().clone() for weight in model.weights()]
    assert not updater.update([batch(20, 31)], 1e-2).is_finite
    for weight, old in zip(model.weights(), before, strict=True):
        assert torch.equal(weight.nan_to_num(), old.nan_to_num())


@pytest.mark.parametrize("shape", ["llama, tied", "qwen3"])
def test_recorded_decoding_answers_as_transformers(shape):
    model, asked = network(shape), prompts(*LENGTHS)
    model._model.to("cuda")
    model._settle()
    model.use()
    stop = stop_id(model, asked)
    for _ in range(2):  # recorded, then replayed
        assert model.generate(asked, LIMITS, stop) == model._generate_by_transformers(asked, LIMITS, stop)
    desk = model._desk
    assert desk is not None
    assert desk._graphs
    with model.base_alone():
        assert model.generate(asked, LIMITS, stop) == model._generate_by_transformers(asked, LIMITS, stop)
    for weight in model.weights():
        weight.data.mul_(2)
    assert list(model.stream(asked[1], 30, STOP)) == model._generate_by_transformers(asked[1:2], [30], STOP)[0]
    assert model._desk is desk


def test_guesses_and_recorded_steps_take_turns_over_one_cache():
    model, (asked, _) = network(), prompts(9, 30)
    model._model.to("cuda")
    model._settle()
    model.use()
    said = model.generate([asked], [40], STOP)[0]
    for right in (0, 3, 20, 40):
        guess = [*said[:right], *((id + 1) % 690 for id in said[right:])]
        assert [id for id, _ in model.stream_scored(asked, 40, STOP, at(guess))] == said
    assert model.generate([asked], [40], STOP)[0] == said


def test_log_probabilities_of_recorded_decoding_are_those_of_a_cpu():
    model, asked = network(), prompts(*LENGTHS)
    model.use()
    *_, expected = model.writing(asked, LIMITS, STOP)
    model._model.to("cuda")
    model._settle()
    *_, found = model.writing(asked, LIMITS, STOP)
    assert found.ids == expected.ids
    for ours, theirs in zip(found.logps, expected.logps, strict=True):
        assert ours == pytest.approx(theirs, abs=5e-3)


def test_deterministic_runs_end_with_the_same_bytes_and_so_does_a_stopped_one(tmp_path):
    model, table = tiny_folder(tmp_path / "model"), write_table(tmp_path)
    for name, after in (("one", 0), ("other", 0), ("stopped", 3)):
        code = (
            "from tests.training.runs import begun, learned\n"
            f"asked = {str(table)!r}, {str(model)!r}, {str(tmp_path / name)!r}\n"
            "from pathlib import Path\n"
            "table, model, run = map(Path, asked)\n"
            f"{f'begun(table, model, run, {after}' if after else 'learned(table, model, run'}, deterministic=True)\n"
        )
        run_alone(code)
    stopped = str(tmp_path / "stopped")
    run_alone(f"from pathlib import Path\nfrom tests.training.runs import gone_on\ngone_on(Path({stopped!r}))")
    assert weights(tmp_path / "one") == weights(tmp_path / "other") == weights(tmp_path / "stopped")


def run_alone(code: str) -> None:
    """In a process of its own, since torch is told for all of a process."""
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("quantization", ["none", "nf4", "int8"])
def test_on_a_gpu_our_own_container_holds_what_transformers_loads(tmp_path, quantization):
    base_model("qwen2").save_pretrained(tmp_path)
    losses = []
    for load in (load_network, load_by_transformers):
        model = load(source(tmp_path), "bfloat16", "cuda", quantization, seed=5)
        add_adapter(model)
        losses.append(model.loss(batch(23, 40)))
    assert losses[0] == losses[1]
