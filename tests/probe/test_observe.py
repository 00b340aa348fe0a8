from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.data.errors import InputError
from pipeline.networks import SkipConnection, VNet
from pipeline.networks.skips import SumSkip
from pipeline.probe.levels import Level, find_levels
from pipeline.probe.observe import Observation, observe_skips


def make_network(skip: Any, spatial_dims: int = 2) -> VNet:
    torch.manual_seed(0)
    norm = ("instance", {"affine": True})
    network = VNet(spatial_dims, 1, 3, (4, 8), kernel_size=3, norm=norm, skip=skip, residual="decoder")
    return network.eval().requires_grad_(False)


def make_input(number: int, spatial_dims: int = 2) -> Tensor:
    return torch.randn((number, 1, *[8] * spatial_dims), generator=torch.Generator().manual_seed(number))


def observe(network: VNet, *inputs: Tensor) -> Observation:
    [level] = find_levels(network, "model.pt")
    observed = {0: Observation()}
    for x in inputs:
        expected = network(x)
        with observe_skips([level], observed):
            assert torch.equal(network(x), expected)
    return observed[0]


def features(network: VNet, x: Tensor) -> Tensor:
    return network.encoder[0](x)


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_maps_before_a_projection_count_by_what_they_add(spatial_dims: int) -> None:
    network = make_network(("at", {"maps": 2, "gate": "linear", "merge": "sum"}), spatial_dims)
    x = make_input(3, spatial_dims)
    found = observe(network, x)
    skip: Any = network.decoder[0].skip
    maps = skip.keep(features(network, x))
    places = (0, *range(2, maps.dim()))
    # Without map m the sum lacks W[:, m] times the map, whatever the other maps are.
    expected = skip.project.weight.flatten(1).abs().sum(dim=0) * maps.abs().mean(dim=places)
    torch.testing.assert_close(found.strength, expected, rtol=1e-4, atol=1e-6)
    assert found.kept_maps
    assert (found.maps, found.kept_channels, found.transferred_channels) == (2, 2, 4)
    assert found.order == expected.argsort(descending=True).tolist()


@pytest.mark.parametrize("skip", ["concat", "sum"])
def test_transferred_channels_count_by_their_mean_absolute_value(skip: str) -> None:
    network, first, second = make_network(skip), make_input(2), make_input(3)
    found = observe(network, first, second)
    both = torch.cat([features(network, first), features(network, second)])
    torch.testing.assert_close(found.strength, both.abs().mean(dim=(0, 2, 3)), rtol=1e-4, atol=1e-6)
    assert not found.kept_maps
    assert (found.maps, found.windows) == (4, 5)


def test_a_selecting_skip_counts_its_weights() -> None:
    network, x = make_network("st"), make_input(2)
    skip: Any = network.decoder[0].skip
    skip.select.weight[:] = torch.tensor([0.0, 1.0, -2.0, 0.5])
    found = observe(network, x)
    expected = skip.select.weight.abs() * features(network, x).abs().mean(dim=(0, 2, 3))
    torch.testing.assert_close(found.strength, expected, rtol=1e-4, atol=1e-6)
    assert found.order[-1] == 0


class FastSum(SumSkip):
    """A sum in one pass: its join does not call transfer, but is the same."""

    def join(self, kept: Tensor, decoder: Tensor) -> Tensor:
        return torch.add(decoder, kept)


class CallingSum(SumSkip):
    def join(self, kept: Tensor, decoder: Tensor) -> Tensor:
        return decoder + self.transfer(kept, decoder)


class OddSum(SumSkip):
    def join(self, kept: Tensor, decoder: Tensor) -> Tensor:
        return decoder + 2 * kept


def observe_skip(skip: SkipConnection) -> Observation:
    observed = {3: Observation()}
    with observe_skips([Level(3, "skip", "odd", skip)], observed):
        merged = skip(torch.ones(1, 2, 4, 4), torch.full((1, 2, 4, 4), 2.0))
    assert torch.equal(merged, torch.full((1, 2, 4, 4), 3.0))
    return observed[3]


def test_a_join_of_its_own_that_is_the_same_is_probed() -> None:
    for skip in (FastSum(2, 2, 2), CallingSum(2, 2, 2)):
        assert observe_skip(skip).strength.tolist() == [1, 1]
        assert not {"transfer", "join"} & skip.__dict__.keys()


def test_a_join_of_its_own_that_is_another_is_refused() -> None:
    with pytest.raises(InputError, match=r"level 3: found the skip connection odd, whose join is not the sum"):
        observe_skip(OddSum(2, 2, 2))
