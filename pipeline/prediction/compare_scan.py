"""Compare a scan with the scans that a bundle was trained on, as its metadata describe them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import nibabel
import numpy as np

from ..data.compare_intensities import has_few_values
from ..data.errors import InputError
from ..data.intensities import sort_sample, summarize_values
from ..data.modalities import lacks_hounsfield_units, looks_like_ct

__all__ = ["Comparison", "compare_scan", "refuse_unlike"]

# An axis of a scan is unlike the training's if it is longer than the longest or shorter than the shortest one by this
# factor; two axes by the larger factor are beyond reason in a volume. Measured: hippocampi 1.02 times outside the range
# of the others, 1.29 outside that of a random fifth of them; a head of 180 x 220 x 200 mm 3.8 to 4.4 times.
MAX_EXTENT = 1.5
MAX_EXTENT_IN_REASON = 3.0
# Pictures are cut to any size, at the same size of a pixel.
MAX_PICTURE = 4.0
MAX_SPACING = 2.0
MAX_SPACING_IN_REASON = 5.0
# The place of 0 and of the median in a scan's range, and how far they may be outside the training's. Measured, outside
# the range of a random fifth of the dataset: hippocampi .03 and .06, slices of membranes .15 and .03, samples .02.
MAX_SHIFT = 0.25
# The range of intensities, where so many training scans agree within the first factor, or units are absolute.
MIN_CASES = 16
MAX_AGREEMENT = 8.0
MAX_SPAN = 10.0
MAX_CT_SPAN = 3.0
# The training's values are those of no CT if no scan has a first percentile below this.
MIN_LOW_WITHOUT_AIR = -200.0


@dataclass
class Comparison:
    """What is unlike the training scans.

    Attributes:
        notes: what a user should know.
        beyond: what is beyond reason.
    """

    notes: list[str] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)


def compare_scan(
    image: np.ndarray, affine: np.ndarray, training: Mapping[str, Any] | None, *, modality: str, unit: str | None = None
) -> Comparison:
    """Return where a scan is unlike the training scans; nothing if the bundle does not describe them.

    Args:
        image: (C, X, Y[, Z]), finite, in the scan's own units.
        affine: voxel to world, 4x4 (mm, RAS).
        training: the entry "training_scans" of the bundle's metadata; None if it has none.
        modality: the bundle's modality in its metadata.
        unit: of the affine: "mm", or of pictures "px", "µm" or "nm"; None is that of training.
    """
    found = Comparison()
    if not training:
        return found
    try:
        usual = str(training.get("unit", "mm"))
        if unit in (None, usual):
            _compare_grid(found, image.shape[1:], affine, training, usual)
        else:
            _add(found, f"its lengths are in {unit}, those of training in {usual}", beyond=False)
        for channel, values in enumerate(image):
            where = f"channel {channel}: " if len(image) > 1 else ""
            _compare_values(found, where, values, _of_channel(training, channel), modality)
    except (KeyError, TypeError, IndexError, ValueError):
        # Another program may have written an entry of this name.
        return Comparison()
    return found


def refuse_unlike(file: str, found: Comparison) -> InputError:
    """Return the error that refuses a scan which is unlike the training scans beyond reason."""
    return InputError(
        file,
        found=f"a scan unlike those that the bundle was trained on: {'; '.join(found.beyond)}",
        expected="a scan of the same kind: field of view, voxel size and intensities as in training",
        remedy="check scan and bundle; --anyway (from Python anyway=True) segments it, with a note",
    )


def _compare_grid(
    found: Comparison, shape: Sequence[int], affine: np.ndarray, training: Mapping[str, Any], unit: str
) -> None:
    sizes = np.linalg.norm(affine[:3, :3], axis=0)[: len(shape)]
    order = _order_axes(affine, len(shape))
    spacing, extent = sizes[order], (np.asarray(shape) * sizes)[order]
    volume = len(shape) == 3
    expected = training["extent"]
    factors = list(_factors(extent, expected))
    limit = MAX_EXTENT if volume else MAX_PICTURE
    if max(map(_size, factors)) > limit:
        words = f"its field of view is {_product(extent)} {unit}, that of training {_span(expected)} {unit}"
        many = sum(_size(factor) > MAX_EXTENT_IN_REASON for factor in factors) > 1
        _add(found, words, beyond=volume and many)
    factors = list(_factors(spacing, training["spacing"]))
    if max(map(_size, factors)) > MAX_SPACING:
        usual = _span(training["spacing"])
        words = f"its voxels are {_product(spacing)} {unit}, those of training {usual} {unit}"
        many = sum(_size(factor) > MAX_SPACING_IN_REASON for factor in factors) > 1
        _add(found, words, beyond=volume and many)


def _compare_values(
    found: Comparison, where: str, values: np.ndarray, training: Mapping[str, Any], modality: str
) -> None:
    ranks = sort_sample(values)
    own = summarize_values(ranks) | {"min": float(ranks[0])}
    low, middle, high = own["quantiles"]
    shown = f"{where}its values are {low:.4g} to {high:.4g} (1 % to 99 %), median {middle:.4g}"
    usual = f"those of training {training['low'][1]:.4g} to {training['high'][1]:.4g}"
    usual += f", median {training['middle'][1]:.4g}"
    if has_few_values(own, training["distinct"]):
        few = f"{where}it has {own['distinct']} distinct values, all whole numbers, as a label map has"
        _add(found, f"{few}; training scans have {training['distinct']} or more", beyond=True)
        return
    trained_in_hu = modality == "CT" and training["low"][1] < MIN_LOW_WITHOUT_AIR
    if trained_in_hu and lacks_hounsfield_units(own):
        _add(found, f"{shown}: no Hounsfield units; {usual}", beyond=True)
        return
    if modality != "CT" and training["low"][0] > MIN_LOW_WITHOUT_AIR and looks_like_ct(own):
        _add(found, f"{shown}, as those of a CT; {usual}", beyond=True)
        return
    span = high - low
    if span <= 0:
        return
    shifts = ((low / span, training["zero"]), ((middle - low) / span, training["centre"]))
    moved = any(_outside(value, expected) > MAX_SHIFT for value, expected in shifts)
    agree = training["cases"] >= MIN_CASES and training["span"][2] <= MAX_AGREEMENT * training["span"][0]
    limit = MAX_CT_SPAN if modality == "CT" else MAX_SPAN if agree else np.inf
    if moved or _size(next(_factors([span], [training["span"]]))) > limit:
        _add(found, f"{shown}; {usual}", beyond=False)


def _order_axes(affine: np.ndarray, axes: int) -> list[int]:
    """Return the axis of the file along each axis of the world: right-left, front-back, top-bottom."""
    if axes < 3:
        return list(range(axes))
    world = nibabel.orientations.io_orientation(affine)[:, 0]
    return [int(np.flatnonzero(world == axis)[0]) for axis in range(3)]


def _of_channel(training: Mapping[str, Any], channel: int) -> dict[str, Any]:
    keys = ("low", "middle", "high", "span", "zero", "centre", "distinct")
    return {key: training[key][channel] for key in keys} | {"cases": training["cases"]}


def _factors(values: Sequence[float] | np.ndarray, expected: Sequence[Sequence[float]]) -> Iterator[float]:
    """Yield how many times a value is above the highest (above 1) or below the lowest (below 1) of the training."""
    for value, (lowest, _, highest) in zip(values, expected, strict=True):
        yield float(value / highest if value > highest else min(value / lowest, 1.0))


def _size(factor: float) -> float:
    return max(factor, 1 / factor) if factor > 0 else np.inf


def _outside(value: float, expected: Sequence[float]) -> float:
    return max(value - expected[2], expected[0] - value, 0.0)


def _add(found: Comparison, words: str, *, beyond: bool) -> None:
    (found.beyond if beyond else found.notes).append(words)


def _product(values: Sequence[float] | np.ndarray) -> str:
    return " x ".join(f"{value:.3g}" for value in values)


def _span(expected: Sequence[Sequence[float]]) -> str:
    lowest, highest = (_product([each[place] for each in expected]) for place in (0, 2))
    return lowest if lowest == highest else f"{lowest} to {highest}"
