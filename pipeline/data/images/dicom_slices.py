"""The headers of a series' DICOM files, read with pydicom, each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .dicom_files import dicom_files

__all__ = ["SPLITTING", "Slice", "read_slice", "read_slices", "slice_order"]

# MONAI's reader splits a series by these, and silently takes the first part.
SPLITTING: Mapping[str, int] = {
    "series number": 0x00200011,
    "sequence name": 0x00180024,
    "slice thickness": 0x00180050,
    "series date": 0x00080021,
}
_STORAGE_CLASS, _MODALITY, _SERIES = 0x00080016, 0x00080060, 0x0020000E
_ROWS, _COLUMNS, _FRAMES = 0x00280010, 0x00280011, 0x00280008
_POSITION, _ORIENTATION = 0x00200032, 0x00200037
_PIXEL_SPACING, _IMAGER_SPACING, _BETWEEN, _THICKNESS = 0x00280030, 0x00181164, 0x00180088, 0x00180050
_BITS, _SIGNED = 0x00280100, 0x00280103
_SHARED, _PER_FRAME = 0x52009229, 0x52009230
_PIXELS = 0x7FE00010
_UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_DEFER = 1024  # bytes: longer values stay in the file
_UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True, eq=False)
class Slice:
    """The header of one DICOM file.

    Attributes:
        file: its path.
        series: the unique identifier of its series.
        storage: its storage class.
        syntax: its transfer syntax.
        modality: such as "CT"; "" if the file does not say.
        size: columns and rows; (0, 0) if it is no image.
        frames: number of frames.
        spacing: between columns and between rows (mm).
        thickness: between frames, or the slice's thickness (mm).
        direction: cosines, 3x3: the columns are the directions along a row, along a column, and from slice to slice.
        origin: centre of the first pixel (mm, LPS).
        dtype: of the stored values.
        tags: the values of `SPLITTING`.
        is_complete: whether the file has all of its pixels.
    """

    file: str
    series: str
    storage: str
    syntax: str
    modality: str
    size: tuple[int, int]
    frames: int
    spacing: np.ndarray
    thickness: float
    direction: np.ndarray
    origin: np.ndarray
    dtype: np.dtype[Any]
    tags: tuple[str, ...]
    is_complete: bool

    @property
    def is_image(self) -> bool:
        """Whether it has pixels."""
        return min(self.size) > 0

    @property
    def height(self) -> float:
        """Position of the slice along its normal (mm)."""
        return float(self.direction[:, 2] @ self.origin)


def read_slices(folder: str) -> tuple[list[Slice], list[str]]:
    """Return the headers of the DICOM files directly in a folder.

    Returns:
        The headers, sorted by file name, and the names of files that cannot be read as DICOM.
    """
    found, damaged = [], []
    for file in dicom_files(Path(folder)):
        one = read_slice(str(file))
        if one is None:
            damaged.append(file.name)
        else:
            found.append(one)
    return found, damaged


def slice_order(slices: Sequence[Slice]) -> list[Slice]:
    """Return slices in the order of their positions along the normal of the first, as GDCM sorts them."""
    normal = slices[0].direction[:, 2]
    return sorted(slices, key=lambda one: float(normal @ one.origin))


def read_slice(file: str) -> Slice | None:
    """Return the header of a DICOM file; None if it cannot be read as DICOM."""
    # Imported here, because NIfTI files do not need it.
    import pydicom  # noqa: PLC0415

    try:
        # Forced, because GDCM also reads files without DICOM's magic bytes.
        dataset = pydicom.dcmread(file, defer_size=_DEFER, force=True)
        return _slice(file, dataset)
    except OSError:
        raise
    except Exception:  # for damaged or foreign bytes pydicom may raise any error
        return None


def _slice(file: str, dataset: Any) -> Slice | None:
    values = _Values(dataset)
    meta = dataset.file_meta
    storage = str(meta.get("MediaStorageSOPClassUID", "")) or values.text(_STORAGE_CLASS)
    size = (values.whole_number(_COLUMNS), values.whole_number(_ROWS))
    # Anonymisers may empty identifiers, so a file with a size is kept.
    if not storage and min(size) == 0:
        return None
    groups = _frame_groups(dataset)
    spacing = (
        values.numbers(_PIXEL_SPACING, 2) or groups.get("PixelSpacing") or values.numbers(_IMAGER_SPACING, 2) or [1, 1]
    )
    cosines = values.numbers(_ORIENTATION, 6) or groups.get("ImageOrientationPatient") or _UPRIGHT
    origin = values.numbers(_POSITION, 3) or groups.get("ImagePositionPatient") or [0, 0, 0]
    thickness = (
        values.numbers(_BETWEEN, 1)
        or groups.get("SpacingBetweenSlices")
        or values.numbers(_THICKNESS, 1)
        or groups.get("SliceThickness")
        or [1]
    )
    along, down = np.asarray(cosines[:3], dtype=float), np.asarray(cosines[3:], dtype=float)
    return Slice(
        file=file,
        series=values.text(_SERIES),
        storage=storage,
        syntax=str(meta.get("TransferSyntaxUID", "")),
        modality=values.text(_MODALITY),
        size=size,
        frames=int((values.numbers(_FRAMES, 1) or [1])[0]),
        spacing=np.asarray([spacing[1], spacing[0]], dtype=float),
        thickness=float(thickness[0]),
        direction=np.stack([along, down, np.cross(along, down)], axis=1),
        origin=np.asarray(origin, dtype=float),
        dtype=np.dtype(f"{'i' if values.whole_number(_SIGNED) else 'u'}{max(1, values.whole_number(_BITS) // 8)}"),
        tags=tuple(values.text(tag) for tag in SPLITTING.values()),
        is_complete=_has_all_pixels(file, dataset, size),
    )


def _has_all_pixels(file: str, dataset: Any, size: Sequence[int]) -> bool:
    """Return whether the file is long enough for its pixels; also True if it is no image."""
    if _PIXELS not in dataset:
        return min(size) == 0
    element = dataset.get_item(_PIXELS)
    length, place = getattr(element, "length", _UNDEFINED), getattr(element, "value_tell", 0)
    return bool(length == _UNDEFINED or place + length <= Path(file).stat().st_size)


def _frame_groups(dataset: Any) -> dict[str, list[float]]:
    """Return the values that an enhanced multi-frame file has for its first frame, by keyword."""
    found: dict[str, list[float]] = {}
    for sequence in (_SHARED, _PER_FRAME):
        if sequence not in dataset or not len(dataset[sequence].value):
            continue
        for group in dataset[sequence].value[0]:
            if group.VR != "SQ" or not len(group.value):
                continue
            for element in group.value[0]:
                if element.VR == "DS" and element.keyword:
                    found.setdefault(element.keyword, [float(one) for one in np.ravel([element.value])])
    return found


class _Values:
    """A data set's raw values. pydicom's own access would warn about each value that breaks a rule of its type."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def text(self, tag: int) -> str:
        return self._bytes(tag).decode("latin-1").strip("\0 ")

    def numbers(self, tag: int, count: int) -> list[float] | None:
        """Return `count` decimal numbers, or None if there is another number of them or one is not finite."""
        try:
            found = [float(part) for part in self.text(tag).split("\\")]
        except ValueError:
            return None
        return found if len(found) == count and np.isfinite(found).all() else None

    def whole_number(self, tag: int) -> int:
        """Return a binary whole number; 0 if there is none."""
        content = self._bytes(tag)
        little = getattr(self._dataset, "original_encoding", (None, True))[1] is not False
        return int.from_bytes(content[:2], "little" if little else "big")

    def _bytes(self, tag: int) -> bytes:
        if tag not in self._dataset:
            return b""
        value = self._dataset.get_item(tag).value
        return (
            value if isinstance(value, bytes) else str(value if value is not None else "").encode("latin-1", "replace")
        )
