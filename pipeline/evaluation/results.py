"""Write the files of an evaluation: ``cases.csv``, one row per case and label, and ``summary.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.case_names import name_cases
from ..files import write_together
from ..spreadsheet import format_table
from ..version import installed_version
from .metric_names import ALL_METRICS, METRICS, find_name, list_metrics, name_in_unit
from .summary import summarise
from .summary_intervals import add_intervals, list_subjects

__all__ = ["build_report", "format_rows", "name_rows", "write_results"]

_SIZES = ("reference_size", "prediction_size", "size_unit", "outcome")

KIND = "evaluation"
ONE_SUBJECT = "one subject only: no interval, which needs at least two."

Row = Mapping[str, Any]


def write_results(
    folder: str | os.PathLike[str],
    measured: Mapping[str, Sequence[Row]],
    *,
    tolerance_mm: float,
    names: Mapping[str, str] | None = None,
    subjects: Mapping[str, str] | None = None,
    provenance: Mapping[str, Any] | None = None,
    unit: str = "mm",
    regions: Mapping[str, Sequence[str]] | None = None,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Write ``cases.csv`` and ``summary.json``, both completely or, on a full disk, none.

    Args:
        folder: folder for both files, created if missing.
        measured: the rows of `measure_case` of each case, by the path of its scan.
        tolerance_mm: tolerance of the rows' NSD, in mm.
        names: names of cases, by the path of the scan. Other cases are named by `name_cases`.
        subjects: whose scan each is, by its path. Other cases count as subjects of their own.
        provenance: what produced the predictions (JSON-safe), copied into the summary.
        unit: of lengths in the rows.
        regions: names of the labels of each region, if the rows are of regions.
        notes: sentences for the reader.

    Returns:
        The content of ``summary.json``.
    """
    rows = name_rows(measured, names, subjects)
    report = build_report(
        rows, tolerance_mm=tolerance_mm, provenance=provenance, unit=unit, regions=regions, notes=notes
    )
    summary = json.dumps(report, indent=2, allow_nan=False) + "\n"
    write_together({Path(folder) / "summary.json": summary, Path(folder) / "cases.csv": format_rows(rows)})
    return report


def name_rows(
    measured: Mapping[str, Sequence[Row]],
    names: Mapping[str, str] | None = None,
    subjects: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Return the rows of all cases, sorted by the case's name, which is added in front, as is a known subject.

    Args:
        measured: the rows of `measure_case` of each case, by the path of its scan.
        names: names of cases, by the path of the scan. Other cases are named by `name_cases`.
        subjects: subjects, by the path of the scan.
    """
    known = {source: {"subject": subject} for source, subject in (subjects or {}).items()}
    named = dict(zip(measured, name_cases([[source] for source in measured]), strict=True)) | dict(names or {})
    return [
        {"case": named[source], **known.get(source, {}), **row}
        for source in sorted(measured, key=lambda source: named[source])
        for row in measured[source]
    ]


def format_rows(rows: Sequence[Row]) -> str:
    """Return rows with their ``case`` as CSV. Numbers have six decimals; ``nan`` is a value that is not counted.

    The first columns are always the same. After them are the other metrics that the rows have, of `ALL_METRICS`.
    """
    names = [each.name for each in list_metrics(rows)]
    usual = [find_name(names, name) for name in METRICS]
    columns = ["case", "label", *usual, *_SIZES, *(name for name in names if name not in usual)]
    cells = ([f"{row[key]:.6f}" if isinstance(row[key], float) else row[key] for key in columns] for row in rows)
    return format_table(columns, cells)


def build_report(
    rows: Sequence[Row],
    *,
    tolerance_mm: float,
    provenance: Mapping[str, Any] | None = None,
    unit: str = "mm",
    regions: Mapping[str, Sequence[str]] | None = None,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the content of ``summary.json``: the summary with intervals, units, provenance and versions.

    Args:
        rows: rows of `measure_case`, each with its ``case`` added, and its ``subject`` if it is known.
        tolerance_mm: tolerance of the NSD, in mm.
        provenance: what produced the predictions (JSON-safe).
        unit: of lengths in the rows.
        regions: names of the labels of each region, if the rows are of regions.
        notes: sentences for the reader.
    """
    size_units = sorted({row["size_unit"] for row in rows})
    metrics = list_metrics(rows) or [ALL_METRICS[name] for name in METRICS]
    cases, subjects = len({row["case"] for row in rows}), len(set(list_subjects(rows)))
    return {
        "kind": KIND,
        "cases": cases,
        "subjects": subjects,
        **add_intervals(summarise(rows), rows),
        **({"regions": {name: list(labels) for name, labels in regions.items()}} if regions else {}),
        name_in_unit("tolerance_mm", unit): tolerance_mm,
        "units": {
            **{metric.name: metric.find_unit(2 if size_units == ["mm2"] else 3) for metric in metrics},
            "size": size_units,
        },
        "notes": [*notes, *([ONE_SUBJECT] if subjects == 1 else [])],
        "provenance": provenance,
        "versions": {"monai": installed_version("monai"), "torch": installed_version("torch")},
    }
