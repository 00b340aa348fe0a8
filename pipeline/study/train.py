"""Train one run of a study: a plain bundle training in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..bundle.words import as_words
from ..data.errors import InputError
from ..data.json_file import load_json
from ..files import write_text
from ..networks import Networks
from ..parent import parent_pipe, watch_text
from ..process import start_text
from ..training.stop_diverged import DIVERGED
from .arms import Arm
from .expand import Run
from .weights import LAST, is_state_file

__all__ = ["LOG", "TRAINED", "train_run", "training_words"]

TRAINED, LOG = "trained.json", "log.txt"
_SETTINGS = "settings.json"
_VALIDATIONS = 3  # of a training with a number of epochs; its last epoch is always validated


def train_run(run: Run, folder: Path) -> dict[str, Any]:
    """Train a run unless it has been trained, and return what its training took.

    An interrupted training of a number of epochs resumes. It starts again if its state is missing or damaged. One with
    minutes always starts again, since its learning rate schedule would end at another time. The folder has the
    training's own files, ``settings.json`` and ``log.txt``.

    Args:
        run: the run.
        folder: the training's folder; it is made if missing.

    Returns:
        ``state`` (``done`` or ``diverged``), ``reason``, ``training_seconds`` (of the processor, over all starts; None
        if an earlier start was killed, so that its part is not known) and
        ``training_resident_bytes`` (largest resident memory of the process, None if the system does not tell).

    Raises:
        InputError: the training failed. The message has the last lines of its log.
    """
    done, usable = folder / TRAINED, is_state_file(folder / LAST)
    content = _read(done)
    # Without its weights a training cannot be measured any more.
    if content.get("state") == "diverged" or (content.get("state") == "done" and usable):
        return content
    resume = run.arm.budget.minutes is None and usable
    # None where an earlier start was killed: nobody knows what it took.
    earlier: float | None = _read(folder / "time.json").get("training_seconds") if resume else 0.0
    if not resume and folder.is_dir():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / _SETTINGS, json.dumps(run.settings, indent=1) + "\n")
    words = ["train", str(run.arm.bundle), *training_words(run, folder), *(["--resume", "True"] if resume else [])]
    status, seconds, resident = run_logged(words, folder / LOG, threads=int(run.settings["threads"]))
    diverged = _read(folder / DIVERGED)
    total = None if earlier is None else round(earlier + seconds, 1)
    taken = {"training_seconds": total, "training_resident_bytes": resident}
    if status != 0 and not diverged:
        write_text(folder / "time.json", json.dumps(taken) + "\n")
        raise failed_error(folder / LOG, f"exit status {status}")
    result = {"state": "diverged" if diverged else "done", "reason": diverged.get("reason", ""), **taken}
    write_text(done, json.dumps(result) + "\n")
    return result


def training_words(run: Run, folder: Path) -> list[str]:
    """Return the words of a training after ``lightskip train BUNDLE``."""
    arm = run.arm
    settings: dict[str, Any] = {
        "ckpt_dir": str(folder),
        "fold": run.fold,
        "seed": run.seed,
        "check_data": False,
        "early_stop_patience": 0,
        "tracking": "none",
        "weight_changes": True,
        "device": run.settings["device"],
        "precision": run.settings["precision"],
        "network_def": network_definition(arm),
        "skip": arm.skip_definition,
        "sparsity": arm.sparsity,
        "cache_dir": str(folder.parent / "prepared"),
        **({} if arm.dataset_dir is None else {"dataset_dir": str(arm.dataset_dir)}),
    }
    if arm.budget.epochs is None:
        settings |= {"epochs": "$None", "minutes": arm.budget.minutes, "clock": "processor"}
    else:
        epochs = arm.budget.epochs
        settings |= {"epochs": epochs, "minutes": "$None", "val_interval": max(1, -(-epochs // _VALIDATIONS))}
    # The plan's number may be more than this training has; the share is the recipe's.
    settings["warmup_epochs"] = "$None"
    given = {**settings, **arm.overrides}
    return as_words({key: value if isinstance(value, str) else repr(value) for key, value in given.items()})


def network_definition(arm: Arm) -> dict[str, Any]:
    """Return the network of an arm as MONAI's configs define it."""
    spec = dict(arm.spec)
    return {
        "_target_": f"pipeline.networks.{Networks[spec.pop('name')].__name__}",
        "spatial_dims": "@spatial_dims",
        "in_channels": "@in_channels",
        "out_channels": "@out_channels",
        **spec,
        "skip": "@skip",
    }


def run_logged(words: Sequence[str], log: Path, *, threads: int) -> tuple[int, float, int | None]:
    """Run ``lightskip`` with its output in a log.

    Returns:
        Its exit status, its processor time (s), and its largest resident memory (bytes; None if unknown).
    """
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    with ExitStack() as stack, log.open("a", encoding="utf-8") as file:
        file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} lightskip {' '.join(words)}\n")
        file.flush()
        watched = stack.enter_context(parent_pipe())
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", start_text(watch_text(watched)), *words],
            stdout=file,
            stderr=file,
            env=environment,
            pass_fds=watched,
        )
        try:
            _, raw, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
    process.returncode = os.waitstatus_to_exitcode(raw)
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return process.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit


def failed_error(log: Path, found: str) -> InputError:
    """Return the error of a failed step, with the last line of its log."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    last = next((line for line in reversed(lines) if "error" in line.lower()), lines[-1] if lines else "")
    return InputError(
        log.parent,
        found=f"{found}: {last.strip()[:400]}",
        expected="a training that ends by itself",
        remedy=f"read {log}; the next start tries it again",
    )


def _read(file: Path) -> dict[str, Any]:
    """Return the content of a JSON file; nothing if it is missing or damaged."""
    try:
        content = load_json(file)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
