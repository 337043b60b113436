"""How fast training is guessed to be."""

import json

import pytest

from znatok.model import speed

SMOLLM = {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(SMOLLM), encoding="utf-8")
    return tmp_path


def where_the_bare_products_give(tokens_per_second, folder, monkeypatch):
    monkeypatch.setattr(speed, "products_per_second", lambda *_: 1.0)
    once = speed.bare_tokens_per_second(folder, "bfloat16", 0.7)
    monkeypatch.setattr(speed, "products_per_second", lambda *_: tokens_per_second / once)


@pytest.mark.parametrize(("bare", "measured"), [(290, 209), (1309, 567), (4087, 601)])
def test_the_guess_comes_near_what_was_measured_on_slow_and_on_fast_products(bare, measured, folder, monkeypatch):
    where_the_bare_products_give(bare, folder, monkeypatch)
    assert speed.bare_tokens_per_second(folder, "bfloat16", 0.7) == pytest.approx(bare)
    assert speed.forecast_tokens_per_second(folder, "bfloat16", 0.7) == pytest.approx(measured, rel=0.2)


def test_a_token_whose_answer_is_trained_costs_more(folder, monkeypatch):
    where_the_bare_products_give(1000, folder, monkeypatch)
    forecasts = [speed.forecast_tokens_per_second(folder, "bfloat16", share) for share in (0.2, 0.7)]
    assert forecasts[0] > forecasts[1]


def test_a_shape_within_another_is_read_as_one_that_stands_alone(folder, monkeypatch):
    where_the_bare_products_give(1000, folder, monkeypatch)
    alone = speed.forecast_tokens_per_second(folder, "bfloat16", 0.7)
    (folder / "config.json").write_text(json.dumps({"text_config": SMOLLM}), encoding="utf-8")
    assert speed.forecast_tokens_per_second(folder, "bfloat16", 0.7) == alone
