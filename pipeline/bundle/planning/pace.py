"""Measure how long a patch takes in training, with a small patch on this machine."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ...networks import build_network
from ...networks.precision import cpu_has_bfloat16
from ...networks.small_grids import Float32OnSmallGrids
from .step_loss import step_loss

__all__ = ["ASSUMED_SPEEDUP", "WHOLE_STEP", "measure_pace"]

# Patches of the timed step, and voxels of each at a width of 16: a single patch takes another algorithm, and a smaller
# one more time per voxel. A wider network needs fewer.
_PATCHES, _VOXELS, _WIDTH, _MIN_VOXELS = 2, 80_000, 16, 24_000
# Time of a training step, with optimiser, augmentation, averaging and loading, over that of forward, loss and backward
# here: 1.08 for the hippocampus bundle, 1.24 for left/right, 1.65 for the membranes, whose network is deep and whose
# patches are small (`benchmarks/pace.py`).
WHOLE_STEP = 1.2
# Assumed speed of a GPU over this machine's CPU, for planning without the GPU. `minutes` keeps the hours in any case.
ASSUMED_SPEEDUP = 40.0


def measure_pace(network: Mapping[str, Any], divisor: Sequence[int], *, device: str) -> float:
    """Time a training step: forward, loss and backward, in the precision of training.

    Args:
        network: the network's spec, see `build_network`.
        divisor: the number that divides each side of a patch, per axis.
        device: "cpu", "cuda", ...; a GPU that this machine lacks counts as `ASSUMED_SPEEDUP` times its CPU.

    Returns:
        Seconds per voxel of a patch, for a whole training step.
    """
    present = device == "cpu" or torch.cuda.is_available()
    on = torch.device(device if present else "cpu")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_network(network).to(on)
        voxels = _VOXELS * _WIDTH // max(model.channels[0], _WIDTH)
        patch = _small_patch(divisor, voxels=max(voxels, _MIN_VOXELS))
        image = torch.randn(_PATCHES, model.in_channels, *patch, device=on)
        label = torch.randint(0, model.out_channels, (_PATCHES, 1, *patch), device=on)
    loss = step_loss(model.out_channels)
    low = on.type == "cuda" or cpu_has_bfloat16()
    seconds = []
    for _ in range(3):
        model.zero_grad()
        started = _now(on)
        with torch.autocast(on.type, torch.bfloat16, enabled=low), Float32OnSmallGrids():
            logits = model(image)
        loss(logits.float(), label).backward()
        seconds.append(_now(on) - started)
    # The first step also compiles kernels; the fastest of the others counts.
    return WHOLE_STEP * min(seconds[1:]) / image[:, 0].numel() / (1.0 if present else ASSUMED_SPEEDUP)


def _small_patch(divisor: Sequence[int], *, voxels: int) -> list[int]:
    patch = [max(int(step), 2) for step in divisor]
    while torch.tensor(patch).prod() < voxels:
        shortest = min(range(len(patch)), key=lambda axis: patch[axis])
        patch[shortest] += max(int(divisor[shortest]), 2)
    return patch


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    # CPU time, not wall time: another process that runs now will not run for all of the training.
    return time.process_time() / torch.get_num_threads()
