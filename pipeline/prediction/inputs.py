"""What `lightskip predict` is given, word by word, as scans: files, folders, DICOM series, datalists."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..data.case_names import case_stems, full_names, tell_apart
from ..data.datalist import as_list
from ..data.dataset import datalist_folder
from ..data.errors import InputError
from ..data.folder_scans import FoundScan, group_channels, scans_in_folder
from ..data.images.dicom_files import is_dicom
from ..data.images.endings import DICOM_DIRECTORY, is_detached, is_image, is_pair, is_store
from ..data.images.file_start import unreadable
from ..data.images.files import natural_order, pair_of, parts_of
from ..data.nearest import nearest_path
from ..data.scans import named_scans

__all__ = ["ScanInput", "read_inputs"]


@dataclass(frozen=True)
class ScanInput:
    """One scan to segment.

    Args:
        name: what its outputs are called after; no other scan of the list has it.
        files: absolute paths: one file with all channels, one per channel, or the folder of a DICOM series.
        problem: why it cannot be segmented, as far as the names of its files tell; None where they tell nothing.
        notes: what a user should know, as of what was left out of its folder.
    """

    name: str
    files: tuple[str, ...]
    problem: InputError | None = None
    notes: tuple[str, ...] = ()


def read_inputs(inputs: Sequence[str | Path], *, channels: int) -> list[ScanInput]:
    """Find the scans that the words of a command line name.

    A word is a file (a `.hdr/.img` pair by either half), a folder (the scans in it, see `scans_in_folder`, or one DICOM
    series), several files of one scan joined by commas, or a datalist (`.json`), whose relative paths start from the
    folder that it names, else from its own. With several channels, files of one folder called NAME_0000, NAME_0001, …
    are one scan.

    Args:
        inputs: the words. A scan that two of them name comes once.
        channels: of a scan.

    Returns:
        The scans in the order of the words, a folder's by name (2 before 10). Scans of the same name from different
        folders get the names of their folders in front, as many as it takes: `day1_scan`, `day2_scan`. A folder's first
        scan has notes on what was left out of it.

    Raises:
        InputError: nothing is given, the only word is a folder that is empty or without scans, a datalist is broken, or
            two scans of one folder have the same name. What is wrong with one scan or one folder of several is its
            `problem` instead.
    """
    if not inputs or not all(str(word).strip() for word in inputs):
        raise InputError(
            "INPUT",
            found="an empty word" if inputs else "no scan to segment",
            expected="at least one scan: a file, a folder, a DICOM series or a datalist",
            remedy="name it after the bundle: lightskip predict BUNDLE INPUT...",
        )
    found = [scan for group in _grouped(inputs, channels) for scan in group]
    given = {path for scan in found for path in _detached_files(scan)}
    # scans/* names the voxels of a.mhd, a.raw, as well.
    found = [scan for scan in found if scan.problem is None or scan.files[0] not in given]
    stems = case_stems([scan.files for scan in found])
    scans = [
        ScanInput(_name_of_problem(scan) or stem, scan.files, scan.problem, scan.notes)
        for scan, stem in zip(found, stems, strict=True)
    ]
    return _with_distinct_names(_each_once(scans))


def _name_of_problem(scan: FoundScan) -> str:
    """Return the name of the path that a scan's problem is about; nothing where there is none."""
    if scan.problem is not None and Path(scan.problem.where).is_absolute():
        return Path(scan.problem.where).name
    return ""


def _grouped(inputs: Sequence[str | Path], channels: int) -> Iterator[Sequence[FoundScan]]:
    """Yield the scans of each word; those of several files, given as words, where the first of them stands."""
    files: dict[str, list[Path]] = {}
    words: list[Path | Sequence[FoundScan]] = []
    for word in inputs:
        path = _absolute(word)
        missing = _missing([str(path)])
        if missing is not None:
            words.append([_joined(str(word), channels) if "," in str(word) else FoundScan((str(path),), missing)])
        elif _is_scan(path):
            path = _header_of(path)
            words.append(path)
            if path not in files.setdefault(str(path.parent), []):
                files[str(path.parent)].append(path)
        else:
            words.append(_scans_of_word(path, channels, alone=len(inputs) == 1))
    of_file = {
        file: scan
        for folder in files.values()
        for scan in group_channels(folder, channels=channels)
        for file in scan.files
    }
    for entry in words:
        yield [of_file[str(entry)]] if isinstance(entry, Path) else entry


def _absolute(path: str | Path) -> Path:
    # Links stay: the scan is called by the link's name. Unlike pathlib this takes a ~ that is nobody's home.
    return Path(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111


def _is_scan(path: Path) -> bool:
    if is_store(path):
        return path.is_dir()
    return path.is_file() and (is_image(path) or (is_dicom(path) and path.name.upper() != DICOM_DIRECTORY))


def _scans_of_word(path: Path, channels: int, *, alone: bool) -> Sequence[FoundScan]:
    """Return the scans of a word that is there and no single image."""
    if path.is_dir():
        try:
            return _scans_of_folder(path, channels)
        except InputError as error:
            if alone:
                raise
            return [FoundScan((str(path),), error)]
    if path.is_file() and path.suffix.lower() == ".json":
        items = [tuple(as_list(item["image"])) for item in named_scans(datalist_folder(path), path)]
        return [FoundScan(files, _missing(files)) for files in items]
    # A pipe may have the name of an image; reading refuses it.
    return [FoundScan((str(path),), None if is_image(path) else _no_image(path))]


def _scans_of_folder(folder: Path, channels: int) -> Sequence[FoundScan]:
    try:
        if any(folder.iterdir()):
            return sorted(scans_in_folder(folder, channels=channels), key=lambda scan: natural_order(scan.files[0]))
    except OSError as error:
        return [FoundScan((str(folder),), unreadable(str(folder), error))]
    raise InputError(
        folder, found="an empty folder", expected="a folder with scans", remedy="give the folder that holds the scans"
    )


def _joined(word: str, channels: int) -> FoundScan:
    parts = [part.strip() for part in word.split(",") if part.strip()]
    files = tuple(str(_absolute(part)) for part in parts)
    problem = _missing(files)
    if problem is None and len(files) != channels:
        problem = InputError(
            word,
            found=f"{len(files)} file{'s' * (len(files) != 1)} joined by commas",
            expected=f"{channels} files, one per channel of the network" if channels > 1 else "one file per scan",
            remedy="join the files of one scan by commas, in the order of the channels, and put spaces between scans",
        )
    if problem is None and len(set(files)) != len(files):
        problem = InputError(
            word,
            found="one file for several channels",
            expected=f"{channels} different files",
            remedy="name the file of each channel",
        )
    return FoundScan(files or (word,), problem)


def _missing(files: Iterable[str]) -> InputError | None:
    for file in files:
        try:
            Path(file).stat()
        except (FileNotFoundError, NotADirectoryError, ValueError):
            link = Path(file).parent.is_dir() and Path(file).is_symlink()
            return InputError(
                file,
                found="a link to a file that is not there" if link else "no such file or folder",
                expected="a scan",
                remedy="copy the file that it points to as well" if link else _instead(file),
                kind="missing",
            )
        except OSError as error:
            return unreadable(file, error)
    return None


def _instead(file: str) -> str:
    """Say what to do about a path that is not there."""
    if any(letter in Path(file).name for letter in "*?["):
        return "leave the quotes out, so that the shell puts the files' names in the place of the pattern"
    near = nearest_path(file)
    return f"did you mean {near}?" if near else "check the path, or copy the file there"


def _no_image(path: Path) -> InputError:
    directory = path.name.upper() == DICOM_DIRECTORY
    return InputError(
        path,
        found="the list of a DICOM medium" if directory else "a file that is no image by its name",
        expected="a scan: NIfTI, NRRD, MHA, MGZ, Zarr, a picture, a DICOM series' folder, or a datalist (.json)",
        remedy="give the folder of the series itself" if directory else "leave it out, or convert it to NIfTI",
        kind="not-an-image",
    )


def _header_of(path: Path) -> Path:
    """Return a pair's header, so that both halves name the same scan."""
    header = Path(pair_of(str(path))[0]) if is_pair(path) else path
    return header if header.is_file() else path


def _detached_files(scan: FoundScan) -> Iterator[str]:
    for file in scan.files:
        if is_detached(file) and os.access(file, os.R_OK):
            yield from (str(_absolute(part)) for part in parts_of(Path(file))[1:])


def _each_once(scans: Iterable[ScanInput]) -> list[ScanInput]:
    """Leave out a scan that was named before. Links to one file are different scans by different names."""
    unique: dict[tuple[str, ...], ScanInput] = {}
    for scan in scans:
        key = (scan.name, *map(os.path.realpath, scan.files))
        first = unique.setdefault(key, scan)
        unique[key] = replace(first, notes=tuple(dict.fromkeys((*first.notes, *scan.notes))))
    return list(unique.values())


def _with_distinct_names(scans: Sequence[ScanInput]) -> list[ScanInput]:
    """Return the scans with their final names.

    Raises:
        InputError: folders' names cannot tell two scans of one name apart.
    """
    stems, items = [scan.name for scan in scans], [scan.files for scan in scans]
    first_of: dict[str, str] = {}
    for scan, name in zip(scans, full_names(stems, items), strict=True):
        file = scan.files[0]
        if name in first_of:
            raise InputError(
                file,
                found=f"the same name as {first_of[name]}",
                expected="scans with different names, because the label maps are named after them",
                remedy="rename one of the two, or predict them into different folders",
            )
        first_of[name] = file
    return [replace(scan, name=name) for scan, name in zip(scans, tell_apart(stems, items), strict=True)]
