"""Frozen weights that are packed beforehand give the bits of plain ones."""

import pytest
import torch
import torch.nn.functional as F

from znatok.model.joint import packed_product


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
@pytest.mark.parametrize("has_bias", [True, False])
def test_a_product_with_packed_weights_has_the_bits_of_a_plain_one(has_bias):
    torch.manual_seed(0)
    weight_OI, bias_O = torch.randn(72, 40).bfloat16(), torch.randn(72).bfloat16() if has_bias else None
    product = packed_product(weight_OI)
    assert product is not None
    for places in (1, 3, 40, 200):
        x_NI = torch.randn(places, 40).bfloat16()
        assert torch.equal(product(x_NI, weight_OI, bias_O), F.linear(x_NI, weight_OI, bias_O))


def test_weights_in_float32_stay_as_they_are():
    assert packed_product(torch.zeros(8, 8)) is None
