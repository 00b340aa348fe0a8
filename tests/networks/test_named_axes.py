"""Which axes of which tensors stand for input and output channels."""

from typing import Any

import pytest
import torch
from torch import nn

from pipeline.networks import Networks
from pipeline.networks.named_axes import INPUTS, OUTPUTS, ChannelNames, find_named_axes, pair_names

TINY: dict[str, dict[str, Any]] = {
    "VNet": {"channels": (4, 6)},
    "UNet": {"channels": (4, 6)},
    "Tiramisu": {"layers_per_block": (2, 2), "growth": 3, "first_channels": 6},
    "residual_fcn": {},
}
FIRST = {
    "VNet": "encoder.0.convs.0.0.weight",
    "UNet": "encoder.0.convs.0.0.weight",
    "Tiramisu": "encoder.0.enter.weight",
    "residual_fcn": "encoder.0.blocks.0.weight",
}


@pytest.mark.parametrize("name", list(TINY))
def test_first_convolution_and_head(name: str) -> None:
    network = Networks[name](2, 2, 3, **TINY[name])
    axes = find_named_axes(network)
    inputs = {key for key, kinds in axes.items() if INPUTS in kinds.values()}
    assert axes[FIRST[name]] == {1: INPUTS}
    assert all(key.startswith("encoder.0.") for key in inputs)
    outputs = {key: kinds for key, kinds in axes.items() if OUTPUTS in kinds.values()}
    assert outputs
    for key, kinds in outputs.items():
        assert key.startswith("head.")
        # Only V-Net's published head has a convolution from classes to classes.
        assert set(kinds) == ({0, 1} if key == "head.1.weight" else {0})


def test_a_network_without_a_spec_has_none() -> None:
    assert find_named_axes(nn.Conv2d(1, 3, 1)) == {}


def test_names_are_compared_without_case() -> None:
    ours, theirs = ChannelNames(("T2", "t1 "), ("background", "Liver")), ChannelNames(("T1",), None)
    assert pair_names(theirs, ours) == {INPUTS: [(1, 0)], OUTPUTS: None}


def test_building_draws_no_random_numbers() -> None:
    network = Networks["UNet"](2, 1, 3, channels=(4, 6))
    torch.manual_seed(0)
    find_named_axes(network)
    drawn = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(drawn, torch.rand(1))
