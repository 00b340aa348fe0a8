"""Averages over mirrored inputs and over networks, against arithmetic."""

from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.inference import Ensemble, Mirrored, mirror_network


def network(spatial_dims: int = 3, seed: int = 0) -> nn.Module:
    """Kernels without symmetry, so that every mirrored input has another output."""
    torch.manual_seed(seed)
    conv = nn.Conv2d if spatial_dims == 2 else nn.Conv3d
    return nn.Sequential(conv(2, 4, 3, padding=1), nn.ReLU(), conv(4, 3, 3, padding=1))


def image(spatial_dims: int = 3) -> Tensor:
    return torch.randn(2, 2, *(9, 7, 5)[:spatial_dims], generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("spatial_dims", "axes"), [(3, (0,)), (3, (1, 2)), (3, (2, 0)), (3, (0, 1, 2)), (2, (1,)), (2, (0, 1))]
)
def test_the_mean_over_all_combinations_of_mirrored_axes(spatial_dims: int, axes: tuple[int, ...]) -> None:
    net, x = network(spatial_dims), image(spatial_dims)
    outputs = []
    with torch.no_grad():
        for chosen in product((False, True), repeat=len(axes)):
            flip = [axis + 2 for axis, is_chosen in zip(axes, chosen, strict=True) if is_chosen]
            outputs.append(np.flip(net(torch.tensor(np.flip(x.numpy(), flip).copy())).numpy(), flip))
        result = Mirrored(net, axes)(x)
    assert len(outputs) == 2 ** len(axes)
    # None is like the other, or a missing one would not show.
    assert min(np.abs(a - b).max() for i, a in enumerate(outputs) for b in outputs[:i]) > 0.05
    np.testing.assert_allclose(result.numpy(), np.mean(outputs, axis=0), atol=1e-6)


def test_a_mirrored_scan_has_the_mirrored_output() -> None:
    net, x = Mirrored(network(), (0, 2)), image()
    with torch.no_grad():
        torch.testing.assert_close(net(x.flip(2)), net(x).flip(2))
        torch.testing.assert_close(net(x.flip(4)), net(x).flip(4))
        # Not along the axis that is left alone.
        assert (net(x.flip(3)) - net(x).flip(3)).abs().max() > 0.05


def test_an_axis_counts_once_however_often_it_is_named() -> None:
    net = Mirrored(network(), (2, 0, 2))
    assert net.axes == (0, 2)


def test_without_axes_it_is_the_network_itself() -> None:
    net = network()
    assert mirror_network(net, ()) is net
    assert isinstance(mirror_network(net, [1]), Mirrored)


def test_the_inner_network_keeps_its_weights_and_their_names() -> None:
    net = network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    wrapped = mirror_network(net, (0, 1, 2))
    with torch.no_grad():
        wrapped(image())
    assert net.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    # Weights that are loaded into the network, as MONAI's runner does it, are those that are used.
    net.load_state_dict(network(seed=5).state_dict())
    with torch.no_grad():
        torch.testing.assert_close(wrapped(image()), Mirrored(network(seed=5), (0, 1, 2))(image()))


def test_further_arguments_reach_the_network() -> None:
    class Scaled(nn.Module):
        def forward(self, x: Tensor, factor: float, *, shift: float) -> Tensor:
            return factor * x + shift

    x = image()
    torch.testing.assert_close(Mirrored(Scaled(), (0,))(x, 2.0, shift=1.0), 2 * x + 1)
    torch.testing.assert_close(
        torch.softmax(Ensemble([Scaled(), Scaled()])(x, 2.0, shift=1.0), 1), torch.softmax(2 * x, 1)
    )


@pytest.mark.parametrize("members", [1, 2, 5])
def test_the_softmax_of_an_ensemble_is_the_mean_probability(members: int) -> None:
    networks, x = [network(seed=seed) for seed in range(members)], image()
    with torch.no_grad():
        probabilities = [torch.softmax(one(x).double(), dim=1) for one in networks]
        result = Ensemble(networks)(x)
    expected = torch.stack(probabilities).mean(dim=0)
    torch.testing.assert_close(torch.softmax(result.double(), dim=1), expected, atol=1e-6, rtol=0)
    # They are logarithms of probabilities themselves.
    torch.testing.assert_close(result.double().exp(), expected, atol=1e-6, rtol=0)


def test_the_mean_probability_is_not_the_mean_logit() -> None:
    # 0.9 and 0.2 for the first class by hand: 0.55, where the mean logit would give 0.6.
    members = [Constant(0.9), Constant(0.2)]
    result = torch.softmax(Ensemble(members)(torch.zeros(1, 1, 1)), dim=1)
    torch.testing.assert_close(result.ravel(), torch.tensor([0.55, 0.45]))


def test_a_member_that_is_more_than_sure_leaves_no_nan() -> None:
    result = Ensemble([Constant(logits=(1e4, -1e4)), Constant(logits=(-1e4, 1e4))])(torch.zeros(1, 1, 1))
    torch.testing.assert_close(torch.softmax(result, dim=1).ravel(), torch.tensor([0.5, 0.5]))


@pytest.mark.parametrize("wrap", [lambda net: Mirrored(net, (0,)), lambda net: Ensemble([net, net])])
def test_sums_are_in_float32_whatever_the_network_computes_in(wrap) -> None:
    net, x = network(), image()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert net(x).dtype == torch.bfloat16
        assert wrap(net)(x).dtype == torch.float32


def test_members_are_parts_of_the_module() -> None:
    members = [network(seed=seed) for seed in (0, 1)]
    ensemble = Ensemble(members)
    assert len(list(ensemble.parameters())) == 2 * len(list(members[0].parameters()))
    assert not ensemble.eval().members[1].training


class Constant(nn.Module):
    """Two classes with the same probability, or logits, everywhere."""

    def __init__(self, first: float = 0.5, logits: tuple[float, float] | None = None) -> None:
        super().__init__()
        self.logits = torch.tensor(logits or (np.log(first), np.log(1 - first)), dtype=torch.float32)

    def forward(self, x: Tensor) -> Tensor:
        return self.logits.view(1, 2, 1).expand(1, 2, x.shape[-1])
