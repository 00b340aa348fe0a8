"""Which files are images, in which order people expect them, and what files one image is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePath

from ..errors import InputError
from ..volumes import scan_name

__all__ = ["image_files", "is_hidden", "is_image", "natural_order", "one_per_pair", "parts_of"]

# MetaImage's and NRRD's headers name the file with the voxels.
_DATA_FILE = re.compile(r"^(?:ElementDataFile[ \t]*=|data ?file:)[ \t]*(.+)$", re.IGNORECASE | re.MULTILINE)
_LONGEST_HEADER = 1 << 20


def is_image(path: str | PurePath) -> bool:
    """Tell by the ending whether a file is an image that the pipeline can read."""
    return scan_name(path) != PurePath(path).name


def is_hidden(path: PurePath) -> bool:
    """Tell whether a file is hidden; the `._NAME` that macOS leaves beside a NAME is."""
    return path.name.startswith(".")


def natural_order(text: str | PurePath) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts slice_2 before slice_10."""
    parts = re.split(r"([0-9]+)", str(text))
    return tuple((1, int(part), part) if part.isdigit() else (0, 0, part) for part in parts)


def image_files(folder: Path) -> list[Path]:
    """Return a folder's images in natural order, without hidden files; none where there is no such folder."""
    if not folder.is_dir():
        return []
    files = (path for path in folder.iterdir() if is_image(path) and not is_hidden(path) and path.is_file())
    return one_per_pair(sorted(files, key=natural_order))


def one_per_pair(files: Iterable[Path]) -> list[Path]:
    """Leave out each `.img` whose `.hdr` is among the files, because the two are one image."""
    files = list(files)
    headers = {path.with_suffix("") for path in files if path.suffix.lower() == ".hdr"}
    return [path for path in files if path.suffix.lower() != ".img" or path.with_suffix("") not in headers]


def parts_of(image: Path) -> list[Path]:
    """Return the files that an image is made of, whether or not they exist.

    Args:
        image: a file, or the folder of a DICOM series, whose subfolders do not belong to it.

    Raises:
        InputError: the folder holds no file.
    """
    if image.is_dir():
        return _files_of_series(image)
    ending = image.suffix.lower()
    if ending in (".hdr", ".img"):
        other = {".hdr": ".img", ".img": ".hdr"}[ending]
        return [image, image.with_suffix(other.upper() if image.suffix.isupper() else other)]
    if ending in (".mhd", ".nhdr") and image.is_file():
        return [image, *_data_files(image)]
    return [image]


def _files_of_series(folder: Path) -> list[Path]:
    files = [path for path in folder.iterdir() if path.is_file() and not is_hidden(path) and path.name != "DICOMDIR"]
    if not files:
        raise InputError(
            folder,
            found="a folder without files",
            expected="an image, or a folder with the files of one DICOM series",
            remedy="give the folder that holds the DICOM files themselves",
        )
    return sorted(files, key=natural_order)


def _data_files(header: Path) -> list[Path]:
    with header.open("rb") as stream:
        text = stream.read(_LONGEST_HEADER).decode("latin-1").replace("\r", "")
    match = _DATA_FILE.search(text)
    named = match[1].strip() if match else "LOCAL"
    if named.upper() == "LOCAL":
        names = []
    elif match and named.upper().split()[0] == "LIST":
        names = [line.strip() for line in text[match.end() :].splitlines() if line.strip()]
    elif numbered := re.fullmatch(r"(\S*%\S*)\s+(\d+)\s+(\d+)(?:\s+(\d+))?.*", named):
        pattern, first, last, step = numbered.groups(default="1")
        names = [_filled(pattern, number, header) for number in range(int(first), int(last) + 1, int(step) or 1)]
    else:
        names = [named]
    return [header.parent / name for name in names]


def _filled(pattern: str, number: int, header: Path) -> str:
    try:
        return pattern % number
    except (TypeError, ValueError) as error:
        raise InputError(
            header,
            found=f"a data file pattern {pattern!r} that takes no number",
            expected="a pattern such as slice%03d.raw",
            remedy="correct the header, or make the file again",
        ) from error
