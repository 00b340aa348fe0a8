"""Prediction by this checkout and by another, in turn: many scans, a large scan, files, and starts.

    git worktree add ../before COMMIT
    taskset -c 1 python benchmarks/builds.py ../before --dataset_dir Task04_Hippocampus
    taskset -c 1 python benchmarks/builds.py ../before --part ct --avx2

- `cases`: scans of a dataset through the shipped bundle.
- `ct`: a synthetic CT, 20 classes, a network on a grid of 1.5 mm, trained for some minutes on this CT. So its label map
  is coherent, like that of a real network: the output says which share of voxels is between classes (another label
  among the 26 voxels around), and the mean Dice of the ellipsoids. With `--weights random` the label map is noise,
  nearly every voxel is between classes, and there is the most work outside the network.
- `files`: a CT and random weights on a coarse grid: reading, checking, preparing and writing, without the network and
  its windows.
- `start`: one small scan from start to finish, and a path that does not exist.

One thread, each build with its own defaults. Ratios are taken within a round. `whole` is by the clock, the phases of a
scan are by the processor, so that other programs on it count little. Everything but the network is reading, checking,
preparing, windows, restoring and writing; start-up and conversion are apart. `--avx2` computes as on a processor
without AVX-512 and bfloat16.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from ct_network import between_share, mean_dice, train_on_scan
from measure import RESULTS, Spread, header, paired_ratio, say, table, write_json
from predict_parts import compare_label_maps, make_ct
from processes import ProcessCost, run_alone

__all__ = ["PARTS", "main", "measure_builds"]

HERE = Path(__file__).resolve().parents[1]
_SHAPE, _QUICK_SHAPE = (512, 512, 300), (96, 96, 48)
_FINE_MM, _COARSE_MM = 1.5, 8.0
_AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
}
# The command's own clock counts the processor's seconds.
_VERB = (
    *(sys.executable, "-W", "ignore", "-c"),
    "import sys, time; time.perf_counter = time.process_time; from pipeline.cli import main; sys.exit(main())",
)
_CROP, _QUICK_CROP = (48, 1000), (32, 2)  # side in voxels, number
# Each checkout makes the bundle for itself: recipes name the code of their own time.
_MAKE = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1]) / "benchmarks"))
from predict_parts import make_bundle
folder, spacing, window, channels = sys.argv[2:]
make_bundle(
    Path(folder), classes=20, spacing=[float(spacing)] * 3, window=int(window), channels=eval(channels)
)
"""
Measured = dict[str, float]


class Build:
    """A checkout, and its files of this benchmark.

    Args:
        name: ``this`` or ``other``.
        checkout: its folder.
        scratch: folder for its bundles, label maps and converted networks.
        avx2: whether to compute without AVX-512.
    """

    def __init__(self, name: str, checkout: Path, scratch: Path, *, avx2: bool) -> None:
        self.name, self.checkout, self.scratch = name, checkout, scratch / name
        self.scratch.mkdir()
        self.environment = {
            "PYTHONPATH": str(checkout),
            "LIGHTSKIP_CACHE": str(self.scratch / "cache"),
            **(_AVX2 if avx2 else {}),
        }
        self.rounds = 0

    def make_bundle(self, spacing: float, window: int, channels: tuple[int, ...]) -> Path:
        """Make a bundle with 20 classes and random weights, if it is missing, and return its folder."""
        folder = self.scratch / f"grid_{spacing:g}"
        if not folder.exists():
            words = [sys.executable, "-c", _MAKE, str(self.checkout), str(folder), str(spacing), str(window)]
            environment = os.environ | self.environment
            subprocess.run([*words, str(channels)], check=True, capture_output=True, text=True, env=environment)
        return folder

    def predict(
        self, bundle: Path, scans: Iterable[Path], accepted: tuple[int, ...] = (0,)
    ) -> tuple[ProcessCost, Mapping[str, Any], Path]:
        """Segment scans with the build's defaults; return cost, report (empty without scans) and output folder."""
        self.rounds += 1
        output = self.scratch / f"out_{self.rounds}"
        words = [*_VERB, "predict", str(bundle), *map(str, scans), "-o", str(output), "--threads", "1"]
        before = {key: os.environ.get(key) for key in self.environment}
        os.environ.update(self.environment)
        try:
            words += ["--device", "cpu"]
            cost = run_alone(words, self.scratch / "log.txt", folder=self.checkout, accepted=accepted)
        finally:
            for key, value in before.items():
                os.environ.pop(key) if value is None else os.environ.update({key: value})
        report = output / "report.json"
        return cost, json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}, output


def measure_builds(
    other: Path, scratch: Path, options: argparse.Namespace
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Return the measurements of both checkouts, with their ratios (this to the other), and what was compared.

    Args:
        other: the other checkout's folder.
        scratch: an empty folder for scans, bundles and label maps.
        options: of the command line.

    Raises:
        OSError: there is no checkout in that folder.
        RuntimeError: a build failed.
    """
    if not (other / "pipeline" / "cli").is_dir():
        msg = f"{other}: found no pipeline/cli; expected a checkout of LightSkip"
        raise OSError(msg)
    builds = [
        Build("this", HERE, scratch, avx2=options.avx2),
        Build("other", other.resolve(), scratch, avx2=options.avx2),
    ]
    measured: dict[str, dict[str, Any]] = {}
    compared: dict[str, Any] = {}
    for part in options.part:
        found: dict[str, dict[str, list[float]]] = {}
        for number in range(options.rounds):
            outputs = []
            # The order changes from round to round.
            for build in builds if number % 2 == 0 else builds[::-1]:
                values, output = PARTS[part](build, scratch, options)
                outputs.append((build.name, output))
                for key, value in values.items():
                    found.setdefault(key, {}).setdefault(build.name, []).append(value)
            if number == 0:
                compared[part] = _compare(dict(outputs))
        measured[part] = {
            key: {
                "this": Spread.of(values["this"]),
                "other": Spread.of(values["other"]),
                "ratio": paired_ratio(values["this"], values["other"]),
            }
            for key, values in found.items()
            if all(values["other"])
        }
    return measured, compared


def _compare(outputs: Mapping[str, Path]) -> dict[str, int]:
    """Return the number of voxels that differ between both builds' label maps, and of all."""
    maps = sorted(outputs["this"].glob("*_seg.nii.gz"))
    found = [compare_label_maps(file, outputs["other"] / file.name) for file in maps]
    return {"voxels": sum(one["voxels"] for one in found), "of": sum(one["of"] for one in found)}


def _measure_cases(build: Build, _: Path, options: argparse.Namespace) -> tuple[Measured, Path]:
    scans = sorted((options.dataset_dir / "imagesTr").glob("*.nii.gz"))[: 2 if options.quick else options.cases]
    cost, report, output = build.predict(build.checkout / "bundles" / "hippocampus_mri", scans)
    seconds = [scan["seconds"] for scan in report["scans"]]
    network = sum(one["network"] for one in seconds)
    return {
        "network": network,
        "network and its conversion": network + report["conversion_seconds"],
        "whole": cost.seconds,
        "peak GB": cost.peak / 1e9,
    }, output


def _measure_ct(build: Build, scratch: Path, options: argparse.Namespace) -> tuple[Measured, Path]:
    window = 32 if options.quick else 96
    bundle = build.make_bundle(_FINE_MM, window, (4, 8) if options.quick else (8, 16, 32, 64))
    scan, truth = _make_labelled_scan(scratch, options)
    if options.weights == "trained":
        torch.save(_train_once(scratch, scan, truth, options), bundle / "models" / "model.pt")
    cost, report, output = build.predict(bundle, [scan])
    labels = np.asarray(nib.load(output / f"{scan.name.split('.')[0]}_seg.nii.gz").dataobj)
    spent = report["scans"][0]["seconds"]
    beside = sum(spent.values()) - spent["network"]
    return {
        **spent,
        "whole": cost.seconds,
        "everything but the network": beside,
        "share of everything but the network": beside / sum(spent.values()),
        "processor": cost.cpu_seconds,
        "system": cost.system_seconds,
        "share of the system": cost.system_seconds / cost.cpu_seconds,
        "peak GB": cost.peak / 1e9,
        "share of voxels between classes": between_share(labels),
        "mean Dice": mean_dice(labels, np.asarray(nib.load(truth).dataobj)),
    }, output


def _measure_files(build: Build, scratch: Path, options: argparse.Namespace) -> tuple[Measured, Path]:
    # A coarse grid, so that the network and its windows take little beside the scan.
    bundle = build.make_bundle(_COARSE_MM, 32, (4, 8))
    cost, report, output = build.predict(bundle, [_make_scan(scratch, options)])
    spent = report["scans"][0]["seconds"]
    beside = spent["preparing"] + spent["writing"]
    return {
        **spent,
        "read to written, without the network": beside,
        "whole": cost.seconds,
        "peak GB": cost.peak / 1e9,
    }, output


def _measure_start(build: Build, scratch: Path, _: argparse.Namespace) -> tuple[Measured, Path]:
    scan = scratch / "small.nii.gz"
    if not scan.exists():
        make_ct(scan, (36, 50, 36), spacing=(1.0, 1.0, 1.0))
    bundle = build.checkout / "bundles" / "hippocampus_mri"
    cost, _, output = build.predict(bundle, [scan])
    missing, *_ = build.predict(bundle, [scratch / "missing.nii.gz"], accepted=(2,))
    return {
        "one small scan": cost.seconds,
        "one small scan, processor": cost.cpu_seconds,
        "a path that does not exist": missing.seconds,
        "a path that does not exist, processor": missing.cpu_seconds,
    }, output


PARTS: dict[str, Callable[[Build, Path, argparse.Namespace], tuple[Measured, Path]]] = {
    "cases": _measure_cases,
    "ct": _measure_ct,
    "files": _measure_files,
    "start": _measure_start,
}


def _make_scan(scratch: Path, options: argparse.Namespace) -> Path:
    scan = scratch / "ct.nii.gz"
    if not scan.exists():
        make_ct(scan, _QUICK_SHAPE if options.quick else _SHAPE)
    return scan


def _make_labelled_scan(scratch: Path, options: argparse.Namespace) -> tuple[Path, Path]:
    """Return a CT and its label map."""
    scan, truth = scratch / "labelled_ct.nii.gz", scratch / "truth.nii.gz"
    if not truth.exists():
        make_ct(scan, _QUICK_SHAPE if options.quick else _SHAPE, truth=truth)
    return scan, truth


def _train_once(scratch: Path, scan: Path, truth: Path, options: argparse.Namespace) -> Mapping[str, Any]:
    """Return weights for both builds, by name. This build trains them, from its own first weights."""
    file = options.weights_file or scratch / "weights.pt"
    if not file.exists():
        crop, steps = _QUICK_CROP if options.quick else _CROP
        bundle = scratch / "this" / f"grid_{_FINE_MM:g}"
        if not bundle.exists():
            msg = f"{bundle}: found no bundle; expected that of this build"
            raise RuntimeError(msg)
        torch.save(train_on_scan(bundle, scan, truth, crop=crop, steps=steps), file)
    return dict(torch.load(file, weights_only=True))


def main() -> int:
    """Measure, print and write; 0, or 2 where something could not run."""
    options = _options()
    if "cases" in options.part and options.dataset_dir is None:
        options.part.remove("cases")
        say("cases are not measured: they need --dataset_dir")
    try:
        with tempfile.TemporaryDirectory(dir=options.scratch) as name:
            measured, compared = measure_builds(options.other, Path(name), options)
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None)
        say(f"error: {error}" + (f"\n{said[-2000:]}" if said else ""))
        return 2
    for part, found in measured.items():
        rows = [
            [name, this.text(), other.text(), ratio.text()]
            for name, (this, other, ratio) in ((name, one.values()) for name, one in found.items())
        ]
        say(f"\n{part}, median [quartiles] of {options.rounds} rounds; seconds, GB, shares\n")
        say(table(["", "this build", "the other", "ratio"], rows))
        say(f"voxels with another label: {compared[part]['voxels']:,} of {compared[part]['of']:,}")
    scan = list(_QUICK_SHAPE if options.quick else _SHAPE)
    write_json(options.output, header("builds", options) | {"scan": scan, "parts": measured, "compared": compared})
    say(f"\n{options.output}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="folder of the other checkout")
    parser.add_argument("--part", nargs="+", choices=list(PARTS), default=list(PARTS), help="[all]")
    parser.add_argument("--dataset_dir", type=Path, help="folder of the hippocampus dataset [no cases]")
    parser.add_argument("--cases", type=int, default=52, help="scans of the dataset [%(default)s]")
    parser.add_argument(
        "--weights", choices=["trained", "random"], default="trained", help="of the CT's network [%(default)s]"
    )
    parser.add_argument("--weights_file", type=Path, help="use the trained weights in this file, or write them to it")
    parser.add_argument("--avx2", action="store_true", help="compute without AVX-512 and bfloat16")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured [%(default)s]")
    parser.add_argument("--scratch", type=Path, help="folder for temporary files")
    parser.add_argument("--quick", action="store_true", help="a toy scan: shows that it runs, no more")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "builds.json", help="the JSON [%(default)s]")
    parser.set_defaults(device="cpu", threads=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
