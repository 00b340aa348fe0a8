"""Read a DICOM structure set (RTSTRUCT): closed contours of its structures, and which scan they were drawn on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .images.dicom import scan_slices
from .images.dicom_files import dicom_files, is_dicom
from .images.dicom_values import RawValues

__all__ = ["Structure", "StructureSet", "check_same_scan", "find_structure_set", "read_structure_set"]

_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
_STORAGE_CLASS, _MODALITY, _FRAME = 0x00080016, 0x00080060, 0x00200052
_CONTOUR_DATA = 0x30060050
# Types of contours that enclose an area; others are points and open lines.
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "INTERPOLATED_PLANAR", "")
_TO_RAS = np.array([-1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Structure:
    """One structure (ROI).

    Attributes:
        name: its name; spaces around it are left out.
        frame: unique identifier of its frame of reference; "" if the file does not say.
        contours: corners of its closed contours, (N, 3) each (mm, RAS).
    """

    name: str
    frame: str
    contours: tuple[NDArray[np.float64], ...]


@dataclass(frozen=True, eq=False)
class StructureSet:
    """The structures of one file, and the unique identifiers of the series that it refers to."""

    file: str
    series: frozenset[str]
    structures: tuple[Structure, ...]


def find_structure_set(path: Path) -> Path | None:
    """Return the structure set that a path names: the file itself, or the only DICOM file of a folder; else None."""
    files = list(dicom_files(path)) if path.is_dir() else [path]
    if len(files) != 1 or not is_dicom(files[0]):
        return None
    values = RawValues(_read(files[0], specific_tags=[_STORAGE_CLASS, _MODALITY]))
    storage = values.text(_STORAGE_CLASS)
    found = storage == _STRUCTURE_SET or (not storage and values.text(_MODALITY) == "RTSTRUCT")
    return files[0] if found else None


def read_structure_set(file: str | Path) -> StructureSet:
    """Return the structures of a file, in its order; those without a closed contour have none.

    Raises:
        InputError: the file cannot be read, has no structures, or a contour whose coordinates are no numbers.
    """
    # pydicom warns about values that break a rule of their type; none of them is used.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = _read(Path(file))
        names = {
            int(item.ROINumber): (
                _read_name(item.get("ROIName")),
                str(item.get("ReferencedFrameOfReferenceUID") or ""),
            )
            for item in dataset.get("StructureSetROISequence") or ()
        }
        contours: dict[int, list[NDArray[np.float64]]] = {number: [] for number in names}
        for item in dataset.get("ROIContourSequence") or ():
            number = int(item.get("ReferencedROINumber", -1))
            contours.setdefault(number, []).extend(_closed_contours(item, str(file)))
        series = frozenset(_referenced_series(dataset))
    if not any(contours[number] for number in names):
        raise InputError(
            file,
            found="a structure set without closed contours",
            expected="contours of at least one structure",
            remedy="export it again with its contours, or leave this case out",
        )
    structures = (Structure(*names[number], tuple(contours[number])) for number in names)
    return StructureSet(str(file), series, tuple(structures))


def check_same_scan(found: StructureSet, structures: list[Structure], image: str) -> None:
    """Refuse structures that were drawn on another scan, as far as the files say.

    An image that is no DICOM has no identifiers, and some anonymisers empty them: then nothing is compared.

    Args:
        found: the structure set.
        structures: those of it that are used.
        image: the scan.

    Raises:
        InputError: the series or the frame of reference is another.
    """
    path = Path(image)
    slices = scan_slices(image) if path.is_dir() or is_dicom(path) or not path.exists() else []
    if not slices:
        return
    series = slices[0].series
    frame = RawValues(_read(Path(slices[0].file), specific_tags=[_FRAME])).text(_FRAME)
    frames = {one.frame for one in structures if one.frame}
    same_frame = not frame or not frames or frames == {frame}
    if same_frame and (not series or not found.series or series in found.series):
        return
    what = "frame of reference" if not same_frame else "series"
    theirs = ", ".join(sorted(frames if not same_frame else found.series))
    raise InputError(
        found.file,
        found=f"structures of another {what} than that of {image}: {theirs}",
        expected=f"the {what} of the scan, {frame if not same_frame else series}",
        remedy="pair each structure set with the series that it was drawn on",
    )


def _read(file: Path, **options: Any) -> Any:
    import pydicom  # noqa: PLC0415 - as in images.dicom_slices

    try:
        return pydicom.dcmread(file, force=True, **options)
    except OSError:
        raise
    except Exception as error:  # for damaged bytes pydicom may raise any error
        raise InputError(
            file,
            found=f"a DICOM file that cannot be read ({' '.join(str(error).split())[:200]})",
            expected="a structure set",
            remedy="export or copy it again",
        ) from error


def _read_name(value: Any) -> str:
    # A backslash in a name separates values.
    parts = [value] if isinstance(value, str) or value is None else list(value)
    return " ".join("/".join(str(part or "") for part in parts).split())


def _closed_contours(item: Any, file: str) -> Iterator[NDArray[np.float64]]:
    for contour in item.get("ContourSequence") or ():
        if str(contour.get("ContourGeometricType") or "") not in _CLOSED or _CONTOUR_DATA not in contour:
            continue
        # As bytes: pydicom would make an object of each of millions of numbers.
        raw = contour.get_item(_CONTOUR_DATA).value
        text = raw if isinstance(raw, bytes) else "\\".join(map(str, raw or ())).encode()
        try:
            numbers = np.array(text.strip(b"\0 ").split(b"\\")).astype(np.float64)
            points = numbers.reshape(-1, 3)
        except ValueError:
            points = np.full((1, 3), np.nan)
        if not np.isfinite(points).all():
            raise InputError(
                file,
                found="a contour whose coordinates are no numbers, or not three for each point",
                expected="x, y and z of every point, in mm",
                remedy="export the structure set again",
            )
        if len(points) > 2:
            yield points * _TO_RAS


def _referenced_series(dataset: Any) -> Iterator[str]:
    for frame in dataset.get("ReferencedFrameOfReferenceSequence") or ():
        for study in frame.get("RTReferencedStudySequence") or ():
            for series in study.get("RTReferencedSeriesSequence") or ():
                if uid := str(series.get("SeriesInstanceUID") or ""):
                    yield uid
