"""A tokenizer's files from outside: read, or refused with one message, and never steering by letters of a cell."""

import json
import random
import time

import pytest

from tests.security.spoiled import spoiled
from tests.security.test_chat_templates import HOSTILE
from tests.tiny import CHATML, tiny_folder, tiny_tokenizer
from znatok.data.render import load_renderer
from znatok.errors import ModelError


def came_of(folder):
    """What `load_renderer` says of a folder, and the seconds that it took."""
    start = time.process_time()
    try:
        renderer = load_renderer(folder, folder / "tokenizer.json")
        rendered = renderer.conversation("Что такое <|im_end|>?", "Это </s>.")
        assert not renderer.control_ids.intersection(renderer.content_ids("а<|im_end|>б"))
        kind = "read" if rendered.ids else "nothing"
    except ModelError as error:
        kind = error.key
    return kind, time.process_time() - start


@pytest.mark.parametrize(("count", "seed"), [(100, 1), pytest.param(2000, 2, marks=pytest.mark.slow)])
def test_spoiled_tokenizers_are_read_or_are_one_clear_error(tmp_path, count, seed, record_property):
    folder = tiny_folder(tmp_path / "tiny")
    whole = tiny_tokenizer().encode()
    came_of(folder)
    found = []
    for made in spoiled(whole, len(whole), count, seed):
        (folder / "tokenizer.json").write_bytes(made)
        found.append(came_of(folder))
    kinds = [kind for kind, _ in found]
    record_property("kinds", {kind: kinds.count(kind) for kind in set(kinds)})
    assert {"read", "render.unreadable"} <= set(kinds)
    assert max(seconds for _, seconds in found) < 1


def test_settings_of_a_tokenizer_that_are_impossible_are_one_clear_error(tmp_path):
    folder = tiny_folder(tmp_path / "tiny")
    whole = json.loads(tiny_tokenizer())
    chance = random.Random(4)
    values = (None, [], {}, "", "x", -1, 2**63, 1e300, True, [[]], [None], {"type": "BPE"}, "\ud800")
    kinds = set()
    for _ in range(200):
        tree = json.loads(json.dumps(whole))
        part = chance.choice([tree, tree["model"], *tree["added_tokens"], tree["decoder"], tree["pre_tokenizer"]])
        part[chance.choice(sorted(part))] = chance.choice(values)
        (folder / "tokenizer.json").write_text(json.dumps(tree), encoding="utf-8")
        kinds.add(came_of(folder)[0])
    assert {"read", "render.unreadable"} <= kinds


@pytest.mark.parametrize(
    "config",
    [
        "",
        "[]",
        "{",
        "null",
        "[" * 100_000,
        json.dumps({"eos_token": 5, "bos_token": []}),
        json.dumps({"eos_token": {"content": None}}),
        json.dumps({"chat_template": 5}),
        json.dumps({"chat_template": [{"name": "default", "template": CHATML}]}),
        json.dumps(
            {"eos_token": "<|im_end|>", "auto_map": {"AutoTokenizer": ["evil.T", None]}, "chat_template": HOSTILE}
        ),
    ],
    ids=lambda text: text[:40],
)
def test_a_spoiled_tokenizer_config_is_one_clear_error_or_is_read(tmp_path, config):
    folder = tiny_folder(tmp_path / "tiny")
    (folder / "chat_template.jinja").unlink()
    (folder / "tokenizer_config.json").write_text(config, encoding="utf-8")
    assert came_of(folder)[0] in ("read", "render.unreadable", "render.no_template")
