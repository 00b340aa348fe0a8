"""A running average of a network's weights."""

from __future__ import annotations

from copy import deepcopy

import torch
from ignite.engine import Engine, Events
from torch import nn

__all__ = ["AverageWeights"]


class AverageWeights:
    """Keep an exponential moving average of a network's weights: ``average += momentum * (weights - average)``.

    The average stands for the last ``1 / momentum`` steps, and is better than any one of them while the learning rate
    is high (Polyak and Juditsky, SIAM J. Control Optim. 30, 838, 1992). The first steps come from random weights, so
    step t counts with at least ``10 / (9 + t)``: our choice. That depends on the step alone, so a resumed training
    averages as an unbroken one would, which Ignite's ``EMAHandler`` with its warm-up does not. A second run of the same
    trainer, as in federated learning, averages anew from the weights that it was given.

    Args:
        network: the network in training; not its wrapper for several processes.
        momentum: above 0, at most 1.

    Attributes:
        average: a network of the same form with the averaged weights, in evaluation mode. Buffers are the last ones.

    Raises:
        ValueError: when momentum is out of its range.
    """

    def __init__(self, network: nn.Module, momentum: float) -> None:
        if not 0 < momentum <= 1:
            msg = f"momentum is {momentum}; it must be above 0 and at most 1"
            raise ValueError(msg)
        self.network = network
        self.momentum = momentum
        self.average = deepcopy(network).requires_grad_(False).eval()
        self._ran = False
        self._before = 0

    def attach(self, engine: Engine) -> None:
        """Register with a MONAI trainer."""
        engine.add_event_handler(Events.STARTED, self._begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def _begin(self, engine: Engine) -> None:
        # A second run of the same trainer, as in federated learning, begins with weights from elsewhere.
        if self._ran:
            self._before = engine.state.iteration
            self.average.load_state_dict(self.network.state_dict())
        self._ran = True

    @torch.no_grad()
    def __call__(self, engine: Engine) -> None:
        """Let the step that was just made count."""
        share = max(self.momentum, 10 / (9 + engine.state.iteration - self._before))
        for mean, weight in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(weight, share)
        for buffer, last in zip(self.average.buffers(), self.network.buffers(), strict=True):
            buffer.copy_(last)
