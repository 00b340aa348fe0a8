"""Where a dataset's images and labels lie, as its datalist has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

__all__ = ["Layout", "layout_of"]

_NIFTI = ".nii.gz"
_PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")


@dataclass(frozen=True)
class Layout:
    """Folders, relative to the dataset's, and endings of names.

    Attributes:
        images: folder of the images.
        image_ending: of their names, such as ``.nii.gz``.
        labels: folder of the label maps.
        label_ending: of theirs.
    """

    images: str = "imagesTr"
    image_ending: str = _NIFTI
    labels: str = "labelsTr"
    label_ending: str = _NIFTI

    @property
    def has_pictures(self) -> bool:
        """Whether the images are pictures (PNG, TIFF)."""
        return self.image_ending.lower().endswith(_PICTURES)


def layout_of(manifest: Mapping[str, Any] | None) -> Layout:
    """The layout of a datalist's first case; that of the Decathlon where there is none."""
    cases = manifest["training"] if manifest else []
    if not cases:
        return Layout()
    firsts = (cases[0][key] for key in ("image", "label"))
    image, label = (PurePosixPath(first if isinstance(first, str) else first[0]) for first in firsts)
    return Layout(image.parent.as_posix(), _ending(image.name), label.parent.as_posix(), _ending(label.name))


def _ending(name: str) -> str:
    return _NIFTI if name.lower().endswith(_NIFTI) else Path(name).suffix
