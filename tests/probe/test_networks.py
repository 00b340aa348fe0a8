"""Every network can be probed: its decoder takes what a changed skip transfers."""

from typing import Any

import pytest
import torch
from monai.inferers.inferer import SlidingWindowInferer

from pipeline.networks import ResidualFCN, Tiramisu, UNet, VNet
from pipeline.probe.donors import infer_with_donor
from pipeline.probe.gates import describe_inner_selections
from pipeline.probe.levels import find_levels
from pipeline.probe.observe import Observation, observe_skips
from pipeline.probe.transfers import replace_transfer, switch_off

CHANNELS = (4, 6, 8)
DENSE = {"layers_per_block": (1, 2, 3), "decoder_layers_per_block": (2, 1), "growth": 3, "first_channels": 4}
NETWORKS: dict[str, Any] = {
    "vnet": (VNet, {"channels": CHANNELS, "kernel_size": 3}),
    "unet": (UNet, {"channels": CHANNELS}),
    "unet-residual": (UNet, {"channels": CHANNELS, "encoder": "residual", "blocks_per_level": (1, 2, 1)}),
    "tiramisu": (Tiramisu, DENSE),
    "residual fcn": (ResidualFCN, {"channels": CHANNELS, "blocks_per_level": (2, 2)}),
}


def make_network(name: str, skip: Any, **options: Any) -> Any:
    network_type, small = NETWORKS[name]
    torch.manual_seed(0)
    network = network_type(spatial_dims=2, in_channels=1, out_channels=3, skip=skip, **small, **options)
    return network.eval().requires_grad_(False)


# The residual FCN projects to the skip's width only where there is a skip, so it has other widths without one.
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "residual fcn"])
def test_off_of_a_sum_is_the_network_without_that_skip(name: str) -> None:
    network, without = make_network(name, "sum"), make_network(name, ["sum", "none"])
    own = without.state_dict().keys()
    without.load_state_dict({key: value for key, value in network.state_dict().items() if key in own})
    x = torch.randn(2, 1, 8, 12)
    level = find_levels(network, "model.pt")[1]
    with replace_transfer(level.skip, switch_off):
        torch.testing.assert_close(network(x), without(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("skip", ["concat", "sat", "scse", "scalar"])
@pytest.mark.parametrize("name", NETWORKS)
def test_observing_and_exchanging_with_itself_change_nothing(name: str, skip: str) -> None:
    network = make_network(name, skip)
    levels = find_levels(network, "model.pt")
    case = torch.randn(1, 20, 12)
    inferer = SlidingWindowInferer(roi_size=(16, 12), overlap=0.5)
    expected = inferer(case[None], network)
    observed = {level.number: Observation() for level in levels}
    with observe_skips(levels, observed):
        torch.testing.assert_close(inferer(case[None], network), expected, rtol=1e-4, atol=1e-5)
    for level in levels:
        assert observed[level.number].windows > 0
        found = infer_with_donor(inferer, network, level.skip, case[None], case)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_selections_inside_of_dense_blocks_are_named() -> None:
    network = make_network("tiramisu", "sat", dense_skip="sat")
    found = describe_inner_selections(network, find_levels(network, "model.pt"))
    assert found
    assert not any(name.startswith("decoder.") and name.endswith(".skip") for name in found)
    assert all(len(one["weights"]) == len(one["selected"]) for one in found.values())
