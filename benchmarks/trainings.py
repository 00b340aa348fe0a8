"""Many trainings of a bundle by MONAI's runner, each in a folder that is named by all its settings.

A training that is done is not done again, whatever was trained meanwhile: other arms, folds and seeds have folders of
their own. A training that was interrupted goes on where it stopped, or begins anew where it has a limit of time: its
learning rate would be at the end of its schedule at another time.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Queue
from typing import Any

from measure import say

__all__ = ["Training", "cores", "is_done", "read_run", "run_folder", "train_missing"]

_SETTINGS, _DONE, _LOG = "settings.json", "done.json", "log.txt"


@dataclass(frozen=True)
class Training:
    """The settings of one training.

    Attributes:
        bundle: folder of the bundle.
        dataset_dir: folder of its dataset.
        arm: name of the network with its skip connection, for people.
        overrides: words for MONAI's runner, which make the arm.
        fold: the fold that validates.
        seed: of the training.
        minutes: limit of time; None for none.
        epochs: at most.
        threads: of PyTorch.
        device: ``cpu``, ``cuda:0``, ...; None for the bundle's own choice.
    """

    bundle: Path
    dataset_dir: Path
    arm: str
    overrides: tuple[str, ...] = ()
    fold: int = 0
    seed: int = 0
    minutes: float | None = None
    epochs: int = 1000
    threads: int = 1
    device: str | None = None

    @property
    def config(self) -> Path:
        """The bundle's training config."""
        return self.bundle / "configs" / "train.json"

    def settings(self) -> dict[str, Any]:
        """Return all settings, the content of the config among them, as JSON has them."""
        content = asdict(self) | {"config_sha256": hashlib.sha256(self.config.read_bytes()).hexdigest()}
        settings: dict[str, Any] = json.loads(json.dumps(content, default=str))
        return settings

    def command(self, folder: Path, *, resume: bool) -> list[str]:
        """Return the command that trains."""
        words = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", str(self.config.resolve())]
        words += ["--dataset_dir", str(self.dataset_dir.resolve()), "--ckpt_dir", str(folder)]
        words += ["--check_data", "False", "--early_stop_patience", "0"]
        words += ["--fold", str(self.fold), "--seed", str(self.seed), "--epochs", str(self.epochs)]
        words += [] if self.minutes is None else ["--minutes", str(self.minutes)]
        words += [] if self.device is None else ["--device", self.device]
        words += ["--resume", "True"] if resume else []
        return [*words, *self.overrides]


def run_folder(training: Training, runs: Path) -> Path:
    """Return the folder of a training: its main settings for people, and a digest of all of them."""
    settings = training.settings()
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
    arm = re.sub(r"[^A-Za-z0-9.+-]+", "_", training.arm).strip("_").lower()[:60]
    limit = f"{training.epochs}epochs" if training.minutes is None else f"{training.minutes:g}min"
    return runs / f"{training.bundle.name}_{arm}_fold{training.fold}_seed{training.seed}_{limit}_{digest}"


def is_done(folder: Path) -> bool:
    """Return whether a training has come to its end."""
    return (folder / _DONE).is_file()


def train_missing(trainings: Sequence[Training], runs: Path, *, jobs: int = 1) -> list[Training]:
    """Train what is not done yet, in the given order.

    Args:
        trainings: with so many threads each that all jobs have cores of their own.
        runs: folder of all trainings.
        jobs: trainings at a time.

    Returns:
        Those that failed; the place of each log is printed.
    """
    free: Queue[int] = Queue()
    for job in range(jobs):
        free.put(job)

    def work(training: Training) -> bool:
        job = free.get()
        try:
            mine = cores()[job * training.threads : (job + 1) * training.threads]
            return _train(training, run_folder(training, runs), mine)
        finally:
            free.put(job)

    missing = [one for one in dict.fromkeys(trainings) if not is_done(run_folder(one, runs))]
    with ThreadPoolExecutor(jobs) as pool:
        return [one for one, done in zip(missing, pool.map(work, missing), strict=True) if not done]


def _train(training: Training, folder: Path, mine: Sequence[int]) -> bool:
    """Train in a process of its own, whose threads no other's wait for; return whether it came to its end."""
    settings = training.settings()
    resume = training.minutes is None and (folder / "last.pt").is_file()
    if not resume and (folder / _SETTINGS).is_file():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    environment = os.environ | {"OMP_NUM_THREADS": str(training.threads)}
    pin = ["taskset", "-c", ",".join(map(str, mine))] if mine and shutil.which("taskset") else []
    say(f"{time.strftime('%H:%M:%S')} {folder.name}{' (goes on)' * resume}")
    with (folder / _LOG).open("a", encoding="utf-8") as log:
        command = pin + training.command(folder, resume=resume)
        run = subprocess.run(command, stdout=log, stderr=log, env=environment, check=False)
    if run.returncode != 0:
        say(f"failed with {run.returncode}: {folder / _LOG}")
        return False
    (folder / _DONE).write_text(json.dumps({"pinned": bool(pin)}) + "\n", encoding="utf-8")
    return True


def read_run(folder: Path) -> dict[str, Any]:
    """Read the validations of a training that is done.

    Returns:
        ``epoch``, ``minutes``, ``samples`` and ``dice`` of the last one, ``dice_by_label`` and ``best_dice``; under
        ``curve`` those of all.
    """
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
    return {**curve[-1], "dice_by_label": labels, "best_dice": max(point["dice"] for point in curve), "curve": curve}


def cores() -> list[int]:
    """Return the cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
