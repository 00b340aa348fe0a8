"""Weights of MONAI's networks under LightSkip's names give equal outputs."""

from typing import Any

import pytest
import torch
from monai.networks.nets import BasicUNet
from monai.networks.nets import UNet as MonaiUNet
from monai.networks.nets import VNet as MonaiVNet
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from pipeline.networks import UNet, VNet
from pipeline.networks.monai_names import rename_monai
from pipeline.networks.take_weights import take_weights


def compare(reference: nn.Module, network: nn.Module, size: tuple[int, ...], channels: int) -> None:
    """Take the reference's weights whole, and compare outputs in evaluation mode."""
    for module in reference.modules():
        if isinstance(module, _DropoutNd):
            module.p = 0.0
    x = torch.randn(2, channels, *size)
    with torch.no_grad():
        # It moves the running statistics away from 0 and 1.
        reference.train()(x)
    weights, _ = rename_monai(reference.state_dict())
    fits, unused = take_weights(network, weights)
    assert [fit.name for fit in fits if not fit.is_whole] == []
    assert unused == []
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(x), reference.eval()(x), rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("act", ["prelu", ("elu", {"inplace": True})], ids=["prelu", "elu"])
@pytest.mark.parametrize(("dims", "channels"), [(2, 1), (2, 4), (3, 1)])
def test_vnet(dims: int, channels: int, act: Any) -> None:
    torch.manual_seed(0)
    reference = MonaiVNet(dims, channels, 3, act=act)
    assert rename_monai(reference.state_dict())[1] == "MONAI's VNet"
    compare(reference, VNet(dims, channels, 3, act=act), (32,) * dims, channels)


@pytest.mark.parametrize("norm", [None, ("instance", {"affine": True}), "batch"], ids=["none", "instance", "batch"])
@pytest.mark.parametrize(("dims", "channels"), [(2, 3), (3, 1)])
def test_basic_unet(dims: int, channels: int, norm: Any) -> None:
    torch.manual_seed(0)
    widths, act = (4, 4, 8, 16, 32), ("leakyrelu", {"negative_slope": 0.1})
    reference = BasicUNet(dims, channels, 3, (*widths, 4), act=act, norm=norm, bias=norm is None)
    assert rename_monai(reference.state_dict())[1] == "MONAI's BasicUNet"
    compare(reference, UNet(dims, channels, 3, widths, act=act, norm=norm), (32,) * dims, channels)


def test_other_networks_keep_their_names() -> None:
    network = MonaiUNet(3, 1, 2, (4, 8), (2,))
    weights, kind = rename_monai(network.state_dict())
    assert kind == ""
    assert list(weights) == list(network.state_dict())
