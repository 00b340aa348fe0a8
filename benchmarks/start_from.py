"""Compare trainings that start from other weights with one from scratch: Dice by epoch on a few hippocampus cases.

    python benchmarks/start_from.py --dataset_dir Task04_Hippocampus --runs runs/start_from

The task is the posterior hippocampus alone, with 20 training cases. It starts from new weights, from a network that
learnt the anterior hippocampus on 60 other cases, or from one that learnt the shapes of the built-in sample. All have
the same network of half the bundle's width, and the same validation cases, which are in no training. The label maps
of the two structures are written into the folder of the runs. Each training runs once (see `trainings.py`), so the
command can be interrupted and repeated.

The result of a training is its last validation, at the end of its learning rate schedule.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import yaml
from matplotlib.figure import Figure
from measure import RESULTS, header, say, table, write_json
from trainings import Training, is_done, name_run_folder, read_run, train_missing

from pipeline.bundle.plan import load_plan
from pipeline.bundle.render import write_rendered
from pipeline.data.sample import make_sample

__all__ = ["main"]

ROOT = Path(__file__).resolve().parents[1]
STRUCTURES = {"anterior": 1, "posterior": 2}  # their values in the dataset
CASES = {"anterior": (60, 4), "posterior": (20, 8)}  # training, validation
_FIRST = {"posterior": 0, "anterior": 32}  # place of a task's first case among the shuffled ones
EPOCHS = {"anterior": 10, "shapes": 20, "posterior": 12}
VAL_INTERVAL = 2
PATCH, WINDOW, OVERLAP = [32, 48, 32], [40, 56, 40], 0.25


@dataclass(frozen=True)
class Arm:
    """A way to start: the source's name or None, the learning rate, the frozen epochs, the number of epochs."""

    source: str | None
    rate: float
    frozen: int = 0
    epochs: int = EPOCHS["posterior"]

    @property
    def name(self) -> str:
        """Its name in tables."""
        parts = [f"from {self.source}" if self.source else "from scratch", f"rate {self.rate:g}"]
        parts += [f"encoder frozen for {self.frozen} epochs"] if self.frozen else []
        parts += [f"{self.epochs} epochs"] if self.epochs != EPOCHS["posterior"] else []
        return ", ".join(parts)


ARMS = (
    Arm(None, 5e-3),
    Arm("anterior", 5e-3),
    Arm(None, 5e-3, epochs=6),
    Arm("anterior", 5e-3, epochs=6),
    Arm("shapes", 5e-3),
    Arm("anterior", 2e-3),
    Arm("anterior", 2e-3, frozen=3),
)


def main() -> int:
    """Train what is missing, print and write. Return 0, or 1 if a training failed."""
    options = _options()
    bundles = {name: _make_bundle(name, options) for name in ("anterior", "shapes", "posterior")}
    sources = {name: _train_source(name, bundles[name], options) for name in ("anterior", "shapes")}
    if failed := train_missing(list(sources.values()), options.runs, jobs=options.jobs):
        say(f"{len(failed)} of the sources failed")
        return 1
    weights = {name: name_run_folder(one, options.runs) / "model.pt" for name, one in sources.items()}
    wanted = {
        (arm, seed): _train_arm(arm, seed, bundles["posterior"], weights, options)
        for arm in ARMS
        for seed in options.seeds
    }
    failed = [] if options.summary else train_missing(list(wanted.values()), options.runs, jobs=options.jobs)
    content = header("start_from", options)
    content["cases"] = CASES
    content["sources"] = {name: read_run(name_run_folder(one, options.runs))["dice"] for name, one in sources.items()}
    content["arms"] = [
        _summarise(
            arm,
            [
                (seed, folder)
                for seed in options.seeds
                if is_done(folder := name_run_folder(wanted[arm, seed], options.runs))
            ],
        )
        for arm in ARMS
    ]
    write_json(options.output, content)
    _draw(content["arms"], options.picture)
    say(_table(content["arms"]))
    say(f"written: {options.output}, {options.picture}")
    return 1 if failed else 0


def _make_bundle(name: str, options: argparse.Namespace) -> Path:
    """Return the bundle of a task with half the width; write it and its dataset if it is missing."""
    bundle = options.runs / "bundles" / name
    if (bundle / "configs" / "train.json").is_file():
        return bundle
    plan = load_plan(ROOT / "bundles" / "hippocampus_mri").model_dump(mode="json")
    plan["network"]["channels"] = [8, 16, 32, 64]
    plan["data"]["scans"] = None
    plan["data"]["manifest"] = None
    if name == "shapes":
        other = load_plan(ROOT / "bundles" / "synthetic_shapes").model_dump(mode="json")
        kept = {key: plan[key] for key in ("network", "skip")}
        plan = other | kept | {"patch": [32, 32, 32], "window": [48, 48, 32]}
        plan["data"]["scans"] = None
        make_sample(options.runs / "data" / name, cases=24)
    else:
        plan |= {"labels": {"background": 0, name: 1}, "class_ratios": None}
        plan |= {"patch": PATCH, "window": WINDOW, "window_overlap": OVERLAP}
        _write_dataset(name, options)
    plan["data"]["folder"] = str(options.runs / "data" / name)
    plan |= {"name": name, "title": name}
    plan["training"] |= {
        "epochs": EPOCHS[name],
        "minutes": None,
        "val_interval": VAL_INTERVAL,
        "warmup_epochs": None,
        "early_stop_patience": None,
    }
    bundle.mkdir(parents=True, exist_ok=True)
    (bundle / "plan.yaml").write_text(yaml.safe_dump(plan, sort_keys=False), encoding="utf-8")
    write_rendered(bundle)
    return bundle


def _write_dataset(name: str, options: argparse.Namespace) -> None:
    """Write the cases of a structure: links to the images, label maps with this structure alone, and a datalist."""
    folder = options.runs / "data" / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "labelsTr").mkdir(parents=True)
    manifest = json.loads((ROOT / "data_manifests" / "msd_task04_hippocampus.json").read_text(encoding="utf-8"))
    items = sorted(manifest["training"], key=lambda item: item["image"])
    random.Random(0).shuffle(items)
    first, (training, validation) = _FIRST[name], CASES[name]
    listed = []
    for place, item in enumerate(items[first : first + training + validation]):
        scan = nibabel.load(options.dataset_dir / item["label"])
        structure = np.asarray(scan.dataobj) == STRUCTURES[name]
        label = folder / "labelsTr" / Path(item["label"]).name
        nibabel.save(nibabel.Nifti1Image(structure.astype(np.uint8), scan.affine), label)
        image = (options.dataset_dir / item["image"]).resolve()
        listed.append({"image": str(image), "label": str(label), "fold": 1 if place < training else 0})
    content = {"name": name, "labels": {"background": 0, name: 1}, "training": listed}
    (folder / "dataset.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _train_source(name: str, bundle: Path, options: argparse.Namespace) -> Training:
    return _training(name, bundle, f"source {name}", EPOCHS[name], 0, [], options)


def _train_arm(arm: Arm, seed: int, bundle: Path, weights: dict[str, Path], options: argparse.Namespace) -> Training:
    words = ["--learning_rate", str(arm.rate), "--frozen_epochs", str(arm.frozen)]
    words += ["--start_from", str(weights[arm.source])] if arm.source else []
    return _training("posterior", bundle, arm.name, arm.epochs, seed, words, options)


def _training(
    name: str, bundle: Path, arm: str, epochs: int, seed: int, words: Sequence[str], options: argparse.Namespace
) -> Training:
    return Training(
        bundle=bundle,
        dataset_dir=options.runs / "data" / name,
        arm=arm,
        overrides=("--precision", "float32", "--used_tracking", "none", *words),
        seed=seed,
        epochs=epochs,
        threads=options.threads,
        device="cpu",
    )


def _summarise(arm: Arm, runs: Sequence[tuple[int, Path]]) -> dict[str, Any]:
    found = [read_run(folder) for _, folder in runs]
    dice = [one["dice"] for one in found]
    return {
        "arm": arm.name,
        "seeds": [seed for seed, _ in runs],
        "dice": dice,
        "mean": statistics.mean(dice) if dice else None,
        "curves": [[(point["epoch"], point["dice"]) for point in one["curve"]] for one in found],
    }


def _table(arms: Sequence[dict[str, Any]]) -> str:
    base = arms[0]["mean"]
    rows = []
    for arm in arms:
        if arm["mean"] is None:
            continue
        early = statistics.mean(dict(map(tuple, curve))[4] for curve in arm["curves"])
        rows.append(
            [
                arm["arm"],
                f"{early:.3f}",
                " ".join(f"{one:.3f}" for one in arm["dice"]),
                f"{arm['mean']:.3f}",
                f"{arm['mean'] - base:+.3f}",
            ]
        )
    return table(["start", "Dice after 4 epochs", "at the end, by seed", "mean", "against scratch"], rows)


def _draw(arms: Sequence[dict[str, Any]], picture: Path) -> None:
    figure = Figure(figsize=(7, 4.2), dpi=110, layout="constrained")
    axes = figure.subplots()
    colours = ("black", "tab:red", "tab:gray", "tab:pink", "tab:green", "tab:orange", "tab:blue")
    for colour, arm in zip(colours, arms, strict=True):
        for place, curve in enumerate(arm["curves"]):
            epochs, dice = zip(*curve, strict=True)
            name = arm["arm"] if place == 0 else None
            axes.plot(epochs, dice, color=colour, linewidth=1.2, marker=".", markersize=4, label=name)
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation Dice, posterior hippocampus")
    axes.grid(alpha=0.3)
    axes.set_ylim(-0.02, 1)
    axes.legend(fontsize=8, loc="upper left")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset_dir", type=Path, required=True, help="the Decathlon's Task04_Hippocampus")
    parser.add_argument("--runs", type=Path, default=Path("runs/start_from"), help="folder of the runs [%(default)s]")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds of the trainings [0 1 2]")
    parser.add_argument("--summary", action="store_true", help="only collect the trainings that have finished")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at the same time [%(default)s]")
    parser.add_argument("--threads", type=int, default=1, help="PyTorch's threads [%(default)s]")
    parser.add_argument("--picture", type=Path, default=ROOT / "docs" / "images" / "start_from.png", help="the curves")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "start_from.json", help="the JSON [%(default)s]")
    options = parser.parse_args()
    options.runs, options.dataset_dir = options.runs.absolute(), options.dataset_dir.absolute()
    options.device = "cpu"
    return options


if __name__ == "__main__":
    sys.exit(main())
