"""The scans of a folder: files of one kind of image, one file per channel or all channels in one, or DICOM series."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .dicom_files import dicom_files
from .errors import InputError
from .volumes import is_nifti, scan_name

__all__ = ["FoundScan", "case_name", "group_channels", "is_series", "scans_in_folder", "scans_of_folder"]

_OUTPUT_ENDINGS = (
    *("_seg.nii.gz", "_prob.nii.gz", "_entropy.nii.gz"),
    *(".seg.nrrd", "_seg.nrrd", "_seg.dcm", "_preview.png"),
)
# Of several kinds in a folder the first one counts: pictures beside volumes are previews, as a rule.
_VOLUMES = (".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".img")
_PICTURES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")
_CHANNEL = re.compile(r"(.+)_(\d{4})")


@dataclass(frozen=True)
class FoundScan:
    """A scan of a folder.

    Args:
        files: its files, one per channel or one with all, or the folder of a DICOM series.
        problem: what is missing of it.
    """

    files: tuple[str, ...]
    problem: InputError | None = None


def case_name(path: str | Path, *, channels: int) -> str:
    """Return the name of a scan by its (first) file; of several channels, without the ending `_0000`."""
    name = scan_name(path)
    return name.removesuffix("_0000") if channels > 1 else name


def scans_of_folder(folder: Path, *, channels: int) -> list[dict[str, Any]]:
    """Return the items `{"image": path or list of paths}` of a folder's scans, sorted by name.

    Arguments and rules are those of `scans_in_folder`.

    Raises:
        InputError: there is no scan, or one lacks a channel.
    """
    found = scans_in_folder(folder, channels=channels)
    for scan in found:
        if scan.problem is not None:
            raise scan.problem
    return [{"image": scan.files[0] if len(scan.files) == 1 else list(scan.files)} for scan in found]


def scans_in_folder(folder: Path, *, channels: int) -> list[FoundScan]:
    """Find a folder's scans, sorted by name.

    Files are NIfTI; where there are none, NRRD, MetaImage or `.hdr/.img`; where there are none either, pictures. What
    inference wrote beside a scan is no scan. A folder without NIfTI, NRRD and the like that holds DICOM files (named
    `.dcm`, or known by their first bytes) is a series itself; without any scan, each of its subfolders that does is
    one, or each of theirs, as scanners export them.

    Args:
        folder: an existing folder.
        channels: where more than one, and all files are called NAME_0000, NAME_0001, …, those are one scan's channels.

    Raises:
        InputError: there is no scan.
        OSError: the folder cannot be listed.
    """
    visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    files = _without_outputs(visible, channels)
    kinds = [
        [path for path in files if is_nifti(path)],
        [path for path in files if path.suffix.lower() in _VOLUMES and not _is_second_half(path)],
        [path for path in files if path.suffix.lower() in _PICTURES],
    ]
    if kinds[0] or kinds[1]:
        return group_channels(kinds[0] or kinds[1], channels=channels)
    # Pictures beside the files of a series are previews.
    if is_series(folder):
        return [FoundScan((str(folder),))]
    if kinds[2]:
        return group_channels(kinds[2], channels=channels)
    below = [path for path in visible if path.is_dir()]
    series = [path for path in below if is_series(path)]
    series = series or [path for above in below for path in _subfolders(above) if is_series(path)]
    if not series:
        shown_names = [path.name + "/" * path.is_dir() for path in visible]
        shown = ", ".join(shown_names[:5]) + (f" and {len(shown_names) - 5} more" if len(shown_names) > 5 else "")
        raise InputError(
            folder,
            found=f"no scan; the folder holds {shown or 'hidden files only'}",
            expected="scans (NIfTI, NRRD, MHA, pictures) directly in the folder, or DICOM series",
            remedy="give the folder that holds the scans themselves, or name them in a datalist",
        )
    return [FoundScan((str(path),)) for path in series]


def is_series(folder: Path) -> bool:
    """Tell whether DICOM files other than predictions lie directly in a folder; False where it cannot be listed."""
    try:
        names = {path.name for path in folder.iterdir()}
        return any(not _is_output_of(path.name, names) for path in dicom_files(folder))
    except OSError:
        return False


def group_channels(files: Sequence[Path], *, channels: int) -> list[FoundScan]:
    """Put the files of one folder together that are channels of one scan.

    Args:
        files: in the order in which their scans shall come.
        channels: of a scan. Where more than one, and all files are called NAME_0000, NAME_0001, …, those are one
            scan's channels; otherwise each file is a scan.
    """
    matches = [_CHANNEL.fullmatch(scan_name(path)) for path in files]
    if channels == 1 or not all(matches):
        return [FoundScan((str(path),)) for path in files]
    of_scan: dict[str, list[tuple[int, str]]] = {}
    for path, match in zip(files, matches, strict=True):
        if match is not None:
            of_scan.setdefault(match[1], []).append((int(match[2]), str(path)))
    return [_of_channels(files[0].parent / name, sorted(found), channels) for name, found in of_scan.items()]


def _of_channels(scan: Path, found: Sequence[tuple[int, str]], channels: int) -> FoundScan:
    numbers, files = [number for number, _ in found], tuple(file for _, file in found)
    if numbers == list(range(channels)):
        return FoundScan(files)
    problem = InputError(
        scan,
        found=f"files for the channels {', '.join(f'{number:04d}' for number in numbers)}",
        expected=f"{channels} files, {scan.name}_0000 to {scan.name}_{channels - 1:04d}",
        remedy="add the missing file, or name the scans in a datalist",
    )
    return FoundScan(files, problem)


def _without_outputs(visible: Sequence[Path], channels: int) -> list[Path]:
    files = [path for path in visible if path.is_file() and scan_name(path) != path.name]
    names = [case_name(path, channels=count) for path in files for count in {1, channels}]
    outputs = {name + ending for name in names for ending in _OUTPUT_ENDINGS}
    # The label map of a series lies beside the series' folder.
    folders = {path.name for path in visible if path.is_dir()}
    return [path for path in files if path.name not in outputs and not _is_output_of_series(path, folders)]


def _is_output_of_series(path: Path, folders: set[str]) -> bool:
    names = [path.name.removesuffix(ending) for ending in _OUTPUT_ENDINGS if path.name.endswith(ending)]
    return any(name in folders and is_series(path.parent / name) for name in names)


def _is_output_of(name: str, others: set[str]) -> bool:
    """Tell whether a DICOM file is the segmentation of another file or folder beside it."""
    ending = "_seg.dcm"
    scan = name.removesuffix(ending)
    return name.endswith(ending) and any(scan in (other, scan_name(other)) for other in others)


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []


def _is_second_half(path: Path) -> bool:
    return path.suffix.lower() == ".img" and path.with_suffix(".hdr").exists()
