"""Frozen weights in 4 and 8 bits go the engine's way, and give what PEFT's layers give."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from tests.model.test_decode import LENGTHS, LIMITS, STOP, prompts
from tests.model.test_engine import add_adapter, base_model, batch, loss_and_gradients, worst
from tests.tiny import PEFT_TALKS
from znatok.model.adapter import ALL_LINEAR
from znatok.model.base import load_by_transformers
from znatok.model.engine import can_run
from znatok.model.joint import linear_kind
from znatok.model.network import Network
from znatok.model.source import BaseSource
from znatok.training.step import Updater

pytestmark = [
    *PEFT_TALKS,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:bitsandbytes", "ignore::FutureWarning"),
]

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


@pytest.fixture(autouse=True)
def weights_as_they_are(monkeypatch):
    """Where a CPU has AVX512-BF16, bitsandbytes packs weights anew, for which the layers of tests are too narrow."""
    monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: False)


def source(folder: Path) -> BaseSource:
    return BaseSource("tiny", folder, "znatok/tiny", None, False)


def quantised(folder, quantization, shape="llama, tied", dtype="float32", targets=ALL_LINEAR, dropout=0.0) -> Network:
    base_model(shape).save_pretrained(folder)
    model = load_by_transformers(source(folder), dtype, "cpu", quantization)
    add_adapter(model, targets, dropout)
    model.train()
    return model


@pytest.mark.parametrize("targets", [ALL_LINEAR, ATTENTION])
@pytest.mark.parametrize(("quantization", "shape"), [("nf4", "llama, tied"), ("nf4", "qwen2"), ("int8", "llama, tied")])
def test_loss_and_gradients_equal_those_of_peft(tmp_path, quantization, shape, targets):
    model = quantised(tmp_path, quantization, shape, targets=targets)
    assert linear_kind(model._base.model.layers[0].mlp.up_proj) == quantization
    loss, gradients, correct = loss_and_gradients(model, by_hand=True)
    expected, expected_gradients, expected_correct = loss_and_gradients(model, by_hand=False)
    assert loss == pytest.approx(expected, rel=1e-5)
    assert worst(gradients, expected_gradients) < 1e-4
    assert torch.equal(correct, expected_correct)


def test_in_bfloat16_the_gradients_are_near_those_of_peft(tmp_path):
    model = quantised(tmp_path, "nf4", dtype="bfloat16")
    loss, ours, _ = loss_and_gradients(model, by_hand=True)
    expected, theirs, _ = loss_and_gradients(model, by_hand=False)
    assert loss == pytest.approx(expected, rel=2e-3)
    assert worst(ours, theirs) < 0.08


def test_scales_that_are_quantised_themselves_are_unpacked_right(tmp_path):
    base_model().save_pretrained(tmp_path)
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.float32,
        bnb_4bit_use_double_quant=True,
    )
    base = AutoModelForCausalLM.from_pretrained(tmp_path, quantization_config=config, dtype=torch.float32)
    model = Network(base.requires_grad_(False), source(tmp_path), "nf4")
    assert base.model.layers[0].mlp.up_proj.weight.quant_state.nested
    add_adapter(model)
    model.train()
    loss, gradients, _ = loss_and_gradients(model, by_hand=True)
    expected, expected_gradients, _ = loss_and_gradients(model, by_hand=False)
    assert loss == pytest.approx(expected, rel=1e-5)
    assert worst(gradients, expected_gradients) < 1e-4


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_updates_of_quantised_bases_give_the_losses_of_peft(tmp_path, quantization):
    def losses(by_hand: bool) -> list[float]:
        model = quantised(tmp_path, quantization)
        if not by_hand:
            model._engine = None
        updater = Updater(model, optim="adamw_torch", beta2=0.99, weight_decay=0.01, max_grad_norm=1.0)
        parts = [batch(30, 22), batch(26, 35)]
        return [updater.update(parts, 1e-2).loss for _ in range(10)]

    ours = losses(by_hand=True)
    assert ours == pytest.approx(losses(by_hand=False), rel=1e-3)
    assert ours[-1] < ours[0]


def test_a_quantised_base_answers_as_through_transformers(tmp_path):
    model, asked = quantised(tmp_path, "nf4"), prompts(*LENGTHS)
    model.use()
    # Before any pass without a gradient through bitsandbytes' own layers, which packs weights anew on some CPUs.
    ours = model.generate(asked, LIMITS, STOP)
    assert ours == model._generate_by_transformers(asked, LIMITS, STOP)
    assert ours == model.generate(asked, LIMITS, STOP)


def test_with_dropout_a_quantised_base_trains_by_peft_and_is_examined_by_hand(tmp_path):
    model, rows = quantised(tmp_path, "nf4", targets=ATTENTION, dropout=0.5), batch(20, 28)
    assert model.loss(rows) != model.loss(rows)
    model.use()
    by_hand = model.loss(rows)
    model._engine = None
    assert model.loss(rows) == pytest.approx(by_hand, rel=1e-5)


def test_layers_of_unlike_kinds_side_by_side_are_left_to_peft(tmp_path):
    base_model().save_pretrained(tmp_path)
    config = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", llm_int8_skip_modules=["k_proj", "lm_head"]
    )
    base = AutoModelForCausalLM.from_pretrained(tmp_path, quantization_config=config, dtype=torch.float32)
    assert not can_run(base)


def test_bitsandbytes_comes_without_torchs_compiler():
    code = (
        "import sys, torch; compiled = torch.compile\n"
        "from znatok.model.quantised import library\n"
        "print(library().__name__, torch.compile is compiled, 'torch._inductor' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["bitsandbytes", "True", "False"]
