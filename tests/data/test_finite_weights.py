"""Weights that are not finite are found, whatever their type, and refused in one message."""

import pytest
import torch

from pipeline.data.errors import InputError
from pipeline.data.finite_weights import find_not_finite, require_finite


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_one_such_value_is_found(value, dtype):
    weights = {"a": torch.ones(3, dtype=dtype), "b": torch.ones(2, 2, dtype=dtype), "c": torch.ones(1)}
    assert find_not_finite(weights) is None
    weights["b"][1, 0] = value
    assert find_not_finite(weights) == "b"
    with pytest.raises(InputError, match=r"model\.pt: found weights that are not finite .*, first in b; .* use other"):
        require_finite("model.pt", weights)


def test_whole_numbers_and_other_values_are_finite():
    require_finite("x", {"count": torch.tensor(3), "mask": torch.tensor([True]), "epoch": 3, "none": None})
    require_finite("x", {})


def test_the_largest_numbers_are_finite():
    require_finite("x", {"a": torch.full((1000,), torch.finfo(torch.float32).max)})
