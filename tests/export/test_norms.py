import pytest
import torch
from torch import nn

from pipeline.export.norms import make_norms_exact
from pipeline.networks import VNet


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize(("norm", "shape"), [(nn.InstanceNorm2d, (6, 7)), (nn.InstanceNorm3d, (6, 7, 5))])
def test_it_is_the_same_normalisation(norm, shape, affine):
    torch.manual_seed(0)
    layer = norm(3, affine=affine, eps=1e-3)
    if affine:
        nn.init.normal_(layer.weight)
        nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, *shape) * 5 + 100
    # Against PyTorch's own in double precision.
    expected = layer.double()(x.double())
    torch.testing.assert_close(make_norms_exact(layer.float())(x).double(), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize(("groups", "shape"), [(2, (6, 7)), (1, (6, 7, 5)), (4, (6, 7, 5))])
def test_it_is_the_same_normalisation_of_groups(groups, shape, affine):
    torch.manual_seed(0)
    layer = nn.GroupNorm(groups, 4, affine=affine, eps=1e-3)
    if affine:
        nn.init.normal_(layer.weight)
        nn.init.normal_(layer.bias)
    x = torch.randn(2, 4, *shape) * 5 + 100
    expected = layer.double()(x.double())
    torch.testing.assert_close(make_norms_exact(layer.float())(x).double(), expected, rtol=0, atol=2e-5)


def test_means_are_taken_axis_by_axis():
    # In one float32 sum, small numbers are lost next to a large sum: 1e8 + 1 is 1e8.
    layer = make_norms_exact(nn.InstanceNorm2d(1))
    exported = torch.export.export(layer, (torch.zeros(1, 1, 4, 4),), strict=False)
    means = [node.args[1] for node in exported.graph.nodes if "mean" in str(node.target)]
    assert means == [[3], [2], [3], [2]]


def test_a_network_keeps_its_output_and_stays_as_it_was():
    torch.manual_seed(0)
    network = VNet(3, 1, 3, (4, 8), norm=("instance", {"affine": True})).eval()
    changed = make_norms_exact(network)
    x = torch.randn(1, 1, 8, 8, 8)
    torch.testing.assert_close(changed(x), network(x), rtol=0, atol=1e-5)
    assert any(isinstance(part, nn.InstanceNorm3d) for part in network.modules())
    assert not any(isinstance(part, nn.InstanceNorm3d) for part in changed.modules())


def test_running_statistics_stay():
    layer = nn.InstanceNorm3d(2, track_running_stats=True)
    assert isinstance(make_norms_exact(nn.Sequential(layer))[0], nn.InstanceNorm3d)
