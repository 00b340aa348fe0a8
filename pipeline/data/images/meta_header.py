"""The header of a MetaImage file: its fields, and what ITK leaves out of them without a word."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from .nrrd_header import name_length

__all__ = ["MetaHeader", "check_meta_axes", "find_meta_notes", "find_meta_unit", "read_meta_header"]

_MAX_HEADER = 1 << 20  # bytes
_DATA = re.compile(rb"^ElementDataFile[ \t]*=[^\n]*\n?", re.MULTILINE)
_AXES = re.compile(rb"\bNDims\s*[=:][ \t]*([^\s]*)")
_MAX_AXES = 10  # as many as MetaIO, ITK's reader, has room for
_FIELD = re.compile(r"^(\w+)[ \t]*=[ \t]*(.*?)[ \t\r]*$", re.MULTILINE)
_SPACINGS = ("ElementSpacing", "ElementSize")
_PLACES = ("TransformMatrix", "Rotation", "Orientation", "Offset", "Position", "Origin")
_SLOPE, _INTERCEPT = "ElementToIntensityFunctionSlope", "ElementToIntensityFunctionOffset"


@dataclass(frozen=True)
class MetaHeader:
    """A header.

    Attributes:
        fields: by name.
        end: byte after it; 0 if the file has no header of this kind.
    """

    fields: dict[str, str] = field(default_factory=dict)
    end: int = 0


def read_meta_header(path: str | Path) -> MetaHeader:
    """Return the header of a MetaImage file.

    Raises:
        OSError: the file cannot be read.
    """
    with Path(path).open("rb") as stream:
        content = stream.read(_MAX_HEADER)
    match = _DATA.search(content)
    if match is None:
        return MetaHeader()
    return MetaHeader(dict(_FIELD.findall(content[: match.end()].decode("latin-1"))), match.end())


def check_meta_axes(path: str | Path) -> None:
    """Raise InputError for a number of axes that MetaIO does not refuse, and has no room for.

    MetaIO reads as many sizes and directions as the header has axes, into arrays of a fixed length: beyond that the
    process ends without a message.
    """
    with Path(path).open("rb") as stream:
        head = stream.read(_MAX_HEADER)
    match = _DATA.search(head)
    for found in _AXES.findall(head[: match.end()] if match else head):
        if not re.fullmatch(rb"0*(\d|10)", found):
            words = found.decode("latin-1")[:80]
            raise InputError(
                path,
                found=f"a header with NDims {words!r}",
                expected=f"a whole number of axes, at most {_MAX_AXES}",
                remedy="correct the file's header from the original scan",
                kind="truncated",
            )


def find_meta_unit(header: MetaHeader) -> str:
    """Return the unit of lengths, "mm" also where the header does not say. ITK ignores it."""
    return name_length(header.fields.get("DistanceUnits", "").strip("\"'"))


def find_meta_notes(path: str, header: MetaHeader) -> list[InputError]:
    """Return notes on a spacing or place that the header does not state, and a scaling that ITK does not apply."""
    if not header.fields:
        return []
    notes, missing = [], []
    if not any(name in header.fields for name in _SPACINGS):
        missing.append("no spacing, which is taken as 1 mm")
    if not any(name in header.fields for name in _PLACES):
        missing.append("no place, so that left and right are a guess: x, y and z are taken as LPS")
    if missing:
        notes.append(
            InputError(
                path,
                found=f"a header with {' and '.join(missing)}",
                expected="ElementSpacing, TransformMatrix and Offset",
                remedy="write them into the header from the original scan, and check left and right",
                kind="form-missing",
            )
        )
    scale = (_number(header.fields.get(_SLOPE, "1")), _number(header.fields.get(_INTERCEPT, "0")))
    if scale != (1.0, 0.0):
        notes.append(
            InputError(
                path,
                found=f"{_SLOPE} {scale[0]:g} and {_INTERCEPT} {scale[1]:g}: here and in ITK the values are as stored",
                expected="values without a scaling in the header",
                remedy="compare the values with the original scan; write them scaled, without these fields",
                kind="scaling-ignored",
            )
        )
    return notes


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
