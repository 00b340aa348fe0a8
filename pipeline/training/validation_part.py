"""Validate on some of the cases, and time the validation of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from monai.engines import Evaluator
from torch.utils.data import DataLoader

__all__ = ["count_cases", "take_cases", "time_case", "validate_on"]


def count_cases(validator: Evaluator) -> int:
    """Return the number of this process's validation cases."""
    return len(list(validator.data_loader.sampler))


def time_case(validator: Evaluator, now: Callable[[], float]) -> float:
    """Return the seconds to read the first validation case and to infer it, without a trace in the validator.

    Args:
        validator: the evaluator.
        now: a clock, in seconds.
    """
    started = now()
    # A loader draws a seed, which would change what the training draws next.
    with torch.random.fork_rng(devices=[]):
        batch = next(iter(take_cases(validator.data_loader, 1)))
    image, *_ = validator.prepare_batch(batch, validator.state.device, validator.non_blocking, **validator.to_kwargs)
    network = validator.network
    was_training = network.training
    network.eval()
    with torch.no_grad():
        prediction = validator.inferer(image, network)
        # Waits for a GPU.
        prediction.flatten()[0].item()
    network.train(was_training)
    return now() - started


@contextmanager
def validate_on(validator: Evaluator, cases: int) -> Iterator[None]:
    """Let a validator see only some cases: always the same, evenly spread over all.

    Args:
        validator: the evaluator.
        cases: their number in this process; all if there are no more.
    """
    whole, length = validator.data_loader, validator.state.epoch_length
    if cases < count_cases(validator):
        part = take_cases(whole, cases)
        validator.data_loader, validator.state.epoch_length = part, len(part)
    try:
        yield
    finally:
        validator.data_loader, validator.state.epoch_length = whole, length


def take_cases(loader: DataLoader[Any], count: int) -> DataLoader[Any]:
    """Return a loader of some of a loader's cases, evenly spread."""
    order = list(loader.sampler)
    chosen = [order[place] for place in np.linspace(0, len(order) - 1, count).round().astype(int)]
    return type(loader)(
        loader.dataset,
        batch_size=loader.batch_size,
        sampler=chosen,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
    )
