"""Metrics of one case, by label or region, with the rule for absent structures of `outcomes`."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..data.length_units import size_in_unit
from ..data.voxel_size import MM3_PER_ML
from .centreline import measure_cldice
from .grid_edges import find_diagonal, find_edges
from .label_pair import read_pair
from .metric_names import METRICS, SURFACE_METRICS, choose_metrics, name_in_unit
from .outcomes import decide_outcome, score_outcome
from .overlap import compute_dice, compute_overlap
from .rows import find_rows
from .surfaces import measure_surfaces

__all__ = ["METRICS", "measure_case", "measure_dice"]


def measure_case(
    prediction: Any,
    reference: Any,
    *,
    spacing: Sequence[float],
    labels: Mapping[str, int],
    tolerance_mm: float | Mapping[str, float] = 1.0,
    voxel_size: float | None = None,
    affine: ArrayLike | None = None,
    metrics: Sequence[str] | None = None,
    unit: str = "mm",
    regions: Mapping[str, Sequence[int]] | None = None,
    ignored: Sequence[int] = (),
    annotated: Collection[str] | None = None,
) -> list[dict[str, Any]]:
    """Compare the prediction of one case with its reference, label by label, or region by region.

    Formulas are in `compute_overlap`, `measure_surfaces` and `measure_cldice`. ``dice``, ``hd95_mm``, ``hd_mm``,
    ``assd_mm`` and ``nsd`` are MONAI's numbers. The numbers of a label that one or both sides lack follow the table of
    `decide_outcome`.

    Args:
        prediction: label map, (X, Y, Z) or (X, Y), tensor or array; a leading channel of length 1 is accepted.
        reference: label map of the same shape.
        spacing: voxel size in mm, one per axis. Its length selects 2D or 3D.
        labels: value of each label by name; 0 is the background and has no row.
        tolerance_mm: distance in mm up to which a surface counts as correct in the NSD (Nikolov et al., 2018): one for
            all labels, or one by each label's name.
        voxel_size: volume of a voxel in mm3, in 2D its area in mm2. The default is that of the affine, or without one
            the product of `spacing`, which is too large for a sheared grid (see `pipeline.data.voxel_size`).
        affine: voxel to world in mm, 4 x 4; of an image in two dimensions also 3 x 3. It only matters if it is sheared:
            distances are then those in the world. Without it the axes are taken as being at right angles, as other
            tools do.
        metrics: names from `ALL_METRICS`. The default is all that are not optional.
        unit: of all lengths, also where mm is written here: ``mm``, ``px``, ``µm`` or ``nm``. The names of metrics and
            the unit of sizes in the rows have it: ``hd95_px``.
        regions: the labels' values of each region. Rows are then of regions, which may overlap, instead of labels.
        ignored: values of the reference that do not count: their voxels are background in both label maps. So a
            structure has a surface in both where such voxels cut it.
        annotated: names of the labels or regions that were annotated in this case. Others have no row. None: all.

    Returns:
        One row per foreground label or region, in the order of `labels` or `regions`: ``label``, the metrics in the
        order of `ALL_METRICS`, ``reference_size``, ``prediction_size``, ``size_unit`` (``"ml"`` in 3D, ``"mm2"`` in
        2D), ``outcome``.

    Raises:
        ValueError: If the shapes differ or do not fit `spacing`, a label map has values that are no integers or that
            `labels` does not declare, or `spacing`, `affine`, `labels`, `regions`, `ignored`, `annotated`,
            `tolerance_mm` or `metrics` are out of range.
    """
    chosen = choose_metrics(metrics)
    structures = find_rows(labels, regions, annotated)
    tolerances = _read_options(spacing, labels, list(structures), tolerance_mm)
    edges = find_edges(spacing, affine)
    pair = read_pair(prediction, reference, len(spacing), labels, ignored=ignored)
    size = float(np.linalg.det(edges)) if voxel_size is None else voxel_size
    size_unit = size_in_unit(unit, len(spacing))
    size = size / MM3_PER_ML if size_unit == "ml" else size
    diagonal, grid_size = find_diagonal(pair.expected.shape, edges), pair.expected.size * size
    surface_metrics = SURFACE_METRICS.intersection(chosen)

    rows = []
    for name, values in structures.items():
        predicted, expected, common = pair.count_voxels(values)
        outcome = decide_outcome(in_reference=expected > 0, in_prediction=predicted > 0)
        if outcome == "found":
            scores = compute_overlap(predicted, expected, common, size)
            if surface_metrics or "cldice" in chosen:
                masks = pair.crop(values)
                scores |= measure_surfaces(*masks, edges=edges, tolerance_mm=tolerances[name], metrics=surface_metrics)
                if "cldice" in chosen:
                    scores["cldice"] = measure_cldice(*masks)
        else:
            scores = score_outcome(outcome, diagonal_mm=diagonal, grid_size=grid_size)
        rows.append(
            {
                "label": name,
                **{name_in_unit(metric, unit): scores[metric] for metric in chosen},
                "reference_size": expected * size,
                "prediction_size": predicted * size,
                "size_unit": size_unit,
                "outcome": outcome,
            }
        )
    return rows


def measure_dice(
    prediction: Any,
    reference: Any,
    *,
    spatial_dims: int,
    labels: Mapping[str, int],
    regions: Mapping[str, Sequence[int]] | None = None,
    ignored: Sequence[int] = (),
    annotated: Collection[str] | None = None,
) -> dict[str, float]:
    """Return the Dice of each label or region of one case: the ``dice`` of `measure_case`, without its distances.

    Args:
        prediction: label map, (X, Y, Z) or (X, Y), tensor or array; a leading channel of length 1 is accepted.
        reference: label map of the same shape.
        spatial_dims: 2 or 3.
        labels: value of each label by name; 0 is the background.
        regions: as in `measure_case`.
        ignored: as in `measure_case`.
        annotated: as in `measure_case`.

    Returns:
        Dice [0, 1] by label or region, in the order of `measure_case`; NaN for one that both sides lack or that was not
        annotated.

    Raises:
        ValueError: If the shapes differ, a label map has values that are no integers or not in `labels`, or `regions`,
            `ignored` or `annotated` are out of range.
    """
    pair = read_pair(prediction, reference, spatial_dims, labels, ignored=ignored)
    found = dict.fromkeys(find_rows(labels, regions), math.nan)
    for name, values in find_rows(labels, regions, annotated).items():
        predicted, expected, common = pair.count_voxels(values)
        outcome = decide_outcome(in_reference=expected > 0, in_prediction=predicted > 0)
        if outcome == "found":
            found[name] = compute_dice(predicted, expected, common)
        else:
            found[name] = score_outcome(outcome)["dice"]
    return found


def _read_options(
    spacing: Sequence[float],
    labels: Mapping[str, int],
    names: Sequence[str],
    tolerance_mm: float | Mapping[str, float],
) -> dict[str, float]:
    """Check the options and return the tolerance of each row."""
    if len(spacing) not in (2, 3) or not all(math.isfinite(step) and step > 0 for step in spacing):
        msg = f"spacing is {tuple(spacing)}: expected 2 or 3 positive sizes in mm"
        raise ValueError(msg)
    if min(labels.values(), default=0) < 0 or max(labels.values(), default=0) == 0:
        msg = f"labels are {dict(labels)}: expected values of 0 and above, with at least one above 0"
        raise ValueError(msg)
    tolerances = dict(tolerance_mm) if isinstance(tolerance_mm, Mapping) else dict.fromkeys(names, tolerance_mm)
    if any(name not in tolerances for name in names):
        msg = f"tolerance_mm is {tolerances}: expected one for each of {', '.join(names)}"
        raise ValueError(msg)
    if not all(math.isfinite(tolerances[name]) and tolerances[name] >= 0 for name in names):
        msg = f"tolerance_mm is {tolerance_mm}: expected a distance in mm, 0 or above"
        raise ValueError(msg)
    return tolerances
