"""One large scan through `lightskip predict` of this checkout and of another, in turn.

    git worktree add ../before COMMIT
    taskset -c 1 python benchmarks/builds.py ../before

A synthetic CT as int16 `.nii.gz`, a network with random weights on a coarse grid, one thread. What counts is reading,
checking and preparing the scan, and writing its label map: the seconds of `report.json` without those of the network
and its windows. Ratios are taken within a round.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from measure import RESULTS, Spread, header, paired_ratio, say, table, write_json
from predict_parts import make_ct

__all__ = ["main", "measure_builds"]

HERE = Path(__file__).resolve().parents[1]
# A coarse grid, so that the network and its windows take little beside the scan.
_GRID_MM = 8.0
_SHAPE, _QUICK_SHAPE = (512, 512, 300), (96, 96, 48)
# Each checkout makes the bundle for itself: recipes name the code of their own time.
_MAKE = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1]) / "benchmarks"))
from predict_parts import make_bundle
make_bundle(Path(sys.argv[2]), classes=20, spacing=[float(sys.argv[3])] * 3, window=32, channels=(4, 8))
"""
_VERB = "import sys; from pipeline.cli import main; sys.exit(main())"


def main() -> int:
    """Measure, print and write; 0, or 2 where something could not run."""
    options = _options()
    try:
        with tempfile.TemporaryDirectory(dir=options.scratch) as name:
            results = measure_builds(options.other, Path(name), rounds=options.rounds, quick=options.quick)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None)
        say(f"error: {error}" + (f"\n{said[-2000:]}" if said else ""))
        return 2
    rows = [
        [name, this.text(), other.text(), ratio.text()]
        for name, (this, other, ratio) in ((name, found.values()) for name, found in results["seconds"].items())
    ]
    say(f"{' x '.join(map(str, results['scan']))} voxels, seconds, median [quartiles] of {options.rounds} rounds\n")
    say(table(["", "this build", "the other", "ratio"], rows))
    write_json(options.output, header("builds", options) | results)
    say(f"\n{options.output}")
    return 0


def measure_builds(other: Path, scratch: Path, *, rounds: int, quick: bool = False) -> dict[str, Any]:
    """Return the seconds of both checkouts by what they were spent on, and their ratios (this to the other).

    Args:
        other: the other checkout's folder.
        scratch: an empty folder for the scan, the bundles and the label maps.
        rounds: how often each is measured.
        quick: a toy scan, which shows that it runs and no more.

    Raises:
        OSError: there is no checkout in that folder.
        subprocess.CalledProcessError: a build failed.
    """
    if not (other / "pipeline" / "cli").is_dir():
        msg = f"{other}: found no pipeline/cli; expected a checkout of LightSkip"
        raise OSError(msg)
    shape = _QUICK_SHAPE if quick else _SHAPE
    make_ct(scratch / "ct.nii.gz", shape)
    checkouts = {"this": HERE, "other": other.resolve()}
    for name, checkout in checkouts.items():
        _run(checkout, [sys.executable, "-c", _MAKE, str(checkout), str(scratch / name), str(_GRID_MM)])
    seconds: dict[str, dict[str, list[float]]] = {}
    for number in range(rounds):
        for name, checkout in checkouts.items():
            for key, value in _predict(checkout, scratch, name, number).items():
                seconds.setdefault(key, {}).setdefault(name, []).append(value)
    return {
        "scan": list(shape),
        "seconds": {
            key: {
                "this": Spread.of(found["this"]),
                "other": Spread.of(found["other"]),
                "ratio": paired_ratio(found["this"], found["other"]),
            }
            for key, found in seconds.items()
        },
    }


def _predict(checkout: Path, scratch: Path, name: str, number: int) -> Mapping[str, float]:
    output = scratch / f"{name}_{number}"
    words = ["predict", str(scratch / name), str(scratch / "ct.nii.gz"), "-o", str(output), "--threads", "1"]
    _run(checkout, [sys.executable, "-W", "ignore", "-c", _VERB, *words, "--device", "cpu"])
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    spent = report["scans"][0]["seconds"]
    beside = spent["preparing"] + spent["writing"]
    return {**spent, "read to written, without the network": beside, "whole run": report["seconds"]}


def _run(checkout: Path, words: Sequence[str]) -> None:
    environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run(words, check=True, capture_output=True, text=True, env=environment, cwd=checkout)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="folder of the other checkout")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured [%(default)s]")
    parser.add_argument("--scratch", type=Path, help="folder for temporary files")
    parser.add_argument("--quick", action="store_true", help="a toy scan: shows that it runs, no more")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "builds.json", help="the JSON [%(default)s]")
    parser.set_defaults(device="cpu", threads=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
