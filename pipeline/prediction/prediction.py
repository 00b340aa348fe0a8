"""A scan before and after the network: prepared, and predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from numpy.typing import NDArray
from torch import Tensor

from ..data.images.header import Header
from ..labelmaps.label_table import Label

__all__ = ["Prediction", "Prepared"]


@dataclass(frozen=True)
class Prepared:
    """A scan that was read and pre-processed.

    Attributes:
        image: (C, *spatial) in the network's grid, float32.
        affine: of that grid, 4x4, voxel to world (mm).
        scan_shape: spatial shape of the scan as it was read.
        scan_affine: its affine, 4x4.
        seconds: that reading, checking and pre-processing took.
        notes: what a user should know about this scan.
        header: of the scan's (first) file; None for an array.
    """

    image: Tensor
    affine: NDArray[np.float64]
    scan_shape: tuple[int, ...]
    scan_affine: NDArray[np.float64]
    seconds: float
    notes: tuple[str, ...] = ()
    header: Header | None = None


@dataclass(frozen=True)
class Prediction:
    """What was predicted for one scan, in the scan's own grid.

    Attributes:
        labels: label map, the scan's spatial shape, unsigned integers.
        affine: of the scan, 4x4, voxel to world (mm, RAS).
        table: value, name and colour of each label.
        probabilities: (X, Y[, Z], K), float32, the background first; None where not asked for.
        entropy: (X, Y[, Z]), float32, 0 (sure) to 1; None where not asked for.
        uncertainty: mean entropy of the voxels with a label, 0 to 1; NaN without any; None where not asked for.
        seconds: by what they were spent on: preparing, network, windows (everything else).
        notes: what a user should know about this scan.
        header: of the scan's (first) file, whose geometry the label map's file gets; None for an array.
    """

    labels: NDArray[Any]
    affine: NDArray[np.float64]
    table: Sequence[Label]
    probabilities: NDArray[np.float32] | None = None
    entropy: NDArray[np.float32] | None = None
    uncertainty: float | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    header: Header | None = None

    @property
    def metatensor(self) -> MetaTensor:
        """The label map as MONAI has it: (1, X, Y[, Z]) with the affine."""
        return MetaTensor(torch.as_tensor(self.labels)[None], affine=torch.as_tensor(self.affine))
