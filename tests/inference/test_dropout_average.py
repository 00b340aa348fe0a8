"""Averages over passes with dropout, against the same passes in plain PyTorch.

Up to rounding: two calls of one network may differ by it, as kernels depend on where memory starts.
"""

import pytest
import torch
from monai.inferers import SlidingWindowInferer
from torch import Tensor, nn

from pipeline.data.errors import InputError
from pipeline.inference import Mirrored, PrecisionSlidingWindowInferer, average_dropout
from pipeline.inference.dropout_average import DropoutAveraged
from pipeline.networks import ResidualFCN


def network(dropout: float = 0.5, norm: type[nn.Module] = nn.BatchNorm2d) -> nn.Module:
    """Two layers with normalisation, whose stored statistics are not those of any input, and dropout."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), norm(6), nn.ReLU(), nn.Dropout(dropout), nn.Conv2d(6, 3, 3, padding=1)
    )
    if norm is nn.BatchNorm2d:
        net[1].running_mean.fill_(0.3)
        net[1].running_var.fill_(2.0)
    return net.eval()


def image(count: int = 1) -> Tensor:
    return torch.randn(count, 1, 9, 7, generator=torch.Generator().manual_seed(1))


def average_by_hand(net: nn.Module, x: Tensor, samples: int, seed: int) -> Tensor:
    """The mean probability of passes, all layers of which but dropout are as in an evaluation."""
    net.eval()
    net[3].train()
    with torch.no_grad():
        torch.manual_seed(seed)
        total = sum(torch.softmax(net(x).double(), dim=1) for _ in range(samples))
    net.eval()
    return total / samples


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, nn.InstanceNorm2d])
@pytest.mark.parametrize("samples", [2, 7])
def test_the_probability_is_the_mean_of_passes_with_dropout(norm: type[nn.Module], samples: int) -> None:
    net, x = network(norm=norm), image()
    expected = average_by_hand(net, x, samples, seed=5)
    result = average_dropout(net, samples, seed=5)(x)
    torch.testing.assert_close(torch.softmax(result.double(), dim=1), expected, atol=1e-6, rtol=0)
    # They are logarithms of probabilities themselves, and not those of a single pass.
    torch.testing.assert_close(result.double().exp(), expected, atol=1e-6, rtol=0)
    assert (expected - torch.softmax(net(x), dim=1)).abs().max() > 0.01


def test_many_passes_approach_the_expectation() -> None:
    # One value v, kept with probability 0.75 and then 4/3 as large: a sigmoid's mean by hand.
    net = nn.Sequential(nn.Dropout(0.25), nn.Conv2d(1, 2, 1)).eval()
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1))
        net[1].bias.zero_()
    x = torch.full((1, 1, 40, 40), 1.5)
    found = average_dropout(net, 50)(x).exp()[0, 1]
    expected = 0.75 * torch.sigmoid(torch.tensor(2.0)) + 0.25 * 0.5
    # 80,000 draws: a deviation of .0006.
    assert float(found.mean()) == pytest.approx(float(expected), abs=0.003)
    assert float(found.std()) > 0.01


def test_one_sample_is_the_network_itself() -> None:
    net = network()
    assert average_dropout(net, 1) is net


def test_equal_calls_have_equal_results_and_another_seed_another() -> None:
    net, x = network(), image()
    first = average_dropout(net, 3)(x)
    torch.manual_seed(99)
    torch.testing.assert_close(average_dropout(net, 3)(x), first)
    assert (average_dropout(net, 3, seed=1)(x) - first).abs().max() > 0.01


def test_a_window_does_not_depend_on_its_batch() -> None:
    averaged, x = average_dropout(network(), 3), image(3)
    together = averaged(x)
    for index in range(3):
        torch.testing.assert_close(averaged(x[index : index + 1])[0], together[index])
    inferer = SlidingWindowInferer(roi_size=(5, 5), overlap=0.5, mode="gaussian")
    large = torch.randn(1, 1, 12, 14, generator=torch.Generator().manual_seed(2))
    single = inferer(large, averaged)
    inferer.sw_batch_size = 4
    torch.testing.assert_close(inferer(large, averaged), single)


def test_random_numbers_outside_are_left_as_they_are() -> None:
    averaged = average_dropout(network(), 4)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    averaged(image())
    assert torch.equal(torch.rand(4), expected)


def test_statistics_and_modes_are_left_as_they_are() -> None:
    net = network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    averaged = average_dropout(net, 4)
    averaged(image())
    assert net.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(part.training for part in averaged.modules())
    # Also if whoever calls it has forgotten that it evaluates.
    expected = averaged(image())
    averaged.train()
    torch.testing.assert_close(averaged(image()), expected)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(part.training for part in averaged.modules())


def test_a_failed_pass_leaves_the_dropout_off() -> None:
    net = network()
    with pytest.raises(RuntimeError):
        average_dropout(net, 2)(torch.zeros(1, 2, 9, 7))
    assert not any(part.training for part in net.modules())


def test_weights_that_are_loaded_later_are_used() -> None:
    net, other = network(), network()
    with torch.no_grad():
        other[0].weight.mul_(2)
    averaged = average_dropout(net, 2)
    net.load_state_dict(other.state_dict())
    torch.testing.assert_close(averaged(image()), average_dropout(other, 2)(image()))


def test_mirrored_inputs_and_windows_around_it() -> None:
    averaged, x = average_dropout(network(), 2), image()
    with torch.no_grad():
        expected = (averaged(x) + averaged(x.flip(2)).flip(2)) / 2
        torch.testing.assert_close(Mirrored(averaged, (0,))(x), expected)
        inferer = PrecisionSlidingWindowInferer("bfloat16", roi_size=(9, 7), mode="gaussian")
        result = inferer(x, averaged)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result.exp().sum(dim=1), torch.ones(1, 9, 7), atol=1e-3, rtol=0)


def test_the_published_network_has_dropout() -> None:
    widths = {"channels": (4, 4, 8), "block": "simple", "blocks_per_level": (1, 1)}
    net = ResidualFCN(2, 1, 2, **widths, dropout=0.1).eval()
    x = torch.randn(1, 1, 16, 16)
    assert not torch.allclose(average_dropout(net, 2)(x), torch.log_softmax(net(x), dim=1), atol=1e-3)
    with pytest.raises(InputError, match="a network without dropout"):
        average_dropout(ResidualFCN(2, 1, 2, **widths, dropout=0.0), 2)


def test_a_network_without_dropout_is_refused() -> None:
    with pytest.raises(InputError, match=r"dropout_samples 8: found a network without dropout.*network.dropout: 0.1"):
        average_dropout(nn.Conv2d(1, 2, 1), 8)
    with pytest.raises(InputError, match="a network without dropout"):
        DropoutAveraged(network(dropout=0.0), 8)


@pytest.mark.parametrize("samples", [0, -1, 1001, 2.0, True, "8", None])
def test_numbers_out_of_range_are_refused(samples: object) -> None:
    with pytest.raises(InputError, match=r"dropout_samples: found .*expected a whole number from 1 to 1000"):
        average_dropout(network(), samples)
