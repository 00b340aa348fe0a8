"""Check the arguments of an augmentation and the batches that it receives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..data.errors import InputError

__all__ = [
    "check_batch",
    "check_mirror_axes",
    "check_probability",
    "check_range",
    "check_rotation_ranges",
    "check_spacing",
    "require",
]

Range = tuple[float, float]


def check_batch(batchdata: Mapping[str, Any], spatial_dims: int) -> None:
    """Raise InputError unless the batch has image (N, C, *spatial), label (N, 1, *spatial) and key (N,)."""
    for name in ("image", "label", "key"):
        if name not in batchdata:
            raise InputError(
                "training batch",
                found=f"{', '.join(map(repr, batchdata)) or 'nothing'}, without {name!r}",
                expected="'image', 'label' and 'key', one random integer per sample",
                remedy=f"make the dataset's transforms return {name!r} for every sample",
            )
    image, label, key = (tuple(batchdata[name].shape) for name in ("image", "label", "key"))
    if len(image) != 2 + spatial_dims or label != (image[0], 1, *image[2:]) or key != image[:1]:
        raise InputError(
            "training batch",
            found=f"image {image}, label {label}, key {key}",
            expected=f"image (N, C, *spatial) with {spatial_dims} spatial axes, label (N, 1, *spatial), key (N,)",
            remedy="crop image and label together, and store one key per sample",
        )


def require(valid: bool, name: str, found: object, expected: str) -> None:
    """Raise InputError for the argument unless it is valid."""
    if not valid:
        raise InputError(name, found=str(found), expected=expected, remedy=f"correct {name}, or leave it out")


def check_spacing(value: Sequence[float], spatial_dims: int) -> tuple[float, ...]:
    """Return mm per voxel along each axis, or raise InputError unless there is one number above 0 per axis."""
    valid = len(value) == spatial_dims and all(0 < mm < math.inf for mm in value)
    require(valid, "spacing", value, f"{spatial_dims} numbers above 0, mm per voxel")
    return tuple(value)


def check_mirror_axes(value: Sequence[int], spatial_dims: int) -> tuple[int, ...]:
    """Return the axes to mirror, or raise InputError if an axis does not exist or is repeated."""
    valid = len(set(value)) == len(value) and set(value) <= set(range(spatial_dims))
    require(valid, "mirror_axes", value, f"different axes from 0 to {spatial_dims - 1}")
    return tuple(value)


def check_probability(name: str, value: float) -> float:
    """Return the value, or raise InputError if it is not 0 to 1."""
    require(0 <= value <= 1, name, value, "a probability, 0 to 1")
    return value


def check_range(
    name: str,
    value: Sequence[float],
    *,
    above: float = -math.inf,
    minimum: float = -math.inf,
    maximum: float = math.inf,
) -> Range:
    """Return (low, high), or raise InputError unless the two are finite, ordered and within the limits."""
    limits = [f"above {above}"] * (above > -math.inf) + [f"{minimum} or more"] * (minimum > -math.inf)
    limits += [f"{maximum} or less"] * (maximum < math.inf)
    expected = " and ".join(["(low, high), low not above high", *limits])
    require(isinstance(value, Sequence) and len(value) == 2, name, value, expected)
    low, high = value
    valid = max(above, minimum) <= low <= high <= maximum and above < low and math.isfinite(high)
    require(valid, name, value, expected)
    return low, high


def check_rotation_ranges(value: float | Sequence[float | Sequence[float]], *, axes: int) -> tuple[Range, ...]:
    """Return (low, high) in radians for each axis of rotation. A number n means (-n, n)."""
    entries = [value] * axes if isinstance(value, int | float) else list(value)
    require(len(entries) == axes, "rotate_range", value, f"one number, or {axes} numbers or pairs, in radians")
    pairs = [(-abs(item), abs(item)) if isinstance(item, int | float) else item for item in entries]
    return tuple(check_range("rotate_range", pair) for pair in pairs)
