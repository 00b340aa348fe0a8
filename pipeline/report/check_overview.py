"""Make the tables of the check page: parts, folds, geometry, labels and intensities, with histograms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..data.length_units import shown_unit
from .check_colours import swatch_class
from .check_summary import (
    annotated_words,
    count_annotating,
    count_orientations,
    count_parts,
    find_axis_spreads,
    length_unit,
    list_class_sizes,
    list_intensities,
    sample_word,
    size_unit,
)
from .html.parts import Row, Table
from .spread import Spread, make_histogram
from .text import amount

__all__ = ["make_count_tables", "make_measure_tables"]

Report = Mapping[str, Any]

_MEASURES = {"min": "lowest", "mean": "mean", "max": "highest"}


def make_count_tables(report: Report) -> list[Table]:
    """Return the small tables of case counts, without empty ones.

    Args:
        report: the content of ``check.json``.
    """
    types = Counter(
        " + ".join(dict.fromkeys(map(str, case["dtypes"]))) for case in report["cases"] if case.get("dtypes")
    )
    tables = [
        _make_count_table("Parts and folds", ("part", "cases"), _list_parts(report)),
        _make_count_table("Orientation", ("axes point to", "cases"), count_orientations(report)),
        _make_count_table("Voxel types", ("image + label", "cases"), types.most_common()),
    ]
    return [table for table in tables if table.rows]


def make_measure_tables(report: Report) -> list[Table]:
    """Return the wide tables of measured values with histograms, without empty ones.

    Args:
        report: the content of ``check.json``.
    """
    return [
        table
        for table in (_make_geometry_table(report), _make_label_table(report), _make_intensity_table(report))
        if table.rows
    ]


def _list_parts(report: Report) -> list[tuple[str, int]]:
    rows = []
    for part, folds in count_parts(report).items():
        rows += [(part if fold is None else f"{part}, fold {fold}", number) for fold, number in folds.items()]
    return rows


def _make_count_table(title: str, heads: tuple[str, str], rows: Sequence[tuple[str, int]]) -> Table:
    return Table(title, heads, [Row(name, [f"{number:,}"]) for name, number in rows])


def _make_geometry_table(report: Report) -> Table:
    rows = []
    for title, key, unit in (("Spacing", "spacing", length_unit(report)), ("Shape", "shape", sample_word(report))):
        for axis, spread in enumerate(find_axis_spreads(report, key), start=1):
            values = [float(case[key][axis - 1]) for case in report["cases"] if len(case.get(key) or ()) >= axis]
            name = f"{title} along axis {axis}"
            rows.append(Row(name, _format_spread(spread), unit, plot=make_histogram(values, title=name, unit=unit)))
    return Table("Geometry", ("axis of the array", "smallest", "median", "largest"), rows, plots=True)


def _make_label_table(report: Report) -> Table:
    unit = shown_unit(size_unit(report))
    rows = [
        Row(
            name,
            [f"{len(sizes):,} of {count_annotating(report, name):,}", *_format_spread(Spread.of(sizes))],
            note=str(report["labels"][name]),
            swatch=swatch_class(report, name),
            plot=make_histogram(sizes, title=name, unit=unit),
        )
        for name, sizes in list_class_sizes(report).items()
    ]
    cases = "in cases that annotate it" if annotated_words(report) else "in cases"
    heads = ("label and its value", cases, f"smallest, {unit}", f"median, {unit}", f"largest, {unit}")
    return Table("Labels", heads, rows, plots=True)


def _make_intensity_table(report: Report) -> Table:
    rows = []
    for name, channel in zip(report["channels"], list_intensities(report), strict=True):
        for key, values in channel.items():
            if values:
                title = f"{name}, {_MEASURES[key]}"
                rows.append(
                    Row(title, _format_spread(Spread.of(values)), plot=make_histogram(values, title=title, unit=""))
                )
    return Table("Intensities", ("channel, voxel of each case", "smallest", "median", "largest"), rows, plots=True)


def _format_spread(spread: Spread | None) -> list[str]:
    return ["-", "-", "-"] if spread is None else [amount(spread.low), amount(spread.middle), amount(spread.high)]
