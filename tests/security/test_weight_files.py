"""Weights from outside: pickles stay closed, and a header that does not fit its file is refused before its use."""

import json
import os
import pickle
import random
import shutil
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.model.gguf_files import write_tiny_gguf
from tests.security.spoiled import EXTREMES, header_end, spoiled
from tests.tiny import tiny_folder
from znatok import messages
from znatok.errors import ModelError
from znatok.model import conversion
from znatok.model.base import load_network
from znatok.model.config_size import refuse_greater_config
from znatok.model.source import find_base
from znatok.model.weight_files import HEADER_BYTES, read_shapes

ROOT = Path(__file__).parents[2]
MUTATIONS = 2000
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the memory of a process is measured otherwise")


@pytest.fixture(autouse=True)
def english(tmp_path, monkeypatch):
    monkeypatch.setenv("ZNATOK_CACHE", str(tmp_path / "cache"))
    messages.set_language("en")


# ---- pickles ----


class Harm:
    """What a pickle can do when it is opened."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def write_pickle(file, marker, protocol):
    if protocol == "torch":  # a zip archive with a pickle in it, as torch.save makes
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("model/data.pkl", pickle.dumps(Harm(marker), 2))
    else:
        file.write_bytes(pickle.dumps(Harm(marker), protocol))
    return file


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5, "torch"])
@pytest.mark.parametrize("suffix", [".safetensors", ".gguf"])
def test_a_pickle_under_another_name_is_refused_and_never_opened(tmp_path, protocol, suffix):
    file = write_pickle(tmp_path / f"model{suffix}", tmp_path / "harm", protocol)
    with pytest.raises(ModelError) as error:
        read_shapes(file)
    assert str(error.value).startswith(str(file))
    if protocol not in (0, 1):  # those are plain letters, no header of either format
        assert error.value.key == "weights.pickled"
    folder = tiny_folder(tmp_path / "tiny")
    shutil.copy(file, folder / "model.safetensors")
    with pytest.raises(ModelError):
        find_base(str(folder))
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("name", "x.bin x.pt x.pth x.ckpt x.pkl x.pickle X.BIN weights".split())
def test_a_pickled_file_that_is_asked_for_is_refused_by_its_name_or_by_what_is_in_it(tmp_path, monkeypatch, name):
    write_pickle(tmp_path / name, tmp_path / "harm", 4)
    for asked in (str(tmp_path / name), name):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ModelError, match="this is a pickled file"):
            find_base(asked)
    assert not (tmp_path / "harm").exists()


def test_pickled_weights_beside_good_ones_stay_closed(tmp_path):
    folder = tiny_folder(tmp_path / "tiny")
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "adapter_model.bin"):
        write_pickle(folder / name, tmp_path / "harm", 4)
    load_network(find_base(str(folder)), "float32", "cpu")
    assert not (tmp_path / "harm").exists()


def test_pickled_weights_are_not_taken_where_the_good_file_has_another_name(tmp_path):
    folder = tiny_folder(tmp_path / "tiny")
    (folder / "model.safetensors").rename(folder / "consolidated.safetensors")
    write_pickle(folder / "pytorch_model.bin", tmp_path / "harm", 2)
    with pytest.raises(ModelError, match="transformers cannot load this model"):
        load_network(find_base(str(folder)), "float32", "cpu")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("length", [640 + extra for extra in range(0, 2048, 256)])
def test_a_good_header_that_begins_like_a_pickle_is_none(tmp_path, length):
    """Its length, 640 say, is written as the byte 80 and a small number, as the beginning of a pickle is."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).ljust(length).encode()
    file = tmp_path / "model.safetensors"
    file.write_bytes(struct.pack("<Q", length) + header + bytes(4))
    assert file.read_bytes()[0] == 0x80
    assert read_shapes(file) == {"a": (1,)}


# ---- safetensors ----


def safetensors(header, data=bytes(16), length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype="F32", shape=(2, 2), start=0, end=16):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


def damage(file, content):
    file.write_bytes(content)
    with pytest.raises(ModelError) as error:
        read_shapes(file)
    assert error.value.key == "weights.damaged"
    return str(error.value)


NO_HEADER, SHORT = "no header of safetensors", "shorter than its header says"
PLACE, GAPS = "does not fit its place", "overlap or leave gaps"
BAD_SAFETENSORS = {
    "nothing": (b"", SHORT),
    "three bytes": (b"\x02\0\0", SHORT),
    "a length beyond the file": (safetensors({}, b"", 3), SHORT),
    "the greatest length": (safetensors({}, b"", 2**64 - 1), SHORT),
    "no JSON": (safetensors(b"{nothing", b""), NO_HEADER),
    "a list": (safetensors(b"[]", b""), NO_HEADER),
    "spaces first": (safetensors(b"  {}", b""), NO_HEADER),
    "UTF-16": (safetensors("{}".encode("utf-16-le"), b""), NO_HEADER),
    "half a letter": (safetensors(b'{"__metadata__": {"a": "\xd0"}}', b""), NO_HEADER),
    "half a pair": (safetensors(b'{"__metadata__": {"a": "\\ud800"}}', b""), NO_HEADER),
    "a hundred thousand brackets": (safetensors(b'{"a":' + b"[" * 100_000, b""), NO_HEADER),
    "a number of ten thousand digits": (safetensors(b'{"a":' + b"9" * 10_000 + b"}", b""), NO_HEADER),
    "metadata that are no texts": (safetensors({"__metadata__": {"a": 1}}, b""), NO_HEADER),
    "metadata that are a list": (safetensors({"__metadata__": []}, b""), NO_HEADER),
    "a name twice": (safetensors(b'{"a":%b,"a":%b}' % ((json.dumps(tensor()).encode(),) * 2)), NO_HEADER),
    "a tensor that is a number": (safetensors({"a": 5}), NO_HEADER),
    "a tensor without offsets": (safetensors({"a": {"dtype": "F32", "shape": [4]}}), NO_HEADER),
    "a tensor with something more": (safetensors({"a": tensor() | {"file": "/etc/passwd"}}), NO_HEADER),
    "an unknown format": (safetensors({"a": tensor("F33")}), "unknown number format"),
    "a format that is a list": (safetensors({"a": tensor(["F32"])}), "unknown number format"),
    "a negative side": (safetensors({"a": tensor(shape=(-2, -2))}), PLACE),
    "half a side": (safetensors({"a": tensor(shape=(1.0, 4))}), PLACE),
    "a side that is true": (safetensors({"a": tensor(shape=(True, 4))}), PLACE),
    "a side that is a text": (safetensors({"a": tensor(shape=("2", "2"))}), PLACE),
    "sides whose product overflows": (safetensors({"a": tensor(shape=(2**32, 2**32, 4))}), PLACE),
    "sides whose product overflows to the right one": (safetensors({"a": tensor(shape=(2**62 + 1, 4))}), PLACE),
    "a hundred sides": (safetensors({"a": tensor(shape=(1,) * 100)}), PLACE),
    "a shape for another length": (safetensors({"a": tensor(shape=(2, 3))}), PLACE),
    "an end before the start": (safetensors({"a": tensor(start=16, end=0)}), PLACE),
    "a negative start": (safetensors({"a": tensor(start=-16, end=0)}), PLACE),
    "offsets beyond the file": (safetensors({"a": tensor(shape=(2, 4), end=32)}), SHORT),
    "tensors that overlap": (safetensors({"a": tensor(), "b": tensor(shape=(1, 2), start=8)}), GAPS),
    "the same place twice": (safetensors({"a": tensor(), "b": tensor()}), GAPS),
    "a gap at the start": (safetensors({"a": tensor(shape=(2,), start=8)}), GAPS),
    "a gap": (safetensors({"a": tensor(shape=(1,), end=4), "b": tensor(shape=(2,), start=8)}), GAPS),
    "something behind": (safetensors({"a": tensor()}, bytes(17)), GAPS),
    "half a byte": (safetensors({"a": tensor("F4", (3,), end=1)}, bytes(1)), PLACE),
}


@pytest.mark.parametrize("name", BAD_SAFETENSORS)
def test_a_safetensors_header_that_does_not_fit_its_file_is_refused(tmp_path, name):
    content, said = BAD_SAFETENSORS[name]
    assert said in damage(tmp_path / "model.safetensors", content)


def test_a_header_longer_than_that_of_any_model_is_not_read(tmp_path):
    file = tmp_path / "model.safetensors"
    with file.open("wb") as stream:  # a hole in the disk: nothing of it is stored
        stream.write(struct.pack("<Q", HEADER_BYTES + 1) + b"{")
        stream.truncate(HEADER_BYTES + 9)
    with pytest.raises(ModelError, match="longer than that of any model"):
        read_shapes(file)
    many = b'{"a":[' + b"1," * 400_000 + b"1]}"
    assert "longer than that of any model" in damage(file, safetensors(many, b""))


def test_good_files_of_every_format_are_read(tmp_path):
    file = tmp_path / "model.safetensors"
    kinds = "bool uint8 int8 uint16 int16 float16 uint32 int32 float32 uint64 int64 float64 complex64".split()
    tensors = {kind: np.zeros((2, 3), kind) for kind in kinds} | {"one": np.ones((), "float32"), "no": np.zeros(0)}
    save_file(tensors, file, {"format": "pt", "é": "💡"})
    assert read_shapes(file) == {name: values.shape for name, values in tensors.items()}
    four_bits = {"a": tensor("F4", (4, 8)), "b": tensor("F8_E8M0", (0,), 16)}
    file.write_bytes(safetensors(four_bits))
    assert read_shapes(file) == {"a": (4, 8), "b": (0,)}


# ---- GGUF ----


def text(value):
    return struct.pack("<Q", len(value)) + value


def gguf(values=(), tensors=(), data=b"", magic=b"GGUF", version=3, counts=None):
    """A GGUF file. values: (key, type, bytes); tensors: (name, sides, type, offset)."""
    head = magic + struct.pack("<IQQ", version, *(counts or (len(tensors), len(values))))
    head += b"".join(text(key) + struct.pack("<I", kind) + value for key, kind, value in values)
    for name, sides, kind, offset in tensors:
        head += text(name) + struct.pack(f"<I{len(sides)}QIQ", len(sides), *sides, kind, offset)
    return head + bytes(-len(head) % 32) + data


ONE = (b"a", (4, 2), 0, 0)
Q8 = (b"q", (32, 2), 8, 0)
U32, U64, STRING, ARRAY = 4, 10, 8, 9
NAME, VERSION = "a name in it is damaged, or stands twice", "unknown version"


def number(key, value):
    return key, U32, struct.pack("<I", value)


def array(kind, length, items=b""):
    return b"k", ARRAY, struct.pack("<IQ", kind, length) + items


BAD_GGUF = {
    "nothing": (b"", "does not begin as a GGUF file does"),
    "another beginning": (gguf(magic=b"GGML"), "does not begin as a GGUF file does"),
    "four bytes": (b"GGUF", SHORT),
    "version 1": (gguf(version=1), VERSION),
    "version 4": (gguf(version=4), VERSION),
    "the other byte order": (gguf(version=0x03000000), VERSION),
    "more tensors than bytes": (gguf(counts=(2**64 - 1, 0)), SHORT),
    "more values than bytes": (gguf(counts=(0, 2**63)), SHORT),
    "a thousand tensors in no room": (gguf(counts=(1000, 0)), SHORT),
    "a tensor that is not there": (gguf([number(b"k", 1)], counts=(1, 1)) + bytes(8), "shape of a tensor"),
    "a key of endless length": (gguf([number(b"k", 1)]).replace(text(b"k"), struct.pack("<Q", 2**63) + b"k"), NAME),
    "a key of half a letter": (gguf([number(b"\xd0", 1)]), NAME),
    "a key twice": (gguf([number(b"k", 1), number(b"k", 2)]), NAME),
    "a string beyond the file": (gguf([(b"k", STRING, struct.pack("<Q", 2**62))]), SHORT),
    "an unknown type": (gguf([(b"k", 13, bytes(8))]), "values of an unknown kind"),
    "an array of arrays": (gguf([array(ARRAY, 1, struct.pack("<IQ", ARRAY, 2**20) * 9)]), "values of an unknown kind"),
    "an array of an unknown type": (gguf([array(99, 1, bytes(8))]), "values of an unknown kind"),
    "an array beyond the file": (gguf([array(U64, 2**61)]), SHORT),
    "an array whose bytes overflow": (gguf([array(U64, 2**63)]), SHORT),
    "strings beyond the file": (gguf([array(STRING, 50, text(b"a") * 2)]), SHORT),
    "endless strings": (gguf([array(STRING, 2**40, text(b"a"))]), "longer than that of any model"),
    "no side": (gguf(tensors=[(b"a", (), 0, 0)]), PLACE),
    "five sides": (gguf(tensors=[(b"a", (1,) * 5, 0, 0)], data=bytes(4)), PLACE),
    "a side of nothing": (gguf(tensors=[(b"a", (4, 0), 0, 0)]), PLACE),
    "sides whose product overflows": (gguf(tensors=[(b"a", (2**32, 2**32), 0, 0)]), PLACE),
    "sides whose product overflows to one": (gguf(tensors=[(b"a", (2**63 + 1, 2**63 + 1), 0, 0)]), PLACE),
    "an unknown format": (gguf(tensors=[(b"a", (4,), 4, 0)], data=bytes(32)), "unknown number format"),
    "a block that is cut": (gguf(tensors=[(b"q", (31, 2), 8, 0)], data=bytes(68)), PLACE),
    "a name of a thousand letters": (gguf(tensors=[(b"a" * 1000, (4,), 0, 0)], data=bytes(16)), NAME),
    "a name twice": (gguf(tensors=[ONE, (b"a", (4,), 0, 32)], data=bytes(64)), NAME),
    "tensors in one place": (gguf(tensors=[ONE, (b"b", (4,), 0, 0)], data=bytes(64)), GAPS),
    "a gap": (gguf(tensors=[ONE, (b"b", (4,), 0, 64)], data=bytes(96)), GAPS),
    "an offset of its own": (gguf(tensors=[(b"a", (4, 2), 0, 3)], data=bytes(64)), GAPS),
    "an offset beyond the file": (gguf(tensors=[(b"a", (4, 2), 0, 2**63)], data=bytes(64)), GAPS),
    "less than the tensors": (gguf(tensors=[ONE], data=bytes(31)), SHORT),
    "an alignment of nothing": (gguf([number(b"general.alignment", 0)], [ONE], bytes(32)), GAPS),
    "an alignment of three": (gguf([number(b"general.alignment", 3)], [ONE], bytes(32)), GAPS),
    "an alignment beyond the file": (gguf([number(b"general.alignment", 2**31)], [ONE], bytes(32)), SHORT),
    "an alignment that is a text": (
        gguf([(b"general.alignment", STRING, text(b"32"))], [ONE], bytes(32)),
        "values of an unknown kind",
    ),
}


@pytest.mark.parametrize("name", BAD_GGUF)
def test_a_gguf_header_that_does_not_fit_its_file_is_refused(tmp_path, name):
    content, said = BAD_GGUF[name]
    assert said in damage(tmp_path / "model.gguf", content)


def test_good_gguf_files_are_read(tmp_path):
    file = tmp_path / "model.gguf"
    file.write_bytes(gguf([number(b"general.alignment", 32), array(STRING, 2, text(b"a") * 2)], [Q8], bytes(68)))
    assert read_shapes(file) == {"q": (32, 2)}
    write_tiny_gguf(file)
    assert len(read_shapes(file)) == 20


@pytest.mark.parametrize(
    "key", "block_count embedding_length feed_forward_length vocab_size attention.head_count".split()
)
def test_a_gguf_that_describes_a_greater_model_than_it_holds_is_refused(tmp_path, key):
    file = tmp_path / "model.gguf"
    file.write_bytes(gguf([number(f"llama.{key}".encode(), 2**32 - 1)], [ONE], bytes(32)))
    with pytest.raises(ModelError) as error:
        read_shapes(file)
    assert error.value.key == "weights.config_too_great"


# ---- a config that does not fit the weights ----


GREATER = {
    "num_hidden_layers": 10**9,
    "hidden_size": 10**6,
    "intermediate_size": 10**7,
    "vocab_size": 10**8,
    "num_attention_heads": 10**6,
    "head_dim": 10**9,
    "num_key_value_heads": 1e300,
}


@pytest.mark.parametrize("name", GREATER)
def test_a_config_that_describes_a_greater_model_than_the_weights_is_refused_at_once(tmp_path, name):
    folder = tiny_folder(tmp_path / "tiny")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for changed in (config | {name: GREATER[name]}, config | {"text_config": {name: GREATER[name]}}):
        (folder / "config.json").write_text(json.dumps(changed), encoding="utf-8")
        start = time.process_time()
        with pytest.raises(ModelError) as error:
            find_base(str(folder))
        assert error.value.key == "weights.config_too_great"
        assert time.process_time() - start < 1


def test_a_config_may_not_ask_for_many_times_the_numbers_that_are_there():
    shapes = {"long": (200_000, 1), **{str(place): (0,) for place in range(100)}}
    asked = {"num_hidden_layers": 100, "hidden_size": 200_000, "intermediate_size": 200_000, "vocab_size": 100}
    with pytest.raises(ModelError):
        refuse_greater_config(asked, shapes, Path("config.json"))
    for endless in (float("inf"), float("nan"), 10**400):
        with pytest.raises(ModelError):
            refuse_greater_config({"hidden_size": endless}, shapes, Path("config.json"))
    refuse_greater_config({"hidden_size": None, "vocab_size": "x", "n_layer": True}, shapes, Path("config.json"))


QWEN_MOE = {
    "num_hidden_layers": 48,
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "moe_intermediate_size": 768,
    "num_experts": 128,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "vocab_size": 151_936,
    "max_position_embeddings": 40_960,
}


def test_models_as_they_are_fit_their_weights():
    experts = {f"{layer}.{expert}": (768, 2048) for layer in range(48) for expert in range(3 * 128)}
    refuse_greater_config(QWEN_MOE, experts | {"embed": (151_936, 2048)}, Path("config.json"))
    packed = {f"{layer}.{part}": (32 * 8192 // 2, 1) for layer in range(16) for part in range(70)}
    llama = {"num_hidden_layers": 16, "hidden_size": 2048, "intermediate_size": 8192, "vocab_size": 128_256}
    refuse_greater_config(llama, packed | {"embed": (128_256, 2048)}, Path("config.json"))


@pytest.mark.parametrize(
    "name", ["../outside.safetensors", "/etc/passwd", "..\\outside.safetensors", "sub/model.safetensors"]
)
def test_an_index_cannot_name_a_file_outside_of_its_folder(tmp_path, name):
    folder = tiny_folder(tmp_path / "tiny")
    shutil.copy(folder / "model.safetensors", tmp_path / "outside.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}), encoding="utf-8")
    with pytest.raises(ModelError, match="some weight files are missing"):
        find_base(str(folder))


def test_code_that_comes_with_a_model_is_never_run_and_never_asked_about(tmp_path, monkeypatch):
    folder = tiny_folder(tmp_path / "tiny")
    for module in ("evil", "configuration_evil", "modeling_evil"):
        (folder / f"{module}.py").write_text(f"open({str(tmp_path / 'harm')!r}, 'w')\n", encoding="utf-8")
    auto = {
        "AutoConfig": "configuration_evil.C",
        "AutoModelForCausalLM": "modeling_evil.M",
        "AutoTokenizer": ["evil.T", None],
    }
    whole = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    monkeypatch.setattr("builtins.input", None)  # transformers would ask
    for config in (whole | {"auto_map": auto}, {"model_type": "evil", "auto_map": auto}, {"auto_map": auto}):
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        try:
            load_network(find_base(str(folder)), "float32", "cpu")
            is_native = True
        except ModelError:
            is_native = False
        assert is_native == ("hidden_size" in config)
    assert not (tmp_path / "harm").exists()


def test_an_adapter_beside_a_base_is_not_put_on_unasked(tmp_path):
    folder = tiny_folder(tmp_path / "tiny")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "/etc"}', encoding="utf-8")
    with pytest.raises(ModelError) as error:
        find_base(str(folder))
    assert error.value.key == "source.adapter_beside"


@pytest.mark.slow
def test_what_lies_beside_a_gguf_file_is_not_opened(tmp_path):
    write_tiny_gguf(tmp_path / "tiny.gguf")
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "nobody/nothing"}', encoding="utf-8")
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    (tmp_path / "tokenizer.json").write_text("{", encoding="utf-8")
    assert (find_base(str(tmp_path / "tiny.gguf")).folder / "model.safetensors").is_file()


# ---- spoiled files ----


def small_file(folder, kind):
    """A good file with a header of some kilobytes and little else."""
    file = folder / f"whole.{kind}"
    if kind == "gguf":
        words = b"".join(text(f"слово {place}".encode()) for place in range(24))
        values = [(b"general.architecture", STRING, text(b"llama")), number(b"general.alignment", 32)]
        values += [
            number(f"llama.{name}".encode(), 2) for name in ("block_count", "attention.head_count", "context_length")
        ]
        values += [(b"tokenizer.ggml.tokens", ARRAY, struct.pack("<IQ", STRING, 24) + words)]
        values += [(b"tokenizer.ggml.scores", ARRAY, struct.pack("<IQ24f", 6, 24, *range(24)))]
        tensors = [(f"blk.{place}.weight".encode(), (32, 4), 8, 160 * place) for place in range(12)]
        file.write_bytes(gguf(values, tensors, np.random.default_rng(0).bytes(160 * 12)))
    else:
        chance = np.random.default_rng(0)
        tensors = {
            f"model.layers.{place}.weight": chance.standard_normal((8, 16)).astype(np.float32) for place in range(24)
        }
        halves = {f"half.{place}": chance.standard_normal(7).astype(np.float16) for place in range(8)}
        save_file(tensors | halves | {"empty": np.zeros((0, 3), np.int64)}, file, {"format": "pt", "имя": "💡"})
    return file


@LINUX
@pytest.mark.parametrize("kind", ["safetensors", "gguf"])
def test_two_thousand_spoiled_files_are_read_as_they_are_or_refused(tmp_path, kind, record_property):
    command = [sys.executable, "-m", "tests.security.spoiled", str(small_file(tmp_path, kind)), str(MUTATIONS), "7"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, timeout=300, check=True)
    seen = json.loads(done.stdout)
    for name, value in seen.items():
        record_property(name, value)
    assert sum(seen["kinds"].values()) == MUTATIONS  # and so each names its file
    assert seen["kinds"]["weights.damaged"] > MUTATIONS / 3
    assert seen["kinds"]["same header"] > MUTATIONS / 20
    assert seen["slowest_seconds"] < 1
    assert seen["grown_bytes"] < 50_000_000 + 2 * seen["file_bytes"]


WORST = """
import json, sys, time
from pathlib import Path
from tests.security.spoiled import forget_peak, memory_bytes
from znatok.errors import ModelError
from znatok.model.weight_files import read_shapes
file, kind = Path(sys.argv[1]), sys.argv[2]
tensor = '"%s":{"dtype":"F32","shape":[%s0,1000],"data_offsets":[0,0]}'
room = 5_900_000
header = {
    "tensors": lambda: ",".join(tensor % (place, "") for place in range(32_000)),
    "numbers": lambda: '"a":[' + ",".join(["1000"] * 199_000) + "]",
    "objects": lambda: '"a":[' + ",".join(["{}"] * 199_000) + "]",
    "texts": lambda: '"__metadata__":{' + ",".join(f'"{place}":"b"' for place in range(199_000)) + "}",
    "one text": lambda: '"__metadata__":{"a":"' + "b" * room + '"}',
    "rare letters": lambda: '"__metadata__":{"a":"💡' + "b" * room + '"}',
    "brackets": lambda: '"a":' + "[" * room,
}[kind]()
header = ("{" + header + "}").encode()
file.write_bytes(len(header).to_bytes(8, "little") + header)
size = file.stat().st_size
del header
forget_peak()
before, start = memory_bytes("VmRSS"), time.process_time()
try:
    read_shapes(file)
except ModelError:
    pass
print(json.dumps([size, memory_bytes("VmHWM") - before, time.process_time() - start]))
"""


@LINUX
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tensors", "numbers", "objects", "texts", "one text", "rare letters", "brackets"])
def test_the_longest_headers_take_no_more_than_50_megabytes_and_twice_the_file(tmp_path, kind, record_property):
    command = [sys.executable, "-c", WORST, str(tmp_path / "model.safetensors"), kind]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, timeout=60, check=True)
    size, grown, seconds = json.loads(done.stdout)
    record_property("grown_bytes", grown)
    record_property("seconds", seconds)
    assert grown < 50_000_000 + 2 * size
    assert seconds < 2


def assert_loads_or_is_refused(folder, spoiled_bytes, whole_bytes):
    """A model folder with these weights loads with exactly their bytes, or one clear error says why not."""
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").write_bytes(spoiled_bytes)
    start = time.process_time()
    try:
        network = load_network(find_base(str(folder)), "float32", "cpu")
    except ModelError as error:
        kind = error.key if str(error).startswith(str(folder)) else "without its file"
    else:
        kind = "loaded"
        from safetensors.torch import load

        held = load(spoiled_bytes)
        for name, value in network._base.state_dict().items():
            if name in held:
                assert value.float().equal(held[name].float()) or value.isnan().any() or held[name].isnan().any()
    assert time.process_time() - start < 1
    return kind


@pytest.mark.parametrize(("count", "seed"), [(60, 1), pytest.param(MUTATIONS, 2, marks=pytest.mark.slow)])
def test_a_model_of_spoiled_weights_loads_as_they_are_or_is_one_clear_error(tmp_path, count, seed, record_property):
    folder = tiny_folder(tmp_path / "tiny")
    whole = (folder / "model.safetensors").read_bytes()
    end = header_end(folder / "model.safetensors")
    load_network(find_base(str(folder)), "float32", "cpu")  # the imports
    kinds = [assert_loads_or_is_refused(folder, made, whole) for made in spoiled(whole, end, count, seed)]
    record_property("kinds", {kind: kinds.count(kind) for kind in set(kinds)})
    assert "loaded" in kinds
    assert "without its file" not in kinds
    assert len(set(kinds)) > 1


def test_a_spoiled_config_is_one_clear_error_or_loads(tmp_path):
    folder = tiny_folder(tmp_path / "tiny")
    whole = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    chance = random.Random(3)
    values = (
        *EXTREMES,
        -1,
        -(2**63),
        1.5,
        1e300,
        None,
        True,
        "x",
        "",
        [],
        {},
        ["x"],
        "../../x",
        "http://127.0.0.1:9/x",
    )
    load_network(find_base(str(folder)), "float32", "cpu")
    kinds = set()
    for _ in range(100):
        changed = whole | {
            name: chance.choice(values) for name in chance.sample(sorted(whole), chance.choice((1, 1, 3)))
        }
        (folder / "config.json").write_text(json.dumps(changed), encoding="utf-8")
        start = time.process_time()
        try:
            load_network(find_base(str(folder)), "float32", "cpu")
            kinds.add("loaded")
        except ModelError as error:
            kinds.add(error.key)
        assert time.process_time() - start < 2, changed
    assert {"loaded", "weights.config_too_great", "source.cannot_load"} <= kinds


CONVERTED = """
import json, shutil, sys, time
from collections import Counter
from pathlib import Path
from tests.security.spoiled import header_end, spoiled
from znatok.errors import ModelError
from znatok.model.conversion import dequantise
from znatok.model.weight_files import read_shapes
whole, count, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
kinds, slowest = Counter(), 0.0
dequantise(str(whole), str(whole.parent / "made"))
for place, made in enumerate(spoiled(whole.read_bytes(), header_end(whole), count, seed)):
    file = whole.parent / f"{place}.gguf"
    file.write_bytes(made)
    start = time.process_time()
    try:
        read_shapes(file)
        try:
            dequantise(str(file), str(whole.parent / "made"))
            kinds["converted"] += 1
        except Exception as error:
            kinds["refused by transformers"] += 1
    except ModelError as error:
        kinds[error.key] += 1
    slowest = max(slowest, time.process_time() - start)
    file.unlink()
print(json.dumps([kinds, slowest]))
"""


@pytest.mark.slow
def test_spoiled_gguf_files_convert_or_are_refused_and_none_hangs(tmp_path, record_property):
    """In one process for all, so that it is the conversion that is timed and not the start of Python."""
    write_tiny_gguf(tmp_path / "tiny.gguf")
    command = [sys.executable, "-W", "ignore", "-c", CONVERTED, str(tmp_path / "tiny.gguf"), str(MUTATIONS), "11"]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=1800, check=True
    )
    kinds, slowest = json.loads(done.stdout.splitlines()[-1])
    record_property("kinds", kinds)
    record_property("slowest_seconds", slowest)
    assert sum(kinds.values()) == MUTATIONS
    assert slowest < 5


@pytest.mark.slow
def test_a_gguf_that_no_one_can_convert_is_one_clear_error(tmp_path):
    write_tiny_gguf(tmp_path / "tiny.gguf")
    content = (tmp_path / "tiny.gguf").read_bytes()
    (tmp_path / "other.gguf").write_bytes(content.replace(b"llama", b"lamas"))
    with pytest.raises(ModelError) as error:
        conversion.convert_gguf(tmp_path / "other.gguf", tmp_path / "made")
    assert error.value.key == "builtin.cannot_convert"
