"""DICOM files: how to recognise them, which of them are no images, and which compressions ITK cannot decode."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .endings import DICOM, DICOM_DIRECTORY, SERIES, format_name

__all__ = [
    "dicom_files",
    "is_dicom",
    "is_secondary_capture",
    "is_xray_loop",
    "other_content",
    "split_series",
    "starts_dicom",
    "unreadable_packing",
]

_PREAMBLE = 128
_MAGIC = b"DICM"
# Scanners name DICOM files in many ways, but never like these formats, so such files need not be opened.
_OTHER_FORMATS = ("nifti", "mgz", "itk")
_STORAGE = "1.2.840.10008.5.1.4.1.1."
# SOP classes (PS3.4, annex B.5) of objects that archives send along with scans. A key with a dot at its end is a group.
_OTHER_CONTENT = {
    "3": "an ultrasound loop",
    "3.1": "an ultrasound loop",
    "4.2": "an MR spectroscopy",
    "9.": "a waveform",
    "11.": "a presentation state",
    "30": "a parametric map",
    "66": "raw data",
    "66.1": "a spatial registration",
    "66.2": "spatial fiducials",
    "66.3": "a deformable registration",
    "66.4": "a segmentation",
    "66.5": "a surface segmentation",
    "66.6": "fibre tracts",
    "66.7": "a segmentation",
    "66.8": "a height map",
    "67": "a mapping of values",
    "68.": "a surface",
    "77.1.": "a photograph or microscopy",
    "78.": "a measurement of the eye",
    "79.1": "a measurement of vessels",
    "80.1": "a report of the eye",
    "81.1": "a map of the eye",
    "88.": "a structured report",
    "104.": "a document",
    "129": "a curve",
    "481.1": "an RT image",
    "481.2": "an RT dose",
    "481.3": "an RT structure set",
    "481.4": "a record of a treatment",
    "481.5": "an RT plan",
    "481.6": "a record of a treatment",
    "481.7": "a record of a treatment",
    "481.8": "an RT plan",
    "481.9": "a record of a treatment",
}
# The same by modality, for files without a storage class.
_OTHER_MODALITIES = {
    "RTDOSE": "481.2",
    "RTSTRUCT": "481.3",
    "RTPLAN": "481.5",
    "RTIMAGE": "481.1",
    "SEG": "66.4",
    "SR": "88.",
    "PR": "11.",
    "KO": "88.",
    "REG": "66.1",
    "DOC": "104.",
}
_SECONDARY_CAPTURE = "7"
_XRAY_LOOPS = ("12.1", "12.1.1", "12.2", "12.2.1", "12.3")
# Transfer syntaxes (PS3.5, annex A.4) that ITK's GDCM cannot decode.
_UNREADABLE_SYNTAXES = {
    "1.2.840.10008.1.2.4.10": "MPEG video",
    "1.2.840.10008.1.2.4.11": "JPEG XL",
    "1.2.840.10008.1.2.4.20": "High-Throughput JPEG 2000",
}


def split_series(path: str | Path) -> tuple[str, str]:
    """Return the folder and the series of a path FOLDER/series=WORD; any other path, and ""."""
    folder, _, name = str(path).rpartition("/")
    if not name.startswith(SERIES) or Path(path).exists() or not Path(folder or "/").is_dir():
        return str(path), ""
    return folder or "/", name.removeprefix(SERIES)


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


def other_content(storage: str, modality: str = "") -> str | None:
    """Return words for an object that is no image of anatomy, such as "a structured report"; None for images.

    Args:
        storage: its storage class.
        modality: counts if there is no storage class.
    """
    number = storage.removeprefix(_STORAGE) if storage.startswith(_STORAGE) else ""
    if not storage:
        number = _OTHER_MODALITIES.get(modality, "")
    return _OTHER_CONTENT.get(number) or next(
        (words for key, words in _OTHER_CONTENT.items() if key[-1] == "." and number.startswith(key)), None
    )


def is_secondary_capture(storage: str) -> bool:
    """Return whether a storage class is one of secondary captures: pictures of screens, scanned films."""
    return storage.startswith(_STORAGE) and storage.removeprefix(_STORAGE).split(".")[0] == _SECONDARY_CAPTURE


def is_xray_loop(storage: str) -> bool:
    """Return whether a storage class is one of X-ray projections over time."""
    return storage.startswith(_STORAGE) and storage.removeprefix(_STORAGE) in _XRAY_LOOPS


def unreadable_packing(syntax: str) -> str | None:
    """Return the name of a transfer syntax's compression if ITK cannot decode it; None otherwise."""
    # The last digit is that of the member of a family; 1.2.840.10008.1.2.4.90, JPEG 2000, belongs to none of these.
    return _UNREADABLE_SYNTAXES.get(syntax[:-1])
