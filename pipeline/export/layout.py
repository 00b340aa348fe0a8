"""Find the folders and endings of a dataset's images and label maps in its datalist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..data.images.endings import COMPRESSED_NIFTI, format_name, is_picture, split_ending

__all__ = ["Layout", "find_layout"]

# What MONAI needs to read a format, nibabel aside, which is always there.
_PACKAGES = {"picture": ["pillow"], "tiff": ["itk"], "itk": ["itk"], "dicom": ["itk"]}


@dataclass(frozen=True)
class Layout:
    """Folders, relative to the dataset's folder, and endings of file names.

    Attributes:
        images: folder of the images.
        image_ending: ending of the images' names, such as ``.nii.gz``.
        labels: folder of the label maps.
        label_ending: ending of the label maps' names.
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
        """Packages besides nibabel that MONAI needs to read the images."""
        return _PACKAGES.get(format_name(f"image{self.image_ending}") or "dicom", [])

    @property
    def data_type(self) -> str:
        """The metadata's word for the images: nibabel, or the ending."""
        return self.image_ending.removeprefix(".") if self.packages else "nibabel"


def find_layout(manifest: Mapping[str, Any] | None) -> Layout:
    """Return the layout of a datalist's first case, or the Decathlon's if there is no datalist."""
    cases = manifest["training"] if manifest else []
    if not cases:
        return Layout()
    firsts = (cases[0][key] for key in ("image", "label"))
    image, label = (PurePosixPath(first if isinstance(first, str) else first[0]) for first in firsts)
    return Layout(image.parent.as_posix(), _find_ending(image.name), label.parent.as_posix(), _find_ending(label.name))


def _find_ending(name: str) -> str:
    return split_ending(name)[1] or Path(name).suffix
