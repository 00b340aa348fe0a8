"""Measure the memory of `lightskip predict` and of MONAI's runner for large scans and many classes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

from measure import say, table
from predict_parts import compare_label_maps, make_bundle, make_ct, monai_runner, predict_verb
from processes import run_alone

__all__ = ["RUNS", "Run", "measure_memory", "report_memory"]

_SPACING = (0.8, 0.8, 1.0)  # mm, of the scans
_LARGE, _SMALL = (512, 512, 600), (256, 256, 150)
_THIN = (4, 8, 16)


@dataclass(frozen=True)
class Run:
    """One scan through one bundle.

    Attributes:
        shape: shape of the scan, voxels.
        spacing: spacing of the network's grid, mm. None for the scan's own, without resampling.
        classes: number of the network's classes.
        memory: the value of ``--memory``. None for no limit.
        monai: whether to run MONAI's runner too, for comparison.
        window: side of the windows, voxels.
        channels: widths of the network's levels. Few if there are very many windows.
    """

    shape: tuple[int, int, int]
    spacing: float | None = 1.5
    classes: int = 20
    memory: str | None = None
    monai: bool = False
    window: int = 96
    channels: tuple[int, ...] = (8, 16, 32, 64)

    @property
    def grid(self) -> tuple[float, ...]:
        """The network's spacing, mm."""
        return _SPACING if self.spacing is None else (self.spacing,) * 3


RUNS = {
    "1.5 mm": Run(_LARGE),
    "own grid": Run(_LARGE, spacing=None, channels=_THIN),
    "own grid, 4 GB": Run(_LARGE, spacing=None, channels=_THIN, memory="4GB"),
    "small, 1.5 mm": Run(_SMALL, monai=True),
    "small, own grid": Run(_SMALL, spacing=None, monai=True),
    "150 slices": Run((512, 512, 150)),
    "300 slices": Run((512, 512, 300)),
    "2 classes": Run((512, 512, 300), classes=2),
    "5 classes": Run((512, 512, 300), classes=5),
    "40 classes": Run((512, 512, 300), classes=40),
}
_QUICK_RUNS = {"tiny": Run((48, 40, 40), classes=3, memory="8GB", monai=True, window=32)}


def measure_memory(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure each run in a separate process.

    Args:
        options: only (names of runs, or None), seed, quick.
        folder: folder for temporary files.
    """
    runs: Mapping[str, Run] = _QUICK_RUNS if options.quick else RUNS
    results: dict[str, Any] = {"runs": {}}
    for name, run in runs.items():
        if not options.only or name in options.only:
            done = results["runs"][name] = _measure_run(run, folder, options.seed)
            say(f"{name}: {done['peak'] / 1e9:.2f} GB, {done['seconds']:.0f} s")
    return results


def _measure_run(run: Run, folder: Path, seed: int) -> dict[str, Any]:
    shape = "x".join(map(str, run.shape))
    bundle = folder / f"bundle_{run.classes}_{run.window}_{len(run.channels)}_{'_'.join(map(str, run.grid))}"
    if not bundle.exists():
        make_bundle(bundle, classes=run.classes, spacing=run.grid, window=run.window, channels=run.channels, seed=seed)
    scans = folder / shape
    if not scans.exists():
        scans.mkdir()
        make_ct(scans / "ct.nii.gz", run.shape, spacing=_SPACING, seed=seed)
    output = folder / "predicted"
    log = folder / "log.txt"
    limit = () if run.memory is None else ("--memory", run.memory)
    found = run_alone(predict_verb(bundle, scans, output, *limit, "--overwrite"), log)
    result: dict[str, Any] = {
        "case": asdict(run),
        "seconds": found.seconds,
        "peak": found.peak,
        "spent": json.loads((output / "report.json").read_text(encoding="utf-8"))["scans"][0]["seconds"],
        "all_logits_in_scan_grid": 4 * run.classes * prod(run.shape),
    }
    if run.memory is not None:
        allowed = round(float(run.memory.removesuffix("GB")) * 1e9)
        result |= {"memory": allowed, "kept": found.peak <= allowed}
    if run.monai:
        other = folder / "monai"
        monai = run_alone(monai_runner(bundle, scans, other), log)
        same = compare_label_maps(output / "ct_seg.nii.gz", other / "ct_seg.nii.gz")
        result["monai"] = {"seconds": monai.seconds, "peak": monai.peak, **same}
    return result


def report_memory(results: Mapping[str, Any]) -> None:
    """Print the tables."""
    rows = [
        [
            name,
            "x".join(map(str, run["case"]["shape"])),
            str(run["case"]["classes"]),
            f"{run['seconds']:.0f}",
            f"{run['spent']['network']:.0f}",
            f"{run['peak'] / 1e9:.2f}",
            f"{run['all_logits_in_scan_grid'] / 1e9:.2f}",
            *_against_monai(run),
        ]
        for name, run in results["runs"].items()
    ]
    columns = [
        "predict",
        "scan",
        "classes",
        "s",
        "network s",
        "peak GB",
        "logits GB",
        "MONAI s",
        "peak GB",
        "ratio",
        "differ",
    ]
    say("\n" + table(columns, rows))
    for name, run in results["runs"].items():
        if "kept" in run:
            say(f"{name}: the limit was {'kept' if run['kept'] else 'exceeded'}")


def _against_monai(run: Mapping[str, Any]) -> list[str]:
    other = run.get("monai")
    if other is None:
        return [""] * 4
    share = f"{other['voxels'] / other['of']:.2g}"
    return [f"{other['seconds']:.0f}", f"{other['peak'] / 1e9:.2f}", f"{other['peak'] / run['peak']:.2f}", share]
