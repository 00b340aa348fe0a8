"""What a minute of training buys: validation Dice against minutes and samples, by skip connection, over seeds.

    python benchmarks/accuracy.py --dataset_dir Task04_Hippocampus --minutes 15 --seeds 0 1 2 --arm concat --arm sum
    python benchmarks/accuracy.py ... --arm sat --arm '["sat", {"maps": 4, "merge": "sum"}]' --arm "MONAI DynUNet"

Every arm is the bundle's own training, run by MONAI's runner, with another skip (or one of MONAI's networks). All get
the same minutes, their learning rate at the end of its schedule by then. What counts is the last epoch, not the best
one, which would be chosen on the cases that it is measured on. Runs that are done are not done again, so that a broken
benchmark goes on where it stopped. With several jobs, each has cores of its own.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any

import torch
from arms import MONAI_ARMS, parse_skip
from measure import RESULTS, header, say, table, write_json

from pipeline.bundle.plan import load_plan
from pipeline.data.errors import InputError

__all__ = ["main"]

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Train what is missing, print, write; 0, 1 when a training failed, 2 for a mistake of the user's."""
    options = _options()
    try:
        arms = {text: _overrides(text, options) for text in options.arm}
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    content = header("accuracy", options)
    # Seed by seed, so that the arms of one seed run side by side on a machine that is as busy for the one as the other.
    wanted = [(arm, seed) for seed in options.seeds for arm in arms]
    _train(wanted, arms, options)
    runs = [run for arm, seed in wanted if (run := _result(arm, seed, options)) is not None]
    content["runs"] = runs
    content["arms"] = [_summary(arm, [run for run in runs if run["arm"] == arm]) for arm in arms]
    write_json(options.output, content)
    say(_table(content["arms"]))
    say(f"written: {options.output}")
    return 0 if len(runs) == len(wanted) else 1


def _train(wanted: list[tuple[str, int]], arms: dict[str, list[str]], options: argparse.Namespace) -> None:
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    free: Queue[list[int]] = Queue()
    for job in range(options.jobs):
        free.put(cores[job * options.threads : (job + 1) * options.threads])

    def work(arm: str, seed: int) -> None:
        folder = _folder(arm, seed, options)
        if (folder / "done.json").is_file():
            return
        mine = free.get()
        try:
            _train_one(folder, seed, arms[arm], mine, options)
        finally:
            free.put(mine)

    with ThreadPoolExecutor(options.jobs) as pool:
        for future in [pool.submit(work, arm, seed) for arm, seed in wanted]:
            future.result()


def _train_one(folder: Path, seed: int, overrides: list[str], cores: list[int], options: argparse.Namespace) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    config = Path(options.bundle) / "configs" / "train.json"
    command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", str(config)]
    command += ["--dataset_dir", str(options.dataset_dir), "--ckpt_dir", str(folder), "--check_data", "False"]
    command += ["--seed", str(seed), "--minutes", str(options.minutes), "--epochs", str(options.epochs)]
    # Each run is in a process of its own, whose threads no other's wait for.
    environment = os.environ | {"OMP_NUM_THREADS": str(options.threads)}
    pin = ["taskset", "-c", ",".join(map(str, cores))] if len(cores) == options.threads else []
    say(f"{time.strftime('%H:%M:%S')} {folder.name}")
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        status = subprocess.run(
            pin + command + overrides, stdout=log, stderr=log, env=environment, cwd=ROOT, check=False
        ).returncode
    if status == 0:
        (folder / "done.json").write_text(json.dumps({"pinned": bool(pin), "load_average": os.getloadavg()[1]}))
    else:
        say(f"failed with {status}: {folder / 'log.txt'}")


def _overrides(arm: str, options: argparse.Namespace) -> list[str]:
    if arm not in MONAI_ARMS:
        return ["--skip", repr(parse_skip(arm).skip)]
    network = load_plan(options.bundle).network
    levels = len(network.channels)
    shape = {"spatial_dims": "@spatial_dims", "in_channels": "@in_channels", "out_channels": "@out_channels"}
    layers: dict[str, Any] = {"norm": network.norm, "act": network.act}
    halved = [2] * (levels - 1)
    definitions: dict[str, dict[str, Any]] = {
        "MONAI VNet": {"_target_": "VNet"},
        "MONAI UNet": {
            "_target_": "UNet",
            "channels": network.channels,
            "strides": halved,
            "kernel_size": network.kernel_size,
            "num_res_units": 2,
            **layers,
        },
        "MONAI DynUNet": {
            "_target_": "DynUNet",
            "kernel_size": [network.kernel_size] * levels,
            "strides": [1, *halved],
            "upsample_kernel_size": halved,
            "filters": network.channels,
            "norm_name": network.norm,
            "act_name": network.act,
        },
    }
    changed = ["--network_def", repr(definitions[arm] | shape)]
    # MONAI's VNet halves the grid once more.
    sizes = [[-(-n // 16) * 16 for n in load_plan(options.bundle).patch]] * 2 if arm == "MONAI VNet" else []
    return changed + [
        word for key, size in zip(("patch", "window"), sizes, strict=False) for word in (f"--{key}", repr(size))
    ]


def _result(arm: str, seed: int, options: argparse.Namespace) -> dict[str, Any] | None:
    folder = _folder(arm, seed, options)
    if not (folder / "done.json").is_file():
        return None
    with (folder / "history.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    curve = [
        {
            "epoch": int(row["epoch"]),
            "minutes": round(float(row["elapsed_seconds"]) / 60, 3),
            "samples": int(row["samples_seen"]),
            "dice": float(row["val_mean_dice"]),
        }
        for row in rows
        if row["val_mean_dice"]
    ]
    labels = {key.removeprefix("val_dice_"): float(rows[-1][key]) for key in rows[-1] if key.startswith("val_dice_")}
    done = json.loads((folder / "done.json").read_text())
    return {"arm": arm, "seed": seed, **curve[-1], "dice_by_label": labels, **done, "curve": curve}


def _summary(arm: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    dice = [run["dice"] for run in runs]
    return {
        "arm": arm,
        "seeds": [run["seed"] for run in runs],
        "dice": dice,
        "mean": statistics.mean(dice) if dice else None,
        "standard_deviation": statistics.stdev(dice) if len(dice) > 1 else None,
        "epochs": [run["epoch"] for run in runs],
        "minutes": [run["minutes"] for run in runs],
        "samples": [run["samples"] for run in runs],
    }


def _table(arms: list[dict[str, Any]]) -> str:
    base = arms[0]["mean"]
    rows = []
    for arm in arms:
        if arm["mean"] is None:
            rows.append([arm["arm"], *["-"] * 6])
            continue
        spread = "-" if arm["standard_deviation"] is None else f"{arm['standard_deviation']:.4f}"
        rows.append(
            [
                arm["arm"],
                " ".join(f"{value:.4f}" for value in arm["dice"]),
                f"{arm['mean']:.4f}",
                spread,
                "-" if base is None else f"{arm['mean'] - base:+.4f}",
                f"{statistics.mean(arm['epochs']):.0f}",
                f"{max(arm['minutes']):.1f}",
            ]
        )
    columns = ["arm", "Dice, last epoch, by seed", "mean", "SD", f"against {arms[0]['arm']}", "epochs", "minutes"]
    return table(columns, rows)


def _folder(arm: str, seed: int, options: argparse.Namespace) -> Path:
    name = re.sub(r"[^A-Za-z0-9]+", "_", arm).strip("_").lower()
    return Path(options.runs).absolute() / f"{name}_{options.minutes:g}min_seed{seed}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bundle", default="bundles/hippocampus_mri", help="whose training it is [%(default)s]")
    parser.add_argument("--dataset_dir", type=Path, required=True, help="the bundle's dataset")
    parser.add_argument(
        "--arm",
        action="append",
        required=True,
        help="a skip (name or JSON), or one of MONAI's "
        f"networks ({', '.join(MONAI_ARMS)}); the first is what the others are compared with",
    )
    parser.add_argument("--minutes", type=float, default=15, help="of each training [%(default)s]")
    parser.add_argument("--epochs", type=int, default=1000, help="at most, whatever fits [%(default)s]")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="[%(default)s]")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time [%(default)s]")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of each training [%(default)s]")
    parser.add_argument("--device", default="cpu", help=argparse.SUPPRESS)
    parser.add_argument("--runs", default="runs/accuracy", help="folder of the trainings [%(default)s]")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "accuracy.json", help="the JSON [%(default)s]")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
