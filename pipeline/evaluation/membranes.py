"""V_rand and V_info of membranes: how well they separate cells, whatever their width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

__all__ = ["THRESHOLDS", "MembraneScores", "SegmentScores", "compare_segments", "measure_membranes", "thin_borders"]

_MAX_ROUNDING = 1e-3  # of probabilities that were averaged or stored in 16 bits

THRESHOLDS = tuple(step / 10 for step in range(11))
"""Thresholds of the membrane's probability, those of the challenge."""


@dataclass(frozen=True)
class SegmentScores:
    """How well predicted segments S are the segments T of a reference.

    The six scores are in [0, 1], higher is better. They are NaN if the reference has no segment.

    Attributes:
        v_rand: F-score of the two parts, which count pairs of pixels.
        v_rand_split: share of the pairs in one segment of T that are in one of S. 1 if nothing is split.
        v_rand_merge: share of the pairs in one segment of S that are in one of T. 1 if nothing is merged.
        v_info: F-score of the two parts, which are shares of information.
        v_info_split: share of the entropy of S that T explains, 1 - H(S|T) / H(S). 1 if nothing is split.
        v_info_merge: share of the entropy of T that S explains, 1 - H(T|S) / H(T). 1 if nothing is merged.
        split_entropy: H(S|T) in bits, from 0.
        merge_entropy: H(T|S) in bits, from 0. The sum of both is the variation of information.
    """

    v_rand: float
    v_rand_split: float
    v_rand_merge: float
    v_info: float
    v_info_split: float
    v_info_merge: float
    split_entropy: float
    merge_entropy: float


@dataclass(frozen=True)
class MembraneScores:
    """The scores of a membrane map at its best thresholds, and at all of them.

    Attributes:
        v_rand: scores at the threshold with the highest V_rand.
        v_rand_threshold: that threshold, the lowest one if several are equal; NaN if no slice counts.
        v_info: scores at the threshold with the highest V_info.
        v_info_threshold: that threshold.
        thresholds: all thresholds.
        curve: scores at each of them.
        slices: number of slices that count, those with a cell in the reference.
    """

    v_rand: SegmentScores
    v_rand_threshold: float
    v_info: SegmentScores
    v_info_threshold: float
    thresholds: tuple[float, ...]
    curve: tuple[SegmentScores, ...]
    slices: int

    def as_row(self) -> dict[str, float]:
        """Return the six scores by name: those of V_rand at its best threshold, those of V_info at its own."""
        names = [field.name for field in fields(SegmentScores) if field.name.startswith("v_")]
        return {name: getattr(self.v_rand if name.startswith("v_rand") else self.v_info, name) for name in names}


def measure_membranes(
    probabilities: ArrayLike,
    reference: Any,
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    thin: bool = True,
) -> MembraneScores:
    """Return V_rand and V_info of a map of membranes, each at its best threshold (Arganda-Carreras et al., 2015).

    These are the final measures of the ISBI 2012 challenge, "foreground-restricted scoring after border thinning", as
    its Fiji script computes them (``getMaximalVRandAfterThinning`` and ``getMaximalVInfoAfterThinning`` of the plugin
    Trainable Segmentation). In each slice, for each threshold:

    1. A pixel is membrane if its probability is at least the threshold; for the threshold 0 if it is above 0.
    2. Predicted segments are the 4-connected components of the other pixels. They grow into the membrane until only
       lines of one pixel are between them (`thin_borders`).
    3. Reference segments are the 4-connected components of the reference without its membrane, which is not thinned.
       Its pixels do not count, however thick it is.
    4. `compare_segments` compares both.

    Scores are averaged over the slices, then the best threshold is chosen for the whole stack, once for each measure.
    The script adds up thresholds of the *inside's* probability p and takes pixels with p above it. That is this rule
    for 1 - p, from threshold 1 to 0; its sum of 0.1 ends just below 1, hence the rule for 0.

    Two differences to the script are on purpose. A slice whose reference has no cell does not count (there it makes the
    result NaN). If both sides have a single segment, V_info is 1 (there 0).

    Args:
        probabilities: probability of membrane in [0, 1], but for rounding, one slice (H, W) or a stack (N, H, W); or a
            mask of it, for which all thresholds are the same.
        reference: mask of the membrane, of the same shape, bool or of the values 0 and 1, tensor or array.
        thresholds: thresholds in [0, 1].
        thin: whether predicted borders are thinned. Without it each pixel of a predicted border is a segment
            of its own.

    Raises:
        ValueError: If the shapes differ or are others, values are no probabilities, the reference is no mask, or
            thresholds are missing or out of range.
    """
    found, expected = _read_maps(probabilities, reference)
    steps = tuple(float(step) for step in thresholds)
    if not steps or not all(0 <= step <= 1 for step in steps):
        msg = f"thresholds are {steps}: expected one or more in [0, 1]"
        raise ValueError(msg)
    by_slice = []
    for membrane, border in zip(found, expected, strict=True):
        if border.all():
            continue
        segments = _label(~border)
        seen: dict[bytes, SegmentScores] = {}
        for step in steps:
            inside = ~_cut(membrane, step)
            # A mask, and a network that is sure, are the same at many thresholds.
            key = np.packbits(inside).tobytes()
            if key not in seen:
                seen[key] = compare_segments(thin_borders(inside) if thin else _label(inside), segments)
            by_slice.append(astuple(seen[key]))
    slices = len(by_slice) // len(steps)
    if not slices:
        nothing = SegmentScores(*[float("nan")] * len(fields(SegmentScores)))
        return MembraneScores(nothing, float("nan"), nothing, float("nan"), steps, (nothing,) * len(steps), 0)
    means = np.array(by_slice).reshape(slices, len(steps), -1).mean(axis=0)
    curve = tuple(SegmentScores(*map(float, row)) for row in means)
    order = sorted(range(len(steps)), key=lambda place: steps[place])
    rand = max(order, key=lambda place: curve[place].v_rand)
    info = max(order, key=lambda place: curve[place].v_info)
    return MembraneScores(curve[rand], steps[rand], curve[info], steps[info], steps, curve, slices)


def thin_borders(inside: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the segments of a slice (H, W) after border thinning: 1 and above, and 0 for lines of one pixel.

    4-connected components of `inside` grow into the border at the same speed, by scikit-image's watershed with lines.
    A border around a single component disappears; without any component the whole slice is one segment.

    The challenge's script thins with its own watershed of flooding (Soille and Vincent, 1990). It keeps and joins the
    same components. Which pixels are in a line, and its width where several fronts meet, can differ.

    Args:
        inside: mask of what is no border.
    """
    from skimage.segmentation import watershed  # noqa: PLC0415 slow to import, and rarely asked for

    markers = _label(inside)
    if markers.max() <= 1:
        return np.ones(inside.shape, dtype=np.int32)
    lines: NDArray[np.int32] = watershed(~inside, markers, connectivity=1, watershed_line=True)
    return lines


def compare_segments(predicted: NDArray[np.integer], expected: NDArray[np.integer]) -> SegmentScores:
    """Compare predicted segments S with those of a reference, T, over the pixels that T has (its foreground).

    With p_ij the share of these pixels that is in segment i of S and j of T, s_i and t_j the sums of it, H the entropy
    and I(S;T) = H(S) + H(T) - H(S,T) (Arganda-Carreras et al., 2015, equations for alpha 0.5, and 0 and 1 for the
    parts):

    - V_rand = sum p_ij^2 / (0.5 sum s_i^2 + 0.5 sum t_j^2); split: sum p_ij^2 / sum t_j^2; merge: / sum s_i^2.
    - V_info = I(S;T) / (0.5 H(S) + 0.5 H(T)); split: I(S;T) / H(S); merge: I(S;T) / H(T).

    Pairs include each pixel with itself, as in the challenge's script; scikit-image's ``adapted_rand_error`` leaves
    those out. A part of V_info whose entropy is 0 is 1: a single segment splits, or merges, nothing.

    Args:
        predicted: number of each pixel's segment, 1 and above. Each pixel of 0, a border, is a segment of its own.
        expected: number of each pixel's segment, of the same shape; pixels of 0 do not count.

    Raises:
        ValueError: If the shapes differ, or there are numbers below 0.
    """
    first, second = np.asarray(predicted), np.asarray(expected)
    if first.shape != second.shape:
        msg = f"predicted segments have shape {first.shape} and reference {second.shape}: expected the same"
        raise ValueError(msg)
    if any(each.dtype.kind not in "iu" or (each.size and each.min() < 0) for each in (first, second)):
        raise ValueError("segments are no whole numbers of 0 and above: expected label maps of components")
    counted = second > 0
    mine, theirs = (each[counted].astype(np.int64) for each in (first, second))
    pixels = mine.size
    if not pixels:
        return SegmentScores(*[float("nan")] * len(fields(SegmentScores)))
    border = mine == 0
    mine[border] = mine.max() + 1 + np.arange(np.count_nonzero(border))
    pairs = np.unique(mine * (theirs.max() + 1) + theirs, return_counts=True)[1] / pixels
    own = np.bincount(mine)[np.unique(mine)] / pixels
    other = np.bincount(theirs)[np.unique(theirs)] / pixels
    joint, of_predicted, of_expected = (float(np.square(shares).sum()) for shares in (pairs, own, other))
    h_joint, h_predicted, h_expected = (_entropy(shares) for shares in (pairs, own, other))
    split_entropy, merge_entropy = max(h_joint - h_expected, 0.0), max(h_joint - h_predicted, 0.0)
    common = max(h_predicted + h_expected - h_joint, 0.0)
    total = h_predicted + h_expected
    return SegmentScores(
        v_rand=2 * joint / (of_predicted + of_expected),
        v_rand_split=joint / of_expected,
        v_rand_merge=joint / of_predicted,
        v_info=min(2 * common / total, 1.0) if total else 1.0,
        v_info_split=min(common / h_predicted, 1.0) if h_predicted else 1.0,
        v_info_merge=min(common / h_expected, 1.0) if h_expected else 1.0,
        split_entropy=split_entropy,
        merge_entropy=merge_entropy,
    )


def _entropy(shares: NDArray[np.float64]) -> float:
    """Return the entropy in bits of shares that are all above 0."""
    return max(float(-(shares * np.log2(shares)).sum()), 0.0)


def _label(inside: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the 4-connected components of a slice, numbered from 1."""
    found: NDArray[np.int32] = ndimage.label(inside)[0]
    return found


def _cut(membrane: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """Return the mask of the membrane. The threshold has the map's type, so that 0.7 in 32 bits is at least 0.7."""
    if threshold == 0:
        return np.asarray(membrane > 0)
    return np.asarray(membrane >= membrane.dtype.type(threshold))


def _read_maps(probabilities: ArrayLike, reference: Any) -> tuple[NDArray[np.floating[Any]], NDArray[np.bool_]]:
    """Return both maps as stacks (N, H, W): probabilities of membrane, and its mask."""
    found, expected = (
        np.asarray(each.detach().cpu().numpy() if hasattr(each, "detach") else each)
        for each in (probabilities, reference)
    )
    if found.ndim not in (2, 3) or not found.size or found.shape != expected.shape:
        msg = f"probabilities of shape {found.shape}, reference {expected.shape}: expected both (H, W) or (N, H, W)"
        raise ValueError(msg)
    if any(each.dtype.kind not in "biuf" for each in (found, expected)):
        msg = f"maps are of {found.dtype} and {expected.dtype}: expected numbers"
        raise ValueError(msg)
    if found.dtype.kind != "f":
        found = found.astype(np.float32)
    if not (found.min() >= -_MAX_ROUNDING and found.max() <= 1 + _MAX_ROUNDING):
        msg = f"probabilities are from {found.min()} to {found.max()}: expected those of membrane, in [0, 1]"
        raise ValueError(msg)
    values = np.unique(expected)
    if not np.isin(values, (0, 1)).all():
        msg = f"reference holds the values {values[:5].tolist()}: expected a mask, 1 for membrane and 0 for the rest"
        raise ValueError(msg)
    found = np.clip(found, 0, 1)
    stack = (1, *found.shape)[-3:]
    return found.reshape(stack), expected.reshape(stack).astype(bool)
