"""The spacing of a TIFF: from a JSON file next to it, from OME or ImageJ metadata, or from the resolution tags."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ..errors import InputError
from ..json_file import load_json
from ..known_keys import resembled_key
from .files import spacing_file

__all__ = ["PIXELS", "find_spacing"]

PIXELS = "px"
# Of a side's length in mm, by the unit's name in lower case. OME's symbols and ImageJ's words.
_MM = {
    "pm": 1e-9,
    "nm": 1e-6,
    "nanometer": 1e-6,
    "um": 1e-3,
    "µm": 1e-3,
    "μm": 1e-3,
    "\\u00b5m": 1e-3,
    "micron": 1e-3,
    "microns": 1e-3,
    "micrometer": 1e-3,
    "mm": 1.0,
    "millimeter": 1.0,
    "cm": 10.0,
    "dm": 100.0,
    "m": 1000.0,
    "inch": 25.4,
    "in": 25.4,
    "mil": 0.0254,
}
# The smallest length of a pixel in each unit. MONAI and others compare places to 0.001, whatever the unit.
_MIN_LENGTH = 0.01
_UNITS = {"mm": 1.0, "µm": 1e3, "nm": 1e6}  # per mm
# Resolutions that programs write for printing; they say nothing about the object.
_PRINTED = frozenset({1, 72, 75, 96, 100, 120, 144, 150, 180, 200, 240, 300, 350, 400, 600, 720, 1200, 2400})
_TAG_UNITS = {2: 25.4, 3: 10.0}  # mm per inch and per centimetre; 1 is no unit
_X, _Y, _UNIT = 282, 283, 296
_SAME = 0.01


def find_spacing(path: str, tiff: Any, shape: Sequence[int]) -> tuple[tuple[float, ...], str, tuple[InputError, ...]]:
    """Return the spacing of a TIFF along x, y and perhaps z, its unit, and notes.

    The first of these that states all axes counts: nnU-Net's JSON file, OME's physical sizes, ImageJ's calibration, the
    resolution tags. Without any the spacing is 1 pixel.

    Args:
        path: the file.
        tiff: opened by tifffile.
        shape: of the picture in space, (x, y) or (x, y, z).

    Returns:
        The spacing, in µm where pixels are smaller than 0.01 mm, and in nm where they are smaller than 0.01 µm; its
        unit, "mm", "µm", "nm" or "px"; notes.

    Raises:
        InputError: the JSON file is broken, or a size is not above 0.
    """
    axes = len(shape)
    by_hand = f"the file {spacing_file(path).name}"
    stated = [
        (name, sizes)
        for name, sizes in (
            (by_hand, _json_spacing(path, axes)),
            ("the OME metadata", _ome_spacing(tiff)),
            ("the ImageJ metadata", _imagej_spacing(tiff, axes)),
            ("the resolution tags", _tag_spacing(tiff)),
        )
        if sizes is not None
    ]
    whole = [(name, sizes[:axes]) for name, sizes in stated if len(sizes) >= axes]
    if not whole:
        notes = [_incomplete_note(path, *one) for one in stated[:1]]
        return (1.0,) * axes, PIXELS, tuple(notes)
    (name, spacing), *others = whole
    if not all(math.isfinite(size) and size > 0 for size in spacing):
        raise InputError(
            path,
            found=f"a spacing of {_format(spacing)} mm in {name}",
            expected="a spacing above 0 along every axis",
            remedy="correct it from the microscope's or scanner's own record",
            kind="spacing",
        )
    notes = [
        _differing_note(path, (name, spacing), other) for other in others if not np.allclose(spacing, other[1], _SAME)
    ]
    used = [size for size, count in zip(spacing, shape, strict=True) if count > 1] or list(spacing)
    fitting = [unit for unit, factor in _UNITS.items() if min(used) * factor >= _MIN_LENGTH]
    # nnU-Net's file has no unit: such a small number in it is a mistake, which the check reports.
    unit = fitting[0] if fitting and name != by_hand else "mm"
    return tuple(round(size * _UNITS[unit], 9) for size in spacing), unit, tuple(notes)


def _json_spacing(path: str, axes: int) -> tuple[float, ...] | None:
    """Return the spacing in nnU-Net's JSON file, which has it in the order z, y, x; None without such an entry."""
    file = spacing_file(path)
    try:
        # Editors on Windows start a file with a byte order mark.
        content = load_json(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise _json_error(path, file, f"a file that cannot be read ({type(error).__name__})") from error
    if not isinstance(content, dict):
        raise _json_error(path, file, f"{content!r:.80}")
    sizes = content.get("spacing")
    if sizes is None:
        # Files of other programs have the same name, and keys of their own.
        for key in content:
            if resembled_key(key, ("spacing",)):
                raise _json_error(path, file, f'the key "{key}", which is not read,')
        return None
    if (
        not isinstance(sizes, list)
        or len(sizes) not in {axes, 3}
        or not all(type(size) in (int, float) and math.isfinite(size) and size > 0 for size in sizes)
    ):
        raise _json_error(path, file, f'"spacing" {sizes!r:.80}')
    # nnU-Net gives 2D pictures a first axis of one slice.
    return tuple(float(size) for size in reversed(sizes[-axes:]))


def _json_error(path: str, file: Path, found: str) -> InputError:
    return InputError(
        path,
        found=f"{found} in {file.name} next to it",
        expected='{"spacing": [z, y, x]}, numbers above 0 in mm, as nnU-Net writes it',
        remedy="correct that file, or take it away",
        kind="spacing",
    )


def _ome_spacing(tiff: Any) -> tuple[float, ...] | None:
    text = tiff.ome_metadata
    # An entity could grow without limit; OME's metadata need none.
    if not text or "<!ENTITY" in text:
        return None
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return None
    pixels = next((one for one in root.iter() if one.tag.rpartition("}")[2] == "Pixels"), None)
    sizes: list[float] = []
    for axis in "XYZ":
        size = None if pixels is None else pixels.get(f"PhysicalSize{axis}")
        # The schema's default unit is the micrometre.
        unit = _MM.get("µm" if pixels is None else pixels.get(f"PhysicalSize{axis}Unit", "µm").lower())
        if size is None or unit is None:
            break
        sizes.append(_number(size) * unit)
    return tuple(sizes) if len(sizes) > 1 else None


def _imagej_spacing(tiff: Any, axes: int) -> tuple[float, ...] | None:
    metadata = tiff.imagej_metadata
    if not metadata:
        return None
    across, down = _per_unit(tiff, _X), _per_unit(tiff, _Y)
    unit = _MM.get(str(metadata.get("unit", "")).strip().lower())
    if unit is None or across is None or down is None:
        return None
    depth = metadata.get("spacing") if axes > 2 else None
    # ImageJ writes a negative spacing for a stack that was turned round.
    sizes = [1 / across, 1 / down, *([abs(float(depth))] if isinstance(depth, int | float) else [])]
    return tuple(size * unit for size in sizes)


def _tag_spacing(tiff: Any) -> tuple[float, ...] | None:
    tags = tiff.pages[0].tags
    unit = _TAG_UNITS.get(int(tags[_UNIT].value) if _UNIT in tags else 2)
    across, down = _per_unit(tiff, _X), _per_unit(tiff, _Y)
    # ImageJ's own unit is in its metadata.
    if unit is None or across is None or down is None or tiff.imagej_metadata:
        return None
    per_inch = [25.4 * size / unit for size in (across, down)]
    if all(abs(size - round(size)) < _SAME and round(size) in _PRINTED for size in per_inch):
        return None
    return unit / across, unit / down


def _per_unit(tiff: Any, tag: int) -> float | None:
    """Return a resolution tag, in pixels per unit; None if there is none, or 0."""
    tags = tiff.pages[0].tags
    if tag not in tags:
        return None
    above, below = tags[tag].value
    return above / below if above and below else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _incomplete_note(path: str, name: str, sizes: Sequence[float]) -> InputError:
    return InputError(
        path,
        found=f"a spacing of {_format(sizes)} mm in the plane and none between slices in {name}; read as 1 pixel",
        expected="a spacing along every axis",
        remedy='write {"spacing": [z, y, x]} in mm to ' + spacing_file(path).name,
        kind="spacing-incomplete",
    )


def _differing_note(path: str, used: tuple[str, Sequence[float]], other: tuple[str, Sequence[float]]) -> InputError:
    return InputError(
        path,
        found=f"a spacing of {_format(used[1])} mm in {used[0]}, which is used, and of {_format(other[1])} mm in "
        f"{other[0]}",
        expected="one spacing",
        remedy="correct the wrong one, or take it away",
        kind="spacing-conflict",
    )


def _format(sizes: Sequence[float]) -> str:
    return " x ".join(f"{size:g}" for size in sizes)
