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


@pytest.mark.parametrize(
    ("tensor", "found"),
    [
        (torch.ones(2, dtype=torch.int64), "a tensor of int64: a"),
        (torch.ones(2, dtype=torch.bool), "a tensor of bool: a"),
        (torch.ones(2, dtype=torch.complex64), "a tensor of complex64: a"),
        (torch.ones(2).to_sparse(), "a tensor that is sparse: a"),
        (torch.ones(2, device="meta"), "a tensor without values: a"),
        (torch.full((2,), 1e200, dtype=torch.float64), "weights that are not finite .*, first in a"),
    ],
    ids=["int", "bool", "complex", "sparse", "meta", "too large"],
)
def test_tensors_that_a_network_would_take_as_other_numbers_are_refused(tensor, found):
    with pytest.raises(InputError, match=rf"model\.pt: found {found}"):
        require_finite("model.pt", {"a": tensor}, like={"a": torch.zeros(2)})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_other_formats_of_floating_point_are_taken(dtype):
    require_finite("model.pt", {"a": torch.ones(2).to(dtype)}, like={"a": torch.zeros(2)})


def test_a_number_of_steps_that_was_averaged_is_taken():
    require_finite("model.pt", {"n": torch.tensor(3.5)}, like={"n": torch.tensor(3)})
