"""Measure training on regions against training on labels, on the built-in sample with nested regions.

    python benchmarks/regions.py --runs runs/regions --seeds 0 1 2 --epochs 40

Both arms have the plan of `lightskip plan` and take the same steps; only the keys `regions` and `region_order` differ.
Trained on labels, a network has a softmax over the labels; trained on regions, a sigmoid for each region. Both write
one label map per case in the scan's own grid, of which each region's Dice is computed here: a region is the union of
its labels. The label map of regions is written by nnU-Net's rule for its `regions_class_order`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import yaml
from measure import RESULTS, header, say, table, write_json
from trainings import Training, name_run_folder, train_missing

from pipeline.bundle.render import write_rendered

__all__ = ["main", "make_bundles", "measure_regions"]

ARMS = ("labels", "regions")


def main() -> int:
    """Train and evaluate what is missing, print and write. Return 0, or 1 if a training failed."""
    options = _options()
    runs = options.runs.absolute()
    sample = runs / "sample"
    if not (sample / "dataset.json").is_file():
        _call("sample", sample, "--kind", "nested", "--cases", options.cases, "--scans", 4)
    bundles = make_bundles(sample, runs / "bundles")
    wanted = [_training(arm, bundles[arm], sample, seed, options) for seed in options.seeds for arm in ARMS]
    failed = train_missing(wanted, runs, jobs=options.jobs)
    found = [
        {"arm": one.arm, "seed": one.seed, "dice": _evaluate(one, name_run_folder(one, runs), sample, options)}
        for one in wanted
        if one not in failed
    ]
    rows = [_summarise(arm, [run["dice"] for run in found if run["arm"] == arm]) for arm in ARMS]
    write_json(options.output, {**header("regions", options), "runs": found, "arms": rows})
    names = list(rows[0]["dice"])
    say(table(["trained on", *names], [[row["arm"], *(_spread(row["dice"][name]) for name in names)] for row in rows]))
    say(f"written: {options.output}")
    return 1 if failed else 0


def make_bundles(sample: Path, folder: Path) -> dict[str, Path]:
    """Plan a bundle for the sample, and write it with and without its regions. Return the bundles by arm."""
    datalist = folder / "nested.json"
    if not (folder / "regions" / "plan.yaml").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _call("datalist", sample, "-o", datalist)
        _call("check", datalist, "-o", folder / "check")
        _call("plan", datalist, "--name", "regions", "-o", folder, "--check", folder / "check", "--hours", 0.05)
    plan = yaml.safe_load((folder / "regions" / "plan.yaml").read_text(encoding="utf-8"))
    plan |= {"name": "labels", "regions": None, "region_order": None}
    (folder / "labels").mkdir(exist_ok=True)
    (folder / "labels" / "plan.yaml").write_text(yaml.safe_dump(plan, sort_keys=False), encoding="utf-8")
    write_rendered(folder / "labels")
    return {arm: folder / arm for arm in ARMS}


def measure_regions(
    predictions: Path, references: dict[str, Path], regions: dict[str, Sequence[int]]
) -> dict[str, float]:
    """Return the mean Dice of each region over the cases, from label maps on the same grids.

    Args:
        predictions: folder of the label maps, NAME_seg.nii.gz.
        references: the expert's label map of each case, by its name.
        regions: the labels of each region.
    """
    dice: dict[str, list[float]] = {name: [] for name in regions}
    for case, reference in references.items():
        maps = [np.asarray(nib.load(path).dataobj) for path in (predictions / f"{case}_seg.nii.gz", reference)]
        for name, labels in regions.items():
            one, other = (np.isin(each, labels) for each in maps)
            # Without the region in either map a case does not count, as in an evaluation.
            if one.any() or other.any():
                dice[name].append(2 * int((one & other).sum()) / int(one.sum() + other.sum()))
    return {name: statistics.fmean(values) for name, values in dice.items()}


def _evaluate(training: Training, folder: Path, sample: Path, options: argparse.Namespace) -> dict[str, float]:
    predictions = folder / "label_maps"
    description = json.loads((sample / "dataset.json").read_text(encoding="utf-8"))
    cases = [item for item in description["training"] if item["fold"] == training.fold]
    references = {Path(item["image"]).name.split(".")[0]: sample / item["label"] for item in cases}
    if not all((predictions / f"{case}_seg.nii.gz").is_file() for case in references):
        words = ["--dataset_dir", sample, "--checkpoint", folder / "model.pt", "--predictions_dir", predictions]
        words += ["--fold", training.fold, "--precision", options.precision, "--output_dir", folder / "evaluation"]
        _call("evaluate", training.bundle, *words)
    return measure_regions(predictions, references, description["regions"])


def _training(arm: str, bundle: Path, sample: Path, seed: int, options: argparse.Namespace) -> Training:
    overrides = ["--val_interval", str(options.epochs), "--precision", options.precision, "--used_tracking", "none"]
    return Training(
        bundle=bundle,
        dataset_dir=sample,
        arm=arm,
        overrides=(*overrides, "--cache_dir", str(bundle / "prepared")),
        seed=seed,
        epochs=options.epochs,
        threads=options.threads,
        device=options.device,
    )


def _call(verb: str, *words: object) -> None:
    subprocess.run([sys.executable, "-m", "pipeline", verb, *map(str, words)], check=True)


def _summarise(arm: str, found: Sequence[dict[str, float]]) -> dict[str, Any]:
    names = found[0] if found else {}
    return {"arm": arm, "dice": {name: [run[name] for run in found] for name in names}}


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/regions"), help="folder of trainings [%(default)s]")
    parser.add_argument("--cases", type=int, default=24, help="of the sample [%(default)s]")
    parser.add_argument("--epochs", type=int, default=40, help="[%(default)s]")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="[%(default)s]")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at the same time [%(default)s]")
    parser.add_argument("--threads", type=int, default=1, help="PyTorch's threads [%(default)s]")
    parser.add_argument("--device", default="cpu", help="cpu, cuda:0, ... [%(default)s]")
    parser.add_argument("--precision", default="float32", help="auto, bfloat16, float16, float32 [%(default)s]")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "regions.json", help="the JSON [%(default)s]")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
