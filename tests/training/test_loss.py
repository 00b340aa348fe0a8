import pytest
import torch
from torch import nn

from pipeline.networks import VNet
from pipeline.training import SparseSkipLoss

PREDICTION, TARGET = torch.tensor([[1.0, 4.0]]), torch.tensor([[3.0, 4.0]])  # their mean squared error is 2


def network(skip):
    net = VNet(2, 1, 2, channels=(2, 2), convs_per_level=(1, 1), decoder_convs_per_level=(1,), skip=skip)
    if skip == "sat":
        with torch.no_grad():
            net.decoder[0].skip.select.weight.copy_(torch.tensor([0.5, -2.0]))
    return net


@pytest.mark.parametrize(
    ("skip", "weight", "expected"),
    [
        ("sat", 0.1, 2 + 0.1 * (0.5 + 2.0) / 2),
        ("sat", 0, 2.0),
        ("concat", 0.1, 2.0),
    ],
)
def test_value(skip, weight, expected):
    loss = SparseSkipLoss(nn.MSELoss(), network(skip), weight)
    value = loss(PREDICTION, TARGET)
    assert value.shape == ()
    assert value.item() == pytest.approx(expected)


def test_gradient_pulls_the_weights_towards_zero():
    net = network("sat")
    SparseSkipLoss(nn.MSELoss(), net, 0.1)(PREDICTION, TARGET).backward()
    assert net.decoder[0].skip.select.weight.grad.tolist() == pytest.approx([0.05, -0.05])


def test_follows_the_network_as_it_learns():
    net = network("sat")
    loss = SparseSkipLoss(nn.MSELoss(), net, 1.0)
    with torch.no_grad():
        net.decoder[0].skip.select.weight.zero_()
    assert loss(PREDICTION, TARGET).item() == 2.0


def test_parameters_of_the_network_are_not_the_losss():
    loss = SparseSkipLoss(nn.PReLU(), network("sat"), 0.1)
    assert list(loss.state_dict()) == ["loss.weight"]
    assert [p.shape for p in loss.parameters()] == [(1,)]


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match=r"sparsity weight is -0.1; it must be 0 or more"):
        SparseSkipLoss(nn.MSELoss(), network("sat"), -0.1)
