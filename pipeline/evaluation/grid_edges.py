"""Edges of a voxel in mm, from spacing or affine, so that distances are right in a sheared grid as well."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["MAX_COSINE", "find_diagonal", "find_edges"]

MAX_COSINE = 1e-4  # of the angle between two axes that count as at right angles, as in `lightskip check`


def find_edges(spacing: Sequence[float], affine: ArrayLike | None = None) -> NDArray[np.float64]:
    """Return the edges of a voxel as columns (mm), dims x dims, up to a rotation or mirroring of the world.

    A difference of indices times this matrix has the length in mm of that difference in the world. Axes at right angles
    give the spacing on the diagonal.

    Args:
        spacing: voxel size in mm, one per axis.
        affine: voxel to world in mm, 4 x 4; of an image in two dimensions also 3 x 3. It only matters if it is sheared.

    Raises:
        ValueError: If the affine has another shape or spans no volume.
    """
    dims = len(spacing)
    orthogonal = np.diag(np.asarray(spacing, dtype=np.float64))
    if affine is None:
        return orthogonal
    matrix = np.asarray(affine, dtype=np.float64)
    if matrix.shape not in ((4, 4), (dims + 1, dims + 1)) or not np.isfinite(matrix).all():
        msg = f"affine of shape {matrix.shape}: expected 4 x 4 finite numbers for {dims} axes"
        raise ValueError(msg)
    edges = matrix[:-1, :dims]
    lengths = np.linalg.norm(edges, axis=0)
    if not lengths.all():
        raise ValueError("affine has an axis without length: expected the edges of a voxel in mm")
    cosines = (edges / lengths).T @ (edges / lengths)
    if np.abs(cosines - np.diag(np.diag(cosines))).max() <= MAX_COSINE:
        return orthogonal
    try:
        # Gram's matrix has all lengths and angles. Its Cholesky factor has the same ones, with dims rows.
        factor = np.linalg.cholesky(edges.T @ edges)
    except np.linalg.LinAlgError as error:
        raise ValueError("affine has axes in one plane: expected the edges of a voxel in mm") from error
    return np.asarray(factor.T, dtype=np.float64)


def find_diagonal(shape: Sequence[int], edges: NDArray[np.float64]) -> float:
    """Return the longest diagonal (mm) of a volume of some shape, with the edges of `find_edges`."""
    signs = itertools.product(*[(1, -1)] * (len(shape) - 1))
    return max(math.hypot(*(edges @ (np.array((1, *sign)) * shape))) for sign in signs)
