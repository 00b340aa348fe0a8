"""Make label maps of synthetic organs: a reference, and a prediction that is off by a few millimetres."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["make_hippocampi", "make_organs"]

# Centres and semi-axes (shares of the volume's size). In 512 x 512 x 300 voxels of 0.8 x 0.8 x 1 mm the volumes are
# those of adults (l): lungs 1.8 each, liver 1.4, heart 0.5, spleen 0.2, stomach 0.2, kidneys 0.15 each, aorta 0.1.
_LARGE = (
    ((0.27, 0.50, 0.70), (0.15, 0.20, 0.28)),
    ((0.73, 0.50, 0.70), (0.15, 0.20, 0.28)),
    ((0.36, 0.46, 0.33), (0.20, 0.17, 0.20)),
    ((0.52, 0.40, 0.62), (0.12, 0.12, 0.16)),
    ((0.76, 0.60, 0.38), (0.09, 0.09, 0.13)),
    ((0.62, 0.40, 0.36), (0.10, 0.08, 0.12)),
    ((0.34, 0.66, 0.20), (0.07, 0.07, 0.14)),
    ((0.66, 0.66, 0.20), (0.07, 0.07, 0.14)),
    ((0.52, 0.62, 0.50), (0.03, 0.03, 0.45)),
)
_WAVES = 6  # of an organ's surface
_WAVE = 0.05  # height of a wave, share of the radius
_ERROR_MM = 1.5  # size of the prediction's errors, which vary slowly along the surface
_ISLAND_EVERY = 4  # every fourth organ has an island that is invented


class _Organ(NamedTuple):
    centre: NDArray[np.float64]  # mm
    axes: NDArray[np.float64]  # semi-axes, mm
    directions: NDArray[np.float64]  # (waves, dims), 1/radius
    phases: NDArray[np.float64]


def make_organs(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], labels: int, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a prediction and its reference, each with the labels 1 to `labels`.

    The first nine are like organs of an adult, from lungs to aorta; the others are of the size of a vertebra. Some
    organs of the prediction have an island next to them.

    Args:
        shape: shape of the volume, voxels.
        spacing: voxel size, mm.
        labels: number of organs.
        seed: seed of their shapes.
    """
    rng = np.random.default_rng(seed)
    size = np.array(shape) * spacing
    prediction, reference = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for number in range(labels):
        place, axes = _LARGE[number] if number < len(_LARGE) else _draw_small(rng, number - len(_LARGE))
        organ = _draw_organ(rng, np.array(place) * size, np.array(axes) * size)
        _paint(reference, organ, spacing, number + 1)
        changed = organ._replace(centre=organ.centre + rng.normal(0, 0.3 * _ERROR_MM, 3))
        _paint(prediction, changed, spacing, number + 1, rng=rng)
        if number % _ISLAND_EVERY == 1:
            away = np.sign(0.5 - np.array(place)) * (np.array(axes) * size + 15)
            _paint(prediction, _draw_organ(rng, organ.centre + away, np.full(3, 4.0)), spacing, number + 1)
    return prediction, reference


def make_hippocampi(cases: int, seed: int) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Return predictions and references as in the hippocampus dataset: 36 x 50 x 36 voxels of 1 mm, two labels."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(cases):
        maps = np.zeros((36, 50, 36), np.uint8), np.zeros((36, 50, 36), np.uint8)
        for value, centre in ((1, (18, 16, 18)), (2, (17, 31, 17))):
            organ = _draw_organ(rng, np.array(centre, float), np.array((7.0, 9.0, 7.0)))
            _paint(maps[1], organ, (1.0, 1.0, 1.0), value)
            _paint(maps[0], organ, (1.0, 1.0, 1.0), value, rng=rng, error_mm=0.6)
        made.append(maps)
    return made


def _draw_small(rng: np.random.Generator, number: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    angle = 2.4 * number
    place = (0.5 + 0.08 * math.cos(angle), 0.6 + 0.12 * math.sin(angle), 0.07 + 0.08 * number)
    return place, tuple(rng.uniform(0.045, 0.065, 3))


def _draw_organ(rng: np.random.Generator, centre: NDArray[np.float64], axes: NDArray[np.float64]) -> _Organ:
    return _Organ(centre, axes, rng.normal(0, 3, (_WAVES, 3)), rng.uniform(0, 2 * math.pi, _WAVES))


def _paint(
    volume: NDArray[np.uint8],
    organ: _Organ,
    spacing: tuple[float, float, float],
    value: int,
    *,
    rng: np.random.Generator | None = None,
    error_mm: float = _ERROR_MM,
) -> None:
    """Write an organ into a volume, with errors of its surface if there is a generator."""
    steps = np.array(spacing)
    reach = organ.axes * (1 + _WAVES * _WAVE) + 3 * error_mm
    low = np.maximum(np.floor((organ.centre - reach) / steps).astype(int), 0)
    high = np.minimum(np.ceil((organ.centre + reach) / steps).astype(int) + 1, volume.shape)
    if (low >= high).any():
        return
    place = [
        (((np.arange(a, b) * step) - middle) / axis).astype(np.float32)
        for a, b, step, middle, axis in zip(low, high, steps, organ.centre, organ.axes, strict=True)
    ]
    x, y, z = np.ix_(*place)
    level = np.sqrt(x**2 + y**2 + z**2)
    waves = [(direction, phase, _WAVE) for direction, phase in zip(organ.directions, organ.phases, strict=True)]
    if rng is not None:
        height = error_mm / organ.axes.min() / 2
        waves += [(rng.normal(0, 6, 3), rng.uniform(0, 2 * math.pi), height) for _ in range(4)]
    for direction, phase, height in waves:
        level += np.float32(height) * np.sin(
            np.float32(direction[0]) * x
            + np.float32(direction[1]) * y
            + np.float32(direction[2]) * z
            + np.float32(phase)
        )
    part = volume[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    part[level < 1] = value
