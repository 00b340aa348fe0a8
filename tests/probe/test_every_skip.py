"""Every registered skip can be probed, in 2D and 3D."""

import pytest
import torch
from torch import Tensor

from pipeline.networks import Skip, VNet
from pipeline.probe.gates import GateMeans, describe_weights, watch_gates
from pipeline.probe.levels import find_levels
from pipeline.probe.observe import Observation, observe_skips
from pipeline.probe.transfers import keep_maps, replace_transfer, switch_off

SKIPS = sorted(str(name).lower() for name in Skip.names if name != "NONE")
# Mean of the gates (0, 1) that each computes; the others compute none.
GATES = {
    "attention_gate": {"gate"},
    "cse": {"excitation"},
    "sse": {"excitation"},
    "scse": {"excitation.channel", "excitation.spatial"},
    "project_excite": {"excitation"},
}


def make_network(skip: object, spatial_dims: int) -> VNet:
    torch.manual_seed(0)
    norm = ("instance", {"affine": True})
    network = VNet(spatial_dims, 1, 3, (4, 8, 8), kernel_size=3, norm=norm, skip=skip, residual="merged")  # type: ignore[arg-type]
    return network.eval().requires_grad_(False)


def make_input(spatial_dims: int) -> Tensor:
    return torch.randn((2, 1, *[8] * spatial_dims), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("skip", SKIPS)
def test_it_is_observed_and_changed(skip: str, spatial_dims: int) -> None:
    network, x = make_network(skip, spatial_dims), make_input(spatial_dims)
    levels = find_levels(network, "model.pt")
    assert [level.kind for level in levels] == [skip, skip]
    expected = network(x)
    observed, gates = {level.number: Observation() for level in levels}, GateMeans()
    with observe_skips(levels, observed), watch_gates(network, gates):
        torch.testing.assert_close(network(x), expected, rtol=1e-5, atol=1e-5)
    for level in levels:
        means = gates.means(level.name)
        assert means.keys() == GATES.get(skip, set())
        assert all(0 < mean < 1 for mean in means.values())
        seen = observed[level.number]
        assert seen.maps == (seen.kept_channels if seen.kept_maps else seen.transferred_channels)
        all_maps = keep_maps(range(seen.maps), kept_maps=seen.kept_maps)
        for change, same in ((switch_off, False), (all_maps, True)):
            with replace_transfer(level.skip, change):
                torch.testing.assert_close(network(x), expected, rtol=1e-5, atol=1e-5) if same else network(x)
    assert ("selection" in describe_weights(levels[0])) == (skip in ("st", "sat"))
    assert ("alpha" in describe_weights(levels[0])) == (skip == "scalar")
    torch.testing.assert_close(network(x), expected, rtol=0, atol=0)


@pytest.mark.parametrize("skip", [name for name in SKIPS if make_network(name, 2).decoder[0].skip.merge == "sum"])
def test_off_of_an_added_skip_is_a_network_without_it(skip: str) -> None:
    network, without, x = make_network(skip, 2), make_network("none", 2), make_input(2)
    # Without the weights of the skips.
    own = without.state_dict().keys()
    without.load_state_dict({name: value for name, value in network.state_dict().items() if name in own})
    first, second = find_levels(network, "model.pt")
    with replace_transfer(first.skip, switch_off), replace_transfer(second.skip, switch_off):
        torch.testing.assert_close(network(x), without(x), rtol=1e-5, atol=1e-5)


def test_gates_of_recalibration_have_the_name_of_their_stage() -> None:
    network = VNet(2, 1, 3, (4, 8), kernel_size=3, skip="sse", recalibrate="cse", recalibrate_at=["encoder"]).eval()
    gates = GateMeans()
    with watch_gates(network, gates), torch.no_grad():
        network(make_input(2))
    assert gates.means().keys() == {"recalibrate_encoder.0", "decoder.0.skip.excitation"}
