"""Predict the same scans on each runtime, in float32 and the device's own format: labels, Dice, time in the network.

The runtimes are PyTorch and OpenVINO on a CPU, and on a GPU plain PyTorch and the way that `auto` takes.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from measure import Spread, paired_ratio, say, table
from numpy.typing import NDArray
from predict_parts import case_dice, fold_cases

from pipeline.inference.inferers import choose_precision
from pipeline.prediction.predictor import Predictor

__all__ = ["measure_cases", "report_cases"]

_BASE = "pytorch float32"


def measure_cases(options: argparse.Namespace) -> dict[str, Any]:
    """Segment the cases of a fold on every runtime in every format, in turn, with one thread.

    Args:
        options: bundle, dataset_dir, datalist, fold, rounds, device.
    """
    torch.set_num_threads(1)
    cases = fold_cases(options.datalist, options.dataset_dir, options.fold)
    formats = tuple(dict.fromkeys(("float32", choose_precision(options.device))))
    runtimes = ("pytorch", "openvino" if options.device == "cpu" else "auto")
    predictors = {
        f"{runtime} {precision}": Predictor(
            options.bundle, device=options.device, runtime=runtime, settings={"precision": precision}
        )
        for precision in formats
        for runtime in runtimes
    }
    seconds: dict[str, list[float]] = {name: [] for name in predictors}
    for _ in range(options.rounds):
        found = {name: _segment(predictor, cases) for name, predictor in predictors.items()}
        for name, (_, taken) in found.items():
            seconds[name].append(taken)
    labels = next(iter(predictors.values())).bundle.labels
    voxels = sum(one.size for one in found[_BASE][0])
    return {
        "cases": len(cases),
        "voxels": voxels,
        "threads": 1,
        "runs": {
            name: {
                "way": predictors[name].bundle.runtime.way,
                "network_seconds_per_scan": Spread.of([one / len(cases) for one in seconds[name]]),
                **{
                    f"to pytorch {precision}": paired_ratio(seconds[name], seconds[f"pytorch {precision}"])
                    for precision in formats
                },
                "voxels_differing_from_float32": sum(
                    int((one != base).sum()) for one, base in zip(maps, found[_BASE][0], strict=True)
                ),
                "label_maps_equal_to_float32": sum(
                    bool((one == base).all()) for one, base in zip(maps, found[_BASE][0], strict=True)
                ),
                "dice": fmean(
                    case_dice(one, case["label"], labels)["mean"] for one, case in zip(maps, cases, strict=True)
                ),
            }
            for name, (maps, _) in found.items()
        },
    }


def report_cases(results: Mapping[str, Any]) -> None:
    """Print the table."""
    ratios = [key for key in next(iter(results["runs"].values())) if key.startswith("to ")]
    rows = [
        [
            name,
            run["network_seconds_per_scan"].text(1e3, 1),
            *(run[key].text() for key in ratios),
            str(run["voxels_differing_from_float32"]),
            f"{run['dice']:.4f}",
        ]
        for name, run in results["runs"].items()
    ]
    say(f"\n{results['cases']} cases, {results['voxels']} voxels, one thread\n")
    say(table(["", "network ms per scan", *ratios, "voxels that differ from float32", "mean Dice"], rows))


def _segment(
    predictor: Predictor, cases: list[dict[str, Path]]
) -> tuple[list[NDArray[np.unsignedinteger[Any]]], float]:
    """Return the label maps and the seconds in the network."""
    predictions = [predictor(case["image"]) for case in cases]
    return [one.labels for one in predictions], sum(one.seconds["network"] for one in predictions)
