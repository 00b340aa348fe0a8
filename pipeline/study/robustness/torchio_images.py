"""Apply transforms of TorchIO, which is an extra, to arrays of scans in 2D and 3D."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...data.errors import InputError

__all__ = ["apply_transform", "import_torchio", "make_image"]


def import_torchio() -> Any:
    """Return the package TorchIO.

    Raises:
        InputError: it is not installed.
    """
    try:
        return import_module("torchio")
    except ModuleNotFoundError as error:
        if error.name != "torchio":
            raise
        raise InputError(
            "robustness",
            found="no package torchio",
            expected="TorchIO, which perturbs the scans",
            remedy="install it: pip install 'lightskip[study]'",
        ) from error


def make_image(scan: NDArray[np.float32], spacing: Sequence[float]) -> Any:
    """Return a scan as TorchIO's image, whose array is (C, X, Y, Z); a picture has one slice of 1 mm.

    Args:
        scan: (C, X, Y, Z) or (C, X, Y).
        spacing: voxel size in mm, one per axis.
    """
    thick = [*spacing, *[1.0] * (3 - len(spacing))]
    tensor = torch.from_numpy(np.array(scan, dtype=np.float32)).reshape(*scan.shape, *[1] * (4 - scan.ndim))
    return import_torchio().ScalarImage(tensor=tensor, affine=np.diag([*thick, 1.0]))


def apply_transform(transform: Any, scan: NDArray[np.float32], spacing: Sequence[float]) -> NDArray[np.float32]:
    """Return the scan after a transform that keeps its grid, in its own shape; arguments as in `make_image`."""
    changed: NDArray[np.float32] = transform(make_image(scan, spacing)).data.numpy()
    return changed.reshape(scan.shape)
