"""Loading what one talks to: a run, its adapter, a bare adapter folder, a base; on a model of two layers."""

import json
import shutil

import pytest
import torch

from tests.tiny import CHATML, PEFT_TALKS, teach, tiny_network, tiny_tokenizer
from znatok.errors import ModelError, RunError
from znatok.model import machine
from znatok.model.adapter import Adapter
from znatok.model.source import BaseSource, find_base
from znatok.run_folder import RunFolder, write_json, write_lines
from znatok.use.loading import _check_same_base, is_adapter_folder, load_adapter_folder, load_base, load_run

pytestmark = PEFT_TALKS

QUESTION = "Что такое резистор?"
LEARNED = "Резистор — это деталь."


def save_base(folder):
    """A tiny model as a folder in transformers' format."""
    network, _ = tiny_network()
    network._base.save_pretrained(folder)
    tokens = {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>", "chat_template": CHATML}
    write_json(folder / "tokenizer_config.json", tokens)
    (folder / "tokenizer.json").write_text(tiny_tokenizer(), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a base, and a run that learned one row on it."""
    home = tmp_path_factory.mktemp("home")
    save_run(home)
    return home


def save_run(home):
    """A run in `home` that learned one row, and the base beside it."""
    source = find_base(str(save_base(home / "base")))
    network, renderer = tiny_network()
    network.source = source
    torch.manual_seed(0)
    network.add_adapter(Adapter())
    teach(network, [renderer.conversation(QUESTION, LEARNED)], 20)
    run = RunFolder(home / "run")
    network.save_adapter(run.adapter)
    recorded = {"name": source.name, "public_id": source.public_id, "revision": None, "is_builtin": False}
    plan = {"source": recorded, "device": "cpu", "dtype": "float32", "quantization": "none", "threads": 1}
    write_json(run.plan, plan)
    write_lines(run.rows, [{"row": 1, "question": QUESTION, "answer": LEARNED, "use": "trained"}])
    return run


@pytest.fixture
def run(home, tmp_path):
    """A copy of the run to spoil."""
    return RunFolder(shutil.copytree(home / "run", tmp_path / "run"))


def said(talker):
    stop_id = talker.renderer.stop_id
    return talker.renderer.decode(list(talker.network.stream(talker.renderer.prompt(QUESTION), 60, stop_id)))


def key_of(load, *arguments, **named):
    with pytest.raises(RunError) as error:
        load(*arguments, **named)
    assert str(error.value)
    return error.value.key


def change(file, **values):
    write_json(file, json.loads(file.read_text(encoding="utf-8")) | values)


def test_a_run_answers_as_it_learned_and_its_base_does_not(home):
    talker = load_run(RunFolder(home / "run"))
    assert said(talker) == LEARNED
    with talker.network.base_alone():
        assert said(talker) != LEARNED
    assert talker.run == RunFolder(home / "run")
    assert talker.name == str(home / "base")


def test_a_run_is_loaded_with_the_threads_of_its_plan(home):
    before = torch.get_num_threads()
    try:
        load_run(RunFolder(home / "run"))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_a_run_without_its_adapter_is_its_base(home, monkeypatch):
    monkeypatch.setattr(machine, "cpu_dtype", lambda: machine.DtypeChoice("float32", ""))  # as the run was trained
    run, alone = load_run(RunFolder(home / "run"), with_adapter=False), load_base(str(home / "base"))
    assert not run.network.has_adapter
    assert said(run) == said(alone)
    assert alone.run is None


def test_a_bare_adapter_folder_on_a_base_of_ones_own_needs_its_name(home, tmp_path):
    bare = shutil.copytree(home / "run" / "adapter", tmp_path / "bare")
    assert is_adapter_folder(bare)
    assert not is_adapter_folder(home / "run" / "adapter")
    assert not is_adapter_folder(home / "run")
    assert key_of(load_adapter_folder, bare) == "chat.base_not_opened"
    talker = load_adapter_folder(bare, base=str(home / "base"))
    assert said(talker) == LEARNED
    assert talker.run is None


def test_a_base_that_has_moved_can_be_named(home, run, tmp_path):
    moved = shutil.copytree(home / "base", tmp_path / "moved")
    plan = json.loads(run.plan.read_text(encoding="utf-8"))
    change(run.plan, source=plan["source"] | {"name": str(tmp_path / "gone"), "public_id": str(tmp_path / "gone")})
    with pytest.raises(ModelError):
        load_run(run)
    assert said(load_run(run, base=str(moved))) == LEARNED


def test_an_adapter_of_another_rank_does_not_fit(run):
    change(run.adapter / "adapter_config.json", r=8)
    assert key_of(load_run, run) == "run.adapter_does_not_fit"


def test_an_adapter_for_a_base_of_another_width_does_not_fit(home, run, tmp_path):
    from transformers import LlamaConfig, LlamaForCausalLM

    other = shutil.copytree(home / "base", tmp_path / "wider")
    narrow = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    LlamaForCausalLM(LlamaConfig(vocab_size=512, **narrow)).save_pretrained(other)
    assert key_of(load_run, run, base=str(other)) == "run.adapter_does_not_fit"


def test_public_bases_are_told_apart_by_name_and_local_ones_by_their_weights(home):
    hub = BaseSource("tiny", home / "base", "znatok/tiny", "0", False)
    assert key_of(_check_same_base, hub, "someone/other", home) == "run.adapter_does_not_fit"
    _check_same_base(hub, "znatok/tiny", home)
    _check_same_base(hub, str(home / "base"), home)


def test_a_run_that_was_stopped_before_it_saved_is_explained(run):
    shutil.rmtree(run.adapter)
    assert key_of(load_run, run) == "chat.no_adapter_saved"
    assert not load_run(run, with_adapter=False).network.has_adapter


@pytest.mark.parametrize("plan", ["", "{", "[]", '{"source": {}}'])
def test_a_damaged_plan_is_explained(run, plan):
    run.plan.write_text(plan)
    assert key_of(load_run, run) == "chat.plan_unreadable"


def test_damaged_adapters_are_explained_and_the_hub_is_not_asked(run):
    config, weights = run.adapter / "adapter_config.json", run.adapter / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert key_of(load_run, run) == "chat.adapter_damaged"
    weights.rename(run.adapter / "adapter_model.bin")
    assert key_of(load_run, run) == "chat.no_adapter_weights"
    weights.write_bytes(whole)
    change(config, peft_type="PREFIX_TUNING")
    assert key_of(load_run, run) == "chat.adapter_damaged"
    config.write_text("{")
    assert key_of(load_run, run) == "chat.adapter_damaged"
    config.unlink()
    assert key_of(load_run, run) == "run.not_ours"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    assert key_of(load_adapter_folder, tmp_path / "absent") == "run.missing"
    assert key_of(load_adapter_folder, tmp_path) == "run.not_ours"
