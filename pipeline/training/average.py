"""A running average of a network's weights."""

from __future__ import annotations

from copy import deepcopy

import torch
from ignite.engine import Engine, Events
from torch import nn

__all__ = ["AverageWeights"]


class AverageWeights:
    """Keep an exponential moving average of a network's weights: ``average += momentum * (weights - average)``.

    The average covers about the last ``1 / momentum`` steps. While the learning rate is high it is better than any
    single step (Polyak and Juditsky, SIAM J. Control Optim. 30, 838, 1992). The first steps come from random weights,
    so step t has a weight of at least ``10 / (9 + t)``, which is LightSkip's choice. That weight depends only on the
    step, so a resumed training averages like an uninterrupted one. Ignite's ``EMAHandler`` with its warm-up does not.
    A second run of the same trainer, as in federated learning, restarts the average from the weights it begins with.

    Args:
        network: the network in training, not its wrapper for several processes.
        momentum: above 0, at most 1.

    Attributes:
        average: a copy of the network with the averaged weights and the latest buffers, in evaluation mode.

    Raises:
        ValueError: momentum is out of its range.
    """

    def __init__(self, network: nn.Module, momentum: float) -> None:
        if not 0 < momentum <= 1:
            msg = f"momentum is {momentum}; expected a number above 0 and at most 1"
            raise ValueError(msg)
        self.network = network
        self.momentum = momentum
        self.average = deepcopy(network).requires_grad_(False).eval()
        self._ran = False
        self._first_step = 0

    def attach(self, engine: Engine) -> None:
        """Register with a MONAI trainer."""
        engine.add_event_handler(Events.STARTED, self._begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def _begin(self, engine: Engine) -> None:
        # In federated learning a second run of the same trainer begins with weights from elsewhere.
        if self._ran:
            self._first_step = engine.state.iteration
            self.average.load_state_dict(self.network.state_dict())
        self._ran = True

    @torch.no_grad()
    def __call__(self, engine: Engine) -> None:
        """Add the step that has just finished to the average."""
        share = max(self.momentum, 10 / (9 + engine.state.iteration - self._first_step))
        for mean, weight in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(weight, share)
        for buffer, last in zip(self.average.buffers(), self.network.buffers(), strict=True):
            buffer.copy_(last)
