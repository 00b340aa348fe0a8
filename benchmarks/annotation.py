"""Measure training on scans that are annotated in part, against training on the whole annotation.

    python benchmarks/annotation.py --dataset_dir Task04_Hippocampus --runs runs/annotation --seeds 0 1 2

The scans and their folds are those of a bundle. Only the annotation of the training cases differs by arm; the fold that
validates has all of it:

- full: all voxels.
- slices: 20 % of the slices of each case, drawn at random; all other voxels are ignored.
- slices, rest as background: the same, but what was not annotated counts as background.
- cases: all voxels of 20 % of the cases, in five times as many epochs.
- structures: one label of each case, the labels in turn; the datalist says which.
- structures, rest as background: the same, without a word of it in the datalist.

All arms take the same number of steps. The result is the last epoch's Dice, in the grid that the network sees.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import yaml
from measure import RESULTS, header, say, table, write_json
from trainings import Training, is_done, name_run_folder, read_run, train_missing

from pipeline.bundle.render import write_rendered
from pipeline.data.errors import InputError

__all__ = ["ARMS", "main", "make_bundle"]

SHARE = 0.2
IGNORED = 255


def main() -> int:
    """Train what is missing, print and write. Return 0, 1 if a training failed, or 2 for a mistake of the user's."""
    options = _options()
    try:
        bundles = {arm: make_bundle(arm, options) for arm in options.arms}
    except (InputError, OSError) as error:
        say(f"error: {error}")
        return 2
    wanted = [_training(arm, bundles[arm], seed, options) for seed in options.seeds for arm in options.arms]
    failed = train_missing(wanted, options.runs.absolute(), jobs=options.jobs)
    runs = [_result(one, options.runs.absolute()) for one in wanted if one not in failed]
    rows = [_summarise(arm, [run for run in runs if run["arm"] == arm]) for arm in options.arms]
    write_json(options.output, {**header("annotation", options), "runs": runs, "arms": rows})
    labels = sorted({label for row in rows for label in row["by_label"]})
    cells = [
        [row["arm"], str(row["cases"]), _spread(row["dice"]), *(f"{row['by_label'][label]:.3f}" for label in labels)]
        for row in rows
        if row["dice"]
    ]
    say(table(["training annotation", "cases", "Dice, mean (lowest to highest)", *labels], cells))
    say(f"written: {options.output}")
    return 1 if failed else 0


def make_bundle(arm: str, options: argparse.Namespace) -> Path:
    """Write the bundle of an arm, with its datalist and label maps, and return its folder.

    Raises:
        InputError: the plan cannot be rendered.
    """
    base = Path(options.bundle)
    plan = yaml.safe_load((base / "plan.yaml").read_text(encoding="utf-8"))
    content = json.loads((base / plan["data"]["manifest"]).resolve().read_text(encoding="utf-8"))
    folder = options.runs.absolute() / "bundles" / arm.replace(",", "").replace(" ", "_")
    training = _choose_cases(content["training"], options)
    cases = [one for one in training if one["fold"] != options.fold]
    kept = cases[: round(SHARE * len(cases))] if arm == "cases" else cases
    names = [name for name, value in plan["labels"].items() if value]
    items = []
    for number, item in enumerate(training):
        if item["fold"] != options.fold and item not in kept:
            continue
        paths = {key: str((options.dataset_dir / item[key]).resolve()) for key in ("image", "label")}
        entry: dict[str, Any] = {**paths, "fold": item["fold"]}
        change = ARMS[arm]
        if item["fold"] != options.fold and change is not None:
            entry["label"] = str(folder / "labels" / Path(item["label"]).name)
            name = names[number % len(names)]
            _write_label_map(paths["label"], entry["label"], change, number, plan["labels"][name])
            if arm == "structures":
                entry["annotated"] = [name]
        items.append(entry)
    folder.mkdir(parents=True, exist_ok=True)
    datalist = {"name": plan["name"], "licence": plan["data"]["licence"], "labels": plan["labels"], "training": items}
    if arm == "slices":
        datalist["ignore"] = [IGNORED]
    (folder / "datalist.json").write_text(json.dumps(datalist, indent=1) + "\n", encoding="utf-8")
    plan["data"]["manifest"] = "datalist.json"
    plan["data"]["scans"] = None
    plan["network"] |= {"channels": [8, 16, 32, 64]}
    plan["ignored_values"] = datalist.get("ignore", [])
    plan["partial_labels"] = arm == "structures"
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan, sort_keys=False, allow_unicode=True), encoding="utf-8")
    write_rendered(folder)
    return folder


def _keep_slices(label: np.ndarray, rng: np.random.Generator, rest: int) -> np.ndarray:
    """Return the label map with the share of the slices along the last axis that are annotated, at least one."""
    chosen = rng.choice(label.shape[-1], max(round(SHARE * label.shape[-1]), 1), replace=False)
    result = np.full_like(label, rest)
    result[..., chosen] = label[..., chosen]
    return result


Change = Callable[[np.ndarray, np.random.Generator, int], np.ndarray]
ARMS: dict[str, Change | None] = {
    "full": None,
    "slices": lambda label, rng, _value: _keep_slices(label, rng, IGNORED),
    "slices, rest as background": lambda label, rng, _value: _keep_slices(label, rng, 0),
    "cases": None,
    "structures": lambda label, _rng, value: np.where(label == value, label, 0),
    "structures, rest as background": lambda label, _rng, value: np.where(label == value, label, 0),
}
"""What is left of a label map by arm; None for all of it."""


def _write_label_map(source: str, target: str, change: Change, number: int, value: int) -> None:
    image = nib.load(source)
    label = np.asarray(image.dataobj).round().astype(np.uint8)
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    # The same slices in every arm: the number of the case is the seed.
    nib.save(nib.Nifti1Image(change(label, np.random.default_rng(number), value), image.affine), target)


def _choose_cases(training: Sequence[dict[str, Any]], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the first training cases, and all that validate, in the datalist's order."""
    count, chosen = 0, []
    for item in training:
        count += item["fold"] != options.fold
        if item["fold"] == options.fold or count <= options.cases:
            chosen.append(item)
    return chosen


def _training(arm: str, bundle: Path, seed: int, options: argparse.Namespace) -> Training:
    epochs = round(options.epochs / SHARE) if arm == "cases" else options.epochs
    overrides = ("--val_interval", str(epochs), "--precision", options.precision, "--used_tracking", "none")
    return Training(
        bundle=bundle,
        dataset_dir=options.dataset_dir,
        arm=arm,
        overrides=(*overrides, "--cache_dir", str(bundle / "prepared")),
        fold=options.fold,
        seed=seed,
        epochs=epochs,
        threads=options.threads,
        device=options.device,
    )


def _result(training: Training, runs: Path) -> dict[str, Any]:
    folder = name_run_folder(training, runs)
    assert is_done(folder)
    datalist = json.loads((training.bundle / "datalist.json").read_text(encoding="utf-8"))
    cases = sum(item["fold"] != training.fold for item in datalist["training"])
    return {"arm": training.arm, "seed": training.seed, "epochs": training.epochs, "cases": cases, **read_run(folder)}


def _summarise(arm: str, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    labels = runs[0]["dice_by_label"] if runs else []
    return {
        "arm": arm,
        "cases": runs[0]["cases"] if runs else 0,
        "dice": [run["dice"] for run in runs],
        "by_label": {label: statistics.fmean(run["dice_by_label"][label] for run in runs) for label in labels},
    }


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default="bundles/hippocampus_mri", help="its plan and datalist [%(default)s]")
    parser.add_argument("--dataset_dir", type=Path, required=True, help="the bundle's dataset")
    parser.add_argument("--runs", type=Path, default=Path("runs/annotation"), help="folder of trainings [%(default)s]")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS), help="[all]")
    parser.add_argument("--cases", type=int, default=60, help="training cases of all arms but one [%(default)s]")
    parser.add_argument("--epochs", type=int, default=10, help="of all arms but one [%(default)s]")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="[%(default)s]")
    parser.add_argument("--fold", type=int, default=0, help="fold that validates [%(default)s]")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at the same time [%(default)s]")
    parser.add_argument("--threads", type=int, default=1, help="PyTorch's threads [%(default)s]")
    parser.add_argument("--device", default="cpu", help="cpu, cuda:0, ... [%(default)s]")
    parser.add_argument("--precision", default="float32", help="auto, bfloat16, float16, float32 [%(default)s]")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "annotation.json", help="the JSON [%(default)s]")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
