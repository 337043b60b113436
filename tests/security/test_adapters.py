"""An adapter from outside is put on a base and does nothing else: it opens no file, base or address, runs no code."""

import json
import random
import shutil
import time

import pytest
from safetensors.numpy import load_file, save_file

from tests.security.spoiled import header_end, spoiled
from tests.security.test_weight_files import write_pickle
from tests.security.watching import NETWORK, PICKLES, PROGRAMS, noted
from tests.tiny import PEFT_TALKS
from tests.use.test_loading import LEARNED, change, said, save_run
from znatok import messages
from znatok.errors import ModelError, RunError
from znatok.model.adapter_file import base_to_open, is_on_another_machine, read_saved_adapter
from znatok.model.builtin import BUILTIN_HUB_ID
from znatok.run_folder import RunFolder, write_json
from znatok.use.loading import load_adapter_folder, load_run

pytestmark = PEFT_TALKS


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("adapters")
    save_run(home)
    return home


@pytest.fixture
def adapter(home, tmp_path):
    """A copy of an adapter to spoil, apart from its run."""
    messages.set_language("en")
    return shutil.copytree(home / "run" / "adapter", tmp_path / "adapter from outside")


@pytest.fixture
def load(home, adapter):
    return lambda: load_adapter_folder(adapter, base=str(home / "base"))


def key_of(call, *arguments, **named):
    with pytest.raises((RunError, ModelError)) as error:
        call(*arguments, **named)
    assert str(error.value)
    return error.value.key


ELSEWHERE = (
    "someone/unknown",
    "HuggingFaceTB/SmolLM2-135M-Instruct-2",
    "../base",
    "./base",
    "base",
    "/etc",
    "~/.ssh",
    "C:\\models\\x",
    "\\\\host\\share\\model",
    "//host/share/model",
    "\\/host/share",
    "http://127.0.0.1:9/model",
    "https://x.example/model",
    "file:///etc",
    "hf://someone/unknown",
    "s3://bucket/model",
    "model.gguf",
    "/tmp/model.gguf",
    "someone/unknown@refs/pr/1",
    "https://huggingface.co/TinyLlama/TinyLlama-1.1B-Chat-v1.0",
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0/../../x",
    "con",
    "a\x00b",
    "\x1b]0;x\x07",
    " ",
)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_base_that_a_file_from_outside_names_is_not_opened(adapter, name):
    change(adapter / "adapter_config.json", base_model_name_or_path=name)
    assert key_of(load_adapter_folder, adapter) == "chat.base_not_opened"


@pytest.mark.parametrize("name", ["", None, 5, True, ["x"], {"a": "b"}])
def test_a_base_that_is_no_name_is_a_damaged_adapter(adapter, name):
    change(adapter / "adapter_config.json", base_model_name_or_path=name)
    assert key_of(load_adapter_folder, adapter) == "chat.adapter_damaged"


def test_a_base_beside_the_adapter_or_the_user_is_not_taken_for_the_one_it_names(home, adapter, monkeypatch):
    for place in (home, adapter):
        monkeypatch.chdir(place)
        shutil.copytree(home / "base", place / "znatok" / "tiny")
        change(adapter / "adapter_config.json", base_model_name_or_path="znatok/tiny")
        assert key_of(load_adapter_folder, adapter) == "chat.base_not_opened"
        shutil.rmtree(place / "znatok")


def test_our_short_names_are_found_by_their_public_names(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert base_to_open(BUILTIN_HUB_ID, tmp_path) == "builtin"
    assert base_to_open("Qwen/Qwen3-0.6B", tmp_path) == "Qwen/Qwen3-0.6B"
    assert key_of(base_to_open, "builtin", tmp_path) == "chat.base_not_opened"


def test_a_plan_may_name_a_folder_of_this_machine_but_nothing_elsewhere(home, tmp_path):
    run = RunFolder(shutil.copytree(home / "run", tmp_path / "run"))
    plan = json.loads(run.plan.read_text(encoding="utf-8"))
    assert said(load_run(run)) == LEARNED
    for name in ("\\\\host\\share\\model", "//host/share/model", "http://127.0.0.1:9/x", "someone/unknown"):
        assert is_on_another_machine(name) or "/" in name
        write_json(run.plan, plan | {"source": plan["source"] | {"name": name, "public_id": name}})
        assert key_of(load_run, run) == "chat.base_not_opened"


REFUSED = {
    "use_dora": True,
    "lora_bias": True,
    "bias": "all",
    "modules_to_save": ["lm_head"],
    "layer_replication": [[0, 10**9]],
    "trainable_token_indices": [1, 2],
    "target_parameters": ["mlp.experts.gate_up_proj"],
    "megatron_config": {"a": 1},
    "alora_invocation_tokens": [1],
    "use_qalora": True,
    "use_bdlora": {"a": 1},
    "arrow_config": {"a": 1},
    "velora_config": {"a": 1},
    "kasa_config": {"a": 1},
    "monteclora_config": {"a": 1},
    "init_lora_weights": "pissa_niter_1000000",
    "alpha_pattern": {"(a+)+$": 1},
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_adapter_that_is_more_than_plain_lora_is_refused_by_name(adapter, load, name):
    change(adapter / "adapter_config.json", **{name: REFUSED[name]})
    assert key_of(load) == "chat.adapter_unsupported"
    with pytest.raises(RunError, match=name):
        load()


EVIL = "(([a-z_.0-9]+)+)+!"
SET_ASIDE = {
    "auto_mapping": {"base_model_class": "P", "parent_library": "tests.security.harm"},
    "megatron_core": "tests.security.harm",
    "revision": "refs/pr/1",
    "corda_config": {"cache_file": "/tmp/harm.pt", "covariance_file": "/tmp/harm.pt"},
    "lora_ga_config": {"cache_file": "/tmp/harm.pt"},
    "eva_config": {"rho": 2},
    "loftq_config": {"loftq_bits": 4},
    "runtime_config": {"ephemeral_gpu_offload": True},
    "peft_version": "999.0.0@http://127.0.0.1:9",
    "inference_mode": False,
    "task_type": "SEQ_CLS",
    "lora_dropout": 0.9,
    "target_modules": EVIL,
    "exclude_modules": EVIL,
    "layers_pattern": EVIL,
    "layers_to_transform": [0],
    "rank_pattern": {EVIL: 8},
    "init_lora_weights": "gaussian",
    "a_setting_of_tomorrow": {"file": "/tmp/harm.pt"},
}


@pytest.mark.parametrize("name", SET_ASIDE)
def test_what_an_adapter_asks_for_besides_is_set_aside(adapter, name):
    before = read_saved_adapter(adapter)
    change(adapter / "adapter_config.json", **{name: SET_ASIDE[name]})
    after = read_saved_adapter(adapter)
    assert after.shapes == before.shapes
    assert after.settings | {"rank_pattern": {}} == before.settings


def test_an_adapter_that_asks_for_all_of_it_answers_as_before(adapter, load):
    change(adapter / "adapter_config.json", **SET_ASIDE)
    start = time.process_time()
    assert said(load()) == LEARNED
    assert time.process_time() - start < 5


def test_ranks_and_scales_of_single_layers_are_taken_from_the_weights_and_by_name(home, adapter):
    weights = adapter / "adapter_model.safetensors"
    tensors = load_file(weights)
    a, b = (f"base_model.model.model.layers.0.self_attn.q_proj.lora_{side}.weight" for side in "AB")
    tensors[a], tensors[b] = tensors[a][:4].copy(), tensors[b][:, :4].copy()
    save_file(tensors, weights)
    assert key_of(load_adapter_folder, adapter, base=str(home / "base")) == "run.adapter_does_not_fit"
    change(adapter / "adapter_config.json", rank_pattern={"q_proj": 4}, alpha_pattern={"layers.0.self_attn.q_proj": 64})
    load_adapter_folder(adapter, base=str(home / "base"))
    settings = read_saved_adapter(adapter).settings
    assert settings["rank_pattern"]["model.layers.0.self_attn.q_proj"] == 4
    assert settings["alpha_pattern"] == {"model.layers.0.self_attn.q_proj": 64}


def test_missing_foreign_and_halved_weights_are_refused(adapter, load):
    weights = adapter / "adapter_model.safetensors"
    whole = load_file(weights)
    first = next(iter(whole))
    layer = first.partition(".lora_")[0]
    without_layer = {name: values for name, values in whole.items() if not name.startswith(layer + ".")}
    cases = (
        ({name: values for name, values in whole.items() if name != first}, "chat.adapter_damaged"),
        (without_layer, "run.adapter_does_not_fit"),
        (whole | {"base_model.model.lm_head.weight": whole[first]}, "chat.adapter_unsupported"),
        (whole | {first.replace("lora_A", "lora_C"): whole[first]}, "chat.adapter_unsupported"),
        (whole | {first: whole[first][None]}, "chat.adapter_damaged"),
        ({name.replace("layers.1", "layers.7"): values for name, values in whole.items()}, "run.adapter_does_not_fit"),
        ({}, "chat.adapter_damaged"),
    )
    for tensors, key in cases:
        weights.unlink()
        save_file(tensors, weights)
        assert key_of(load) == key


@pytest.mark.parametrize("protocol", [2, 4, "torch"])
def test_a_pickled_adapter_is_refused_under_both_names(adapter, load, tmp_path, protocol):
    weights = adapter / "adapter_model.safetensors"
    weights.unlink()
    write_pickle(adapter / "adapter_model.bin", tmp_path / "harm", protocol)
    assert key_of(load) == "chat.no_adapter_weights"
    (adapter / "adapter_model.bin").rename(weights)
    assert key_of(load) == "weights.pickled"
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "5", "[" * 100_000, '{"r": ' + "9" * 10_000 + "}", " " * (1 << 20) + "{}", "\x00"],
)
def test_a_config_that_is_none_is_a_damaged_adapter(adapter, load, content):
    (adapter / "adapter_config.json").write_text(content, encoding="utf-8")
    assert key_of(load) == "chat.adapter_damaged"


@pytest.mark.parametrize(("name", "value"), [("r", 0), ("r", -1), ("r", 10**9), ("r", 16.0), ("r", True), ("r", None)])
def test_an_impossible_rank_takes_no_memory(adapter, load, name, value):
    change(adapter / "adapter_config.json", **{name: value})
    start = time.process_time()
    assert key_of(load) in ("chat.adapter_damaged", "run.adapter_does_not_fit")
    assert time.process_time() - start < 1


@pytest.mark.parametrize("alpha", [None, "x", True, float("nan"), float("inf"), 1e300, [1]])
def test_an_impossible_scale_is_a_damaged_adapter(adapter, load, alpha):
    change(adapter / "adapter_config.json", lora_alpha=alpha)
    assert key_of(load) == "chat.adapter_damaged"


@pytest.mark.parametrize(("count", "seed"), [(60, 5), pytest.param(2000, 6, marks=pytest.mark.slow)])
def test_spoiled_adapters_are_put_on_or_are_one_clear_error(home, adapter, count, seed, record_property):
    from znatok.model.base import load_network
    from znatok.model.source import find_base

    source = find_base(str(home / "base"))
    weights, config = adapter / "adapter_model.safetensors", adapter / "adapter_config.json"
    kept = {
        weights: (weights.read_bytes(), header_end(weights)),
        config: (config.read_bytes(), len(config.read_bytes())),
    }
    chance = random.Random(seed)
    seconds, kinds = 0.0, []
    for place in range(count):
        file = (weights, config)[place % 2]
        content, end = kept[file]
        network = load_network(source, "float32", "cpu")
        weights.unlink()  # the last one is mapped into memory
        weights.write_bytes(kept[weights][0])
        config.write_bytes(kept[config][0])
        file.unlink()
        file.write_bytes(next(spoiled(content, end, 1, chance.randrange(2**32))))
        start = time.process_time()
        try:
            network.load_adapter(adapter)
            kinds.append("put on")
        except (RunError, ModelError) as error:
            kinds.append(error.key if str(error) else "no words")
        seconds = max(seconds, time.process_time() - start)
    record_property("kinds", {kind: kinds.count(kind) for kind in set(kinds)})
    record_property("slowest_seconds", round(seconds, 3))
    assert {"put on", "chat.adapter_damaged"} <= set(kinds)
    assert "no words" not in kinds
    assert seconds < 1


def test_no_file_address_program_or_module_that_an_adapter_names_is_touched(home, adapter):
    marks = ("harm", "/etc", "share", ".ssh", "unknown", "127.0.0.1", "x.example", "bucket")
    changes = [{name: value} for one in (REFUSED, SET_ASIDE) for name, value in one.items()]
    changes += [{"base_model_name_or_path": name} for name in ELSEWHERE]
    load_adapter_folder(adapter, base=str(home / "base"))  # the imports
    whole = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    came = []
    with noted((*NETWORK, *PICKLES, *PROGRAMS, "open", "import", "os.listdir", "os.scandir")) as seen:
        for one in changes:
            write_json(adapter / "adapter_config.json", whole | one)
            try:
                load_adapter_folder(adapter, base=None if "base_model_name_or_path" in one else str(home / "base"))
                came.append("put on")
            except RunError as error:
                came.append(error.key)
    assert came.count("chat.base_not_opened") == len(ELSEWHERE)
    assert came.count("chat.adapter_unsupported") == len(REFUSED)
    assert came.count("put on") == len(SET_ASIDE)
    assert [event for event in seen if event[0] in (*NETWORK, *PROGRAMS, *PICKLES)] == []
    assert [event for event in seen if any(mark in event[1].replace(str(adapter), "") for mark in marks)] == []
    assert any("adapter_model.safetensors" in event[1] for event in seen)
