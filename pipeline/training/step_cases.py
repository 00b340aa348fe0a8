"""Name the cases of a training step, for messages."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import torch
from ignite.engine import Engine
from torch.utils.data import DistributedSampler

from ..data.faults import file_name

__all__ = ["find_broken_images", "list_step_cases", "name_step_cases", "name_waiting_cases"]


def list_step_cases(engine: Engine, step: int, *, count: int = 1) -> list[int]:
    """Return the places in the training's dataset of the cases of some steps, of all processes together.

    They follow from the sampler, which draws the same again. So nothing has to be kept or sent for it.

    Args:
        engine: the trainer.
        step: the first step, from 1 within the epoch.
        count: number of steps.

    Returns:
        The places; none if the sampler is not the recipe's, whose order is known.
    """
    loader = engine.data_loader
    sampler = getattr(loader, "sampler", None)
    if not isinstance(sampler, DistributedSampler) or not getattr(loader, "batch_size", None):
        return []
    first = (step - 1) * loader.batch_size
    places: list[int] = []
    for rank in range(sampler.num_replicas):
        other = copy.copy(sampler)
        other.rank = rank
        places += itertools.islice(iter(other), first, first + count * loader.batch_size)
    return places


def name_step_cases(engine: Engine, step: int, *, count: int = 1) -> list[str]:
    """Return the file names of the cases of some steps; arguments are those of `list_step_cases`."""
    data = getattr(engine.data_loader.dataset, "data", None) or []
    names = [file_name(data[place]) for place in list_step_cases(engine, step, count=count) if place < len(data)]
    return list(dict.fromkeys(name for name in names if name))


def name_waiting_cases(engine: Engine, step: int) -> list[str]:
    """Return the file names of the cases that loading processes may have worked on during a step.

    Args:
        engine: the trainer.
        step: the step, from 1 within the epoch, that they were loaded for at the earliest.
    """
    loader = engine.data_loader
    data = getattr(loader.dataset, "data", None) or []
    busy = getattr(loader.dataset, "busy_places", None)
    exact = [] if busy is None else [file_name(data[place]) for place in busy() if place < len(data)]
    if exact:
        return list(dict.fromkeys(name for name in exact if name))
    return name_step_cases(engine, step, count=max(1, int(getattr(loader, "num_workers", 0))))


def find_broken_images(engine: Engine, step: int) -> list[str]:
    """Return the file names of a step's cases whose images have values that are NaN or infinite.

    The cases are prepared again, with the same random numbers.
    """
    dataset = engine.data_loader.dataset
    data = getattr(dataset, "data", None) or []
    broken = []
    for place in list_step_cases(engine, step):
        items: Any = dataset[place]
        patches = [item["image"] for item in (items if isinstance(items, list) else [items])]
        if place < len(data) and not all(bool(torch.isfinite(torch.as_tensor(patch)).all()) for patch in patches):
            broken.append(file_name(data[place]))
    return list(dict.fromkeys(name for name in broken if name))
