"""The table of all metrics: names, titles, units, and what counts for a structure that only one side has.

Columns of files, outcomes, summaries and reports derive from it. It imports no package, so that it is quick to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..data.length_units import LENGTHS

__all__ = [
    "ALL_METRICS",
    "CALIBRATION_METRICS",
    "LESION_METRICS",
    "MEMBRANE_METRICS",
    "METRICS",
    "SURFACE_METRICS",
    "Metric",
    "choose_metrics",
    "find_name",
    "length_unit_of",
    "list_metrics",
    "name_in_unit",
    "tolerance_of",
]

Better = Literal["higher", "lower", "zero"]
OneSided = Literal["zero", "diagonal", "grid", "twice"]

METRICS = ("dice", "hd95_mm", "nsd")
"""The metrics of a short summary."""


@dataclass(frozen=True)
class Metric:
    """One metric of a case and label.

    Attributes:
        name: column in files, with the unit if it is a length.
        title: name for people.
        unit: ``1``, ``mm``, ``ml`` or ``%``. A volume difference in ml is in 2D an area difference in mm2. Of pictures
            without a spacing lengths are in pixels, ``px``, and of a microscope's in ``µm`` or ``nm``; see `in_unit`.
        better: the better direction. ``zero`` is nearness to 0: such values have a sign in rows, and statistics are
            taken of their absolute values (see `score`).
        one_sided: the value of a structure that only one of reference and prediction has, always the worst that the
            metric can have: ``zero``: 0; ``diagonal``: the diagonal of the volume (mm); ``grid``: the size of the whole
            volume, negative if it is missed; ``twice``: 200 %, negative if it is missed. It is NaN for a structure
            that both lack.
        optional: whether it is measured only if it is asked for.
    """

    name: str
    title: str
    unit: str
    better: Better
    one_sided: OneSided
    optional: bool = False

    def score(self, value: float) -> float:
        """Return the value as means and tests count it: the absolute value if ``better`` is ``zero``."""
        return abs(value) if self.better == "zero" else value

    def in_unit(self, size_unit: str) -> Metric:
        """Return the metric of rows whose sizes are in this unit, such as ``px2``: its name and unit fit them."""
        length = _LENGTH_OF_SIZE.get(size_unit, "mm")
        if length == "mm" or self.unit not in ("mm", "ml"):
            return self
        unit = length if self.unit == "mm" else size_unit.replace("um", "µm")
        return replace(self, name=name_in_unit(self.name, length), unit=unit)

    def find_unit(self, spatial_dims: int) -> str:
        """Return the unit in 2 or 3 dimensions."""
        return "mm2" if self.unit == "ml" and spatial_dims == 2 else self.unit


_LENGTH_OF_SIZE = {f"{name}{dims}": unit for unit, name in LENGTHS.items() for dims in (2, 3)}


def name_in_unit(name: str, unit: str) -> str:
    """Return the name of a metric whose lengths are in a unit: ``hd95_mm`` is ``hd95_px`` in pixels."""
    return f"{name.removesuffix('_mm')}_{LENGTHS[unit]}" if name.endswith("_mm") else name


def find_name(names: Iterable[str], name: str) -> str:
    """Return the name that a metric has among these names, whatever its unit; its own if it is not there."""
    variants = {name_in_unit(name, unit) for unit in LENGTHS}
    return next((one for one in names if one in variants), name)


def length_unit_of(names: Iterable[str]) -> str:
    """Return the unit of the lengths among these names of columns; "mm" if there is none."""
    own = {name_in_unit(metric, unit): unit for unit in LENGTHS for metric in ALL_METRICS if metric.endswith("_mm")}
    return next((own[name] for name in names if name in own), "mm")


def tolerance_of(summary: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the tolerance of the NSD in a summary, and its unit; (None, "mm") without one."""
    for unit, name in LENGTHS.items():
        if f"tolerance_{name}" in summary:
            return summary[f"tolerance_{name}"], unit
    return None, "mm"


def _index(*metrics: Metric) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


ALL_METRICS: Mapping[str, Metric] = _index(
    Metric("dice", "Dice", "1", "higher", "zero"),
    Metric("iou", "IoU", "1", "higher", "zero"),
    Metric("sensitivity", "Sensitivity", "1", "higher", "zero"),
    Metric("precision", "Precision", "1", "higher", "zero"),
    Metric("hd95_mm", "HD95", "mm", "lower", "diagonal"),
    Metric("hd_mm", "HD", "mm", "lower", "diagonal"),
    Metric("assd_mm", "ASSD", "mm", "lower", "diagonal"),
    Metric("nsd", "NSD", "1", "higher", "zero"),
    Metric("hd95_area_mm", "HD95 by area", "mm", "lower", "diagonal"),
    Metric("hd_area_mm", "HD by area", "mm", "lower", "diagonal"),
    Metric("assd_area_mm", "ASSD by area", "mm", "lower", "diagonal"),
    Metric("nsd_area", "NSD by area", "1", "higher", "zero"),
    Metric("volume_difference", "Volume difference", "ml", "zero", "grid"),
    Metric("volume_difference_percent", "Volume difference (%)", "%", "zero", "twice"),
    Metric("cldice", "clDice", "1", "higher", "zero", optional=True),
)
"""Metrics of a row of `measure_case`, in the order of its columns."""

LESION_METRICS: Mapping[str, Metric] = _index(
    Metric("lesion_f1", "Lesion F1", "1", "higher", "zero", optional=True),
    Metric("lesion_precision", "Lesion precision", "1", "higher", "zero", optional=True),
    Metric("lesion_recall", "Lesion recall", "1", "higher", "zero", optional=True),
    Metric("lesion_dice", "Lesion-wise Dice", "1", "higher", "zero", optional=True),
)
"""Metrics of a row of `measure_lesions`."""

MEMBRANE_METRICS: Mapping[str, Metric] = _index(
    Metric("v_rand", "V_rand", "1", "higher", "zero", optional=True),
    Metric("v_rand_split", "V_rand, split", "1", "higher", "zero", optional=True),
    Metric("v_rand_merge", "V_rand, merge", "1", "higher", "zero", optional=True),
    Metric("v_info", "V_info", "1", "higher", "zero", optional=True),
    Metric("v_info_split", "V_info, split", "1", "higher", "zero", optional=True),
    Metric("v_info_merge", "V_info, merge", "1", "higher", "zero", optional=True),
)
"""Metrics of `measure_membranes`, of a label in two dimensions that separates cells."""

CALIBRATION_METRICS: Mapping[str, Metric] = _index(
    Metric("ece", "ECE", "1", "lower", "zero", optional=True),
    Metric("brier", "Brier score", "1", "lower", "zero", optional=True),
)
"""Metrics of `measure_calibration`, of a case as a whole. They need probabilities, and have no missed structures."""

SURFACE_METRICS = frozenset(
    name for name in ALL_METRICS if name.removesuffix("_mm").removesuffix("_area") in {"hd95", "hd", "assd", "nsd"}
)
"""Metrics that need distances between surfaces, which take most of the time."""


def choose_metrics(names: Iterable[str] | None) -> tuple[str, ...]:
    """Return names of metrics in the order of `ALL_METRICS`; for None all that are not optional.

    Raises:
        ValueError: If a name is unknown.
    """
    if names is None:
        return tuple(name for name, metric in ALL_METRICS.items() if not metric.optional)
    asked = set(names)
    unknown = sorted(asked - ALL_METRICS.keys())
    if unknown:
        msg = f"metrics are {unknown}: expected some of {', '.join(ALL_METRICS)}"
        raise ValueError(msg)
    return tuple(name for name in ALL_METRICS if name in asked)


def list_metrics(rows: Iterable[Mapping[str, Any]]) -> list[Metric]:
    """Return the metrics that are in any row, of cases or of lesions, in the order of the tables and in their units."""
    rows = list(rows)
    found = {name for row in rows for name in row}
    size_unit = next((str(row["size_unit"]) for row in rows if row.get("size_unit")), "")
    known = {**ALL_METRICS, **LESION_METRICS, **MEMBRANE_METRICS, **CALIBRATION_METRICS}
    return [one for metric in known.values() if (one := metric.in_unit(size_unit)).name in found]
