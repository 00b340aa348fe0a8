"""clDice of two masks: how far each side's centreline is inside the other, for vessels and other tubes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["measure_cldice"]


def measure_cldice(predicted: NDArray[np.bool_], expected: NDArray[np.bool_]) -> float:
    """Return the clDice [0, 1] of two masks (Shit et al., 2021, equations 1 and 2).

    It is the harmonic mean of the topology precision, the share of the prediction's centreline that is in the
    reference, and the topology sensitivity, the share of the reference's centreline that is in the prediction; 0 if
    both are 0. The centrelines are scikit-image's ``skeletonize`` (Lee et al., 1994 in 3D, Zhang and Suen, 1984 in 2D).
    They count voxels, whatever the spacing.

    Args:
        predicted: mask (X, Y, Z) or (X, Y), not empty.
        expected: mask of the same shape, not empty.
    """
    from skimage.morphology import skeletonize  # noqa: PLC0415 slow to import, and rarely asked for

    shares = []
    for mask, other in ((predicted, expected), (expected, predicted)):
        line = skeletonize(np.pad(mask, 1))[(slice(1, -1),) * mask.ndim] > 0
        # Thinning may leave nothing of a mask of two voxels. The mask is then its own centreline.
        line = line if line.any() else mask
        shares.append(np.count_nonzero(line & other) / np.count_nonzero(line))
    total = sum(shares)
    return float(2 * shares[0] * shares[1] / total) if total else 0.0
