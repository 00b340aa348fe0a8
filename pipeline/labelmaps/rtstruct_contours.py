"""Encode the outlines of a structure as DICOM contours.

pydicom takes milliseconds for each contour, and a noisy label map has a hundred thousand. So they are encoded here.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from math import floor, log10
from struct import pack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.images.dicom_slices import Slice
from .outlines import outline_mask

__all__ = ["MANY_CONTOURS", "encode_contours"]

MANY_CONTOURS = 10_000
"""Contours of a structure from which a warning says that there are many. An organ has one to ten in a slice."""

_ITEM = 0xFFFEE000
_IMAGES, _TYPE, _POINTS, _NUMBER, _DATA = 0x30060016, 0x30060042, 0x30060046, 0x30060048, 0x30060050

logger = logging.getLogger(__name__)


def encode_contours(mask: NDArray[np.bool_], slices: Sequence[Slice], references: Sequence[Any], name: str) -> bytes:
    """Return the value of a contour sequence: an item for each outline, in implicit VR little endian.

    Args:
        mask: (slice, row, column), where the structure is.
        slices: in the order of the mask.
        references: data sets that refer to the image of each slice.
        name: of structure and file, for the warning about many contours.

    Returns:
        The encoded items; no byte if the mask is empty.
    """
    inside = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if not inside[0].size:
        return b""
    first = np.array([inside[1][0], inside[2][0]])
    box = np.s_[first[0] : inside[1][-1] + 1, first[1] : inside[2][-1] + 1]
    contours: list[bytes] = []
    for done, number in enumerate(inside[0].tolist(), start=1):
        one, before = slices[number], len(contours)
        # Of a pixel: 1 µm at 1 mm.
        decimals = min(6, max(2, 2 - floor(log10(float(one.spacing.min())))))
        image = _element(_IMAGES, _element(_ITEM, _encode_dataset(references[number])))
        for outline in outline_mask(mask[number][box]):
            rows, columns = (outline + first).T
            along, down = one.direction[:, 0] * one.spacing[0], one.direction[:, 1] * one.spacing[1]
            points = one.origin + np.outer(columns, along) + np.outer(rows, down)
            contours.append(_encode_contour(image, len(contours) + 1, points, decimals))
        if before <= MANY_CONTOURS < len(contours):
            _warn(name, len(contours), done, inside[0].size)
    return b"".join(contours)


def _warn(name: str, contours: int, done: int, slices: int) -> None:
    logger.warning(
        "%s: %s contours in %d of %d slices, as of a noisy label map: about %s in all, which take minutes to write and "
        "to open. --format dicom-seg has voxels instead, and lightskip postprocess removes small islands",
        name,
        f"{contours:,}",
        done,
        slices,
        f"{1000 * round(contours * slices / done / 1000):,}",
    )


def _encode_contour(image: bytes, number: int, points: NDArray[np.float64], decimals: int) -> bytes:
    """Return the item of a closed contour.

    Args:
        image: the encoded reference to its slice.
        number: of the contour, from 1.
        points: (N, 3), mm, in DICOM's directions (LPS).
        decimals: of the coordinates.
    """
    # Without the sign of a rounded -0.
    data = "\\".join(f"{value:.{decimals}f}" for value in (points.round(decimals) + 0.0).ravel().tolist())
    texts = ((_TYPE, "CLOSED_PLANAR"), (_POINTS, str(len(points))), (_NUMBER, str(number)), (_DATA, data))
    return _element(_ITEM, image + b"".join(_element(tag, _pad(text)) for tag, text in texts))


def _element(tag: int, value: bytes) -> bytes:
    return pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value


def _pad(text: str) -> bytes:
    """Return a text as bytes, whose number is even in DICOM."""
    return text.encode() + b" " * (len(text) % 2)


def _encode_dataset(dataset: Any) -> bytes:
    from pydicom.filebase import DicomBytesIO  # noqa: PLC0415 - as in dicom_series
    from pydicom.filewriter import write_dataset  # noqa: PLC0415

    stream = DicomBytesIO()
    stream.is_implicit_VR = stream.is_little_endian = True
    write_dataset(stream, dataset)
    return bytes(stream.getvalue())
