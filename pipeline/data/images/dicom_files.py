"""DICOM files: how to recognise them, which of them are no images, and which compressions ITK cannot decode."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .endings import DICOM, DICOM_DIRECTORY, format_name

__all__ = ["dicom_files", "is_dicom", "other_content", "starts_dicom", "unreadable_packing"]

_PREAMBLE = 128
_MAGIC = b"DICM"
# Scanners name DICOM files in many ways, but never like these formats, so such files need not be opened.
_OTHER_FORMATS = ("nifti", "mgz", "itk")
_STORAGE = "1.2.840.10008.5.1.4.1.1."
# SOP classes (PS3.4, annex B.5) of objects that archives send along with scans.
_OTHER_CONTENT = {
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
# Transfer syntaxes (PS3.5, annex A.4) that ITK's GDCM cannot decode.
_UNREADABLE_SYNTAXES = {
    "1.2.840.10008.1.2.4.10": "MPEG video",
    "1.2.840.10008.1.2.4.11": "JPEG XL",
    "1.2.840.10008.1.2.4.20": "High-Throughput JPEG 2000",
}


def starts_dicom(start: bytes) -> bool:
    """Return whether the first bytes of a file are those of DICOM."""
    return start[_PREAMBLE : _PREAMBLE + len(_MAGIC)] == _MAGIC


def is_dicom(path: str | Path) -> bool:
    """Return whether a file is DICOM by its first bytes, whatever its name."""
    try:
        if not Path(path).is_file():
            return False
        with Path(path).open("rb") as stream:
            return starts_dicom(stream.read(_PREAMBLE + len(_MAGIC)))
    except OSError:
        return False


def dicom_files(folder: Path) -> Iterator[Path]:
    """Yield the DICOM files directly in a folder, recognised by their ending or their first bytes.

    Raises:
        OSError: the folder cannot be listed.
    """
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.upper() == DICOM_DIRECTORY or format_name(path) in _OTHER_FORMATS:
            continue
        if (path.suffix.lower() == DICOM and path.is_file()) or is_dicom(path):
            yield path


def other_content(storage: str) -> str | None:
    """Return words for a storage class that is no image, such as "a structured report"; None for images."""
    if not storage.startswith(_STORAGE):
        return None
    number = storage.removeprefix(_STORAGE)
    return next(
        (
            words
            for key, words in _OTHER_CONTENT.items()
            if (number.startswith(key) if key[-1] == "." else number == key)
        ),
        None,
    )


def unreadable_packing(syntax: str) -> str | None:
    """Return the name of a transfer syntax's compression if ITK cannot decode it; None otherwise."""
    # The last digit is that of the member of a family; 1.2.840.10008.1.2.4.90, JPEG 2000, belongs to none of these.
    return _UNREADABLE_SYNTAXES.get(syntax[:-1])
