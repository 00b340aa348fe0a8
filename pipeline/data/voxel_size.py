"""The size of a voxel: one definition for all volumes and areas that LightSkip reports."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["MM3_PER_ML", "voxel_size"]

MM3_PER_ML = 1000.0


def voxel_size(affine: ArrayLike, axes: int = 3) -> float:
    """Return the volume of a voxel in mm3, or the area of a pixel in mm2.

    This is the absolute determinant of the affine's 3 x 3, not the product of the spacings: with a tilted gantry the
    axes are not at right angles, and that product is too large.

    Args:
        affine: voxel to world in mm, 4 x 4; of an image in two dimensions also 3 x 3.
        axes: 3 for the volume of a voxel; 2 for the area of a pixel in the plane of the first two axes.
    """
    matrix = np.asarray(affine, dtype=np.float64)
    edges = matrix[: len(matrix) - 1, :axes]
    if edges.shape[0] == edges.shape[1]:
        return float(abs(np.linalg.det(edges)))
    # Gram's determinant: the area that two edges span in three dimensions. Rounding may leave it below 0.
    return math.sqrt(max(float(np.linalg.det(edges.T @ edges)), 0.0))
