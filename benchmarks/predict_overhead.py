"""Measure the time of `lightskip predict` outside the network's forward passes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from measure import Spread, say, table
from predict_parts import make_bundle, predict_verb
from processes import run_alone

from pipeline.data.sample import make_sample

__all__ = ["make_wide_scan", "measure_overhead", "report_overhead"]

_SPACINGS = (1.0, 0.8)  # mm: the bundle's own, and another
_SIDE, _QUICK_SIDE = 200, 64


def measure_overhead(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure a large scan in the network's grid and in another, with several numbers of threads, in rounds.

    Args:
        options: bundle, dataset_dir, rounds, quick.
        folder: folder for temporary files.
    """
    if options.quick:
        bundle = make_bundle(folder / "bundle", classes=3, spacing=(1.0,) * 3, window=32, normalisation="zscore")
        source = make_sample(folder / "data", cases=1, scans=0, folds=1).parent
    else:
        bundle, source = Path(options.bundle), options.dataset_dir
    first = min((source / "imagesTr").glob("*.nii.gz"))
    scans = {
        spacing: make_wide_scan(first, folder / f"{spacing:g}mm", _QUICK_SIDE if options.quick else _SIDE, spacing)
        for spacing in _SPACINGS
    }
    ways = {(spacing, threads): [] for spacing in _SPACINGS for threads in options.with_threads}
    for number in range(options.rounds):
        for (spacing, threads), runs in ways.items():
            output = folder / f"{number} {spacing} {threads}"
            words = predict_verb(bundle, scans[spacing], output, threads=threads)
            run = run_alone(words, folder / "log.txt", threads=threads)
            report = json.loads((output / "report.json").read_text(encoding="utf-8"))
            runs.append(_parts(report["scans"][0]["seconds"], run.seconds))
    return {
        "scan": [_QUICK_SIDE if options.quick else _SIDE] * 3,
        "runs": {
            f"{spacing:g} mm, {threads} thread{'s' * (threads > 1)}": {
                key: Spread.of([run[key] for run in runs]) for key in runs[0]
            }
            for (spacing, threads), runs in ways.items()
        },
    }


def make_wide_scan(file: Path, folder: Path, side: int, spacing: float) -> Path:
    """Mirror a scan at its borders to a cube of a side in voxels, and write it with another spacing (mm).

    Returns:
        The folder of the written scan.
    """
    folder.mkdir()
    voxels = np.asarray(nib.load(file).dataobj)
    missing = [(0, max(0, side - length)) for length in voxels.shape]
    wide = np.pad(voxels, missing, mode="symmetric")[:side, :side, :side]
    nib.save(nib.Nifti1Image(wide, np.diag([spacing, spacing, spacing, 1.0])), folder / "wide.nii.gz")
    return folder


def report_overhead(results: Mapping[str, Any]) -> None:
    """Print the table."""
    runs = next(iter(results["runs"].values()))
    keys = [key for key in runs if key != "share"]
    rows = [
        [name, *(run[key].text() for key in keys), run["share"].text(100, 1)] for name, run in results["runs"].items()
    ]
    size = " x ".join(map(str, results["scan"]))
    say(f"a scan of {size} voxels; seconds, median [quartiles] of {runs['share'].count} runs\n")
    say(table(["", *keys, "outside the network, %"], rows))


def _parts(seconds: Mapping[str, float], whole: float) -> dict[str, float]:
    """Return a scan's seconds, the rest of the process's seconds, and the share outside the network."""
    total = sum(seconds.values())
    return {**seconds, "start-up": whole - total, "share": 1 - seconds["network"] / total}
