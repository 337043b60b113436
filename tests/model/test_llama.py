"""The container of our own against transformers' model and PEFT's layers: the same weights, bytes, losses, answers."""

import json

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from tests.model.test_decode import LENGTHS, LIMITS, STOP, prompts
from tests.model.test_engine import SHAPES, TARGETS, base_model, batch, loss_and_gradients, worst
from tests.model.test_quantised import source
from tests.tiny import PEFT_TALKS
from znatok.errors import ModelError
from znatok.model.adapter import ALL_LINEAR, Adapter
from znatok.model.base import load_by_transformers, load_network
from znatok.model.llama import Llama, load_llama
from znatok.model.llama_config import read_llama_config
from znatok.model.rope import Rotary

pytestmark = [
    *PEFT_TALKS,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:bitsandbytes", "ignore::FutureWarning"),
]

LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


def saved(folder, shape="llama, tied"):
    base_model(shape).save_pretrained(folder)
    return folder


def both(folder, dtype="float32", quantization="none", targets=ALL_LINEAR):
    """Our network and transformers', each with a fresh adapter of the same seed."""
    networks = []
    for load in (load_network, load_by_transformers):
        network = load(source(folder), dtype, "cpu", quantization, seed=5)
        network.add_adapter(Adapter(r=8, target_modules=targets))
        networks.append(network)
    assert isinstance(networks[0]._base, Llama)
    assert not isinstance(networks[1]._base, Llama)
    return networks


def move(network, *, adapter=False):
    """Makes the adapter say something; puts one on first where there is none yet."""
    if adapter:
        network.add_adapter(Adapter(r=8))
    generator = torch.Generator().manual_seed(3)
    for weight in network.weights():
        weight.data.add_(0.05 * torch.randn(weight.shape, generator=generator))
    network.train()
    return network


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_weights_and_their_names_are_those_of_transformers(tmp_path, shape, dtype):
    saved(tmp_path, shape)
    ours = load_network(source(tmp_path), dtype, "cpu")
    theirs = load_by_transformers(source(tmp_path), dtype, "cpu")
    assert isinstance(ours._base, Llama)
    expected = theirs._base.state_dict()
    assert ours._base.state_dict().keys() == expected.keys()
    for name, value in ours._base.state_dict().items():
        assert value.dtype is expected[name].dtype
        assert torch.equal(value, expected[name]), name
    is_tied = [network._base.lm_head.weight is network._base.model.embed_tokens.weight for network in (ours, theirs)]
    assert is_tied[0] == is_tied[1]
    assert not any(value.requires_grad for value in ours._base.parameters())
    assert ours.context_length == theirs.context_length
    assert ours.needs_loss_scaling == (dtype == "float16")


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("shape", SHAPES)
def test_loss_and_gradients_equal_those_of_transformers_and_peft(tmp_path, shape, targets):
    ours, theirs = map(move, both(saved(tmp_path, shape), targets=targets))
    loss, gradients, correct = loss_and_gradients(ours, by_hand=True)
    expected, expected_gradients, expected_correct = loss_and_gradients(theirs, by_hand=False)
    assert loss == pytest.approx(expected, rel=1e-5)
    assert worst(gradients, expected_gradients) < 1e-5
    assert torch.equal(correct, expected_correct)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", ["llama, tied", "qwen2", "qwen3"])
def test_losses_and_gradients_have_the_bits_that_they_have_in_the_other_container(tmp_path, shape, dtype):
    ours, theirs = map(move, both(saved(tmp_path, shape), dtype))
    loss, gradients, _ = loss_and_gradients(ours, by_hand=True)
    expected, expected_gradients, _ = loss_and_gradients(theirs, by_hand=True)
    assert loss == expected
    assert all(map(torch.equal, gradients, expected_gradients))


@pytest.mark.parametrize("shape", ["llama, untied", "qwen3"])
def test_answers_are_those_of_transformers(tmp_path, shape):
    ours, theirs = map(move, both(saved(tmp_path, shape)))
    asked = prompts(*LENGTHS)
    assert ours.generate(asked, LIMITS, STOP) == theirs._generate_by_transformers(asked, LIMITS, STOP)
    with ours.base_alone(), theirs.base_alone():
        assert ours.generate(asked, LIMITS, STOP) == theirs._generate_by_transformers(asked, LIMITS, STOP)


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize(
    ("dtype", "quantization"),
    [("float32", "none"), ("bfloat16", "none"), ("float16", "none"), ("bfloat16", "nf4"), ("float32", "int8")],
)
def test_a_seed_gives_the_adapter_that_it_gives_with_peft_to_the_byte(tmp_path, dtype, quantization, targets):
    ours, theirs = both(saved(tmp_path, "qwen2"), dtype, quantization, targets)
    files = []
    for name, network in (("ours", ours), ("theirs", theirs)):
        network.save_adapter(tmp_path / name)
        files.append((tmp_path / name / "adapter_model.safetensors").read_bytes())
    assert files[0] == files[1]
    assert all(weight.dtype is torch.float32 and weight.requires_grad for weight in ours.weights())


def test_the_config_of_an_adapter_is_the_one_that_peft_writes(tmp_path):
    configs = []
    for name, network in zip(("ours", "theirs"), both(saved(tmp_path / "base")), strict=True):
        network.save_adapter(tmp_path / name)
        configs.append((tmp_path / name / "adapter_config.json").read_bytes())
    ours, theirs = map(json.loads, configs)
    if ours["peft_version"] == theirs["peft_version"]:
        assert configs[0] == configs[1]
    for name in ours.keys() & theirs.keys() - {"peft_version"}:
        assert ours[name] == theirs[name], name


def test_peft_loads_the_adapter_and_gives_the_same_logits(tmp_path):
    ours = move(load_network(source(saved(tmp_path / "base")), "float32", "cpu"), adapter=True)
    ours.save_adapter(tmp_path / "adapter")
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    theirs = PeftModel.from_pretrained(base, tmp_path / "adapter")
    rows = batch(20)
    logits = theirs(input_ids=torch.from_numpy(rows.ids_BL)).logits.flatten(0, 1)[torch.from_numpy(rows.position_N)]
    expected = logits.log_softmax(-1).gather(1, torch.from_numpy(rows.target_N)[:, None]).squeeze(1)
    torch.testing.assert_close(ours.log_probs(rows), expected.detach(), rtol=1e-4, atol=1e-4)


def test_an_adapter_of_peft_is_put_on_with_its_own_ranks_and_scales(tmp_path):
    theirs = load_by_transformers(source(saved(tmp_path / "base")), "float32", "cpu")
    theirs.add_adapter(Adapter(r=8))
    move(theirs).save_adapter(tmp_path / "adapter")
    config, weights = tmp_path / "adapter" / "adapter_config.json", tmp_path / "adapter" / "adapter_model.safetensors"
    tensors = load_file(weights)
    for side, part in (("A", slice(None, 4)), ("B", (slice(None), slice(None, 4)))):
        name = f"base_model.model.model.layers.0.self_attn.q_proj.lora_{side}.weight"
        tensors[name] = tensors[name][part].clone()
    weights.unlink()
    save_file(tensors, weights)
    patterns = {
        "rank_pattern": {"layers.0.self_attn.q_proj": 4},
        "alpha_pattern": {"down_proj": 64},
        "use_rslora": True,
    }
    config.write_text(json.dumps(json.loads(config.read_text(encoding="utf-8")) | patterns), encoding="utf-8")
    losses = []
    for load in (load_network, load_by_transformers):
        network = load(source(tmp_path / "base"), "float32", "cpu")
        network.load_adapter(tmp_path / "adapter")
        losses.append(network.loss(batch(20, 31)))
    assert losses[0] == losses[1]


@pytest.mark.parametrize("rope", [{"rope_type": "default", "rope_theta": 10_000.0}, LLAMA3])
def test_heads_are_turned_as_transformers_turns_them(rope):
    config = LlamaConfig(
        hidden_size=64, num_attention_heads=2, num_hidden_layers=1, vocab_size=8, rope_parameters=dict(rope)
    )
    theirs = LlamaForCausalLM(config).model.rotary_emb
    places = torch.arange(300)[None]
    for dtype in (torch.float32, torch.bfloat16):
        like = torch.empty(0, dtype=dtype)
        for ours, expected in zip(Rotary(32, rope)(like, places), theirs(like, places), strict=True):
            assert torch.equal(ours, expected)


@pytest.mark.parametrize("spelling", ["rope_parameters", "rope_scaling"])
def test_the_rotation_of_llama_3_is_read_as_it_was_written_before_and_since(tmp_path, spelling):
    saved(tmp_path)
    said = dict(LLAMA3)
    theta = {"rope_theta": said.pop("rope_theta")} if spelling == "rope_scaling" else {}
    change(tmp_path, **{"rope_parameters": None, spelling: said, **theta})
    ours, theirs = map(move, both(tmp_path))
    assert ours.loss(batch(300)) == theirs.loss(batch(300))


def change(folder, **values):
    config = json.loads((folder / "config.json").read_text(encoding="utf-8")) | values
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize(
    "values",
    [
        {"model_type": "mistral"},
        {"hidden_act": "gelu"},
        {"rope_parameters": {"rope_type": "yarn", "rope_theta": 10_000.0, "factor": 2.0}},
        {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 10_000.0}}, "rope_theta": 1.0},
        {"rope_parameters": None},
        {"partial_rotary_factor": 0.5},
        {"use_sliding_window": True},
        {"layer_types": ["sliding_attention"] * 3},
        {"quantization_config": {"quant_method": "bitsandbytes"}},
        {"auto_map": {"AutoConfig": "evil.Config"}},
        {"hidden_size": "96"},
        {"hidden_size": True},
        {"num_attention_heads": 5},
        {"num_hidden_layers": None},
        {"head_dim": 15},
        {"tie_word_embeddings": "yes"},
    ],
)
def test_what_is_out_of_the_plain_is_left_to_transformers(tmp_path, values):
    saved(tmp_path)
    assert read_llama_config(tmp_path) is not None
    change(tmp_path, **values)
    assert read_llama_config(tmp_path) is None
    assert load_llama(tmp_path, torch.float32, "cpu") is None


def test_dropout_and_an_adapter_on_the_output_layer_are_left_to_transformers(tmp_path):
    saved(tmp_path)
    for asked in ({"drops": True}, {"targets": ("q_proj", "lm_head")}):
        assert not isinstance(load_network(source(tmp_path), "float32", "cpu", **asked)._base, Llama)


def test_a_model_in_several_files_is_read_by_its_index(tmp_path):
    base_model().save_pretrained(tmp_path, max_shard_size="200KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    expected = base_model().state_dict()
    for name, value in load_llama(tmp_path, torch.float32, "cpu").state_dict().items():
        assert torch.equal(value, expected[name])


def test_an_output_layer_beside_tied_embeddings_is_taken_at_its_word(tmp_path):
    file = saved(tmp_path) / "model.safetensors"
    weights = load_file(file)
    for head, is_tied in ((weights["model.embed_tokens.weight"].clone(), True), (torch.ones(700, 96), False)):
        file.unlink()
        save_file(weights | {"lm_head.weight": head}, file, {"format": "pt"})
        ours = load_network(source(tmp_path), "float32", "cpu")._base
        theirs = load_by_transformers(source(tmp_path), "float32", "cpu")._base
        assert (ours.lm_head.weight is ours.model.embed_tokens.weight) == is_tied
        assert torch.equal(ours.lm_head.weight, theirs.lm_head.weight)


@pytest.mark.parametrize("shape", ["llama, untied", "qwen2"])
def test_weights_that_are_not_there_are_named(tmp_path, shape):
    file = saved(tmp_path, shape) / "model.safetensors"
    weights = load_file(file)
    del weights["model.layers.1.mlp.up_proj.weight"]
    file.unlink()
    save_file(weights, file, {"format": "pt"})
    with pytest.raises(ModelError, match=r"model\.layers\.1\.mlp\.up_proj\.weight; 1 in all"):
        load_network(source(tmp_path), "float32", "cpu")


@pytest.mark.parametrize(("quantization", "dtype"), [("nf4", "float32"), ("nf4", "bfloat16"), ("int8", "float32")])
@pytest.mark.parametrize("shape", ["llama, tied", "llama, untied", "qwen2"])
def test_quantised_layers_hold_the_codes_that_transformers_gives_them(tmp_path, shape, quantization, dtype):
    ours, theirs = both(saved(tmp_path, shape), dtype, quantization)
    expected = dict(theirs._base.named_modules())
    quantised = 0
    for name, layer in ours._base.named_modules():
        if not hasattr(layer, "in_features") or "lora_" in name:
            continue
        other = expected[name]
        assert type(layer) is type(other), name
        assert layer.weight.dtype is other.weight.dtype
        assert torch.equal(layer.weight.data, other.weight.data), name
        if state := getattr(layer.weight, "quant_state", None):
            assert torch.equal(state.absmax, other.weight.quant_state.absmax)
            assert (state.quant_type, state.blocksize, state.nested) == ("nf4", 64, False)
            assert layer.compute_dtype is other.compute_dtype
        elif hasattr(layer, "state"):
            assert torch.equal(layer.weight.SCB, other.weight.SCB)
            assert layer.state.threshold == other.state.threshold
        quantised += type(layer) is not torch.nn.Linear
    assert quantised == 3 * 7
    assert ours.loss(batch(20, 31)) == theirs.loss(batch(20, 31))
