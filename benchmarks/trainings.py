"""Run many trainings of a bundle with MONAI's runner, each in a folder named by all its settings.

A finished training does not run again. Other arms, folds and seeds have other folders. An interrupted training resumes.
If it has a time limit it restarts instead, because its learning rate schedule would end at another time.
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

__all__ = ["Training", "is_done", "list_cores", "name_run_folder", "read_run", "train_missing"]

_SETTINGS, _DONE, _LOG = "settings.json", "done.json", "log.txt"


@dataclass(frozen=True)
class Training:
    """The settings of one training.

    Attributes:
        bundle: folder of the bundle.
        dataset_dir: folder of its dataset.
        arm: name of the network with its skip connection, for people.
        overrides: the arm's overrides for MONAI's runner.
        fold: the fold that validates.
        seed: seed of the training.
        minutes: time limit; None for none.
        epochs: maximum number of epochs.
        threads: PyTorch's threads.
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
        """Return all settings as JSON values, with the digest of the config."""
        content = asdict(self) | {"config_sha256": hashlib.sha256(self.config.read_bytes()).hexdigest()}
        settings: dict[str, Any] = json.loads(json.dumps(content, default=str))
        return settings

    def command(self, folder: Path, *, resume: bool) -> list[str]:
        """Return the command of the training."""
        words = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", str(self.config.resolve())]
        words += ["--dataset_dir", str(self.dataset_dir.resolve()), "--ckpt_dir", str(folder)]
        words += ["--check_data", "False", "--early_stop_patience", "0"]
        words += ["--fold", str(self.fold), "--seed", str(self.seed), "--epochs", str(self.epochs)]
        words += [] if self.minutes is None else ["--minutes", str(self.minutes)]
        words += [] if self.device is None else ["--device", self.device]
        words += ["--resume", "True"] if resume else []
        return [*words, *self.overrides]


def name_run_folder(training: Training, runs: Path) -> Path:
    """Return the folder of a training. Its name has the main settings, and a digest of all settings."""
    settings = training.settings()
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
    arm = re.sub(r"[^A-Za-z0-9.+-]+", "_", training.arm).strip("_").lower()[:60]
    limit = f"{training.epochs}epochs" if training.minutes is None else f"{training.minutes:g}min"
    return runs / f"{training.bundle.name}_{arm}_fold{training.fold}_seed{training.seed}_{limit}_{digest}"


def is_done(folder: Path) -> bool:
    """Return whether a training has finished."""
    return (folder / _DONE).is_file()


def train_missing(trainings: Sequence[Training], runs: Path, *, jobs: int = 1) -> list[Training]:
    """Run the unfinished trainings, in the given order.

    Args:
        trainings: the trainings. Their threads must leave each job its own cores.
        runs: folder of all trainings.
        jobs: trainings at the same time.

    Returns:
        The trainings that failed. The path of their log is printed.
    """
    free: Queue[int] = Queue()
    for job in range(jobs):
        free.put(job)

    def work(training: Training) -> bool:
        job = free.get()
        try:
            job_cores = list_cores()[job * training.threads : (job + 1) * training.threads]
            return _train(training, name_run_folder(training, runs), job_cores)
        finally:
            free.put(job)

    missing = [one for one in dict.fromkeys(trainings) if not is_done(name_run_folder(one, runs))]
    with ThreadPoolExecutor(jobs) as pool:
        return [one for one, done in zip(missing, pool.map(work, missing), strict=True) if not done]


def _train(training: Training, folder: Path, job_cores: Sequence[int]) -> bool:
    """Train in a separate process on its own cores. Return whether it finished."""
    settings = training.settings()
    resume = training.minutes is None and (folder / "last.pt").is_file()
    if not resume and (folder / _SETTINGS).is_file():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    environment = os.environ | {"OMP_NUM_THREADS": str(training.threads)}
    pin = ["taskset", "-c", ",".join(map(str, job_cores))] if job_cores and shutil.which("taskset") else []
    say(f"{time.strftime('%H:%M:%S')} {folder.name}{' (resumes)' * resume}")
    with (folder / _LOG).open("a", encoding="utf-8") as log:
        command = pin + training.command(folder, resume=resume)
        run = subprocess.run(command, stdout=log, stderr=log, env=environment, check=False)
    if run.returncode != 0:
        say(f"failed with exit status {run.returncode}: {folder / _LOG}")
        return False
    (folder / _DONE).write_text(json.dumps({"pinned": bool(pin)}) + "\n", encoding="utf-8")
    return True


def read_run(folder: Path) -> dict[str, Any]:
    """Return the validations of a finished training.

    Returns:
        ``epoch``, ``minutes``, ``samples`` and ``dice`` of the last validation, ``dice_by_label``, ``best_dice``, and
        all validations under ``curve``.
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


def list_cores() -> list[int]:
    """Return the cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
