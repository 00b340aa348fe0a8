"""Compare training in several processes with training in one: the loss curve and the speed.

    python benchmarks/ranks.py
    python benchmarks/ranks.py --bundle bundles/hippocampus_mri --dataset_dir DIR --threads 2

Both train the same bundle with the same batch per step, with MONAI's runner in fresh processes. On CPUs one process has
all the threads, and the ranks share them. The speed is that of training only, without the first epoch and without the
last, which is validated. Without a dataset the built-in sample is used.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measure import Spread, add_options, header, paired_ratio, rounds_in_time, say, table, write_json

from pipeline.data.sample import make_sample

_ONE = "one process"
_QUICK = ("--network_def#channels", "[4,8,16]", "--patch", "[16,16,16]", "--window", "[32,32,16]")


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, "ranks", minutes=5)
    parser.set_defaults(bundle="bundles/synthetic_shapes", precision="float32")
    parser.add_argument("--dataset_dir", type=Path, help="the bundle's data [the built-in sample]")
    parser.add_argument("--ranks", type=int, default=2, help="processes [%(default)s]")
    parser.add_argument("--epochs", type=int, default=6, help="epochs of every run, 3 or more [%(default)s]")
    options = parser.parse_args()
    if options.epochs < 3:
        parser.error(f"--epochs {options.epochs}: expected 3 or more, because the first and the last are not timed")
    if options.threads < options.ranks:
        parser.error(f"--threads {options.threads}: expected {options.ranks} or more, one per rank")
    if options.quick:
        options.epochs, options.minutes = 3, 0
    with tempfile.TemporaryDirectory() as folder:
        results = measure(options, Path(folder))
    report(results)
    write_json(options.output, header("ranks", options) | results)
    say(f"\n{options.output}")


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train in one process and in several, in turn, until the time is over.

    Returns:
        Mean loss of each epoch of both, their largest difference, the samples per second, and their ratio.
    """
    several = f"{options.ranks} ranks"
    dataset = options.dataset_dir or make_sample(folder / "data", cases=6 if options.quick else 48, folds=3).parent
    curves: dict[str, list[float]] = {}

    def train(name: str, ranks: int) -> float:
        rows = _train(options, dataset, folder / name, ranks)
        curves[name] = [float(row["train_loss"]) for row in rows]
        timed = rows[1:-1]
        samples = int(timed[-1]["samples_seen"]) - int(rows[0]["samples_seen"])
        return samples / sum(float(row["seconds"]) for row in timed)

    works = {_ONE: lambda: train(_ONE, 1), several: lambda: train(several, options.ranks)}
    rounds = list(rounds_in_time(works, minutes=options.minutes, at_least=1, seed=options.seed))
    speeds = {name: [made[name] for made in rounds] for name in works}
    loss = {name: curves[name] for name in works}
    differences = [abs(a - b) for a, b in zip(curves[_ONE], curves[several], strict=True)]
    return {
        "loss": loss,
        "largest_difference": max(differences),
        "largest_relative_difference": max(d / abs(a) for d, a in zip(differences, curves[_ONE], strict=True)),
        "samples_per_second": {name: Spread.of(values) for name, values in speeds.items()},
        "ratio": paired_ratio(speeds[several], speeds[_ONE]),
    }


def report(results: dict[str, Any]) -> None:
    """Print both curves and both speeds."""
    one, several = results["loss"]
    epochs = enumerate(zip(*results["loss"].values(), strict=True), 1)
    rows = [[str(epoch), f"{a:.6f}", f"{b:.6f}", f"{b - a:+.1e}"] for epoch, (a, b) in epochs]
    say(table(["mean loss of epoch", one, several, "difference"], rows))
    say(f"\nlargest relative difference {results['largest_relative_difference']:.1e}\n")
    speeds = [[name, spread.text()] for name, spread in results["samples_per_second"].items()]
    say(table(["training", "patches/s"], [*speeds, [f"{several} / {one}", results["ratio"].text()]]))


def _train(options: argparse.Namespace, dataset: Path, run: Path, ranks: int) -> list[dict[str, str]]:
    """Train once, and return the rows of its history, one per epoch."""
    configs = Path(options.bundle).resolve() / "configs"
    files = [str(configs / name) for name in ("train.json", "multi_gpu_train.json")[: 1 if ranks == 1 else 2]]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(ranks)] if ranks > 1 else []
    settings = {
        "config_file": str(files),
        "dataset_dir": dataset.resolve(),
        "ckpt_dir": run,
        "cache_dir": run.parent / "prepared",
        "epochs": options.epochs,
        "val_interval": options.epochs,
        "seed": options.seed,
        "precision": options.precision,
        "check_data": False,
    }
    words = [str(word) for key, value in settings.items() for word in (f"--{key}", value)]
    command = [sys.executable, *torchrun, "-m", "monai.bundle", "run", "training", *words]
    environment = os.environ | {
        "OMP_NUM_THREADS": str(max(options.threads // ranks, 1)),
        "PYTHONWARNINGS": "ignore",
        **({"CUDA_VISIBLE_DEVICES": ""} if options.device == "cpu" else {}),
    }
    done = subprocess.run(
        command + list(_QUICK if options.quick else ()), env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"the training in {ranks} process{'es' * (ranks > 1)} failed:\n{done.stdout}{done.stderr}")
    with (run / "history.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
