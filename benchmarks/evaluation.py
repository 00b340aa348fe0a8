"""Time every metric of a case against the surface metrics of MONAI and of surface-distance, each in its own process.

    python benchmarks/evaluation.py
    python benchmarks/evaluation.py --quick

The CT of 512 x 512 x 300 voxels has 20 synthetic organs. LightSkip measures all its metrics but those of lesions, the
others HD95 and NSD alone, all with one thread, one after the other. The targets: at most 0.20 of the time of the
faster one, less than 3 GB of memory. Then 208 pairs of the size of the hippocampus dataset in two processes, with
clDice as well: 20 s. Times exclude imports and reading; peaks of memory include them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from evaluation_way import WAYS
from measure import RESULTS, header, say, table, write_json
from numpy.typing import NDArray
from organs import make_hippocampi, make_organs
from processes import run_alone

from pipeline.evaluation.metric_names import ALL_METRICS
from pipeline.evaluation.metrics import measure_case

__all__ = ["main"]

MARKS = {"ratio": 0.20, "memory_gb": 3.0, "hippocampus_seconds": 20.0}
_SPACING = (0.8, 0.8, 1.0)  # mm
_TOLERANCE = 1.0  # mm
_AGREED = ("hd95_mm", "nsd", "hd95_area_mm", "nsd_area")


def main() -> int:
    """Measure, print and write the results."""
    options = _options()
    shape, labels, cases = ((48, 40, 36), 4, 4) if options.quick else ((512, 512, 300), 20, 208)
    with tempfile.TemporaryDirectory() as name:
        ways = _measure_ways(Path(name), shape, labels, options.seed)
    hippocampus = _measure_hippocampi(cases, options.seed)
    own, *others = ways.values()
    ratios = {clock: own["seconds"][clock] / min(way["seconds"][clock] for way in others) for clock in ("wall", "cpu")}
    marks = {
        "ratio": ratios[options.clock] <= MARKS["ratio"],
        "memory_gb": own["peak_gb"] < MARKS["memory_gb"],
        "hippocampus_seconds": hippocampus["wall"] < MARKS["hippocampus_seconds"],
    }
    results = {
        **header("evaluation", options),
        "peers": {name: version(name) for name in ("surface-distance", "scipy", "scikit-image")},
        "shape": shape,
        "spacing": _SPACING,
        "labels": labels,
        "ways": ways,
        "ratio_to_faster": ratios,
        "largest_difference": _compare([way["rows"] for way in ways.values()]),
        "hippocampus": hippocampus,
        "marks_met": marks,
    }
    for way in ways.values():
        del way["rows"]
    write_json(options.output, results)
    rows = [
        [name, f"{way['seconds']['wall']:.2f}", f"{way['seconds']['cpu']:.2f}", f"{way['peak_gb']:.2f}"]
        for name, way in ways.items()
    ]
    say(table([" x ".join(map(str, shape)) + f", {labels} labels", "wall s", "cpu s", "peak GB"], rows))
    say(f"\nratio to the faster one: wall {ratios['wall']:.3f}, cpu {ratios['cpu']:.3f}; target {MARKS['ratio']:.2f}")
    say(f"{cases} hippocampi, every metric, two processes: {hippocampus['wall']:.1f} s")
    say(", ".join(f"{key}: {'met' if met else 'missed'}" for key, met in marks.items()))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the organs [%(default)s]")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="of the target [%(default)s]")
    parser.add_argument("--quick", action="store_true", help="a small volume, a few seconds: only shows that it runs")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "evaluation.json", help="the JSON [%(default)s]")
    options = parser.parse_args()
    options.device, options.threads = "cpu", 1
    return options


def _measure_ways(folder: Path, shape: tuple[int, int, int], labels: int, seed: int) -> dict[str, dict[str, Any]]:
    """Return the seconds, the peak of memory (GB) and the rows of each way."""
    for name, label_map in zip(("prediction", "reference"), make_organs(shape, _SPACING, labels, seed), strict=True):
        np.save(folder / f"{name}.npy", label_map)
    options = json.dumps({"spacing": _SPACING, "labels": labels, "tolerance_mm": _TOLERANCE})
    script = Path(__file__).with_name("evaluation_way.py")
    found = {}
    for way in WAYS:
        say(f"{way} ...")
        log = folder / "log.txt"
        cost = run_alone([sys.executable, script, way, folder, options], log)
        measured = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
        found[way] = {**measured, "peak_gb": cost.peak / 1e9}
    return found


def _measure_hippocampi(cases: int, seed: int) -> dict[str, float]:
    """Return the seconds of measuring every metric of all cases in two processes, their start included."""
    pairs = make_hippocampi(cases, seed)
    start = time.perf_counter()
    with ProcessPoolExecutor(2) as pool:
        rows = list(pool.map(_measure_hippocampus, pairs, chunksize=8))
    return {"cases": cases, "wall": time.perf_counter() - start, "dice": float(np.mean(rows))}


def _measure_hippocampus(maps: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> list[float]:
    labels = {"background": 0, "anterior": 1, "posterior": 2}
    rows = measure_case(*maps, spacing=(1, 1, 1), labels=labels, metrics=tuple(ALL_METRICS))
    return [row["dice"] for row in rows]


def _compare(found: list[list[dict[str, float]]]) -> dict[str, float]:
    """Return the largest difference of LightSkip's values, the first, from those of the others."""
    own, *others = found
    return {
        metric: max(abs(row[metric] - other[metric]) for row, other in zip(own, rows, strict=True))
        for rows in others
        for metric in _AGREED
        if metric in rows[0]
    }


if __name__ == "__main__":
    sys.exit(main())
