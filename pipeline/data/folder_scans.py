"""The scans of a folder: files of one kind of image, with one or all channels per file, or DICOM series."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .case_names import case_stem, case_stems
from .errors import InputError
from .images.dicom_files import dicom_files
from .images.endings import DICOM, is_nifti, is_picture, is_store, is_volume, scan_name
from .images.files import is_dangling, is_image_here, is_second_half
from .json_file import load_json

__all__ = ["FoundScan", "find_folder_scans", "group_channels", "is_series", "list_folder_scans", "recorded_outputs"]

_SEGMENTATION = "_seg.dcm"
# Of regions; those of one region have its name between the scan's and this ending.
_ONE_REGION = ("_region.nii.gz", "_region.seg.nrrd", "_region.dcm", "_region_rtstruct.dcm", "_region.png")
_ALL_REGIONS = ("_regions.nii.gz", "_regions.seg.nrrd", "_regions.dcm", "_regions_rtstruct.dcm")
_STRUCTURES = "_rtstruct.dcm"
_SEGMENTATIONS = (_SEGMENTATION, _STRUCTURES, "_region.dcm", "_regions.dcm")
_OUTPUT_ENDINGS = (
    *(*_ONE_REGION, *_ALL_REGIONS),
    *("_seg.nii.gz", "_prob.nii.gz", "_entropy.nii.gz"),
    *(".seg.nrrd", "_seg.nrrd", _SEGMENTATION, _STRUCTURES, "_seg.png", "_preview.png"),
)
# Folder of the records that prediction keeps of its outputs.
_RECORDS = ".predicted"
_CHANNEL = re.compile(r"(.+)_(\d{4})")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FoundScan:
    """A scan of a folder.

    Args:
        files: its files, one per channel or one with all, or the folder of a DICOM series.
        problem: an error if a channel is missing.
        notes: messages for the user; those about files left out of the folder are with the first scan.
    """

    files: tuple[str, ...]
    problem: InputError | None = None
    notes: tuple[str, ...] = ()


def list_folder_scans(folder: Path, *, channels: int) -> list[dict[str, Any]]:
    """Return the items `{"image": path or list of paths}` of a folder's scans, sorted by name.

    Arguments and rules are those of `find_folder_scans`; files left out are logged.

    Raises:
        InputError: there is no scan, or one lacks a channel.
    """
    found = find_folder_scans(folder, channels=channels)
    for scan in found:
        if scan.problem is not None:
            raise scan.problem
    for note in (note for scan in found for note in scan.notes):
        logger.warning("%s", note)
    return [{"image": scan.files[0] if len(scan.files) == 1 else list(scan.files)} for scan in found]


def find_folder_scans(folder: Path, *, channels: int) -> list[FoundScan]:
    """Return a folder's scans, sorted by name.

    Only the first kind of images that the folder has is used; the notes of the first scan name the others. In this
    order: NIfTI; NRRD, MetaImage, `.hdr/.img`, MGZ and Zarr stores; the folder as a DICOM series (files named `.dcm`,
    or recognised by their first bytes); series in subfolders, as scanners export them; pictures, which are previews if
    there is anything else. In each subfolder a series is the subfolder itself, or else each of its own subfolders.
    Outputs of prediction are no scans: files with the name of an existing scan and the ending of an output, and files
    in the records that prediction keeps. A link to a scan that does not exist is a scan that cannot be read.

    Args:
        folder: an existing folder.
        channels: if more than one, and all files are called NAME_0000, NAME_0001, …, those are one scan's channels.

    Raises:
        InputError: there is no scan.
        OSError: the folder cannot be listed.
    """
    visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    outputs = _find_outputs(folder, visible, channels)
    files = [path for path in visible if path.name not in outputs and is_image_here(path)]
    nifti = [path for path in files if is_nifti(path)]
    volumes = [path for path in files if is_volume(path) and not is_second_half(path)]
    pictures = [path for path in files if is_picture(path)]
    below, deeper = _series_below(folder)
    kinds = [
        group_channels(nifti, channels=channels),
        group_channels(volumes, channels=channels),
        [FoundScan((str(folder),))] * is_series(folder),
        [FoundScan((str(path),)) for path in below],
        group_channels(pictures, channels=channels),
    ]
    found = [kind for kind in kinds if kind]
    if not found:
        shown_names = [path.name + "/" * path.is_dir() for path in visible]
        shown = ", ".join(shown_names[:5]) + (f" and {len(shown_names) - 5} more" if len(shown_names) > 5 else "")
        raise InputError(
            folder,
            found=f"no scan; the folder contains {shown or 'only hidden files'}",
            expected="scans (NIfTI, NRRD, MHA, pictures) directly in the folder, or DICOM series",
            remedy="give the folder that directly contains the scans, or name them in a datalist",
        )
    (first, *more), *others = found
    left = [scan.files[0] for kind in others for scan in kind] + [str(path) for path in deeper]
    return [replace(first, notes=_left_out_notes(left)), *more]


def is_series(folder: Path) -> bool:
    """Return whether a folder directly contains DICOM files other than predictions; False if it cannot be listed.

    Links to DICOM files that do not exist count: the series is one that cannot be read.
    """
    try:
        visible = list(folder.iterdir())
        outputs = _find_outputs(folder, visible, 1)
        dangling = (path for path in visible if path.suffix.lower() == DICOM and is_dangling(path))
        return any(path.name not in outputs for path in (*dangling, *dicom_files(folder)))
    except OSError:
        return False


def group_channels(files: Sequence[Path], *, channels: int) -> list[FoundScan]:
    """Return the scans of one folder's files, whose files may be channels.

    Args:
        files: the files; their order is that of the scans.
        channels: of a scan. If more than one, and all files are called NAME_0000, NAME_0001, …, those are one scan's
            channels; otherwise each file is a scan. Pictures that are all called NAME_0000 have all channels.
    """
    matches = [_CHANNEL.fullmatch(scan_name(path)) for path in files]
    if channels == 1 or not all(matches):
        return [FoundScan((str(path),)) for path in files]
    of_scan: dict[str, list[tuple[int, str]]] = {}
    for path, match in zip(files, matches, strict=True):
        if match is not None:
            of_scan.setdefault(match[1], []).append((int(match[2]), str(path)))
    if all(map(is_picture, files)) and all([number for number, _ in found] == [0] for found in of_scan.values()):
        # A picture in colour, which nnU-Net names like a first channel, has all of them.
        return [FoundScan((str(path),)) for path in files]
    return [_join_channels(files[0].parent / name, sorted(found), channels) for name, found in of_scan.items()]


def _join_channels(scan: Path, found: Sequence[tuple[int, str]], channels: int) -> FoundScan:
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


def _series_below(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the series in subfolders (each itself, or else its own subfolders), and those below another series."""
    series: list[Path] = []
    deeper: list[Path] = []
    for path in _subfolders(folder):
        own = [one for one in _subfolders(path) if is_series(one)]
        if is_series(path):
            series.append(path)
            deeper += own
        else:
            series += own
    return series, deeper


def _left_out_notes(paths: Sequence[str]) -> tuple[str, ...]:
    if not paths:
        return ()
    shown = paths[0] + (" (a DICOM series)" if Path(paths[0]).is_dir() else "")
    if len(paths) == 1:
        what, remedy = f"{shown} was left out", "name it, or move it into a folder of its own"
    else:
        what, remedy = f"{shown} and {len(paths) - 1} more were left out", "name them, or move them into other folders"
    return (f"{what}, because other scans in the folder take precedence: {remedy}",)


def _find_outputs(folder: Path, visible: Sequence[Path], channels: int) -> set[str]:
    """Return the names of the files in a folder that prediction wrote."""
    candidates = [(path.name, ending) for path in visible for ending in _OUTPUT_ENDINGS if path.name.endswith(ending)]
    # Most folders have none, and finding all names takes time.
    if not candidates:
        return set()
    scans, written = set(_possible_names(folder, visible, channels)), recorded_outputs(folder)
    stems = [(name, name.removesuffix(ending), ending in _ONE_REGION) for name, ending in candidates]
    return {
        name
        for name, stem, is_mask in stems
        if name in written or (_starts_with_name(stem, scans) if is_mask else stem in scans)
    }


def _starts_with_name(stem: str, scans: set[str]) -> bool:
    """Return whether a stem is the name of a scan and that of a region, joined by an underscore."""
    parts = stem.split("_")
    return any("_".join(parts[:end]) in scans for end in range(1, len(parts)))


def _possible_names(folder: Path, visible: Sequence[Path], channels: int) -> Iterator[str]:
    """Yield all names that outputs of a folder's scans, of any kind, may start with."""
    below = _subfolders(folder)
    series = [folder, *below, *(one for path in below for one in _subfolders(path))]
    paths = [
        *(path for path in visible if path.is_file() or is_store(path) or is_dangling(path)),
        *(path for path in series if _has_slices(path)),
    ]
    for path, stem in zip(paths, case_stems([[path] for path in paths]), strict=True):
        folders = path.absolute().parent.parts[1:]
        for name in {scan_name(path), stem, *([case_stem(path)] if channels > 1 else [])}:
            yield name
            # Scans with equal names get the names of their folders in front.
            yield from ("_".join([*folders[start:], name]) for start in range(len(folders)))


def _has_slices(folder: Path) -> bool:
    try:
        return any(not path.name.endswith(_SEGMENTATIONS) for path in dicom_files(folder))
    except OSError:
        return False


def recorded_outputs(folder: Path) -> set[str]:
    """Return the file names in prediction's records; unreadable records are skipped."""
    written: set[str] = set()
    for file in (folder / _RECORDS).glob("*.json"):
        try:
            record = load_json(file)
        except (OSError, ValueError, RecursionError):
            continue
        names = record.get("written") if isinstance(record, dict) else None
        written.update(name for name in (names if isinstance(names, list) else []) if isinstance(name, str))
    return written


def _subfolders(folder: Path) -> list[Path]:
    try:
        found = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        return sorted(path for path in found if not is_store(path))
    except OSError:
        return []
