"""The one table of file endings: the format of an image by its ending, and the image's name without it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath

__all__ = [
    "COMPRESSED_NIFTI",
    "DICOM",
    "DICOM_DIRECTORY",
    "ENDINGS",
    "SERIES",
    "endings_of",
    "format_name",
    "is_detached",
    "is_image",
    "is_nifti",
    "is_nifti_like",
    "is_pair",
    "is_picture",
    "is_store",
    "is_tiff",
    "is_volume",
    "scan_name",
    "split_ending",
]

COMPRESSED_NIFTI = ".nii.gz"
DICOM = ".dcm"
# The last part of a path that names one series of a folder: its number, description or unique identifier follows.
SERIES = "series="
# The index of a medium's files: DICOM by its first bytes, but no image.
DICOM_DIRECTORY = "DICOMDIR"

# The format of each ending; `.gz` may follow it. The names of formats are the keys of the table in `formats`.
ENDINGS: Mapping[str, str] = {
    ".nii": "nifti",
    ".hdr": "pair",
    ".img": "pair",
    ".nrrd": "itk",
    ".nhdr": "itk",
    ".mha": "itk",
    ".mhd": "itk",
    ".dcm": "dicom",
    ".mgz": "mgz",
    ".mgh": "mgz",
    ".nii.zarr": "nifti-zarr",
    ".zarr": "zarr",
    ".ome.zarr": "zarr",
    ".png": "picture",
    ".jpg": "picture",
    ".jpeg": "picture",
    ".bmp": "picture",
    ".tif": "tiff",
    ".tiff": "tiff",
}
_STORES = ("zarr", "nifti-zarr")
# In these MONAI takes up to three axes as those in space, and a fourth as the channels.
_NIFTI_LIKE = ("nifti", "pair", "mgz", *_STORES)
_PICTURES = ("picture", "tiff")
# Headers that name the file with the voxels.
_DETACHED = (".mhd", ".nhdr")


def split_ending(path: str | PurePath) -> tuple[str, str]:
    """Return a path's name without its known ending, and that ending (with `.gz`), or "" if there is none."""
    name = PurePath(path).name
    stem = name[:-3] if name.lower().endswith(".gz") else name
    # A name that is only an ending, such as ".nii", has no ending.
    parts = [-len(ending) for ending in ENDINGS if stem.lower().endswith(ending) and len(stem) > len(ending)]
    if not parts:
        return name, ""
    start = len(stem) + min(parts)
    return name[:start], name[start:]


def scan_name(path: str | PurePath) -> str:
    """Return the name of a scan, which its outputs get: the file's name without a known ending (with `.gz`).

    The name of FOLDER/series=3, a DICOM series of a folder, is FOLDER_series3.
    """
    path = PurePath(path)
    if path.name.startswith(SERIES) and not split_ending(path)[1]:
        return "_".join([*filter(None, [path.parent.name]), re.sub(r"[^\w.-]+", "", path.name)])
    return split_ending(path)[0]


def format_name(path: str | PurePath) -> str | None:
    """Return the name of the format that a path's ending stands for, or None if the ending is not known."""
    ending = split_ending(path)[1].lower()
    return ENDINGS.get(ending.removesuffix(".gz"))


def endings_of(*formats: str) -> tuple[str, ...]:
    """Return the endings of these formats, without a `.gz` that may follow."""
    return tuple(ending for ending, name in ENDINGS.items() if name in formats)


def is_image(path: str | PurePath) -> bool:
    """Return whether a path has the ending of an image that LightSkip can read."""
    return split_ending(path)[1] != ""


def is_nifti(path: str | PurePath) -> bool:
    """Return whether a path has the ending of a NIfTI image in one file."""
    return format_name(path) == "nifti"


def is_pair(path: str | PurePath) -> bool:
    """Return whether a path has the ending of one half of a pair: a header, `.hdr`, or its voxels, `.img`."""
    return format_name(path) == "pair"


def is_picture(path: str | PurePath) -> bool:
    """Return whether a path has the ending of a picture: 2D, perhaps in colour, without a world coordinate system."""
    return format_name(path) in _PICTURES


def is_tiff(path: str | PurePath) -> bool:
    """Return whether a path has the ending of a TIFF: a picture, or a stack of them."""
    return format_name(path) == "tiff"


def is_store(path: str | PurePath) -> bool:
    """Return whether a path has the ending of a Zarr store, which is a folder."""
    return format_name(path) in _STORES


def is_volume(path: str | PurePath) -> bool:
    """Return whether a path has the ending of a volume in a format other than NIfTI and DICOM."""
    return format_name(path) in ("pair", "itk", "mgz", *_STORES)


def is_nifti_like(path: str | PurePath) -> bool:
    """Return whether the first axes of an image, up to three, are in space whatever their lengths."""
    return format_name(path) in _NIFTI_LIKE


def is_detached(path: str | PurePath) -> bool:
    """Return whether a path has the ending of a header whose voxels are in another file that it names."""
    return PurePath(path).suffix.lower() in _DETACHED
