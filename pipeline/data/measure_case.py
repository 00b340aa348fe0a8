"""What the report of the dataset check, and the plan, need to know of one case: its grid, intensities, structures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import nibabel
import numpy as np

from .intensities import channels_of, measure_intensities
from .structures import measure_structures
from .thumbnail import thumbnail
from .volumes import Volume

__all__ = ["Measures"]


class Measures:
    """The measurements of one case, added to its record file by file: the label map first, then the images.

    Args:
        record: the case's entry, filled here.
        declared: the declared label values.
        background: value of the background in the label map.

    Attributes:
        thumbnail: a JPEG; None until there is an image.
    """

    def __init__(self, record: dict[str, Any], declared: Iterable[int], background: int) -> None:
        self.record = record
        self.structures = [value for value in declared if value != background]
        self.background = background
        self.thumbnail: bytes | None = None
        self._label: np.ndarray | None = None
        self._images = 0

    def add_label(self, volume: Volume, shape: Sequence[int], *, sound: bool) -> None:
        """Measure the structures of a label map that is `sound`: whole, finite numbers. Otherwise note its type."""
        self.record["dtypes"].append(volume.stored)
        if sound:
            self._label = _whole(volume.voxels).reshape(shape)
            self.record["classes"] = measure_structures(self._label, volume.affine, background=self.background)

    def add_image(self, volume: Volume, shape: Sequence[int], *, first: bool, number: int) -> None:
        """Measure an image file.

        Args:
            volume: the file, with finite voxels.
            shape: of the part in space.
            first: whether it is the first image of the case that can be used.
            number: of the file among the case's images.
        """
        if first:
            if self._label is not None and self._label.shape != tuple(shape):
                self._label = None
            self._describe_grid(volume.affine, shape)
            self.thumbnail = self._thumbnail(volume, shape)
        self.record["dtypes"].insert(self._images, volume.stored)
        self._images += 1
        inside = None
        if self._label is not None and self._label.shape == tuple(shape):
            inside = np.asarray(self._label != self.background)
        for key, measured in measure_intensities(volume.voxels, inside, axes=len(shape), first=number).items():
            self.record[key] += measured

    def _describe_grid(self, affine: np.ndarray, shape: Sequence[int]) -> None:
        spacing = np.linalg.norm(affine[:3, :3], axis=0)[: len(shape)]
        self.record["shape"] = list(shape)
        self.record["spacing"] = [round(float(size), 6) for size in spacing]
        if len(shape) == 3:
            self.record["orientation"] = "".join(map(str, nibabel.aff2axcodes(affine)))

    def _thumbnail(self, volume: Volume, shape: Sequence[int]) -> bytes:
        image = next(channels_of(volume.voxels, len(shape)))
        spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)[: len(shape)]
        values, label = self.structures, self._label
        if label is not None and self.background != 0:
            # What is outlined is what is not 0.
            label = np.where(label == self.background, 0, label.astype(np.int32) + 1)
            values = [value + 1 for value in values]
        return thumbnail(image, label, spacing, volume.affine, values=values)


def _whole(voxels: np.ndarray) -> np.ndarray:
    """Return the values as whole numbers of the smallest type that holds them."""
    if voxels.dtype.kind == "f":
        voxels = np.rint(voxels)
    low, high = int(voxels.min()), int(voxels.max())
    smallest = np.promote_types(np.min_scalar_type(low), np.min_scalar_type(high))
    return voxels.astype(smallest, copy=False)
