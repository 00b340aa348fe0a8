"""The memory format changes no logits, and not the network that it was made from."""

import pytest
import torch
from torch import Tensor, nn

from pipeline.inference import Ensemble, mirror_network
from pipeline.inference.channels_last import ChannelsLastNetwork
from pipeline.networks import VNet


def make_network(spatial_dims: int = 3, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        network = VNet(spatial_dims, in_channels=2, out_channels=3, channels=(4, 8), kernel_size=3, skip="sat")
    return network.eval().requires_grad_(False)


def make_batch(spatial_dims: int = 3) -> Tensor:
    return torch.randn(2, 2, *(8, 12, 16)[:spatial_dims], generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_the_logits_are_those_of_the_network(spatial_dims: int) -> None:
    network, x = make_network(spatial_dims), make_batch(spatial_dims)
    found = ChannelsLastNetwork(network, spatial_dims)(x)
    torch.testing.assert_close(found, network(x), rtol=1e-4, atol=1e-5)
    assert found.is_contiguous()


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_weights_and_inner_feature_maps_have_the_format(spatial_dims: int) -> None:
    network = make_network(spatial_dims)
    there = ChannelsLastNetwork(network, spatial_dims)
    form = (torch.channels_last, torch.channels_last_3d)[spatial_dims - 2]
    weights = [one for one in there.parameters() if one.ndim == spatial_dims + 2]
    assert weights
    assert all(one.is_contiguous(memory_format=form) for one in weights)
    assert any(not one.is_contiguous() for one in weights)
    seen: list[bool] = []
    for part in there.modules():
        if isinstance(part, nn.Conv2d | nn.Conv3d) and part.in_channels > 1:
            part.register_forward_pre_hook(lambda _, given: seen.append(given[0].is_contiguous(memory_format=form)))
    there(make_batch(spatial_dims))
    assert seen[0]


def test_the_network_stays_as_it_was() -> None:
    network, x = make_network(), make_batch()
    before, expected = network.state_dict(), network(x)
    strides = [one.stride() for one in before.values()]
    ChannelsLastNetwork(network, 3)
    assert [one.stride() for one in network.state_dict().values()] == strides
    assert torch.equal(network(x), expected)


def test_layers_of_another_number_of_axes_are_left_alone() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.volume, self.row = nn.Conv3d(2, 3, 3, padding=1), nn.Parameter(torch.ones(1, 3, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            output: Tensor = self.volume(x) * self.row[..., None]
            return output

    network = Mixed().eval()
    with torch.no_grad():
        torch.testing.assert_close(ChannelsLastNetwork(network, 3)(make_batch()), network(make_batch()))


def test_mirrored_ensembles_are_networks_as_well() -> None:
    network, x = mirror_network(Ensemble([make_network(seed=seed) for seed in (1, 2)]), (0, 2)), make_batch()
    torch.testing.assert_close(ChannelsLastNetwork(network, 3)(x), network(x), rtol=1e-4, atol=1e-5)
