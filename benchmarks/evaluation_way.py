"""Measure two label maps in one way, in this process, and print the seconds and the values as JSON.

`evaluation.py` starts it, once for each way: the peak of memory is then the way's own.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import say
from numpy.typing import NDArray

__all__ = ["WAYS", "main"]

Masks = tuple[NDArray[np.bool_], NDArray[np.bool_]]


def main() -> int:
    """Load the two label maps of a folder, measure them, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("options", help='JSON: {"spacing": mm, "labels": number, "tolerance_mm": mm}')
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    measure = WAYS[arguments.way](**json.loads(arguments.options))
    maps = [np.load(arguments.folder / f"{name}.npy") for name in ("prediction", "reference")]
    wall, cpu = time.perf_counter(), time.process_time()
    rows = measure(*maps)
    seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    say(json.dumps({"seconds": seconds, "rows": rows}))
    return 0


def _lightskip(spacing: list[float], labels: int, tolerance_mm: float) -> Callable[..., Any]:
    from pipeline.evaluation.metrics import measure_case  # noqa: PLC0415

    names = {str(value): value for value in range(labels + 1)}
    return lambda *maps: measure_case(*maps, spacing=spacing, labels=names, tolerance_mm=tolerance_mm)


def _monai(spacing: list[float], labels: int, tolerance_mm: float) -> Callable[..., Any]:
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice  # noqa: PLC0415

    def measure(prediction: NDArray[np.uint8], reference: NDArray[np.uint8]) -> list[dict[str, float]]:
        rows = []
        for masks in _each_label(prediction, reference, labels):
            y_pred, y = (torch.from_numpy(mask)[None, None] for mask in masks)
            options: dict[str, Any] = {"include_background": True, "spacing": spacing}
            hd95 = compute_hausdorff_distance(y_pred, y, percentile=95, **options)
            nsd = compute_surface_dice(y_pred, y, class_thresholds=[tolerance_mm], **options)
            rows.append({"hd95_mm": hd95.item(), "nsd": nsd.item()})
        return rows

    return measure


def _surface_distance(spacing: list[float], labels: int, tolerance_mm: float) -> Callable[..., Any]:
    import surface_distance  # noqa: PLC0415

    def measure(prediction: NDArray[np.uint8], reference: NDArray[np.uint8]) -> list[dict[str, float]]:
        rows = []
        for predicted, expected in _each_label(prediction, reference, labels):
            found = surface_distance.compute_surface_distances(expected, predicted, spacing)
            hd95 = surface_distance.compute_robust_hausdorff(found, 95)
            nsd = surface_distance.compute_surface_dice_at_tolerance(found, tolerance_mm)
            rows.append({"hd95_area_mm": float(hd95), "nsd_area": float(nsd)})
        return rows

    return measure


def _each_label(prediction: NDArray[np.uint8], reference: NDArray[np.uint8], labels: int) -> Iterator[Masks]:
    for value in range(1, labels + 1):
        yield prediction == value, reference == value


WAYS: dict[str, Callable[..., Callable[..., Any]]] = {
    "LightSkip, every metric": _lightskip,
    "MONAI, HD95 and NSD": _monai,
    "surface-distance, HD95 and NSD": _surface_distance,
}

if __name__ == "__main__":
    sys.exit(main())
