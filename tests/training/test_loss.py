import pytest
import torch
import torch.nn.functional as F
from monai.losses import DeepSupervisionLoss, DiceCELoss
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
    with pytest.raises(ValueError, match=r"sparsity weight is -0.1; expected 0 or more"):
        SparseSkipLoss(nn.MSELoss(), network("sat"), -0.1)


def soft_dice_loss(logits, label, classes=3):
    """One minus Dice of the soft masks, mean over samples and classes."""
    probability = torch.softmax(logits, 1)
    truth = F.one_hot(label[:, 0].long(), classes).movedim(-1, 1)
    intersection = (probability * truth).sum((2, 3))
    return (1 - (2 * intersection + 1e-5) / (probability.sum((2, 3)) + truth.sum((2, 3)) + 1e-5)).mean()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32])
def test_deep_supervision_by_hand(dtype):
    torch.manual_seed(0)
    net = VNet(2, 1, 3, channels=(2, 4, 6), skip="sat", norm="instance", deep_supervision=True).train()
    fine, coarse = net(torch.randn(2, 1, 16, 16))
    assert coarse.shape[2:] == (8, 8)
    label = torch.randint(3, (2, 1, 16, 16))
    loss = SparseSkipLoss(DiceCELoss(softmax=True, to_onehot_y=True, lambda_ce=0), net, 0.1)
    value = loss([fine, coarse], label.to(dtype))
    # Of two fine voxels the exact nearest to their common centre is the second. Weights of two skips start at one.
    expected = soft_dice_loss(fine, label) + soft_dice_loss(coarse, label[..., 1::2, 1::2]) / 2 + 0.1 * 2
    assert value.item() == pytest.approx(expected.item(), abs=1e-6)
    value.backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_own_weights_of_the_levels_are_kept():
    levels = [PREDICTION[None], PREDICTION[None]]
    loss = SparseSkipLoss(DeepSupervisionLoss(nn.MSELoss(), weights=[1.0, 3.0]), network("concat"), 0)
    assert loss(levels, TARGET[None]).item() == pytest.approx(2 + 3 * 2)
