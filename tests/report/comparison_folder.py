"""Write the folder of a comparison by hand: scans, label maps and numbers that follow from them."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import nibabel
import numpy as np

LABELS = {"head": 1, "tail": 2}
METRICS = [
    {"name": "dice", "title": "Dice", "unit": "", "better": "higher"},
    {"name": "volume_difference", "title": "Volume difference", "unit": "ml", "better": "zero"},
]
COLUMNS = ("set", "case", "subject", "label", "outcome", "dice", "volume_difference")
SIZES = ("reference_size", "prediction_size", "size_unit")
# Turned by 20 degrees about the patient's axis, with voxels of 3 mm3.
_C, _S = math.cos(math.pi / 9), math.sin(math.pi / 9)
AFFINE = np.array([[-_C, -1.5 * _S, 0, 12], [-_S, 1.5 * _C, 0, -20], [0, 0, 2.0, 5], [0, 0, 0, 1]])


def write_comparison(
    folder: Path,
    *,
    cases: Sequence[str] = ("case_a", "case_b", "case_c", "case_d"),
    sets: Sequence[str] = ("heavy", "light"),
    labels: Mapping[str, int] = LABELS,
    shape: Sequence[int] = (24, 30, 20),
    images: bool = True,
) -> Path:
    """Write a comparison of sets of label maps to ``folder/out``, and return that folder.

    Each label is a ball. In the sets it is moved by a voxel more per case and set. In the last set the second case
    lacks the first label, and the third case has a label that its reference lacks.
    """
    out = folder / "out"
    out.mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    listed = []
    for number, case in enumerate(cases):
        reference = _draw_balls(shape, labels, move=0)
        if number == 2:
            reference[reference == list(labels.values())[-1]] = 0
        scan = 100 + 60 * (reference > 0) + rng.normal(0, 9, shape)
        # The name of a file is not the case's, which may have signs that a file name cannot have.
        file = f"scan_{number}.nii.gz"
        entry: dict[str, Any] = {"case": case, "subject": case, "image": None, "predictions": {}}
        if images:
            entry["image"] = _save(folder / "images" / file, scan.astype(np.float32), out)
        entry["reference"] = _save(folder / "reference" / file, reference, out)
        entry["reference_sha256"] = _sha256(folder / "reference" / file)
        for place, name in enumerate(sets):
            prediction = _draw_balls(shape, labels, move=1 + place + number % 3)
            if place == len(sets) - 1 and number == 1:
                prediction[prediction == next(iter(labels.values()))] = 0
            path = folder / f"set_{place}" / file
            entry["predictions"][name] = {"path": _save(path, prediction, out), "sha256": _sha256(path)}
            rows += [
                _measure(name, case, label, prediction == value, reference == value) for label, value in labels.items()
            ]
        listed.append(entry)
    with (out / "cases.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, (*COLUMNS, *SIZES))
        writer.writeheader()
        writer.writerows(
            {key: f"{one:.6f}" if isinstance(one, float) else one for key, one in row.items()} for row in rows
        )
    summary = {
        "kind": "comparison",
        "made": "2026-11-30T12:00:00+00:00",
        "seconds": 1.25,
        "command": "lightskip compare reference set_0 set_1 -o out",
        "versions": {"lightskip": "0.1.0"},
        "reference": {"path": "../reference", "kind": "folder"},
        "sets": [
            {"name": name, "path": f"../set_{n}", "kind": "folder", "arm": name, "seed": None}
            for n, name in enumerate(sets)
        ],
        "labels": {"background": 0, **labels},
        "spatial_dims": len(shape),
        "tolerance_mm": dict.fromkeys(labels, 1.0),
        "metrics": METRICS,
        "cases": listed,
        "missing": {},
        "surplus": {},
        "statistics": _make_statistics(rows, sets, labels),
        "paired": _make_pairs(rows, sets, labels) if len(sets) > 1 else [],
        "ranking": _make_ranking(rows, sets) if len(sets) > 1 else None,
        "notes": ["These numbers were made by hand."],
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=1))
    return out


def _draw_balls(shape: Sequence[int], labels: Mapping[str, int], *, move: int) -> np.ndarray:
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"))
    drawn = np.zeros(shape, np.uint8)
    for number, value in enumerate(labels.values()):
        middle = np.array(shape) * (0.35 + 0.3 * number / max(1, len(labels) - 1))
        middle[0] += move
        drawn[((grid - middle.reshape(-1, *[1] * len(shape))) ** 2).sum(0) < (min(shape) / 5) ** 2] = value
    return drawn


def _save(file: Path, voxels: np.ndarray, out: Path) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(voxels, AFFINE)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, file)
    return os.path.relpath(file, out)


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _measure(name: str, case: str, label: str, predicted: np.ndarray, true: np.ndarray) -> dict[str, Any]:
    outcomes = {
        (True, True): "found",
        (True, False): "missed",
        (False, True): "false_positive",
        (False, False): "absent",
    }
    sizes = [float(one.sum()) * 3.0 / 1000 for one in (true, predicted)]
    dice = 2.0 * float((predicted & true).sum()) / total if (total := int(predicted.sum() + true.sum())) else math.nan
    return {
        **dict(
            zip(COLUMNS, (name, case, case, label, outcomes[bool(true.any()), bool(predicted.any())]), strict=False)
        ),
        "dice": dice,
        "volume_difference": sizes[1] - sizes[0],
        **dict(zip(SIZES, (*sizes, "ml"), strict=True)),
    }


def _values(rows: Sequence[Mapping[str, Any]], name: str, label: str | None) -> list[float]:
    chosen = [row["dice"] for row in rows if row["set"] == name and label in (None, row["label"])]
    return [value for value in chosen if not math.isnan(value)]


def _make_statistics(
    rows: Sequence[Mapping[str, Any]], sets: Sequence[str], labels: Mapping[str, int]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in sets:
        found[name] = {}
        for label in labels:
            mean = fmean(_values(rows, name, label))
            found[name][label] = {
                "dice": {"mean": mean, "interval": [mean - 0.05, mean + 0.05]},
                "counted": 4,
                "missed": 0,
            }
    return found


def _make_pairs(
    rows: Sequence[Mapping[str, Any]], sets: Sequence[str], labels: Mapping[str, int]
) -> list[dict[str, Any]]:
    pairs = []
    for label in labels:
        change = fmean(_values(rows, sets[1], label)) - fmean(_values(rows, sets[0], label))
        pairs.append(
            {
                "first": sets[0],
                "second": sets[1],
                "label": label,
                "metric": "dice",
                "pairs": 4,
                "difference": change,
                "interval": [change - 0.1, change + 0.02],
                "effect_size": -0.8,
                "p": 0.125,
                "p_holm": 0.25,
                "method": "exact Wilcoxon",
                "detectable": 0.08,
                "sentence": f"No difference in Dice of {label} is shown between {sets[0]} and {sets[1]}.",
            }
        )
    return pairs


def _make_ranking(rows: Sequence[Mapping[str, Any]], sets: Sequence[str]) -> dict[str, Any]:
    means = {name: fmean(_values(rows, name, None)) for name in sets}
    order = sorted(sets, key=lambda name: -means[name])
    entries = [
        {"set": name, "rank": number, "mean": means[name], "first": round(1 / number - 0.1, 2)}
        for number, name in enumerate(order, start=1)
    ]
    return {"dice": entries}
