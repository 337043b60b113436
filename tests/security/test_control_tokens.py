"""Control tokens stay text, in cells and in the chat, whatever is done to them, in the templates of four families."""

import csv
import json
import unicodedata
from functools import cache

import pytest
from tokenizers import Tokenizer, normalizers

from tests.data.test_render import FAMILIES, TEMPLATES, renderer_of, tokenizer_of
from tests.security.hostile import control_texts
from tests.tiny import tiny_folder
from znatok.data.read import read_table
from znatok.data.render import Renderer, load_renderer, read_template
from znatok.model.builtin import builtin_at_hand
from znatok.use.chat import _prompt, recent
from znatok.use.loading import load_base

FOUR = ("smollm2", "tinyllama", "llama3", "qwen3")
FAMILY = pytest.mark.parametrize("family", FOUR)
TEXTS = control_texts()


@cache
def normalising(family, form):
    """The family's renderer on a tokenizer that changes letters before it reads them, as Qwen's does with NFC."""
    tokenizer = Tokenizer.from_str(tokenizer_of(family))
    tokenizer.normalizer = getattr(normalizers, form)()
    tokens, special, _ = FAMILIES[family]
    template = (TEMPLATES / f"{family}.jinja").read_text(encoding="utf-8")
    return Renderer(tokenizer.to_str(), read_template(template, tokens, special))


def control_of(renderer, ids):
    return [id for id in ids if id in renderer.control_ids]


def assert_stays_text(renderer, text, decoded):
    wanted = control_of(renderer, renderer.conversation("а", "а", [("а", "а")]).ids)
    for turn, history in (((text, "а"), [("а", "а")]), (("а", text), [("а", "а")]), (("а", "а"), [(text, text)])):
        assert control_of(renderer, renderer.conversation(*turn, history).ids) == wanted, text
    assert renderer.decode(renderer.content_ids(text)) == decoded.strip(), text


def test_there_are_hundreds_of_texts_and_all_are_different():
    assert len(TEXTS) == len(set(TEXTS)) >= 200


@FAMILY
def test_no_text_becomes_a_control_token_in_a_question_an_answer_or_an_earlier_turn(family):
    renderer = renderer_of(family)
    for text in TEXTS:
        # SentencePiece writes spaces as ▁, so that it cannot tell the sign itself from one.
        assert_stays_text(renderer, text, text.replace("▁", " ") if family == "tinyllama" else text)


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
@pytest.mark.parametrize("family", ["smollm2", "llama3", "qwen3"])
def test_letters_that_a_tokenizer_makes_plain_become_no_control_token(family, form):
    assert any(unicodedata.normalize(form, text) != text for text in TEXTS)
    for text in TEXTS:
        assert_stays_text(normalising(family, form), text, unicodedata.normalize(form, text))


@FAMILY
def test_a_table_full_of_them_is_read_and_rendered_without_one(family, tmp_path):
    table = tmp_path / "злая.csv"
    cells = [(f"{place} {text}", text) for place, text in enumerate(TEXTS) if "\0" not in text]
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("вопрос", "ответ"), *cells])
    renderer, rows = renderer_of(family), read_table(table).rows
    wanted = control_of(renderer, renderer.conversation("а", "а").ids)
    assert len(rows) >= 200
    for row in rows:
        assert control_of(renderer, renderer.conversation(row.question, row.answer).ids) == wanted, row


def test_what_is_typed_in_the_chat_and_what_was_said_before_stay_text(tmp_path):
    talker = load_base(str(tiny_folder(tmp_path / "tiny")))
    wanted = control_of(talker.renderer, _prompt(talker, "а", [("а", "а")]))
    for text in TEXTS:
        history = recent(talker, text, [(text, text)])
        assert len(history) == 1
        assert control_of(talker.renderer, _prompt(talker, text, history)) == wanted, text


@pytest.mark.slow
def test_the_built_in_model_s_own_tokenizer_keeps_them_text():
    folder = builtin_at_hand()
    if folder is None:
        pytest.skip("the built-in model is not on this machine")
    renderer = load_renderer(folder, folder / "tokenizer.json")
    assert json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["normalizer"] is None
    for text in TEXTS:
        assert_stays_text(renderer, text, text)
