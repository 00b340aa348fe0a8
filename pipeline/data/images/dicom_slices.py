"""The slices of DICOM files, a file or a frame each: headers, read with pydicom, each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .dicom_files import dicom_files
from .dicom_frames import MARKS, FrameValues, frame_values
from .dicom_values import RawValues

__all__ = ["SPLITTING", "Pixels", "Slice", "read_frames", "read_slice", "read_slices", "slice_order"]

# MONAI's reader splits a series by these, and silently takes the first part.
SPLITTING: Mapping[str, int] = {
    "series number": 0x00200011,
    "sequence name": 0x00180024,
    "slice thickness": 0x00180050,
    "series date": 0x00080021,
}
_STORAGE_CLASS, _MODALITY, _SERIES = 0x00080016, 0x00080060, 0x0020000E
_DESCRIPTION, _IMAGE_TYPE = 0x0008103E, 0x00080008
_ROWS, _COLUMNS, _FRAMES = 0x00280010, 0x00280011, 0x00280008
_POSITION, _ORIENTATION = 0x00200032, 0x00200037
_PIXEL_SPACING, _IMAGER_SPACING, _BETWEEN, _THICKNESS = 0x00280030, 0x00181164, 0x00180088, 0x00180050
# Of a secondary capture. SimpleITK writes volumes without a modality so, with their place.
_NOMINAL_SPACING = 0x00182010
_SAMPLES, _PHOTOMETRIC = 0x00280002, 0x00280004
_ALLOCATED, _STORED, _HIGH_BIT, _SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103
_INTERCEPT, _SLOPE, _LOOKUP = 0x00281052, 0x00281053, 0x00283000
_PIXELS = 0x7FE00010
_MARKS_OF_FILES: Mapping[str, int] = {
    "EchoTime": 0x00180081,
    "TemporalPositionIdentifier": 0x00200100,
    "TriggerTime": 0x00181060,
    "DiffusionBValue": 0x00189087,
    "FrameReferenceTime": 0x00541300,
    "ImageType": _IMAGE_TYPE,
    "AcquisitionNumber": 0x00200012,
    "Units": 0x00541001,
}
_UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_DEFER = 1024  # bytes: longer values stay in the file
_UNDEFINED = 0xFFFFFFFF
_DEFLATED = "1.2.840.10008.1.2.1.99"


@dataclass(frozen=True)
class Pixels:
    """How the pixels of a file are stored.

    Attributes:
        syntax: transfer syntax.
        start: where uncompressed pixels start in the file (bytes); 0 if that is not known.
        little: whether numbers are little endian.
        allocated: bits that each pixel takes.
        stored: bits of its value.
        high: number of the value's highest bit.
        signed: whether values may be negative.
        samples: values per pixel; 3 for colours.
        photometric: photometric interpretation, such as "MONOCHROME2".
        has_lookup: whether a table (modality LUT) translates values, instead of slope and intercept.
        enough: whether the file has all of its pixels.
    """

    syntax: str
    start: int
    little: bool
    allocated: int
    stored: int
    high: int
    signed: bool
    samples: int
    photometric: str
    has_lookup: bool
    enough: bool


@dataclass(frozen=True, eq=False)
class Slice:
    """One slice: the header of a DICOM file, or of one frame of it.

    Attributes:
        file: its path.
        index: number of the frame in the file, from 0.
        frames: number of frames of the file.
        groups: frames that the file describes in its functional groups; 0 if it has none.
        series: the unique identifier of its series.
        description: of the series.
        storage: its storage class.
        modality: such as "CT"; "" if the file does not say.
        size: columns and rows; (0, 0) if it is no image.
        spacing: between columns and between rows (mm).
        thickness: between frames, or the slice's thickness (mm).
        direction: cosines, 3x3: the columns are the directions along a row, along a column, and from slice to slice.
        origin: centre of the first pixel (mm, LPS).
        has_place: whether the file states position and orientation.
        has_spacing: whether the file states the distance between pixels.
        slope: what stored values are multiplied by; NaN if the file has a text that is no number.
        intercept: what is added then; likewise.
        tags: the values of `SPLITTING`.
        marks: what may tell it apart from slices of other volumes, by the keys of `dicom_frames.MARKS`.
        pixels: how its pixels are stored.
    """

    file: str
    index: int
    frames: int
    groups: int
    series: str
    description: str
    storage: str
    modality: str
    size: tuple[int, int]
    spacing: np.ndarray
    thickness: float
    direction: np.ndarray
    origin: np.ndarray
    has_place: bool
    has_spacing: bool
    slope: float
    intercept: float
    tags: tuple[str, ...]
    marks: Mapping[str, str]
    pixels: Pixels

    @property
    def is_image(self) -> bool:
        """Whether it has pixels."""
        return min(self.size) > 0

    @property
    def is_complete(self) -> bool:
        """Whether the file has all of its pixels."""
        return self.pixels.enough

    @property
    def syntax(self) -> str:
        """Its transfer syntax."""
        return self.pixels.syntax

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the stored values."""
        return np.dtype(f"{'i' if self.pixels.signed else 'u'}{max(1, self.pixels.allocated // 8)}")


def read_slices(folder: str) -> tuple[list[Slice], list[str]]:
    """Return the slices of the DICOM files directly in a folder.

    Returns:
        The slices, sorted by file name and number of the frame, and the names of files that cannot be read as DICOM.
    """
    found: list[Slice] = []
    damaged = []
    for file in dicom_files(Path(folder)):
        frames = read_frames(str(file))
        found += frames
        if not frames:
            damaged.append(file.name)
    return found, damaged


def slice_order(slices: Sequence[Slice]) -> list[Slice]:
    """Return slices in the order of their positions along the normal of the first, as GDCM sorts them."""
    normal = slices[0].direction[:, 2]
    return sorted(slices, key=lambda one: float(normal @ one.origin))


def read_slice(file: str) -> Slice | None:
    """Return the first frame of a DICOM file; None if it cannot be read as DICOM."""
    return next(iter(read_frames(file)), None)


def read_frames(file: str) -> list[Slice]:
    """Return the frames of a DICOM file, in their order in the file; none if it cannot be read as DICOM."""
    # Imported here, because NIfTI files do not need it.
    import pydicom  # noqa: PLC0415

    try:
        # Forced, because GDCM also reads files without DICOM's magic bytes.
        dataset = pydicom.dcmread(file, defer_size=_DEFER, force=True)
        return _frames(file, dataset)
    except OSError:
        raise
    except Exception:  # for damaged or foreign bytes pydicom may raise any error
        return []


def _frames(file: str, dataset: Any) -> list[Slice]:
    values = RawValues(dataset)
    meta = dataset.file_meta
    storage = str(meta.get("MediaStorageSOPClassUID", "")) or values.text(_STORAGE_CLASS)
    size = (values.whole_number(_COLUMNS), values.whole_number(_ROWS))
    # Anonymisers may empty identifiers, so a file with a size is kept.
    if not storage and min(size) == 0:
        return []
    count = max(1, int((values.numbers(_FRAMES, 1) or [1])[0]))
    groups = frame_values(dataset)
    first = Slice(
        file=file,
        index=0,
        frames=count,
        groups=len(groups),
        series=values.text(_SERIES),
        description=values.text(_DESCRIPTION),
        storage=storage,
        modality=values.text(_MODALITY),
        size=size,
        **_place(values, groups[0] if groups else {}),
        slope=values.number_or(_SLOPE, 1.0),
        intercept=values.number_or(_INTERCEPT, 0.0),
        tags=tuple(values.text(tag) for tag in SPLITTING.values()),
        marks={name: values.text(tag) for name, tag in _MARKS_OF_FILES.items()},
        pixels=_pixels(file, dataset, values, size, count),
    )
    if len(groups) not in (0, count) or (count > 1 and not groups):
        # Not a stack of frames that can be placed: the check says why.
        return [first]
    return [
        replace(
            first,
            index=index,
            **_place(values, group),
            slope=group.get("RescaleSlope", [first.slope])[0],
            intercept=group.get("RescaleIntercept", [first.intercept])[0],
            marks={name: group[name] for name in MARKS if name in group},
        )
        for index, group in enumerate(groups)
    ] or [first]


def _place(values: RawValues, group: FrameValues) -> dict[str, Any]:
    """Return the fields of a slice about its place; a frame's own values come before those of the file."""

    def numbers(tag: int, keyword: str, count: int) -> list[float] | None:
        own: list[float] = group.get(keyword, [])
        return own if len(own) == count else values.numbers(tag, count)

    between_pixels = numbers(_PIXEL_SPACING, "PixelSpacing", 2)
    between_pixels = between_pixels or values.numbers(_IMAGER_SPACING, 2) or values.numbers(_NOMINAL_SPACING, 2)
    spacing = between_pixels or [1.0, 1.0]
    stated = numbers(_ORIENTATION, "ImageOrientationPatient", 6)
    origin = numbers(_POSITION, "ImagePositionPatient", 3)
    thickness = numbers(_BETWEEN, "SpacingBetweenSlices", 1) or numbers(_THICKNESS, "SliceThickness", 1) or [1.0]
    cosines = np.asarray(stated or _UPRIGHT, dtype=float)
    # Files state cosines with few decimals.
    along, down = (part / (np.linalg.norm(part) or 1.0) for part in (cosines[:3], cosines[3:]))
    return {
        "spacing": np.asarray([spacing[1], spacing[0]], dtype=float),
        "thickness": float(thickness[0]),
        "direction": np.stack([along, down, np.cross(along, down)], axis=1),
        "origin": np.asarray(origin or [0, 0, 0], dtype=float),
        "has_place": stated is not None and origin is not None,
        "has_spacing": between_pixels is not None,
    }


def _pixels(file: str, dataset: Any, values: RawValues, size: tuple[int, int], frames: int) -> Pixels:
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", ""))
    allocated = values.whole_number(_ALLOCATED)
    samples = max(1, values.whole_number(_SAMPLES))
    start, enough = 0, min(size) == 0
    if _PIXELS in dataset:
        element = dataset.get_item(_PIXELS, keep_deferred=True)
        length, place = getattr(element, "length", _UNDEFINED), getattr(element, "value_tell", 0)
        needed = size[0] * size[1] * frames * samples * allocated // 8
        packed = length == _UNDEFINED
        inside = packed or syntax == _DEFLATED or place + length <= Path(file).stat().st_size
        enough = bool(inside and (packed or length >= needed))
        start = 0 if packed or syntax == _DEFLATED else place
    return Pixels(
        syntax=syntax,
        start=start,
        little=dataset.original_encoding[1] is not False,
        allocated=allocated,
        stored=values.whole_number(_STORED) or allocated,
        high=values.whole_number(_HIGH_BIT) if _HIGH_BIT in dataset else allocated - 1,
        signed=values.whole_number(_SIGNED) == 1,
        samples=samples,
        photometric=values.text(_PHOTOMETRIC),
        has_lookup=_LOOKUP in dataset,
        enough=enough,
    )
