"""The scans that a user names, word by word: files, folders, DICOM series, files of one scan, datalists."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from .datalist import as_list
from .dataset import datalist_folder
from .errors import InputError
from .folder_scans import FoundScan, find_folder_scans, group_channels
from .images.dicom_files import is_dicom, split_series
from .images.endings import DICOM_DIRECTORY, is_detached, is_image, is_pair, is_store
from .images.file_start import unreadable_error
from .images.files import missing_error, natural_order, pair_of, parts_of
from .nearest import nearest_path
from .scans import read_named_scans

__all__ = ["find_named_scans"]


def find_named_scans(words: Sequence[str | Path], *, channels: int, outside: bool = False) -> list[FoundScan]:
    """Return the scans that words name, in the order of the words; a folder's are sorted by name.

    Args:
        words: paths, or several paths of one scan joined by commas.
        channels: channels of a scan.
        outside: whether a datalist may name files outside its folder; see `find_outside`.

    Raises:
        InputError: the only word is a folder without scans, or a datalist is broken or names files outside its folder.
            A problem of one scan, or of one folder of several, is in `FoundScan.problem` instead.
    """
    found = [scan for group in _scans_by_word(words, channels, outside=outside) for scan in group]
    detached = {path for scan in found for path in _detached_files(scan)}
    # scans/* names a.raw, the voxels of a.mhd, as well.
    return [scan for scan in found if scan.problem is None or scan.files[0] not in detached]


def _scans_by_word(inputs: Sequence[str | Path], channels: int, *, outside: bool) -> Iterator[Sequence[FoundScan]]:
    """Yield the scans of each word. A scan whose channels are several words comes at the first of them."""
    files: dict[str, list[Path]] = {}
    words: list[Path | Sequence[FoundScan]] = []
    for word in inputs:
        path = _absolute(word)
        missing = _find_missing([str(path)])
        if missing is not None:
            words.append(
                [_scan_of_files(str(word), channels) if "," in str(word) else FoundScan((str(path),), missing)]
            )
        elif (file := _image_file(path)) is not None:
            words.append(file)
            if file not in files.setdefault(str(file.parent), []):
                files[str(file.parent)].append(file)
        else:
            words.append(_scans_of_word(path, channels, alone=len(inputs) == 1, outside=outside))
    of_file = {
        file: scan
        for folder in files.values()
        for scan in group_channels(folder, channels=channels)
        for file in scan.files
    }
    for entry in words:
        yield [of_file[str(entry)]] if isinstance(entry, Path) else entry


def _absolute(path: str | Path) -> Path:
    # Keep links: a scan has the link's name. Unlike pathlib, this accepts a ~ that is no home folder.
    return Path(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111


def _image_file(path: Path) -> Path | None:
    """Return the path if it is an image, or the header for either half of a pair; None if it is not an image."""
    if is_store(path):
        return path if path.is_dir() else None
    if not path.is_file():
        return None
    if is_pair(path):
        header = Path(pair_of(str(path))[0])
        return header if header.is_file() else path
    return path if is_image(path) or (is_dicom(path) and path.name.upper() != DICOM_DIRECTORY) else None


def _scans_of_word(path: Path, channels: int, *, alone: bool, outside: bool) -> Sequence[FoundScan]:
    """Return the scans of an existing path that is not a single image."""
    if path.is_dir():
        try:
            return _scans_of_folder(path, channels)
        except InputError as error:
            if alone:
                raise
            return [FoundScan((str(path),), error)]
    if path.is_file() and path.suffix.lower() == ".json":
        folder = datalist_folder(path)
        items = read_named_scans(folder, path, outside=outside, option="--outside")
        scans = [tuple(as_list(item["image"])) for item in items]
        return [FoundScan(files, _find_missing(files)) for files in scans]
    # A pipe can have the name of an image; reading refuses it.
    known = is_image(path) or bool(split_series(path)[1])
    return [FoundScan((str(path),), None if known else _not_an_image(path))]


def _scans_of_folder(folder: Path, channels: int) -> Sequence[FoundScan]:
    try:
        if any(folder.iterdir()):
            return sorted(find_folder_scans(folder, channels=channels), key=lambda scan: natural_order(scan.files[0]))
    except OSError as error:
        return [FoundScan((str(folder),), unreadable_error(str(folder), error))]
    raise InputError(
        folder, found="an empty folder", expected="a folder with scans", remedy="name the folder that holds the scans"
    )


def _scan_of_files(word: str, channels: int) -> FoundScan:
    parts = [part.strip() for part in word.split(",") if part.strip()]
    files = tuple(str(_absolute(part)) for part in parts)
    problem = _find_missing(files)
    if problem is None and len(files) != channels:
        problem = InputError(
            word,
            found=f"{len(files)} file{'s' * (len(files) != 1)} joined by commas",
            expected=f"{channels} files, one per channel of the network" if channels > 1 else "one file per scan",
            remedy="join the files of one scan by commas, in the order of the channels; put spaces between scans",
        )
    if problem is None and len(set(files)) != len(files):
        problem = InputError(
            word,
            found="one file for several channels",
            expected=f"{channels} different files",
            remedy="name the file of each channel",
        )
    return FoundScan(files or (word,), problem)


def _find_missing(files: Iterable[str]) -> InputError | None:
    for file in files:
        try:
            Path(split_series(file)[0]).stat()
        except (FileNotFoundError, NotADirectoryError, ValueError):
            if Path(file).parent.is_dir() and Path(file).is_symlink():
                return missing_error(file, "")
            return InputError(
                file,
                found="no such file or folder",
                expected="a scan",
                remedy=_suggest_path(file),
                kind="missing",
            )
        except OSError as error:
            return unreadable_error(file, error)
    return None


def _suggest_path(file: str) -> str:
    """Return the remedy for a path that does not exist."""
    if any(letter in Path(file).name for letter in "*?["):
        return "leave the quotes out, so that the shell replaces the pattern by the files' names"
    near = nearest_path(file)
    return f"did you mean {near}?" if near else "check the path, or copy the file there"


def _not_an_image(path: Path) -> InputError:
    found, remedy = "a file whose name is not an image's", "leave it out, or convert it to NIfTI"
    if path.name.upper() == DICOM_DIRECTORY:
        found, remedy = "the directory file of a DICOM medium", "name the folder of the series itself"
    elif path.suffix.lower() == ".zip":
        found, remedy = "a zip", "unpack it, and name the folder with the scans"
    return InputError(
        path,
        found=found,
        expected="a scan: NIfTI, NRRD, MHA, MGZ, Zarr, a picture, a DICOM series' folder, or a datalist (.json)",
        remedy=remedy,
        kind="not-an-image",
    )


def _detached_files(scan: FoundScan) -> Iterator[str]:
    for file in scan.files:
        if is_detached(file) and os.access(file, os.R_OK):
            yield from (str(_absolute(part)) for part in parts_of(Path(file))[1:])
