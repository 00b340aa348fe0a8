"""Where a dataset's images and labels lie, as its datalist has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..data.images.endings import COMPRESSED_NIFTI, format_name, is_picture, split_ending

__all__ = ["Layout", "layout_of"]

# What MONAI needs to read a format, nibabel aside, which is always there.
_PACKAGES = {"picture": ["pillow"], "itk": ["itk"], "dicom": ["itk"]}


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
    image_ending: str = COMPRESSED_NIFTI
    labels: str = "labelsTr"
    label_ending: str = COMPRESSED_NIFTI

    @property
    def has_pictures(self) -> bool:
        """Whether the images are pictures (PNG, TIFF)."""
        return is_picture(f"image{self.image_ending}")

    @property
    def packages(self) -> list[str]:
        """What MONAI needs to read the images, nibabel aside."""
        return _PACKAGES.get(format_name(f"image{self.image_ending}") or "dicom", [])

    @property
    def data_type(self) -> str:
        """The word for the metadata: nibabel, or the ending."""
        return self.image_ending.removeprefix(".") if self.packages else "nibabel"


def layout_of(manifest: Mapping[str, Any] | None) -> Layout:
    """The layout of a datalist's first case; that of the Decathlon where there is none."""
    cases = manifest["training"] if manifest else []
    if not cases:
        return Layout()
    firsts = (cases[0][key] for key in ("image", "label"))
    image, label = (PurePosixPath(first if isinstance(first, str) else first[0]) for first in firsts)
    return Layout(image.parent.as_posix(), _ending(image.name), label.parent.as_posix(), _ending(label.name))


def _ending(name: str) -> str:
    return split_ending(name)[1] or Path(name).suffix
