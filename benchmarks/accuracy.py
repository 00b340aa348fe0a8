"""What a minute of training buys: validation Dice against minutes and samples, by skip connection, over seeds.

    python benchmarks/accuracy.py --dataset_dir Task04_Hippocampus --minutes 15 --seeds 0 1 2 --arm concat --arm sum
    python benchmarks/accuracy.py ... --arm sat --arm '["sat", {"maps": 4, "merge": "sum"}]' --arm "MONAI DynUNet"
    python benchmarks/accuracy.py ... --arm "sum: --optimizer#_target_ torch.optim.AdamW --learning_rate 3e-3"

Every arm is the bundle's own training, run by MONAI's runner, with another skip, or one of MONAI's networks; after a
colon, more overrides. All get the same minutes, their learning rate at the end of its schedule by then. What counts is
the last epoch, not the best one, which would be chosen on the cases that it is measured on. Runs that are done are not
done again, so that a broken benchmark goes on where it stopped; a changed config or other options begin anew. With
several jobs, each has cores of its own. The learning rate is the bundle's for all: MONAI's networks might like another.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any

import torch
from arms import MONAI_ARMS, REMARKS, monai_network, parse_skip
from measure import RESULTS, header, say, table, write_json

from pipeline.bundle.plan import load_plan
from pipeline.networks import VNet

__all__ = ["main"]


def main() -> int:
    """Train what is missing, print, write; 0, 1 when a training failed, 2 for a mistake of the user's."""
    options = _options()
    try:
        arms = {text: _overrides(text, options) for text in options.arm}
    except (ValueError, TypeError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    content = header("accuracy", options)
    content["remarks"] = {arm: REMARKS[arm] for arm in arms if arm in REMARKS}
    # Seed by seed, so that the arms of one seed run side by side on a machine that is as busy for the one as the other.
    wanted = [(arm, seed) for seed in options.seeds for arm in arms]
    _train(wanted, arms, options)
    runs = [run for arm, seed in wanted if (run := _result(arm, seed, options)) is not None]
    content["runs"] = runs
    content["arms"] = [_summary(arm, [run for run in runs if run["arm"] == arm]) for arm in arms]
    write_json(options.output, content)
    say(_table(content["arms"], options.threshold))
    say(f"written: {options.output}")
    return 0 if len(runs) == len(wanted) else 1


def _train(wanted: list[tuple[str, int]], arms: dict[str, list[str]], options: argparse.Namespace) -> None:
    cores = _cores() if hasattr(os, "sched_getaffinity") else []
    free: Queue[list[int]] = Queue()
    for job in range(options.jobs):
        free.put(cores[job * options.threads : (job + 1) * options.threads])

    def work(arm: str, seed: int) -> None:
        folder = _folder(arm, seed, options)
        if _is_done(folder, arms[arm], options):
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
    command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", str(_config(options))]
    command += ["--dataset_dir", str(options.dataset_dir.resolve()), "--ckpt_dir", str(folder)]
    command += ["--check_data", "False", "--early_stop_patience", "0", "--seed", str(seed)]
    command += ["--minutes", str(options.minutes), "--epochs", str(options.epochs)]
    command += ["--device", options.device] if options.device else []
    # Each run is in a process of its own, whose threads no other's wait for.
    environment = os.environ | {"OMP_NUM_THREADS": str(options.threads)}
    pin = ["taskset", "-c", ",".join(map(str, cores))] if cores and shutil.which("taskset") else []
    say(f"{time.strftime('%H:%M:%S')} {folder.name}")
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        run = subprocess.run(pin + command + overrides, stdout=log, stderr=log, env=environment, check=False)
    if run.returncode == 0:
        (folder / "done.json").write_text(json.dumps({"pinned": bool(pin)} | _settings(overrides, options)))
    else:
        status = run.returncode
        say(f"failed with {status}: {folder / 'log.txt'}")


def _config(options: argparse.Namespace) -> Path:
    return Path(options.bundle).resolve() / "configs" / "train.json"


def _settings(overrides: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """What a run that is done must have had to stand for one that is wanted."""
    return {
        "overrides": overrides,
        "epochs": options.epochs,
        "threads": options.threads,
        "device": options.device,
        "config_sha256": hashlib.sha256(_config(options).read_bytes()).hexdigest(),
    }


def _is_done(folder: Path, overrides: list[str], options: argparse.Namespace) -> bool:
    file = folder / "done.json"
    if not file.is_file():
        return False
    done = json.loads(file.read_text())
    return all(done.get(key) == value for key, value in _settings(overrides, options).items())


def _overrides(text: str, options: argparse.Namespace) -> list[str]:
    """What an arm changes: a skip or a network, and after a colon whatever stands there."""
    arm, colon, more = text.partition(": --")
    return _network_overrides(arm, options) + shlex.split(f"--{more}" if colon else "")


def _network_overrides(arm: str, options: argparse.Namespace) -> list[str]:
    plan = load_plan(options.bundle)
    if arm not in MONAI_ARMS:
        skip = parse_skip(arm).skip
        with torch.device("meta"):
            # A skip that cannot be built is told now, not by each of its trainings.
            VNet(len(plan.spacing), 1, 2, channels=plan.network.channels, skip=skip)
        return ["--skip", repr(skip)]
    name, more = monai_network(arm, plan.network.model_dump())
    shape = {"spatial_dims": "@spatial_dims", "in_channels": "@in_channels", "out_channels": "@out_channels"}
    words = ["--network_def", repr({"_target_": name, **shape, **more})]
    if arm == "MONAI VNet":
        # It halves the grid once more than a network of four levels.
        for key, size in (("patch", plan.patch), ("window", plan.window)):
            words += [f"--{key}", repr([-(-n // 16) * 16 for n in size])]
    return words


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
    best = max(point["dice"] for point in curve)
    reached = next((point["minutes"] for point in curve if point["dice"] >= options.threshold), None)
    told = {"dice_by_label": labels, "best_dice": best, "minutes_to_threshold": reached, "curve": curve}
    return {"arm": arm, "seed": seed, **curve[-1], **told}


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
        "minutes_to_threshold": [run["minutes_to_threshold"] for run in runs],
    }


def _table(arms: list[dict[str, Any]], threshold: float) -> str:
    base = arms[0]["mean"]
    rows = []
    for arm in arms:
        if arm["mean"] is None:
            rows.append([arm["arm"], *["-"] * 7])
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
                " ".join("-" if minutes is None else f"{minutes:.1f}" for minutes in arm["minutes_to_threshold"]),
            ]
        )
    columns = [
        "arm",
        "Dice, last epoch, by seed",
        "mean",
        "SD",
        f"against {arms[0]['arm']}",
        "epochs",
        "minutes",
        f"to {threshold:g}",
    ]
    return table(columns, rows)


def _folder(arm: str, seed: int, options: argparse.Namespace) -> Path:
    name = re.sub(r"[^A-Za-z0-9.+-]+", "_", arm).strip("_").lower()
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
    parser.add_argument("--threads", type=int, help="of each training [the cores, divided by the jobs]")
    parser.add_argument("--device", help="cpu, cuda:0, ... [the bundle's own choice]")
    parser.add_argument("--threshold", type=float, default=0.88, help="Dice to tell the minutes to [%(default)s]")
    parser.add_argument("--runs", default="runs/accuracy", help="folder of the trainings [%(default)s]")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "accuracy.json", help="the JSON [%(default)s]")
    options = parser.parse_args()
    cores = len(_cores())
    options.threads = options.threads or max(cores // options.jobs, 1)
    if options.jobs * options.threads > cores:
        parser.error(f"{options.jobs} jobs of {options.threads} threads are more than the {cores} cores here")
    return options


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


if __name__ == "__main__":
    sys.exit(main())
