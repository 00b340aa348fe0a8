"""Reports of the dataset check, made by hand: a dataset in numbers, without its scans."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.bundle.planning.memory import MemoryEstimate, estimate_memory
from pipeline.bundle.planning.resources import Resources
from pipeline.data.dataset import Dataset, read_dataset

Report = dict[str, Any]
_estimates: dict[str, MemoryEstimate] = {}


def make_report(
    *,
    cases: int = 10,
    folds: int = 5,
    shape: Sequence[int] = (40, 50, 36),
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    channels: Sequence[str] = ("MRI",),
    labels: dict[str, int] | None = None,
    share: float = 0.03,
    zeros: float = 0.0,
    lowest: float = 0.0,
    stored: str = "int16",
    orientation: str = "RAS",
) -> Report:
    """Give a report of alike cases; each label has the same share of a scan.

    Its foreground is normal with mean 50 and standard deviation 20.
    """
    labels = {"background": 0, "organ": 1} if labels is None else labels
    levels = np.linspace(-3, 3, 201)
    dims = len(shape)
    voxels = int(max(share * np.prod(shape), 1))
    size = {"ml": voxels * float(np.prod(spacing)) / 1000} if dims == 3 else {"mm2": voxels * float(np.prod(spacing))}
    one = {"mean": 50.0, "std": 20.0}

    def case(number: int) -> Report:
        return {
            "name": f"case_{number}",
            "part": "training",
            "fold": number % folds,
            "subject": None,
            "images": [f"imagesTr/case_{number}_{channel}.nii.gz" for channel in range(len(channels))],
            "label": f"labelsTr/case_{number}.nii.gz",
            "shape": list(shape),
            "spacing": list(spacing),
            "orientation": orientation if dims == 3 else None,
            "dtypes": [*[stored] * len(channels), "uint8"],
            "intensity": [
                {"channel": index, "min": lowest, "max": 900.0, "zeros": zeros, **one} for index in range(len(channels))
            ],
            "foreground": [
                {"channel": index, "voxels": voxels, "quantiles": (50 + 20 * levels).tolist(), **one}
                for index in range(len(channels))
            ],
            "classes": {
                name: {"voxels": voxels, **size, "components": 1, "largest": 1.0, "centroid": [0.0, 0.0, 0.0]}
                for name in labels
                if name != "background"
            },
        }

    return {
        "datalist": "list.json",
        "spatial_dims": dims,
        "channels": list(channels),
        "labels": labels,
        "summary": {"problems": 0},
        "findings": [],
        "cases": [case(number) for number in range(cases)],
    }


def make_dataset(place: Path, report: Report, **entries: Any) -> Dataset:
    """Write the datalist of a report, next to an almost empty folder of scans."""
    (place / "scans").mkdir(parents=True, exist_ok=True)
    (place / "scans" / "readme.txt").write_text("no scans")
    items = [
        {
            "image": case["images"] if len(case["images"]) > 1 else case["images"][0],
            "label": case["label"],
            "fold": case["fold"],
        }
        for case in report["cases"]
    ]
    content = {
        "name": "Organs",
        "folder": "scans",
        "licence": "CC0-1.0",
        "modality": {str(index): name for index, name in enumerate(report["channels"])},
        "labels": {str(value): name for name, value in report["labels"].items()},
        **entries,
        "training": items,
    }
    content = {key: value for key, value in content.items() if value is not None}
    (place / "list.json").write_text(json.dumps(content))
    return read_dataset(place / "list.json")


@pytest.fixture(name="make_report")
def _make_report() -> Callable[..., Report]:
    return make_report


@pytest.fixture(name="make_dataset")
def _make_dataset() -> Callable[..., Dataset]:
    return make_dataset


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Resources]:
    """Resources of a machine whose speed is known: seconds per voxel go by the network's width, nothing is timed.

    Memory is estimated as ever, but each network once for all tests.
    """

    def pace(network: dict[str, Any], divisor: Sequence[int], *, device: str) -> float:
        return (
            1e-7
            * (network["channels"][0] if "channels" in network else network["first_channels"])
            / (40 if device != "cpu" else 1)
        )

    def remembered(network: dict[str, Any], **sizes: Any) -> MemoryEstimate:
        key = repr((network, sizes))
        if key not in _estimates:
            _estimates[key] = estimate_memory(network, **sizes)
        return _estimates[key]

    monkeypatch.setattr("pipeline.bundle.planning.resources.measure_pace", pace)
    monkeypatch.setattr("pipeline.bundle.planning.resources.estimate_memory", remembered)
    return Resources
