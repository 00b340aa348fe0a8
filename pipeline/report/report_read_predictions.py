"""Read the folder of ``lightskip predict``: its cases by uncertainty, and the sizes of their labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .report_content import CaseFiles, Content, Metric, Score
from .report_read_files import format_time, parse_number, read_table, settings_text, versions_text
from .text import count_of

__all__ = ["read_predictions"]

_LABEL_MAPS = ("_seg.nii.gz", ".seg.nrrd", "_seg.nrrd", "_seg.dcm", "_rtstruct.dcm", "_seg.png")
_SIZES = {
    "volume_ml": Metric("volume_ml", "Volume", "ml", ""),
    "surface_cm2": Metric("surface_cm2", "Surface", "cm²", ""),
    "area_mm2": Metric("area_mm2", "Area", "mm²", ""),
    "perimeter_mm": Metric("perimeter_mm", "Perimeter", "mm", ""),
}
_SET = "prediction"


def read_predictions(folder: Path, report: Mapping[str, Any]) -> Content:
    """Return the content of a prediction's folder.

    Args:
        folder: of ``lightskip predict``, with ``report.json`` and perhaps ``statistics.csv``.
        report: the content of ``report.json``.

    Raises:
        InputError: ``statistics.csv`` is broken.
    """
    cases = [_read_case(folder, scan) for scan in report.get("scans") or ()]
    cases.sort(key=lambda case: -1.0 if case.uncertainty is None else case.uncertainty, reverse=True)
    scores, metrics = _read_statistics(folder / "statistics.csv")
    failed = sum(scan.get("status") == "failed" for scan in report.get("scans") or ())
    sure = any(case.uncertainty is not None for case in cases)
    settings = report.get("settings") or {}
    run = {
        "Command": report.get("command"),
        "Bundle": settings_text([report[key] for key in ("bundle", "version") if report.get(key)]),
        "Weights": settings_text(report.get("checkpoints") or ""),
        "SHA-256 of the weights": settings_text(report.get("weights") or ""),
        **{
            key.replace("_", " ").capitalize(): settings_text(report[key])
            for key in ("precision", "runtime", "device", "threads", "tta", "fast", "post-processing")
            if report.get(key) is not None
        },
        "Settings": settings_text(settings),
        "Made": format_time(report.get("started"), report.get("seconds")),
        "Versions": versions_text(report.get("versions")),
    }
    return Content(
        kind="prediction",
        name=folder.absolute().name,
        facts=[count_of(len(cases), "scan"), *([f"{failed} failed"] if failed else [])],
        run={title: text for title, text in run.items() if text},
        labels={str(name): value for name, value in (report.get("labels") or {}).items() if isinstance(value, int)},
        sets=[_SET],
        metrics=metrics,
        scores=scores,
        cases=cases,
        notes=[]
        if sure or not cases
        else [
            "The scans have no uncertainty: lightskip predict writes it with --uncertainty. They are in their order."
        ],
        source=("report.json", "statistics.csv") if metrics else ("report.json",),
    )


def _read_case(folder: Path, scan: Mapping[str, Any]) -> CaseFiles:
    name = str(scan.get("name", ""))
    outputs = [folder / Path(str(output)).name for output in scan.get("outputs") or ()]
    # The label map is the last output: files of regions may have its ending.
    label_map = next((file for file in reversed(outputs) if file.name.endswith(_LABEL_MAPS)), None)
    entropy = next((file for file in outputs if file.name.endswith("_entropy.nii.gz")), None)
    files = scan.get("files") or ()
    notes = [str(note) for note in scan.get("notes") or ()]
    if scan.get("status") == "failed":
        notes.insert(0, f"Not segmented: {scan.get('error', 'no reason is recorded')}")
    return CaseFiles(
        name=name,
        image=Path(str(files[0])) if files else None,
        predictions={_SET: label_map},
        entropy=entropy,
        uncertainty=parse_number(scan.get("uncertainty")),
        notes=notes,
    )


def _read_statistics(file: Path) -> tuple[list[Score], list[Metric]]:
    """Return the sizes of the labels of each scan; nothing without the file."""
    if not file.is_file():
        return [], []
    lines = read_table(file, ("name",))
    case_column = next((key for key in ("case", "scan") if lines and key in lines[0]), None)
    if case_column is None:
        return [], []
    columns = [name for name in _SIZES if name in lines[0]]
    # Rows of regions have no label; a region of one label alone may have its name.
    labels = {line["name"] for line in lines if line.get("label") != ""}
    lines = [line for line in lines if line.get("label") != "" or line["name"] not in labels]
    scores = [
        Score(
            set=_SET,
            case=line[case_column],
            label=line["name"],
            outcome="" if parse_number(line.get("voxels")) else "absent",
            values={name: number for name in columns if (number := parse_number(line[name])) is not None},
        )
        for line in lines
    ]
    return scores, [_SIZES[name] for name in columns]
