"""The header of an NRRD file: its lines unchanged, its fields, and what ITK would silently take for something else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

from ..errors import InputError
from .endings import format_name

__all__ = [
    "NRRD_START",
    "check_nrrd",
    "find_space_note",
    "find_unit",
    "name_length",
    "nrrd_end",
    "nrrd_fields",
    "nrrd_header",
    "read_nrrd_header",
]

NRRD_START = b"NRRD"
_MAX_HEADER = 1 << 20  # bytes: far more than any header has, so that voxels are not read
# "field: value"; "key:=value" is no field, and "#" starts a comment.
_FIELD = re.compile(r"([^:#=][^:]*):[ \t]*(?!=)(.*)")
# The spaces whose axes are those of a patient (https://teem.sourceforge.net/nrrd/format.html#space).
_ANATOMICAL = ("right-anterior-superior", "ras", "left-anterior-superior", "las", "left-posterior-superior", "lps")
_MM = ("", "?", "mm", "millimeter", "millimeters", "millimetre", "millimetres", "???", "none")
# Other units of length, in the words of NIfTI's.
_OTHER_LENGTHS = {
    "metres": ("m", "meter", "meters", "metre", "metres"),
    "centimetres": ("cm", "centimeter", "centimeters", "centimetre", "centimetres"),
    "micrometres": (
        "um",
        "µm",
        "\u03bcm",
        "micron",
        "microns",
        "micrometer",
        "micrometers",
        "micrometre",
        "micrometres",
    ),
    "nanometres": ("nm", "nanometer", "nanometers", "nanometre", "nanometres"),
    "inches": ("in", "inch", "inches"),
}
_UNIT_NAMES = {name: unit for unit, names in _OTHER_LENGTHS.items() for name in names}
_PLACES = ("spacings", "space directions")
_DOMAINS = ("domain", "space", "time", "???", "none")
_MAX_AXES = 3  # in space
_VECTOR = re.compile(r"none|\([^)]*\)", re.IGNORECASE)


def nrrd_header(stream: BinaryIO) -> bytes:
    """Return the header of an NRRD file that is open at its start; no bytes for other files."""
    start = stream.read(len(NRRD_START))
    if start != NRRD_START:
        return b""
    content = start + stream.read(_MAX_HEADER)
    # A blank line ends the header of a file with voxels; a detached header has none.
    ends = [place for blank in (b"\n\n", b"\n\r\n") if (place := content.find(blank)) >= 0]
    return content[: min(ends)] if ends else content


def nrrd_end(stream: BinaryIO, raw: bytes) -> int:
    """Return the byte of an NRRD file after the blank line that ends its header, `raw`."""
    stream.seek(len(raw))
    return len(raw) + (2 if stream.read(2) == b"\n\n" else 3)


def read_nrrd_header(path: str | Path) -> bytes:
    """Return the header of a file if ending and content are NRRD's; no bytes for other files."""
    if format_name(path) != "itk":
        return b""
    with Path(path).open("rb") as stream:
        return nrrd_header(stream)


def nrrd_fields(raw: bytes) -> dict[str, str]:
    """Return the fields in the lines of an NRRD header, by name in lower case; nothing for other bytes."""
    lines = raw.decode("utf-8", "replace").splitlines() if raw.startswith(NRRD_START) else []
    matches = (_FIELD.fullmatch(line.rstrip()) for line in lines[1:])
    return {match[1].strip().lower(): match[2].strip() for match in matches if match}


def find_unit(fields: dict[str, str]) -> str:
    """Return the unit of the axes in space, "mm" also where the header does not say. ITK ignores it."""
    for unit in _split_quoted(fields.get("space units", "")):
        if (name := name_length(unit)) != "mm":
            return name
    # Units of all axes, such as seconds of time.
    for unit in _split_quoted(fields.get("units", "")):
        if unit.lower() in _UNIT_NAMES:
            return _UNIT_NAMES[unit.lower()]
    return "mm"


def name_length(unit: str) -> str:
    """Return the name of a unit of length as a header has it: "mm" for none, otherwise words for a message."""
    return "mm" if unit.lower() in _MM else _UNIT_NAMES.get(unit.lower(), f"the unit {unit}")


def check_nrrd(path: str, fields: dict[str, str]) -> None:
    """Refuse a header that ITK misreads, or cannot read and reports in its own words.

    ITK reads a spacing that is given only by the ends of the axes as 1 mm. Without "centers" the ends may be those of
    the outer voxels or of their centres, so that the spacing is not certain.
    """
    _check_axes(path, fields)
    _check_places(path, fields)
    units = fields.get("space units", "")
    if units and '"' not in units:
        raise InputError(
            path,
            found=f"space units {units} without quotation marks, which ITK cannot read",
            expected='units such as "mm" "mm" "mm"',
            remedy="correct this line of the header; the voxels need not be written again",
            kind="unit",
        )
    if "axis maxs" not in fields or any(name in fields for name in _PLACES):
        return
    raise InputError(
        path,
        found=f"axis mins {fields.get('axis mins', '(none)')} and axis maxs {fields['axis maxs']} without spacings",
        expected="spacings or space directions: ITK reads such a file with 1 mm along every axis",
        remedy="write the spacings into the header from the original scan",
        kind="spacing",
    )


def find_space_note(path: str, fields: dict[str, str], axes: int) -> InputError | None:
    """Return a note if a header of three axes names no space of a patient, or no spacing.

    ITK takes such axes as LPS, and such a spacing as 1 mm.
    """
    space = fields.get("space", "")
    is_named = space.lower().removesuffix("-time").removesuffix("t") in _ANATOMICAL
    is_placed = any(name in fields for name in _PLACES)
    if not fields or axes < _MAX_AXES or (is_named and is_placed):
        return None
    if is_named:
        return InputError(
            path,
            found="no spacing, which is taken as 1 mm",
            expected="space directions",
            remedy="write them into the header from the original scan",
            kind="form-missing",
        )
    found = f"axes in the space {space}, which is not the patient's" if space else "axes in no named space"
    if not is_placed:
        found += ", and no spacing, which is taken as 1 mm"
    return InputError(
        path,
        found=found,
        expected="a space such as left-posterior-superior: left and right are a guess, x, y and z are taken as LPS",
        remedy="write the space into the header from the original scan, and check left and right",
        kind="form-missing",
    )


def _check_axes(path: str, fields: dict[str, str]) -> None:
    sizes = fields.get("sizes", "").split()
    kinds = [kind.lower() for kind in fields.get("kinds", "").split()] or ["domain"] * len(sizes)
    if "complex" in kinds:
        raise InputError(
            path,
            found="complex voxels",
            expected="one real number per voxel",
            remedy="convert the file to a real data type, one file per component",
            kind="voxel-type",
        )
    domains = sum(kind in _DOMAINS for kind in kinds)
    if domains > _MAX_AXES and ("space" in fields or fields.get("space dimension") == "3"):
        raise InputError(
            path,
            found=f"{domains} axes (sizes {fields.get('sizes', '')}) in a space of {_MAX_AXES} dimensions",
            expected="one volume (x, y, z), perhaps with a list axis",
            remedy="select a volume, or remove the axis if its length is 1",
            kind="dimensions",
        )


def _check_places(path: str, fields: dict[str, str]) -> None:
    """Refuse an axis in space without a direction or a spacing, which ITK takes as 1 mm, and a negative spacing."""
    sizes = fields.get("sizes", "").split()
    kinds = [kind.lower() for kind in fields.get("kinds", "").split()]
    directions = _VECTOR.findall(fields.get("space directions", ""))
    spacings = fields.get("spacings", "").lower().split()
    for axis, size in enumerate(sizes):
        # Without kinds an axis beyond the third may be a list.
        is_in_space = kinds[axis] in _DOMAINS if axis < len(kinds) else len(sizes) <= _MAX_AXES
        if not is_in_space or size == "1":
            continue
        direction = directions[axis].lower() if axis < len(directions) else ""
        spacing = spacings[axis] if axis < len(spacings) else ""
        if direction == "none" or "nan" in direction:
            found, kind = f"no direction ({direction}) of the axis of {size} voxels", "affine"
        elif spacing == "nan" or spacing.startswith("-"):
            found, kind = f"a spacing of {spacing} along the axis of {size} voxels", "spacing"
        else:
            continue
        raise InputError(
            path,
            found=found,
            expected="a direction, or a spacing above 0 mm, for every axis in space",
            remedy="write it into the header from the original scan; an axis of channels has the kind list",
            kind=kind,
        )


def _split_quoted(value: str) -> list[str]:
    return [unit.strip() for unit in re.findall(r'"([^"]*)"', value)] or value.split()
