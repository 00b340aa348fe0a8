"""The mean of probabilities as logits, against the mean itself."""

import pytest
import torch
from torch import Tensor

from pipeline.inference import Ensemble, average_dropout
from pipeline.inference.mean_probability import mean_probability


def draw(count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [4 * torch.randn((2, 3, 5), generator=generator) for _ in range(count)]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_softmax_is_the_mean_softmax(count: int) -> None:
    logits = draw(count)
    expected = torch.stack([torch.softmax(one.double(), 1) for one in logits]).mean(dim=0)
    found = mean_probability(iter(logits))
    torch.testing.assert_close(found.double().exp(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_sigmoid_is_the_mean_sigmoid(count: int) -> None:
    logits = draw(count)
    expected = torch.stack([torch.sigmoid(one.double()) for one in logits]).mean(dim=0)
    found = mean_probability(iter(logits), sigmoid=True)
    torch.testing.assert_close(torch.sigmoid(found.double()), expected, atol=1e-6, rtol=0)


def test_of_one_network_the_logits_stay() -> None:
    (logits,) = draw(1)
    torch.testing.assert_close(mean_probability([logits], sigmoid=True), logits, atol=1e-5, rtol=1e-5)


def test_logits_that_are_more_than_sure_leave_no_nan() -> None:
    sure = torch.tensor([[1e4, -1e4]])
    found = mean_probability([sure, -sure], sigmoid=True)
    torch.testing.assert_close(torch.sigmoid(found), torch.tensor([[0.5, 0.5]]))
    assert torch.sigmoid(mean_probability([sure, sure], sigmoid=True)).tolist() == [[1.0, 0.0]]


def test_halves_are_averaged_in_float32() -> None:
    half = [one.bfloat16() for one in draw(2)]
    assert mean_probability(half, sigmoid=True).dtype == torch.float32


def test_of_no_network_there_is_no_mean() -> None:
    with pytest.raises(ValueError, match="no logits"):
        mean_probability([])


def test_ensembles_and_passes_with_dropout_average_sigmoids() -> None:
    torch.manual_seed(0)
    networks = [torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3, padding=1), torch.nn.Dropout(0.5)).eval() for _ in "ab"]
    image = torch.randn(1, 1, 6, 5)
    with torch.no_grad():
        expected = torch.stack([torch.sigmoid(one(image)) for one in networks]).mean(dim=0)
        torch.testing.assert_close(torch.sigmoid(Ensemble(networks, sigmoid=True)(image)), expected)
        averaged = average_dropout(networks[0], 4, sigmoid=True)(image)
        networks[0].train()
        torch.manual_seed(0)
        passes = torch.stack([torch.sigmoid(networks[0](image)) for _ in range(4)])
    torch.testing.assert_close(torch.sigmoid(averaged), passes.mean(dim=0))
    assert passes.std(dim=0).max() > 0.01
