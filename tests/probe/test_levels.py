from typing import Any

import pytest
from torch import nn

from pipeline.data.errors import InputError
from pipeline.networks import VNet
from pipeline.probe.levels import find_levels, select_levels


def make_network(skip: Any) -> VNet:
    return VNet(2, 1, 2, (2, 4, 4, 4), kernel_size=3, skip=skip)


def test_levels_without_transfer_are_left_out_and_keep_their_number() -> None:
    network = make_network(["none", "sat", "none"])
    [level] = find_levels(network, "model.pt")
    assert (level.number, level.kind, level.name) == (1, "sat", "decoder.1.skip")
    assert level.skip is network.get_submodule(level.name)


def test_a_network_without_skips_is_refused() -> None:
    with pytest.raises(InputError, match=r"model.pt: found a network whose skip connections all transfer nothing"):
        find_levels(make_network("none"), "model.pt")
    with pytest.raises(InputError, match="a Linear, which is not one of LightSkip's networks"):
        find_levels(nn.Linear(1, 1), "model.pt")


def test_levels_are_selected_by_number() -> None:
    levels = find_levels(make_network(["none", "sat", "concat"]), "model.pt")
    assert select_levels(levels, None, 3) == levels
    assert [level.number for level in select_levels(levels, [2, 1, 2], 3)] == [1, 2]
    with pytest.raises(InputError, match=r"--levels 0: found a level whose skip transfers nothing.* skip: 1, 2;"):
        select_levels(levels, [0], 3)
    with pytest.raises(InputError, match=r"--levels -1: found a network with 3 skips"):
        select_levels(levels, [-1], 3)
