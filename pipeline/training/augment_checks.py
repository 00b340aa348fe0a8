"""Whether the arguments of an augmentation, and the batch it gets, can be used."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..data.errors import InputError

__all__ = ["axes_of", "check_batch", "probability", "require", "rotation_ranges", "spacing_of", "value_range"]

Range = tuple[float, float]


def check_batch(batchdata: Mapping[str, Any], spatial_dims: int) -> None:
    """Raise InputError unless there are image (N, C, *spatial), label (N, 1, *spatial) and key (N,)."""
    for name in ("image", "label", "key"):
        if name not in batchdata:
            raise InputError(
                "training batch",
                found=f"{', '.join(map(repr, batchdata)) or 'nothing'}, without {name!r}",
                expected="'image', 'label' and 'key', one random integer per sample",
                remedy=f"let the dataset's transforms give every sample its {name!r}",
            )
    image, label, key = (tuple(batchdata[name].shape) for name in ("image", "label", "key"))
    if len(image) != 2 + spatial_dims or label != (image[0], 1, *image[2:]) or key != image[:1]:
        raise InputError(
            "training batch",
            found=f"image {image}, label {label}, key {key}",
            expected=f"image (N, C, *spatial) with {spatial_dims} spatial axes, label (N, 1, *spatial), key (N,)",
            remedy="crop image and label together, and give every sample one key",
        )


def require(right: bool, name: str, found: object, expected: str) -> None:
    """Raise InputError for the argument unless it is right."""
    if not right:
        raise InputError(name, found=str(found), expected=expected, remedy=f"correct {name}, or leave it out")


def spacing_of(value: Sequence[float], spatial_dims: int) -> tuple[float, ...]:
    """Give mm per voxel along each axis, or raise InputError when these are not as many numbers above 0."""
    right = len(value) == spatial_dims and all(0 < mm < math.inf for mm in value)
    require(right, "spacing", value, f"{spatial_dims} numbers above 0, mm per voxel")
    return tuple(value)


def axes_of(value: Sequence[int], spatial_dims: int) -> tuple[int, ...]:
    """Give the axes to mirror, or raise InputError when there is no such axis, or one stands twice."""
    right = len(set(value)) == len(value) and set(value) <= set(range(spatial_dims))
    require(right, "mirror_axes", value, f"different axes out of 0 to {spatial_dims - 1}")
    return tuple(value)


def probability(name: str, value: float) -> float:
    """Give the value back, or raise InputError when it is not 0 to 1."""
    require(0 <= value <= 1, name, value, "a probability, 0 to 1")
    return value


def value_range(
    name: str, value: Sequence[float], *, above: float = -math.inf, least: float = -math.inf, most: float = math.inf
) -> Range:
    """Give (low, high), or raise InputError when that is not finite and ordered, or beyond the limits."""
    limits = [f"above {above}"] * (above > -math.inf) + [f"{least} or more"] * (least > -math.inf)
    limits += [f"{most} or less"] * (most < math.inf)
    expected = " and ".join(["(low, high), low not above high", *limits])
    require(isinstance(value, Sequence) and len(value) == 2, name, value, expected)
    low, high = value
    right = max(above, least) <= low <= high <= most and above < low and math.isfinite(high)
    require(right, name, value, expected)
    return low, high


def rotation_ranges(value: float | Sequence[float | Sequence[float]], *, axes: int) -> tuple[Range, ...]:
    """Give (low, high) for each axis of rotation, radians; a number means its negative to itself."""
    several = [value] * axes if isinstance(value, int | float) else list(value)
    require(len(several) == axes, "rotate_range", value, f"one number, or {axes} numbers or pairs, in radians")
    pairs = [(-abs(item), abs(item)) if isinstance(item, int | float) else item for item in several]
    return tuple(value_range("rotate_range", pair) for pair in pairs)
