"""A scan before the network (`Prepared`) and after it (`Prediction`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from numpy.typing import NDArray
from torch import Tensor

from ..data.images.header import Header
from ..labelmaps.label_table import Label
from ..labelmaps.region_masks import find_mask

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
        probabilities: (X, Y[, Z], K), float32, of the labels, the background first, or of the regions; None if not
            requested.
        entropy: (X, Y[, Z]), float32, 0 (sure) to 1; None if not requested. Of regions: the mean of their entropies.
        uncertainty: mean entropy of the labelled voxels, 0 to 1; NaN if there are none; None if not requested.
        seconds: time by step: preparing, network, windows (everything else).
        notes: what a user should know about this scan.
        header: header of the scan's (first) file, whose geometry the label map's file gets; None for an array.
        patterns: of a bundle with regions: the sum of 2**k over the regions k that a voxel is in, with the scan's
            spatial shape; else None. Regions follow the cleaning of the label map.
        region_table: number from 1, name and colour of each region; empty for a bundle without.
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
    patterns: NDArray[np.unsignedinteger[Any]] | None = None
    region_table: Sequence[Label] = ()

    @cached_property
    def regions(self) -> dict[str, NDArray[np.bool_]]:
        """The mask of each region by its name, with the scan's spatial shape; they may overlap. Empty without regions.

        They are made when they are first asked for.
        """
        if self.patterns is None:
            return {}
        return {row.name: find_mask(self.patterns, place) for place, row in enumerate(self.region_table)}

    @property
    def only_label(self) -> str | None:
        """The label of every voxel, if there is only one."""
        value = int(self.labels.flat[0])
        # Most label maps have another value somewhere; looking for one ends there only row by row.
        if any(bool((part != value).any()) for part in self.labels):
            return None
        return next((label.name for label in self.table if label.value == value), "background")

    @property
    def metatensor(self) -> MetaTensor:
        """The label map as a MetaTensor: (1, X, Y[, Z]) with the affine."""
        return MetaTensor(torch.as_tensor(self.labels)[None], affine=torch.as_tensor(self.affine))
