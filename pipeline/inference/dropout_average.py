"""A network that averages its probabilities over passes with dropout (Monte Carlo dropout)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from monai.networks.utils import eval_mode
from torch import Tensor, nn

from ..data.dropout_samples import check_dropout_samples
from ..data.errors import InputError
from .mean_probability import mean_probability

__all__ = ["ONLY_PYTORCH", "DropoutAveraged", "average_dropout"]

ONLY_PYTORCH = "other runtimes have no dropout"  # reason of a `RuntimeChoice`
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


class DropoutAveraged(nn.Module):
    """The logarithm of a network's mean probability over passes with dropout: logits whose softmax is that mean.

    Gal and Ghahramani, "Dropout as a Bayesian Approximation" (arXiv 1506.02142). Only dropout layers behave as in
    training; normalisation uses its stored statistics, and no gradient is recorded.

    Each window runs alone and starts from the same seed. So its result depends neither on the windows computed before
    it nor on those in its batch, and PyTorch's random numbers outside are left as they are.

    Args:
        network: takes (N, C, *spatial), returns logits (N, K, *spatial); at least one of its dropout layers has a
            probability above 0.
        samples: number of passes, see `check_dropout_samples`. The time grows with it.
        seed: of the dropped values, 0 or more.
        sigmoid: whether the channels are regions: then the sigmoid of the logits is the mean.

    Raises:
        InputError: the number is out of range, or the network has no dropout.
    """

    def __init__(self, network: nn.Module, samples: int, *, seed: int = 0, sigmoid: bool = False) -> None:
        super().__init__()
        check_dropout_samples(samples)
        self.network = network
        self.samples = samples
        self.seed = seed
        self.sigmoid = sigmoid
        self._find_dropouts()

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return logits (N, K, *spatial), float32."""
        with eval_mode(self.network), self._dropping(), _own_random_numbers(x.device):
            return torch.cat([self._average(window, *args, **kwargs) for window in x.split(1)])

    def _average(self, window: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        torch.manual_seed(self.seed)
        passes = (self.network(window, *args, **kwargs) for _ in range(self.samples))
        return mean_probability(passes, sigmoid=self.sigmoid)

    @contextmanager
    def _dropping(self) -> Iterator[None]:
        """Let the dropout layers drop, and nothing else behave as in training."""
        layers = self._find_dropouts()
        try:
            for layer in layers:
                layer.train()
            yield
        finally:
            for layer in layers:
                layer.eval()

    def _find_dropouts(self) -> list[nn.Module]:
        # At each call: a network's layers can be replaced after it was wrapped.
        layers: list[nn.Module] = [
            part for part in self.network.modules() if isinstance(part, _DROPOUTS) and part.p > 0
        ]
        if not layers:
            raise InputError(
                f"dropout_samples {self.samples}",
                found="a network without dropout",
                expected="a network that was trained with dropout: with the same values dropped, all passes are equal",
                remedy="leave dropout_samples out; or train with dropout, such as network.dropout: 0.1 in the plan",
            )
        return layers


def average_dropout(network: nn.Module, samples: int, *, seed: int = 0, sigmoid: bool = False) -> nn.Module:
    """Return the network averaged over passes with dropout, or the network itself for one sample.

    Arguments are those of `DropoutAveraged`.

    Raises:
        InputError: see `DropoutAveraged`.
    """
    check_dropout_samples(samples)
    if samples == 1:
        return network
    return DropoutAveraged(network, samples, seed=seed, sigmoid=sigmoid).train(network.training)


@contextmanager
def _own_random_numbers(device: torch.device) -> Iterator[None]:
    """Let random numbers be drawn on the CPU and on a device, and restore their state."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield
