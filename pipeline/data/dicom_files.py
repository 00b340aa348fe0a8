"""DICOM files by their first bytes: which files are DICOM, which of them images, and how their voxels are packed."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

__all__ = ["dicom_files", "is_dicom", "other_content", "unreadable_packing"]

_PREAMBLE = 128
_MAGIC = b"DICM"
_DICOM = ".dcm"
# The list of a medium's files: DICOM by its first bytes, and no image.
_DIRECTORY = "DICOMDIR"
_META_GROUP = 2
_SOP_CLASS, _TRANSFER_SYNTAX = 0x0002, 0x0010
_LONG_LENGTH = {b"OB", b"OW", b"OF", b"SQ", b"UN", b"UT"}
_STORAGE = "1.2.840.10008.5.1.4.1.1."
# SOP classes (PS3.4, annex B.5) of what archives send along with scans.
_NO_IMAGES = {
    "481.3": "an RT structure set",
    "481.5": "an RT plan",
    "88.": "a structured report",
    "104.": "a document",
    "11.": "a presentation state",
    "9.": "a waveform",
    "66": "raw data",
    "66.1": "a spatial registration",
    "66.2": "spatial fiducials",
    "66.4": "a segmentation",
    "66.5": "a surface segmentation",
    "66.7": "a segmentation",
}
# Transfer syntaxes (PS3.5, annex A.4) that ITK's GDCM does not decode.
_PACKINGS = {
    "1.2.840.10008.1.2.4.10": "MPEG video",
    "1.2.840.10008.1.2.4.11": "JPEG XL",
    "1.2.840.10008.1.2.4.20": "High-Throughput JPEG 2000",
}


def is_dicom(path: str | Path) -> bool:
    """Tell by its first bytes whether a file is DICOM; its name may have any ending or none."""
    try:
        if not Path(path).is_file():
            return False
        with Path(path).open("rb") as stream:
            return stream.read(_PREAMBLE + len(_MAGIC))[_PREAMBLE:] == _MAGIC
    except OSError:
        return False


def dicom_files(folder: Path) -> Iterator[Path]:
    """Yield the DICOM files that lie directly in a folder, by their ending or else by their first bytes.

    Raises:
        OSError: the folder cannot be listed.
    """
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.upper() == _DIRECTORY:
            continue
        if (path.suffix.lower() == _DICOM and path.is_file()) or is_dicom(path):
            yield path


def other_content(path: str | Path) -> str | None:
    """Return in words what a DICOM file holds that is no image, such as "a structured report"; None for an image."""
    kind = _meta(path).get(_SOP_CLASS, "")
    if not kind.startswith(_STORAGE):
        return None
    number = kind.removeprefix(_STORAGE)
    return next(
        (words for key, words in _NO_IMAGES.items() if (number.startswith(key) if key[-1] == "." else number == key)),
        None,
    )


def unreadable_packing(path: str | Path) -> str | None:
    """Return the name of a compression that ITK does not decode; None for one that it does, and where there is none."""
    syntax = _meta(path).get(_TRANSFER_SYNTAX, "")
    # Of each family one digit more names the member; 1.2.840.10008.1.2.4.90, JPEG 2000, is none of them.
    return _PACKINGS.get(syntax[:-1])


def _meta(path: str | Path) -> dict[int, str]:
    """Read the file meta information (PS3.10, section 7.1): text by element number, as far as it is in order."""
    with Path(path).open("rb") as stream:
        content = stream.read(1 << 14)
    found: dict[int, str] = {}
    place = _PREAMBLE + len(_MAGIC)
    while place + 12 <= len(content):
        group, element = struct.unpack_from("<HH", content, place)
        if group != _META_GROUP:
            break
        long = content[place + 4 : place + 6] in _LONG_LENGTH
        (length,) = struct.unpack_from("<I" if long else "<H", content, place + (8 if long else 6))
        place += 12 if long else 8
        found[element] = content[place : place + length].decode("latin-1").strip("\0 ")
        place += length
    return found
