"""Measure `lightskip report` of a comparison: its time, its memory and the size of its page.

    python benchmarks/report.py                    # 50 cases of 96^3 voxels and 50 of a hippocampus's size, two sets
    python benchmarks/report.py --cases 4 --rounds 1

The cases are drawn: three structures in a scan with noise, and two sets of label maps whose borders differ from the
reference's. `lightskip compare` makes the comparison, which is not timed. The report runs in its own process with one
thread. The targets are 60 s and 10 MB for 50 cases on two cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from measure import RESULTS, Spread, header, say, table, write_json
from numpy.typing import NDArray
from processes import VERB, run_alone
from scipy import ndimage

__all__ = ["draw_case", "main"]

SECONDS, MEGABYTES = 60.0, 10.0
SHAPES = {"96^3": (96, 96, 96), "hippocampus": (35, 51, 36)}
SETS = ("heavy", "light")


def draw_case(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """Return a drawn scan (int16), and its label maps: the reference, then one per set.

    Args:
        shape: (x, y, z) in voxels.
        rng: source of the noise.
    """
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij"))
    # Smooth noise moves the borders of the structures; each set has another one.
    maps = []
    for strength in (0.25, 0.3, 0.35):
        noise = ndimage.gaussian_filter(rng.normal(size=shape), 4)
        bent = strength * noise / noise.std() * 0.2
        labels = np.zeros(shape, np.uint8)
        for value, middle in enumerate(((-0.35, 0, 0), (0.35, 0.1, 0), (0, -0.3, 0.35)), start=1):
            away = np.sqrt(((grid - np.array(middle).reshape(3, 1, 1, 1)) ** 2).sum(0))
            labels[away + bent < 0.36] = value
        maps.append(labels)
    tissue = 100 + 40 * ndimage.gaussian_filter(rng.normal(size=shape), 3) + 60 * maps[0]
    scan = tissue + rng.normal(0, 12, shape)
    return scan.round().astype(np.int16), maps


def main() -> int:
    """Measure, print and write the results. Return 0, or 2 if a verb could not run."""
    options = _options()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        for kind in options.sizes:
            folder = Path(name) / kind.replace("^", "_")
            try:
                results[kind] = _measure(folder, SHAPES[kind], options)
            except RuntimeError as error:
                say(f"error: {error}")
                return 2
    rows = [
        [kind, one["seconds"].text(), one["cpu_seconds"].text(), one["memory_gb"].text(), f"{one['page_mb']:.2f}"]
        for kind, one in results.items()
    ]
    say(table([f"{options.cases} cases, {len(SETS)} sets", "wall s", "cpu s", "peak GB", "page MB"], rows))
    marks = {
        "seconds": all(one["seconds"].median < SECONDS for one in results.values()),
        "size": all(one["page_mb"] < MEGABYTES for one in results.values()),
    }
    say("\n" + ", ".join(f"{key}: {'met' if met else 'missed'}" for key, met in marks.items()))
    write_json(options.output, header("report", options) | {"runs": results, "marks_met": marks})
    say(f"\n{options.output}")
    return 0


def _measure(folder: Path, shape: tuple[int, ...], options: Any) -> dict[str, Any]:
    """Return the seconds and the peak memory of the runs, and the size of the page."""
    _write_cases(folder, shape, options)
    sets = [f"{name}={folder / name}" for name in SETS]
    words = ["compare", str(folder / "reference"), *sets, "-o", str(folder / "out")]
    run_alone([*VERB, *words], folder / "log.txt", folder=folder)
    page = folder / "report.html"
    words = ["report", str(folder / "out"), "--images", str(folder / "images"), "-o", str(page)]
    runs = [run_alone([*VERB, *words], folder / "log.txt", folder=folder) for _ in range(options.rounds)]
    return {
        "seconds": Spread.of([run.seconds for run in runs]),
        "cpu_seconds": Spread.of([run.cpu_seconds for run in runs]),
        "memory_gb": Spread.of([run.peak / 1e9 for run in runs]),
        "page_mb": page.stat().st_size / 1e6,
    }


def _write_cases(folder: Path, shape: tuple[int, ...], options: Any) -> None:
    rng = np.random.default_rng(options.seed)
    for name in ("images", "reference", *SETS):
        (folder / name).mkdir(parents=True)
    for number in range(options.cases):
        scan, maps = draw_case(shape, rng)
        for name, voxels in zip(("images", "reference", *SETS), (scan, *maps), strict=True):
            nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), folder / name / f"case_{number:03}.nii.gz")


def _options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=50, help="number of cases [%(default)s]")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each size [%(default)s]")
    parser.add_argument("--sizes", nargs="+", choices=tuple(SHAPES), default=list(SHAPES), help="of the scans [all]")
    parser.add_argument("--seed", type=int, default=0, help="of the drawn cases [%(default)s]")
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--device", default="cpu", help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "report.json", help="the JSON [%(default)s]")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
