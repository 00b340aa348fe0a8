"""Segment a prepared scan window by window, so that memory does not grow with the number of classes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from numpy.typing import NDArray
from torch import Tensor

from ..data.errors import InputError
from ..data.faults import is_out_of_memory
from ..inference.finite import require_finite
from ..inference.places import compute_grid_change
from ..inference.restore import ScanGridLabels
from ..inference.windows import Windows
from .loaded_bundle import LoadedBundle
from .memory import MAX_STRIPS, Budget
from .prediction import Prediction, Prepared

__all__ = ["segment_scan"]

logger = logging.getLogger(__name__)


def segment_scan(
    bundle: LoadedBundle,
    budget: Budget,
    prepared: Prepared,
    *,
    probabilities: NDArray[np.float32] | None,
    uncertainty: bool,
    reserved: int,
    progress: Callable[[float], Any] | None,
) -> Prediction:
    """Segment a prepared scan.

    Args:
        bundle: the loaded bundle.
        budget: the memory that the prediction may take.
        prepared: the scan in the network's grid.
        probabilities: float32 array (*scan's shape, K) to fill with the probabilities, or None.
        uncertainty: whether to return the entropy and its mean.
        reserved: bytes of the memory that other work takes at the same time.
        progress: called with the share of the windows that were done since the last call.

    Raises:
        InputError: the scan needs more memory than allowed, or the network's output is not finite.
        RuntimeError, MemoryError: memory does not suffice for one window and the narrowest strip.
    """
    least, done = 1, [0.0]

    def advance(share: float) -> None:
        done[0] += share
        if progress is not None:
            progress(share)

    while True:
        try:
            return _segment(bundle, budget, prepared, probabilities, uncertainty, reserved, advance, least)
        except Exception as error:
            if isinstance(error, InputError) or least >= MAX_STRIPS or not is_out_of_memory(error):
                raise
        # Behind the block, because the error holds the slab. The bar starts anew.
        advance(-done[0])
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        least *= 4
        logger.warning(f"too little memory for the whole scan at a time: continuing with {least} strips of it")


def _segment(
    bundle: LoadedBundle,
    budget: Budget,
    prepared: Prepared,
    probabilities: NDArray[np.float32] | None,
    uncertainty: bool,
    reserved: int,
    progress: Callable[[float], Any],
    least: int,
) -> Prediction:
    """Segment a scan in at least some strips; the other arguments and errors are those of `segment_scan`."""
    start = time.perf_counter()
    windows = Windows(bundle.inferer, prepared.image, classes=bundle.classes, device=bundle.device)
    shape = _to_3d(prepared.scan_shape)
    entropy = np.zeros(shape, np.float32) if uncertainty else None
    restored = ScanGridLabels(
        shape,
        _to_3d(prepared.image.shape[1:]),
        compute_grid_change(prepared.affine, prepared.scan_affine),
        classes=bundle.classes,
        regions=bundle.regions is not None,
        probabilities=None if probabilities is None else probabilities.reshape(*shape, bundle.classes),
        entropy=entropy,
    )
    timed = _TimedNetwork(bundle.network)
    # The system counts these only once they are written to.
    own = (1 if bundle.regions is None else 2) * restored.labels.nbytes + (0 if entropy is None else entropy.nbytes)
    strips = windows.strips(max(least, budget.strip_count(windows, prepared.scan_shape, reserved=reserved + own)))
    total = windows.count(len(strips))

    for strip in strips:
        for rows in windows.rows(timed, strip, done=lambda count: progress(count / total)):
            require_finite(rows.logits)
            restored.add(rows.start, rows.logits, second=strip[0])
    labels, patterns = _make_label_map(bundle, restored.labels.reshape(prepared.scan_shape), prepared.scan_affine)
    spent = time.perf_counter() - start
    return Prediction(
        labels,
        prepared.scan_affine,
        bundle.table,
        probabilities,
        None if entropy is None else entropy.reshape(prepared.scan_shape),
        None if entropy is None else _mean_entropy(entropy, labels),
        {"preparing": prepared.seconds, "network": timed.seconds, "windows": spent - timed.seconds},
        prepared.notes,
        prepared.header,
        patterns,
        () if bundle.regions is None else bundle.regions.rows,
    )


def _make_label_map(
    bundle: LoadedBundle, values: NDArray[Any], affine: NDArray[np.float64]
) -> tuple[NDArray[Any], NDArray[np.unsignedinteger[Any]] | None]:
    """Return the cleaned label map and, of a bundle with regions, the pattern of each voxel."""
    if bundle.regions is None:
        return _clean(bundle, values, affine), None
    before = bundle.regions.table[values]
    labels = _clean(bundle, before, affine)
    if labels is not before:
        bundle.regions.follow_cleaning(values, before, labels)
    return labels, values


def _clean(bundle: LoadedBundle, labels: NDArray[Any], affine: NDArray[np.float64]) -> NDArray[Any]:
    if not bundle.clean.transforms:
        return labels
    case = {"pred": MetaTensor(torch.as_tensor(labels)[None], affine=torch.as_tensor(affine))}
    cleaned: NDArray[Any] = np.asarray(bundle.clean(case)["pred"].as_tensor()[0])
    return cleaned.astype(labels.dtype, copy=False)


def _to_3d(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape with three axes."""
    return (*shape, 1, 1)[:3]


def _mean_entropy(entropy: NDArray[np.float32], labels: NDArray[Any]) -> float:
    inside = entropy.reshape(labels.shape)[labels > 0]
    return float(inside.mean(dtype=np.float64)) if inside.size else float("nan")


class _TimedNetwork:
    """A network that counts the seconds that it computes."""

    def __init__(self, network: Callable[[Tensor], Tensor]) -> None:
        self.network = network
        self.seconds = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        start = time.perf_counter()
        # As with MONAI's runner, whose configs set a seed: the output of a scan is always byte-identical.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            output = self.network(x)
        if output.is_cuda:
            torch.cuda.synchronize(output.device)
        self.seconds += time.perf_counter() - start
        return output
