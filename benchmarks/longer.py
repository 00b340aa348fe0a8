"""Dice of trainings that were lengthened, by each way of `--longer`, next to one of that length from the start.

On the built-in sample with a small network: 10 epochs, then 10 more by each way; and 20 at once.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import torch
from measure import RESULTS, header, say, table, write_json

from pipeline.bundle.launch import prepare
from pipeline.data.longer import WAYS
from pipeline.data.sample import make_sample

ROOT = Path(__file__).resolve().parents[1]
AT_ONCE = "at once"
SETTINGS = {"network_def#channels": "[8,16,32]", "precision": "float32", "early_stop_patience": "0", "tracking": "none"}


def main() -> int:
    """Train, print the table, write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed, 1 epoch and 1 more: only shows that it runs")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "longer.json", help="the JSON [%(default)s]")
    parser.add_argument("--epochs", type=int, default=10, help="epochs before, and epochs added [%(default)s]")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds [%(default)s]")
    parser.add_argument("--cases", type=int, default=16, help="cases of the sample [%(default)s]")
    parser.add_argument("--threads", type=int, default=1, help="PyTorch's threads [%(default)s]")
    parser.set_defaults(device="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    machine = header("longer", options)
    half, seeds, cases = (1, 1, 4) if options.quick else (options.epochs, options.seeds, options.cases)
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        make_sample(work / "data", cases=cases, scans=0)
        shutil.copytree(ROOT / "bundles" / "synthetic_shapes", work / "bundle", ignore=shutil.ignore_patterns("runs"))
        found: dict[str, list[float]] = {f"{half} epochs": [], **{f"+ {half}, {way}": [] for way in WAYS}}
        found[f"{2 * half} {AT_ONCE}"] = []
        for seed in range(seeds):
            first = work / f"first_{seed}"
            found[f"{half} epochs"].append(_train(work, first, seed, half))
            for way in WAYS:
                folder = work / f"{way}_{seed}"
                shutil.copytree(first, folder)
                dice = _train(work, folder, seed, 2 * half, "--resume", "True", "--longer", way)
                found[f"+ {half}, {way}"].append(dice)
            found[f"{2 * half} {AT_ONCE}"].append(_train(work, work / f"once_{seed}", seed, 2 * half))
    rows = [(name, *(f"{one:.3f}" for one in dice), f"{statistics.mean(dice):.3f}") for name, dice in found.items()]
    say(table(("training", *(f"seed {seed}" for seed in range(seeds)), "mean"), rows))
    write_json(options.output, machine | {"settings": SETTINGS, "dice": found})
    return 0


def _train(work: Path, folder: Path, seed: int, epochs: int, *more: str) -> float:
    """Train, and return the mean Dice of the last validation."""
    words = ["--dataset_dir", str(work / "data"), "--ckpt_dir", str(folder)]
    words += ["--seed", str(seed), "--epochs", str(epochs), "--val_interval", str(epochs), *more]
    words += ["--logging_file", "False"]
    words += [word for key, value in SETTINGS.items() for word in (f"--{key}", value)]
    say(f"{folder.name}: {epochs} epochs")
    if prepare("train", work / "bundle", words).run():
        sys.exit(f"the training in {folder} failed")
    with (folder / "history.csv").open(newline="", encoding="utf-8") as file:
        return float(list(csv.DictReader(file))[-1]["val_mean_dice"])


if __name__ == "__main__":
    sys.exit(main())
