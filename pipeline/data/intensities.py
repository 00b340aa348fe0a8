"""Statistics of an image's voxels: each channel's intensities, overall and inside the label map, and hashes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = [
    "add_sample",
    "add_voxels",
    "channels_of",
    "measure_intensities",
    "sample_voxels",
    "sort_sample",
    "summarize_values",
]

_QUANTILES = np.linspace(0, 1, 201)
# Voxels used for the statistics of a scan, and of its foreground, taken evenly.
MAX_VOXELS = 2_000_000
MAX_FOREGROUND = 200_000
# Voxels in a sample. Most scans differ in it; those that agree are compared in all voxels.
MAX_SAMPLE = 50_000
# Percentiles of a whole scan, for the comparison with other scans.
PERCENTILES = (1, 50, 99)


def measure_intensities(
    voxels: np.ndarray,
    foreground: np.ndarray | None,
    *,
    axes: int,
    first: int,
    fit: Callable[[np.ndarray, np.ndarray], dict[str, Any] | None] | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """Return statistics of each channel of an image file.

    Args:
        voxels: finite; (x, y, z) or (x, y), or one of these with channels last.
        foreground: mask of the labelled voxels, without the axis of the channels; None if not known.
        axes: number of axes in space.
        first: number of the file's first channel among those of the case.
        fit: measures how the label map fits a channel, from its voxels and some of them, sorted.

    Returns:
        "intensity", an entry per channel over the whole image: "min" and "max" of all voxels; "mean", "std" and
        "zeros", the share that is exactly 0, of up to two million voxels, taken evenly; what `summarize_values`
        returns. "foreground", an entry per channel if anything is labelled: "voxels", their number; "mean", "std" and
        "quantiles" (0 %, 0.5 %, ... 100 %) of up to 200 000 of them. "fit", an entry per channel that `fit` measures.
    """
    measured: dict[str, list[dict[str, Any]]] = {"intensity": [], "foreground": [], "fit": []}
    labelled = foreground is not None and foreground.any()
    for number, values in enumerate(channels_of(voxels, axes), start=first):
        step = int(np.ceil((values.size / MAX_VOXELS) ** (1 / values.ndim)))
        some = np.asarray(values[(slice(None, None, step),) * values.ndim], dtype=np.float64)
        entry = {"channel": number, "min": float(values.min()), "max": float(values.max())}
        entry |= _moments(some) | {"zeros": float((some == 0).mean())}
        ranks = sort_sample(values)
        measured["intensity"].append(entry | summarize_values(ranks))
        if not labelled:
            continue
        if fit is not None and (found := fit(values, ranks)) is not None:
            measured["fit"].append({"channel": number} | found)
        inside = values[foreground]
        some = np.asarray(inside[:: -(-inside.size // MAX_FOREGROUND)], dtype=np.float64)
        quantiles = [float(f"{value:.7g}") for value in np.quantile(some, _QUANTILES)]
        entry = {"channel": number, "voxels": int(inside.size)}
        measured["foreground"].append(entry | _moments(some) | {"quantiles": quantiles})
    return measured


def summarize_values(ranks: np.ndarray) -> dict[str, Any]:
    """Return what tells a scan from one in other units.

    Args:
        ranks: some of the values of a channel, sorted.

    Returns:
        "quantiles", the 1st, 50th and 99th percentile (the voxel nearest to it); "distinct", the number of distinct
        values; "whole", whether all are whole numbers.
    """
    places = [round(each / 100 * (ranks.size - 1)) for each in PERCENTILES]
    return {
        "quantiles": [float(f"{ranks[place]:.7g}") for place in places],
        "distinct": int(np.count_nonzero(ranks[1:] != ranks[:-1])) + 1,
        "whole": bool((ranks == np.rint(ranks)).all()),
    }


def sort_sample(values: np.ndarray) -> np.ndarray:
    """Return up to 50 000 of the values of a channel, taken evenly, sorted."""
    return np.sort(sample_voxels(values), axis=None)


def sample_voxels(values: np.ndarray) -> np.ndarray:
    """Return up to 50 000 of the values, taken evenly, as float32."""
    step = int(np.ceil((values.size / MAX_SAMPLE) ** (1 / values.ndim)))
    return np.asarray(values[(slice(None, None, step),) * values.ndim], dtype=np.float32)


def channels_of(voxels: np.ndarray, axes: int) -> Iterator[np.ndarray]:
    """Yield a view of every channel; the first `axes` axes are in space."""
    if voxels.ndim == axes:
        yield voxels
    else:
        yield from np.moveaxis(voxels.reshape(*voxels.shape[:axes], -1), -1, 0)


def add_voxels(digest: Any, voxels: np.ndarray) -> None:
    """Add the values to a hash, slice by slice and as float32, so that the data type does not matter."""
    if voxels.ndim > 2 and voxels.shape[-1] == 1:
        voxels = voxels[..., 0]
    digest.update(str(voxels.shape).encode())
    for part in np.moveaxis(voxels, -1, 0):
        # The sum turns -0 into 0.
        digest.update(np.ascontiguousarray(part, dtype=np.float32) + np.float32(0))


def add_sample(digest: Any, voxels: np.ndarray) -> None:
    """Add up to 50 000 of the values, taken evenly, to a hash, which is equal for copies and few other scans."""
    if voxels.ndim > 2 and voxels.shape[-1] == 1:
        voxels = voxels[..., 0]
    digest.update(str(voxels.shape).encode())
    digest.update(np.ascontiguousarray(sample_voxels(voxels)) + np.float32(0))


def _moments(values: np.ndarray) -> dict[str, float]:
    return {"mean": float(values.mean()), "std": float(values.std())}
