from torch import nn

from pipeline.networks import VNet
from pipeline.training import parameter_groups


def test_kernels_decay_and_vectors_do_not():
    network = VNet(2, 1, 2, channels=(2, 4), norm=("instance", {"affine": True}), skip="sat")
    decaying, others = parameter_groups(network, 0.1)
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    kernels = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert {id(p) for p in decaying["params"]} == {id(p) for p in kernels}
    selection = network.decoder[0].skip.select.weight
    assert any(p is selection for p in others["params"])
    assert len(decaying["params"]) + len(others["params"]) == len(list(network.parameters()))


def test_frozen_weights_are_left_out():
    network = nn.Conv2d(1, 2, 3)
    network.weight.requires_grad_(False)
    decaying, others = parameter_groups(network, 0.1)
    assert decaying["params"] == []
    assert len(others["params"]) == 1
