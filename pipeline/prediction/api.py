"""Prediction from Python: one call, in the caller's process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..bundle.at_hand.find import find_bundle
from ..data.errors import InputError
from ..data.images.door import read_header
from .arrays import as_files
from .bundle_files import Grid, read_bundle_files
from .option_checks import check_bundle, check_switches
from .prediction import Prediction
from .predictor import Predictor

__all__ = ["predict"]

_Scan = str | Path | tuple[str | Path, ...] | NDArray[Any] | Tensor


@overload
def predict(bundle: str | Path, scans: _Scan, *, affine: NDArray[Any] | None = ..., **options: Any) -> Prediction: ...
@overload
def predict(bundle: str | Path, scans: list[Any], *, affine: None = ..., **options: Any) -> list[Prediction]: ...
def predict(
    bundle: str | Path,
    scans: _Scan | list[Any],
    *,
    affine: NDArray[Any] | None = None,
    probabilities: bool = False,
    uncertainty: bool = False,
    **options: Any,
) -> Prediction | list[Prediction]:
    """Segment scans in memory, with a bundle's own inference config.

    To read and write files, with a report, use `command.predict_files`, which ``lightskip predict`` calls. For repeated
    calls make a `Predictor`, which loads the bundle once::

        prediction = pipeline.predict("hippocampus_mri", "scan.nii.gz")
        prediction.labels  # (X, Y, Z), in the scan's own grid
        prediction.metatensor  # (1, X, Y, Z) with its affine

    Args:
        bundle: the bundle's folder, or its name: one that `lightskip bundles` lists.
        scans: one scan, or a list of them. A scan is a file, a DICOM series folder, a tuple of files with one channel
            each, or voxels (X, Y[, Z]) or (C, X, Y[, Z]) as an array or a MetaTensor.
        affine: 4x4, voxel to world (mm, RAS), of a scan that is an array. Without one the voxels are taken to have the
            bundle's orientation and spacing.
        probabilities: whether to return the probabilities.
        uncertainty: whether to return the entropy and its mean.
        **options: options of `Predictor`: checkpoint, device, tta, dropout_samples, fast, memory, threads,
            postprocessing, settings, runtime, anyway.

    Returns:
        One `Prediction`, or a list of them if `scans` is a list.

    Raises:
        InputError: the bundle, an option or a scan cannot be used.
    """
    if affine is not None and not isinstance(scans, np.ndarray | Tensor):
        raise InputError(
            "affine",
            found="an affine, and scans that are not one array",
            expected="no affine: files and MetaTensors have their own",
            remedy="leave it out, or pass the arrays one by one",
        )
    # Before a bundle is loaded for them.
    check_bundle(bundle)
    bundle = find_bundle(bundle)
    check_switches(probabilities=probabilities, uncertainty=uncertainty)
    several = isinstance(scans, list)
    given = scans if isinstance(scans, list) else [scans]
    predictor = Predictor(bundle, **{"windows": _count_windows(bundle, given, options), **options})
    found = [predictor(scan, affine=affine, probabilities=probabilities, uncertainty=uncertainty) for scan in given]
    return found if several else found[0]


def _count_windows(bundle: str | Path, scans: list[Any], options: Mapping[str, Any]) -> float | None:
    """Return about how many windows the scans have; None if that is unknown, or something is wrong with them."""
    known = {key: options[key] for key in ("tta", "fast", "settings") if key in options}
    try:
        grid = read_bundle_files(bundle, **known).grid
        return None if grid is None else sum(_count_windows_of(scan, grid) for scan in scans)
    except (InputError, OSError):
        return None


def _count_windows_of(scan: Any, grid: Grid) -> int:
    dims = len(grid.window)
    if isinstance(scan, np.ndarray | Tensor):
        return grid.count_windows(tuple(scan.shape)[-dims:], grid.spacing or (1.0,) * dims)
    header = read_header(as_files(scan)[0])
    return grid.count_windows(header.spatial_shape[:dims], header.spacing[:dims])
