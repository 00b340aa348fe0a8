"""Estimate the memory of a training without allocating it.

A training step is traced on PyTorch's meta device, whose tensors have shapes and no memory. Every storage counts from
allocation to release. The constants below add what a trace cannot see; each names its measurement. The benchmark
``benchmarks/memory_estimate.py`` compares the estimate with real trainings.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...networks.precision import cpu_has_bfloat16
from ..least_memory import CUDA_CONTEXT, PROCESS
from ..network_check import build_on_meta
from .ledger import Autocast, Ledger
from .step_loss import step_loss

__all__ = ["MemoryEstimate", "estimate_memory"]

# Size of malloc's heap, as a multiple of the memory in use; measured: 1.4 to 1.7. With `keep_memory` nothing returns to
# the system, and a hole between two feature maps is slightly too small for the next map because of alignment.
_HEAP_FACTOR = 1.6
# On a GPU, not measured: the unusable part of the caching allocator's blocks.
_CUDA_CACHE = 1.15

# From the recipe (configs/train.yaml): windows per forward pass, threads that prepare cases, crop positions per class.
_WINDOWS_AT_ONCE = 2
_PREPARING_THREADS = 2
_PLACES = 20000
# Threads of `check_cases`, and bytes per voxel of each while it reads a file.
_CHECKING_THREADS = 4
_CHECKING_BYTES = 12
# Bytes per voxel while a case is prepared: for image and label as read, normalised and rounded; and, per voxel of the
# result, for resampling in float64 with a grid of positions. Every further channel adds to both.
_PREPARING_NATIVE, _PREPARING_CHANNEL = 16, 8
_RESAMPLING = 60
# Share of the preparation's memory that stays in holes between the cases, too small for later allocations.
_HOLES_SHARE = 0.5
# Bytes per voxel of a validated scan besides image, label and logits: the argmax as int64 and as float32.
_ARG_MAX = 12
_FLOAT, _INDEX = 4, 8


@dataclass(frozen=True)
class MemoryEstimate:
    """The memory of a training in bytes, by purpose.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        process: on a CPU Python and its libraries; on a GPU the CUDA context.
        network: weights, gradients, the optimiser's states and the averaged weights.
        live: peak of a training step's tensors, with the convolutions' scratch memory, for a perfect allocator.
        step: the same for the real allocator.
        validation: the largest scan's windows, logits of all classes and label map, for the real allocator.
        preparation: reading, checking and resampling the largest scans before the first step.
        prediction: inference on the largest scan, restored to its own grid. Not part of a training.
        cache: the prepared cases, in the machine's memory.
    """

    device: str
    process: int
    network: int
    live: int
    step: int
    validation: int
    preparation: int
    prediction: int
    cache: int

    @property
    def total(self) -> int:
        """Peak memory (bytes) of a training on its device: resident memory on a CPU, GPU memory on a GPU."""
        base = self.process + self.network
        if self.device == "cuda":
            return base + max(self.step, self.validation)
        training = max(self.step, self.validation) + round(_HOLES_SHARE * self.preparation)
        return base + self.cache + max(self.preparation, training)

    @property
    def host(self) -> int:
        """Peak resident memory (bytes) of the process; on a CPU the same as ``total``."""
        return self.total if self.device == "cpu" else PROCESS + self.cache + self.preparation


def estimate_memory(
    network: Mapping[str, Any],
    *,
    patch: Sequence[int],
    batch: int,
    window: Sequence[int],
    largest_scan: Sequence[int],
    largest_native: Sequence[int] | None = None,
    cases_voxels: Sequence[int],
    device: str = "cpu",
    precision: str | None = None,
    threads: int | None = None,
) -> MemoryEstimate:
    """Estimate the memory of ``python -m monai.bundle run training`` with the recipe of ``configs/train.yaml``.

    Takes some tenths of a second for any size, and allocates hardly any memory.

    Args:
        network: the network's spec, see :func:`~pipeline.networks.build_network`.
        patch: voxels per axis in training.
        batch: patches per step: ``batch`` times ``samples_per_case`` of a plan.
        window: voxels per axis in inference.
        largest_scan: voxels per axis of the largest scan, at the plan's spacing.
        largest_native: the same in its own grid; None where nothing is resampled.
        cases_voxels: voxels at the plan's spacing of every case in memory, validation cases included.
        device: ``"cpu"`` or ``"cuda"``, with or without an index.
        precision: number format of the convolutions: ``"bfloat16"``, ``"float16"`` or ``"float32"``; None for the
            format that a training chooses itself, on a GPU one of 16 bits.
        threads: PyTorch's threads on a CPU; None for the current number.

    Raises:
        ValueError: the network does not take these arguments, or patch or window do not fit it.
    """
    kind = torch.device(device).type
    workers = (threads or torch.get_num_threads()) if kind == "cpu" else 0
    built = build_on_meta(network)
    inputs, classes = built.in_channels, built.out_channels
    if precision is None:
        precision = "bfloat16" if kind != "cpu" or cpu_has_bfloat16() else "float32"
    weights, live, windows = _trace(built, batch, patch, window, precision, workers)
    # A scan smaller than the window is padded to it.
    scan = math.prod(max(sizes) for sizes in zip(largest_scan, window, strict=True))
    native = scan if largest_native is None else math.prod(largest_native)
    resampled = largest_native is not None and tuple(largest_native) != tuple(largest_scan)
    image, logits = scan * _FLOAT * inputs, scan * _FLOAT * classes
    merging = logits + 2 * scan * _FLOAT + windows
    validation = image + scan + max(merging, logits + _ARG_MAX * scan)
    # The probabilities of all classes are resampled to the scan's own grid in float64, before the argmax.
    restoring = native * _RESAMPLING + (classes - 1) * _PREPARING_CHANNEL * (scan + native)
    prediction = image + max(merging, 2 * logits + (restoring if resampled else _ARG_MAX * native))
    factor = _HEAP_FACTOR if kind == "cpu" else _CUDA_CACHE
    return MemoryEstimate(
        device=kind,
        process=PROCESS if kind == "cpu" else CUDA_CONTEXT,
        network=weights,
        live=live,
        step=round(factor * live),
        validation=round(factor * validation),
        preparation=_estimate_preparation(native, scan if resampled else 0, inputs, len(cases_voxels)),
        # In inference malloc returns freed memory to the system.
        prediction=prediction if kind == "cpu" else round(factor * prediction),
        cache=sum(cases_voxels) * (_FLOAT * inputs + 1) + len(cases_voxels) * classes * _PLACES * _INDEX,
    )


def _estimate_preparation(native: int, resampled: int, inputs: int, cases: int) -> int:
    checking = min(_CHECKING_THREADS, os.cpu_count() or 1, cases) * _CHECKING_BYTES * native
    further = _PREPARING_CHANNEL * (inputs - 1)
    one = native * (_PREPARING_NATIVE + further) + resampled * (_RESAMPLING + further)
    return max(checking, min(_PREPARING_THREADS, cases) * one)


def _trace(
    built: Any, batch: int, patch: Sequence[int], window: Sequence[int], precision: str, threads: int
) -> tuple[int, int, int]:
    """Trace a training step and an inference on tensors without memory.

    Returns:
        Three numbers of bytes: held by the network between steps; the peak of a later step above that, with its batch;
        the peak of an inference above the weights, with its windows.
    """
    copies = 0
    for parameter in built.parameters():
        # Muon has one state for a matrix and two for a vector. Averaged weights and gradients add one copy each.
        copies += (3 + (parameter.ndim < 2)) * _bytes(parameter)
        # The trainer sets gradients to zero and keeps their memory.
        parameter.grad = torch.zeros_like(parameter)
    weights = sum(map(_bytes, [*built.parameters(), *built.buffers()]))
    inputs = built.in_channels

    step = Ledger(threads)
    with step:
        # The loader's batch stays in memory next to the augmented one.
        loaded = [_make_samples(batch, inputs, patch, torch.float32), _make_samples(batch, 1, patch, torch.uint8)]
        image, label = map(torch.empty_like, loaded)
        with Autocast(precision):
            logits = built.train()(image)
        # As the recipe's inferer returns them. With deep supervision the finest logits are the largest.
        prediction = (logits[0] if isinstance(logits, list) else logits).float()
        del logits
        step_loss(prediction.shape[1], batch=True)(prediction, label).backward()
    inference = Ledger(threads)
    with inference, torch.no_grad(), Autocast(precision):
        built.eval()(_make_samples(_WINDOWS_AT_ONCE, inputs, window, torch.float32)).float()
    return weights + copies, step.peak, inference.peak


def _make_samples(count: int, channels: int, size: Sequence[int], dtype: torch.dtype) -> Tensor:
    return torch.empty((count, channels, *size), dtype=dtype, device="meta")


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
