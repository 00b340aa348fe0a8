"""A scan before the network (`Prepared`) and after it (`Prediction`)."""

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
        affine: voxel to world (mm) of that grid, 4x4.
        scan_shape: spatial shape of the scan as it was read.
        scan_affine: voxel to world (mm) of the scan, 4x4.
        seconds: time of reading, checking and pre-processing.
        notes: what a user should know about this scan.
        header: header of the scan's (first) file; None for an array.
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
    """The prediction for one scan, in the scan's own grid.

    Attributes:
        labels: label map, unsigned integers, with the scan's spatial shape.
        affine: voxel to world (mm, RAS) of the scan, 4x4.
        table: value, name and colour of each label.
        probabilities: (X, Y[, Z], K), float32, the background first; None if not requested.
        entropy: (X, Y[, Z]), float32, 0 (sure) to 1; None if not requested.
        uncertainty: mean entropy of the labelled voxels, 0 to 1; NaN if there are none; None if not requested.
        seconds: time by step: preparing, network, windows (everything else).
        notes: what a user should know about this scan.
        header: header of the scan's (first) file, whose geometry the label map's file gets; None for an array.
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
        """The label map as a MetaTensor: (1, X, Y[, Z]) with the affine."""
        return MetaTensor(torch.as_tensor(self.labels)[None], affine=torch.as_tensor(self.affine))
