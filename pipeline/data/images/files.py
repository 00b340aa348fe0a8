"""The images of a folder, in natural order, and the files that one image consists of."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import TypeVar

from ..errors import InputError
from .dicom_files import split_series
from .endings import DICOM_DIRECTORY, is_detached, is_image, is_pair, is_store, is_tiff, scan_name, split_ending

__all__ = [
    "check_parts",
    "image_files",
    "is_dangling",
    "is_hidden",
    "is_image_here",
    "is_second_half",
    "missing_error",
    "natural_order",
    "one_per_pair",
    "pair_of",
    "parts_of",
    "spacing_file",
]

_Path = TypeVar("_Path", bound=PurePath)
# MetaImage's and NRRD's headers name the file with the voxels.
_DATA_FILE = re.compile(r"^(?:ElementDataFile[ \t]*=|data ?file:)[ \t]*(.+)$", re.IGNORECASE | re.MULTILINE)
_MAX_HEADER = 1 << 20
_NUMBERED = re.compile(r"[^%]*%[ 0+-]?\d{0,2}[diu][^%]*")
_MAX_FILES = 100_000  # with the voxels of one image
_CHANNEL = re.compile(r"_[0-9]{4}$")
_ANNEX_FOLDER = ".git/annex/objects"  # a part of the target of git-annex's links


def is_hidden(path: PurePath) -> bool:
    """Return whether a file is hidden, such as macOS's `._NAME`."""
    return path.name.startswith(".")


def is_dangling(path: Path) -> bool:
    """Return whether a path is a link to something that does not exist, such as git-annex leaves them."""
    return path.is_symlink() and not path.exists()


def natural_order(text: str | PurePath) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts slice_2 before slice_10."""
    parts = re.split(r"([0-9]+)", str(text))
    return tuple((1, int(part), part) if part.isdigit() else (0, 0, part) for part in parts)


def is_image_here(path: Path) -> bool:
    """Return whether a path has the ending of an image and is a file, or a folder if it is a Zarr store.

    A link to something that does not exist counts: it is an image that cannot be read.
    """
    return is_image(path) and ((path.is_dir() if is_store(path) else path.is_file()) or is_dangling(path))


def image_files(folder: Path) -> list[Path]:
    """Return a folder's images in natural order, without hidden files; none if the folder does not exist."""
    if not folder.is_dir():
        return []
    files = (path for path in folder.iterdir() if not is_hidden(path) and is_image_here(path))
    return one_per_pair(sorted(files, key=natural_order))


def one_per_pair(files: Iterable[Path]) -> list[Path]:
    """Return the files without each `.img` whose `.hdr` is among them, because the two are one image."""
    files = list(files)
    headers = {path.with_name(scan_name(path)) for path in files if is_pair(path) and not _has_voxels(path)}
    return [path for path in files if not (_has_voxels(path) and path.with_name(scan_name(path)) in headers)]


def is_second_half(path: Path) -> bool:
    """Return whether a path is the `.img` of a pair whose `.hdr` exists."""
    return _has_voxels(path) and (_other_half(path).exists() or is_dangling(_other_half(path)))


def _has_voxels(path: PurePath) -> bool:
    return is_pair(path) and split_ending(path)[1].lower().startswith(".img")


def pair_of(path: str | PurePath) -> tuple[str, str]:
    """Return the header file and the voxel file of a pair, from the path of either."""
    first, second = sorted([PurePath(path), _other_half(PurePath(path))])
    return str(first), str(second)


def _other_half(path: _Path) -> _Path:
    """Return the other file of a pair; its ending keeps upper and lower case."""
    ending = path.name[-7:] if path.suffix.lower() == ".gz" else path.name[-4:]
    exchanged = ending.translate(str.maketrans("hdrHDRimgIMG", "imgIMGhdrHDR"))
    return path.with_name(path.name[: -len(ending)] + exchanged[:4] + ending[4:])


def parts_of(image: Path) -> list[Path]:
    """Return the files that an image consists of, whether or not they exist.

    Args:
        image: a file; a Zarr store, with all files below it; or the folder of a DICOM series, without its subfolders.

    Raises:
        InputError: the folder contains no file.
    """
    image = Path(split_series(image)[0])
    if image.is_dir():
        return _files_of_store(image) if is_store(image) else _files_of_series(image)
    if is_pair(image):
        return [image, _other_half(image)]
    if is_detached(image) and image.is_file():
        return [image, *_data_files(image)]
    if is_tiff(image) and spacing_file(image).is_file():
        return [image, spacing_file(image)]
    return [image]


def check_parts(path: str) -> None:
    """Raise an InputError if the file, or another one that belongs to it, is missing."""
    missing = (
        []
        if Path(split_series(path)[0]).is_dir()
        else [part.name for part in parts_of(Path(path)) if not os.path.exists(part)]  # noqa: PTH110 - False of too long a name, too
    )
    if missing and missing[0] == Path(path).name:
        raise missing_error(path, "copy the file there")
    if missing:
        half = "voxels without their header" if path.lower().endswith(".img") else "a header without its voxels"
        raise InputError(
            path,
            found=f"{half}: no {missing[0]:.80} next to it",
            expected="an image with both of its files",
            remedy="copy that file there; if it was renamed, correct its name in the header",
            kind="missing",
        )


def missing_error(path: str, remedy: str) -> InputError:
    """Return the InputError for a path that does not exist, or is a link to something that does not.

    Args:
        path: of a file, or of one that belongs to an image.
        remedy: what to do if it is not a link.
    """
    link = is_dangling(Path(path))
    found = "a link to a file that is not there" if link else "no such file"
    if link:
        remedy = "copy the file that it points to as well"
        if _ANNEX_FOLDER in Path(path).readlink().as_posix():
            found += ", as DataLad and git-annex leave them"
            remedy = "run `datalad get` or `git annex get` in the dataset's folder"
    return InputError(path, found=found, expected="an image", remedy=remedy, kind="missing")


def spacing_file(path: str | PurePath) -> Path:
    """Return the JSON file in which nnU-Net expects a TIFF's spacing, whether or not it exists.

    For the image NAME_0000.tif and the label map NAME.tif it is NAME.json.
    """
    return Path(path).with_name(_CHANNEL.sub("", scan_name(path)) + ".json")


def _files_of_store(folder: Path) -> list[Path]:
    return sorted((path for path in folder.rglob("*") if path.is_file()), key=natural_order) or [folder]


def _files_of_series(folder: Path) -> list[Path]:
    files = [
        path for path in folder.iterdir() if path.is_file() and not is_hidden(path) and path.name != DICOM_DIRECTORY
    ]
    if not files:
        raise InputError(
            folder,
            found="a folder without files",
            expected="an image, or a folder with the files of one DICOM series",
            remedy="give the folder that directly contains the DICOM files",
        )
    return sorted(files, key=natural_order)


def _data_files(header: Path) -> list[Path]:
    with header.open("rb") as stream:
        text = stream.read(_MAX_HEADER).decode("latin-1").replace("\r", "")
    match = _DATA_FILE.search(text)
    named = (match[1].strip() if match else "") or "LOCAL"
    is_meta = match is not None and match[0][0] in "Ee"
    if named.upper() == "LOCAL":
        names = []
    elif match and named.upper().split()[0] == "LIST":
        names = _list_names(header, text[match.end() :])
    elif "%" in named and (is_meta or re.match(r"\S*%\S*\s+\d+\s+\d+", named)):
        # MetaImage takes every name with a "%" for a pattern, and teem those with numbers.
        names = _fill_pattern(header, named.split())
    else:
        names = [named]
    return [header.parent / name for name in names]


def _list_names(header: Path, text: str) -> list[str]:
    """Return the names of a list, a line each; ITK cannot take an empty line between two of them."""
    # The first line is the end of the list's own.
    names = [line.strip() for line in text.rstrip().splitlines()[1:]]
    if len(names) > _MAX_FILES:
        raise _pattern_error(header, f"a list of {len(names):,} data files")
    if "" in names:
        raise _pattern_error(header, "an empty line in its list of data files")
    return names


def _fill_pattern(header: Path, words: Sequence[str]) -> list[str]:
    """Return the names of a pattern such as ``s%03d.raw 1 20 1``; the step may be missing.

    ITK hands the pattern to C's `printf`, and counts in steps of 0 or below 0 without an end.
    """
    pattern, counts = words[0], words[1:4]
    if len(counts) < 2 or not all(re.fullmatch(r"[0-9]{1,9}", count) for count in counts):
        raise _pattern_error(header, f"a data file pattern without whole numbers after it: {' '.join(words):.80}")
    first, last, step = map(int, [*counts, "1"][:3])
    if step < 1:
        raise _pattern_error(header, f"a data file pattern with a step of {step}")
    numbers = range(first, last + 1, step)
    if not _NUMBERED.fullmatch(pattern):
        found = f"a data file pattern {pattern[:80]!r} without a place for a number"
    elif len(numbers) > _MAX_FILES:
        found = f"a pattern for {len(numbers):,} data files"
    else:
        return [pattern % number for number in numbers]
    raise _pattern_error(header, found)


def _pattern_error(header: Path, found: str) -> InputError:
    return InputError(
        header,
        found=found,
        expected=f"a name in each line, or a pattern such as slice%03d.raw 1 20 1, for at most {_MAX_FILES:,} files",
        remedy="correct the header, or write the file again",
    )
