"""Where a base model comes from, and what is refused with which words."""

import json
import re
import socket
import time

import pytest

from tests.tiny import tiny_tokenizer
from znatok.errors import ModelError
from znatok.model import source
from znatok.model.builtin import BUILTIN_HUB_ID


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Empty caches of ours and of the hub, and a hub that refuses connections."""
    monkeypatch.setenv("ZNATOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ZNATOK_LANG", "en")
    hub(monkeypatch, "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def hub(monkeypatch, address):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)


def model_folder(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        # A safetensors file without tensors: the length of its header, and the header.
        header = b"\x02" + bytes(7) if name.endswith(".safetensors") else b""
        (folder / name).write_bytes(header + b"{}")
    return folder


def message(name):
    with pytest.raises(ModelError) as caught:
        source.find_base(name)
    return str(caught.value)


def test_a_local_folder_is_its_own_public_name(place):
    folder = model_folder(place / "мой", "config.json", "model.safetensors", "tokenizer.json")
    assert source.find_base("мой") == source.BaseSource("мой", folder, str(folder), None, False)
    assert source.is_cached("мой")
    assert source.tokenizer_file(folder) == folder / "tokenizer.json"


def test_the_builtin_model_names_its_public_base(place, monkeypatch):
    monkeypatch.setattr(source, "builtin_folder", lambda tell: place / "converted")
    assert source.find_base("builtin") == source.BaseSource("builtin", place / "converted", BUILTIN_HUB_ID, None, True)
    assert not source.is_cached("builtin")


def test_pickled_weights_are_refused_by_name(place):
    model_folder(place / "old", "config.json", "pytorch_model.bin", "extra.pt")
    assert message("old").startswith(f"{place / 'old'}: the weights are pickled only (extra.pt, pytorch_model.bin)")
    assert not source.is_cached("old")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "there is no config.json"),
        (["config.json"], r"there are no *.safetensors files"),
        (["adapter_config.json", "adapter_model.safetensors"], "this is an adapter"),
    ],
)
def test_a_folder_that_is_no_model_is_told_what_it_lacks(place, names, said):
    model_folder(place / "folder", *names)
    assert said in message("folder")


def test_missing_shards_are_named(place):
    folder = model_folder(place / "big", "config.json", "model-1.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert "some weight files are missing: model-2.safetensors." in message("big")


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("tinylama", "tinyllama"), ("Qwen3", "qwen3-0.6b"), ("buildin", "builtin"), ("GEMMA", "gemma3-1b")],
)
def test_an_unknown_word_gets_the_nearest_short_name(wrong, near):
    assert message(wrong).startswith(f"There is no base model called {wrong}. Did you mean {near}?")
    assert not source.is_cached(wrong)


@pytest.mark.parametrize("path", ["./nowhere", "a/b/c", r"C:\models\x", "~/nowhere"])
def test_a_path_without_a_folder_is_called_a_missing_folder(path):
    assert "there is no such folder" in message(path)


def test_a_missing_gguf_file_is_named(place):
    assert message("x.gguf") == f"{place / 'x.gguf'}: there is no such file. Check the path."
    assert not source.is_cached("x.gguf")


def test_short_names_are_hub_ids():
    assert all(source.HUB_ID.fullmatch(hub_id) for hub_id in source.SHORT_NAMES.values())
    assert source.SHORT_NAMES["tinyllama"] == "TinyLlama/TinyLlama-1.1B-Chat-v1.0"


@pytest.mark.parametrize(("language", "said"), [("ru", "скопируйте папку сюда"), ("en", "copy the folder here")])
def test_a_hub_that_refuses_says_how_to_bring_the_model(monkeypatch, language, said):
    monkeypatch.setenv("ZNATOK_LANG", language)
    text = message("tinyllama")
    assert said in text
    assert "`hf download TinyLlama/TinyLlama-1.1B-Chat-v1.0 --local-dir model`" in text
    assert "\n" not in text


def test_a_silent_hub_is_given_up(monkeypatch):
    monkeypatch.setattr(source, "HUB_SECONDS", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        hub(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.perf_counter()
        assert "could not be fetched from the hub" in message("owner/name")
        assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("error", "said"),
    [("GatedRepoError", "accept their terms"), ("RepositoryNotFoundError", "the hub has no such model")],
)
def test_gated_and_unknown_hub_models_have_their_own_words(monkeypatch, error, said):
    from huggingface_hub import errors

    def refuse(hub_id):
        kind = getattr(errors, error)
        raise kind.__new__(kind)

    monkeypatch.setattr(source, "_await_hub", refuse)
    assert re.search(said, message("meta-llama/Llama-3.2-1B-Instruct"))


def test_a_hub_model_on_this_machine_is_used_without_the_network(place):
    commit = "0123456789abcdef0123456789abcdef01234567"
    kept = place / "hub" / "models--Qwen--Qwen3-0.6B"
    folder = model_folder(kept / "snapshots" / commit, "config.json", "model.safetensors", "tokenizer.json")
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(commit, encoding="utf-8")
    assert source.is_cached("qwen3-0.6b")
    assert source.find_base("qwen3-0.6b") == source.BaseSource("qwen3-0.6b", folder, "Qwen/Qwen3-0.6B", commit, False)
    (folder / "model.safetensors").unlink()
    assert not source.is_cached("Qwen/Qwen3-0.6B")


def test_a_missing_tokenizer_json_is_made_once_in_the_cache(place, monkeypatch):
    bare = model_folder(place / "bare", "config.json", "model.safetensors")
    tree = json.loads(tiny_tokenizer())["model"]
    (bare / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    (bare / "vocab.json").write_text(json.dumps(tree["vocab"]), encoding="utf-8")
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in tree["merges"]]
    (bare / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    (bare / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}', encoding="utf-8")
    made = source.tokenizer_file(bare)
    assert made.parent == place / "cache" / "models"
    assert json.loads(made.read_text(encoding="utf-8"))["model"]["type"] == "BPE"
    assert source.tokenizer_file(bare) == made


def test_a_folder_without_any_vocabulary_is_told_to_bring_one(place):
    folder = model_folder(place / "bare", "config.json", "model.safetensors")
    with pytest.raises(ModelError, match=r"there is no tokenizer\.json and none could be made"):
        source.tokenizer_file(folder)
