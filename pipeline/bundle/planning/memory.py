"""How much memory a training will take, told before anything of that size is allocated.

A training step is followed on PyTorch's meta device, whose tensors have shapes and no memory: every storage counts from
its birth to its end. What a trace cannot see stands in the constants below, each with what it was measured on; the
benchmark ``benchmarks/memory_estimate.py`` compares the whole with real trainings.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from monai.losses.dice import DiceCELoss
from torch import Tensor

from ...networks import build_network
from ...networks.precision import cpu_has_bfloat16
from .ledger import Autocast, Ledger

__all__ = ["MemoryEstimate", "estimate_memory"]

MIB = 2**20

# A process that trains the smallest of networks: Python, PyTorch, MONAI, TensorBoard, and oneDNN's kernels.
_PROCESS = 475 * MIB
# What malloc holds of its heap, times what is in use. With `keep_memory` nothing goes back to the system, and a hole
# between two feature maps does not fit the next map of the same size: alignment asks for a little more. 1.4 to 1.7
# were measured.
_HEAP = 1.6
# Of a GPU, not measured: the CUDA context with its kernels, and what the caching allocator cannot use of its blocks.
_CUDA_CONTEXT = 600 * MIB
_CUDA_CACHE = 1.15

# The recipe (configs/train.yaml): windows at once, threads that prepare cases, places to crop at per class.
_WINDOWS_AT_ONCE = 2
_PREPARING_THREADS = 2
_PLACES = 20000
# Threads of `check_cases`, and the bytes per voxel that each holds while it reads a file.
_CHECKING_THREADS = 4
_CHECKING = 12
# Bytes per voxel while a case is prepared: image and label as read, normalised and rounded; resampled in float64 with
# a grid of positions, per voxel of the result. A further channel adds to both.
_PREPARING_NATIVE, _PREPARING_CHANNEL = 16, 8
_RESAMPLING = 60
# Of what preparing took, as much as stays in holes between the cases, too small for what comes after.
_HOLES = 0.5
# Bytes per voxel of a validated scan beside image, label and logits: the arg max as int64 and as float32.
_ARG_MAX = 12
_FLOAT, _INDEX = 4, 8


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that the parts of a training take, by what they are for.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        process: on a CPU Python and its libraries; on a GPU the CUDA context.
        network: weights, gradients, the optimiser's states and the averaged weights.
        live: peak of a training step's tensors, scratch of convolutions included: what a perfect allocator needs.
        step: what the allocator takes for them.
        validation: of the largest scan: windows, logits of all classes, label map, as the allocator takes it.
        preparation: reading, checking and resampling the largest scans before the first step.
        prediction: inference on the largest scan, brought back to its own grid. Not part of a training.
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
        """Peak (bytes) of a training on its device: of the resident memory on a CPU, of the GPU's memory there."""
        held = self.process + self.network
        if self.device == "cuda":
            return held + max(self.step, self.validation)
        later = max(self.step, self.validation) + round(_HOLES * self.preparation)
        return held + self.cache + max(self.preparation, later)

    @property
    def host(self) -> int:
        """Peak (bytes) of the process's resident memory; on a CPU the total."""
        return self.total if self.device == "cpu" else _PROCESS + self.cache + self.preparation


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
    """Estimate what ``python -m monai.bundle run training`` takes with the recipe of ``configs/train.yaml``.

    Takes some tenths of a second, whatever the sizes, and allocates next to nothing.

    Args:
        network: its spec, see :func:`~pipeline.networks.build_network`.
        patch: voxels along each axis, in training.
        batch: patches of one step: ``batch`` times ``samples_per_case`` of a plan.
        window: voxels along each axis, in inference.
        largest_scan: voxels along each axis of the largest scan, at the spacing of the plan.
        largest_native: the same in its own grid; None where nothing is resampled.
        cases_voxels: of every case that is held in memory, validation included, voxels at the plan's spacing.
        device: ``"cpu"`` or ``"cuda"``, with an index or without.
        precision: number format of the convolutions: ``"bfloat16"``, ``"float16"`` or ``"float32"``; None for the one
            that a training chooses by itself, on a GPU one of 16 bits.
        threads: of PyTorch on a CPU; None for those it has.

    Raises:
        ValueError: when the network does not take these arguments, or patch or window do not fit it.
    """
    kind = torch.device(device).type
    workers = (threads or torch.get_num_threads()) if kind == "cpu" else 0
    built = _on_meta(network)
    inputs, classes = built.in_channels, built.out_channels
    if precision is None:
        precision = "bfloat16" if kind != "cpu" or cpu_has_bfloat16() else "float32"
    weights, live, windows = _trace(built, batch, patch, window, precision, workers)
    # A scan smaller than the window is padded to it.
    scan = math.prod(max(sizes) for sizes in zip(largest_scan, window, strict=True))
    native = scan if largest_native is None else math.prod(largest_native)
    resampled = largest_native is not None and tuple(largest_native) != tuple(largest_scan)
    image, logits = scan * _FLOAT * inputs, scan * _FLOAT * classes
    joining = logits + 2 * scan * _FLOAT + windows
    validation = image + scan + max(joining, logits + _ARG_MAX * scan)
    # Probabilities of all classes go back to the scan's own grid in float64; then the largest is taken.
    back = native * _RESAMPLING + (classes - 1) * _PREPARING_CHANNEL * (scan + native)
    prediction = image + max(joining, 2 * logits + (back if resampled else _ARG_MAX * native))
    factor = _HEAP if kind == "cpu" else _CUDA_CACHE
    return MemoryEstimate(
        device=kind,
        process=_PROCESS if kind == "cpu" else _CUDA_CONTEXT,
        network=weights,
        live=live,
        step=round(factor * live),
        validation=round(factor * validation),
        preparation=_preparation(native, scan if resampled else 0, inputs, len(cases_voxels)),
        # Inference lets malloc give back what it frees.
        prediction=prediction if kind == "cpu" else round(factor * prediction),
        cache=sum(cases_voxels) * (_FLOAT * inputs + 1) + len(cases_voxels) * classes * _PLACES * _INDEX,
    )


def _preparation(native: int, resampled: int, inputs: int, cases: int) -> int:
    checking = min(_CHECKING_THREADS, os.cpu_count() or 1, cases) * _CHECKING * native
    further = _PREPARING_CHANNEL * (inputs - 1)
    one = native * (_PREPARING_NATIVE + further) + resampled * (_RESAMPLING + further)
    return max(checking, min(_PREPARING_THREADS, cases) * one)


def _on_meta(spec: Mapping[str, Any]) -> Any:
    """Build a network whose weights have shapes and no memory."""
    with torch.device("meta"):
        return build_network(spec)


def _trace(
    built: Any, batch: int, patch: Sequence[int], window: Sequence[int], precision: str, threads: int
) -> tuple[int, int, int]:
    """Follow a training step and an inference on tensors without memory (bytes).

    Returns:
        What the network holds from step to step, the peak of a later step above it with its batch, and the peak of an
        inference above the weights with its windows.
    """
    copies = 0
    for parameter in built.parameters():
        # Muon has one state for a matrix and two for a vector; averaged weights are one more, gradients another.
        copies += (3 + (parameter.ndim < 2)) * _bytes(parameter)
        # The trainer sets gradients to zero and keeps them.
        parameter.grad = torch.zeros_like(parameter)
    weights = sum(map(_bytes, [*built.parameters(), *built.buffers()]))
    inputs = built.in_channels

    step = Ledger(threads)
    with step:
        # The loader's batch stays beside the augmented one.
        loaded = [_samples(batch, inputs, patch, torch.float32), _samples(batch, 1, patch, torch.uint8)]
        image, label = map(torch.empty_like, loaded)
        with Autocast(precision):
            logits = built.train()(image)
        # As the recipe's inferer gives them; of several, under deep supervision, the finest weigh most.
        prediction = (logits[0] if isinstance(logits, list) else logits).float()
        del logits
        DiceCELoss(softmax=True, to_onehot_y=True, batch=True)(prediction, label).backward()
    inference = Ledger(threads)
    with inference, torch.no_grad(), Autocast(precision):
        built.eval()(_samples(_WINDOWS_AT_ONCE, inputs, window, torch.float32)).float()
    return weights + copies, step.peak, inference.peak


def _samples(count: int, channels: int, size: Sequence[int], dtype: torch.dtype) -> Tensor:
    return torch.empty((count, channels, *size), dtype=dtype, device="meta")


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
