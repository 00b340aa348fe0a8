"""The mean probability of several networks, or of several passes of one, as logits."""

from __future__ import annotations

from collections.abc import Iterable
from math import log

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

__all__ = ["mean_probability"]


def mean_probability(outputs: Iterable[Tensor], *, sigmoid: bool = False) -> Tensor:
    """Return logits whose softmax, or sigmoid, is the mean of that of several logits.

    Args:
        outputs: logits (N, K, *spatial), one after the other; at least one.
        sigmoid: whether each channel is a region with a probability of its own, and not one of K classes.

    Returns:
        (N, K, *spatial), float32: of classes the logarithms of the mean probabilities, of regions their logits.

    Raises:
        ValueError: there are no logits.
    """
    inside: Tensor | None = None
    outside: Tensor | None = None
    count = 0
    for logits in outputs:
        count += 1
        if sigmoid:
            inside = _add(inside, logsigmoid(logits.float()))
            outside = _add(outside, logsigmoid(-logits.float()))
        else:
            inside = _add(inside, torch.log_softmax(logits.float(), dim=1))
    if inside is None:
        msg = "no logits to average: expected those of at least one network"
        raise ValueError(msg)
    # The divisor of both cancels out. Softmax ignores it, but subtracting it makes the values log-probabilities.
    return inside - log(count) if outside is None else inside - outside


def _add(total: Tensor | None, log_probability: Tensor) -> Tensor:
    return log_probability if total is None else torch.logaddexp(total, log_probability)
