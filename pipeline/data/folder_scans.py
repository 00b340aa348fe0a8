"""The scans of a folder: files of one kind of image, one file per channel or all channels in one, or DICOM series."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import InputError
from .volumes import is_nifti, scan_name

__all__ = ["case_name", "scans_of_folder"]

_OUTPUT_ENDINGS = ("_seg.nii.gz", "_prob.nii.gz")
# Of several kinds in a folder the first one counts: pictures beside volumes are previews, as a rule.
_VOLUMES = (".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".img")
_PICTURES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")
_CHANNEL = re.compile(r"(.+)_(\d{4})")


def case_name(path: str | Path, *, channels: int) -> str:
    """Return the name of a scan by its (first) file; of several channels, without the ending `_0000`."""
    name = scan_name(path)
    return name.removesuffix("_0000") if channels > 1 else name


def scans_of_folder(folder: Path, *, channels: int) -> list[dict[str, Any]]:
    """Return the items `{"image": path or list of paths}` of a folder's scans, sorted by name.

    Files are NIfTI; where there are none, NRRD, MetaImage or `.hdr/.img`; where there are none either, pictures. What
    inference wrote beside a scan is no scan. Without any, the folder itself, or each of its subfolders, is a DICOM
    series where it holds `.dcm` files.

    Args:
        folder: an existing folder.
        channels: where more than one, and all files are called NAME_0000, NAME_0001, …, those are one scan's channels.

    Raises:
        InputError: there is no scan, or one lacks a channel.
    """
    visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    files = [path for path in visible if path.is_file() and scan_name(path) != path.name]
    names = [case_name(path, channels=count) for path in files for count in {1, channels}]
    outputs = {name + ending for name in names for ending in _OUTPUT_ENDINGS}
    files = [path for path in files if path.name not in outputs]
    kinds = [
        [path for path in files if is_nifti(path)],
        [path for path in files if path.suffix.lower() in _VOLUMES and not _is_second_half(path)],
        [path for path in files if path.suffix.lower() in _PICTURES],
    ]
    chosen = next((kind for kind in kinds if kind), [])
    if chosen:
        return _of_channels(folder, chosen, channels)
    series = [path for path in (folder, *visible) if path.is_dir() and any(path.glob("[!.]*.dcm"))]
    if not series:
        shown_names = [path.name + "/" * path.is_dir() for path in visible]
        shown = ", ".join(shown_names[:5]) + (f" and {len(shown_names) - 5} more" if len(shown_names) > 5 else "")
        raise InputError(
            folder,
            found=f"no scan; the folder holds {shown or 'hidden files only'}",
            expected="scans (NIfTI, NRRD, MHA, pictures) directly in the folder, or DICOM series of .dcm files",
            remedy="give the folder that holds the scans themselves, or name them in a datalist",
        )
    # Files of a series in the folder itself: its subfolders, if any, are not others of the same.
    return [{"image": str(path)} for path in (series[:1] if series[0] == folder else series)]


def _is_second_half(path: Path) -> bool:
    return path.suffix.lower() == ".img" and path.with_suffix(".hdr").exists()


def _of_channels(folder: Path, files: Sequence[Path], channels: int) -> list[dict[str, Any]]:
    matches = [_CHANNEL.fullmatch(scan_name(path)) for path in files]
    if channels == 1 or not all(matches):
        return [{"image": str(path)} for path in files]
    of_scan: dict[str, dict[int, str]] = {}
    for path, match in zip(files, matches, strict=True):
        if match is not None:
            of_scan.setdefault(match[1], {})[int(match[2])] = str(path)
    for name, found in of_scan.items():
        if sorted(found) != list(range(channels)):
            raise InputError(
                folder / name,
                found=f"files for the channels {', '.join(f'{number:04d}' for number in sorted(found))}",
                expected=f"{channels} files, {name}_0000 to {name}_{channels - 1:04d}",
                remedy="add the missing file, or name the scans in a datalist",
            )
    return [{"image": [found[number] for number in range(channels)]} for found in of_scan.values()]
