"""The measurements of one case for the check's report and the plan: grid, intensities, structures, how these fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import nibabel
import numpy as np

from .images.header import Volume
from .intensities import channels_of, measure_intensities
from .label_fit import measure_fit
from .structures import measure_structures

__all__ = ["Draw", "Measures"]


class Draw(Protocol):
    """Draws one channel of a case, with the outlines of its label map, as a JPEG."""

    def __call__(
        self,
        image: np.ndarray,
        label: np.ndarray | None,
        spacing: Sequence[float],
        affine: np.ndarray | None,
        *,
        declared: Sequence[int],
        background: int,
    ) -> bytes:
        """Return the picture: see `pipeline.report.thumbnail.draw_thumbnail`."""


class Measures:
    """The measurements of one case, added to its record file by file: the label map first, then the images.

    Args:
        record: the case's entry, filled here.
        declared: the declared label values.
        background: value of the background in the label map.
        ignored: values of voxels that count in no structure and no intensity, and belong to no outline.
        draw: draws the case's picture; without it there is none.

    Attributes:
        thumbnail: a JPEG; None before the first image, and without `draw`.
    """

    def __init__(
        self,
        record: dict[str, Any],
        declared: Iterable[int],
        background: int,
        draw: Draw | None = None,
        ignored: Sequence[int] = (),
    ) -> None:
        self.record = record
        self.declared = list(declared)
        self.draw = draw
        self.background = background
        self.ignored = list(ignored)
        self.thumbnail: bytes | None = None
        self._ignored: np.ndarray | None = None
        self._label: np.ndarray | None = None
        self._images = 0

    def add_label(self, volume: Volume, shape: Sequence[int], *, sound: bool) -> None:
        """Add a label map's type and, if it is `sound` (whole, finite numbers), the measures of its structures."""
        self.record["dtypes"].append(volume.stored)
        if sound:
            self._label = _to_integers(volume.voxels).reshape(shape)
            self._leave_out_ignored()
            self.record["classes"] = measure_structures(
                self._label, volume.affine, background=self.background, unit=volume.header.unit
            )

    def add_image(self, volume: Volume, shape: Sequence[int], *, first: bool, number: int) -> None:
        """Add the measures of an image file.

        Args:
            volume: the file, with finite voxels.
            shape: of the part in space.
            first: whether it is the case's first usable image.
            number: of the file among the case's images.
        """
        if first:
            if self._label is not None and self._label.shape != tuple(shape):
                self._label = None
            self._describe_grid(volume.affine, shape)
            self.thumbnail = self._draw_thumbnail(volume, shape)
        self.record["dtypes"].insert(self._images, volume.stored)
        self._images += 1
        label = self._label if self._label is not None and self._label.shape == tuple(shape) else None
        inside = None if label is None else np.asarray(label != self.background)

        def fit(values: np.ndarray, ranks: np.ndarray) -> dict[str, Any] | None:
            if label is None:
                return None
            return measure_fit(values, label, volume.affine, self.background, ranks, ignored=self._ignored)

        measures = measure_intensities(volume.voxels, inside, axes=len(shape), first=number, fit=fit)
        for key, measured in measures.items():
            self.record[key] += measured

    def _leave_out_ignored(self) -> None:
        """Make ignored voxels background, and remember where they are."""
        if self._label is None or not self.ignored:
            return
        where = np.isin(self._label, self.ignored)
        self.record["ignored"] = int(np.count_nonzero(where))
        if self.record["ignored"]:
            self._ignored = where
            kind = np.promote_types(self._label.dtype, np.min_scalar_type(self.background))
            self._label = np.where(where, kind.type(self.background), self._label.astype(kind, copy=False))

    def _describe_grid(self, affine: np.ndarray, shape: Sequence[int]) -> None:
        spacing = np.linalg.norm(affine[:3, :3], axis=0)[: len(shape)]
        self.record["shape"] = list(shape)
        self.record["spacing"] = [round(float(size), 6) for size in spacing]
        if len(shape) == 3:
            self.record["orientation"] = "".join(map(str, nibabel.aff2axcodes(affine)))

    def _draw_thumbnail(self, volume: Volume, shape: Sequence[int]) -> bytes | None:
        if self.draw is None:
            return None
        image = next(channels_of(volume.voxels, len(shape)))
        spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)[: len(shape)]
        return self.draw(image, self._label, spacing, volume.affine, declared=self.declared, background=self.background)


def _to_integers(voxels: np.ndarray) -> np.ndarray:
    """Return the values as integers of the smallest type that can hold them."""
    if voxels.dtype.kind == "f":
        voxels = np.rint(voxels)
    low, high = int(voxels.min()), int(voxels.max())
    smallest = np.promote_types(np.min_scalar_type(low), np.min_scalar_type(high))
    return voxels.astype(smallest, copy=False)
