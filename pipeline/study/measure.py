"""Measure a trained run: metrics of its last epoch, costs, changes of its weights, and what the study asks for."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ..bench.machine import cpu_model, device_name
from ..bundle.launch import prepare
from ..bundle.plan import load_plan
from ..bundle.words import as_words
from ..data.json_file import read_json
from ..evaluation.metric_names import find_name, length_unit_of
from ..evaluation.rows import OVERALL
from ..probe.session import Session
from ..spreadsheet import read_rows
from ..training.weight_changes import CHANGES
from ..version import __version__
from .cost import Task, measure_cost, measure_skip_bytes
from .expand import Run
from .schema import Measure, Membranes, Robustness
from .train import LOG, failed_error, run_logged
from .weights import save_last_epoch

__all__ = ["evaluation_words", "make_task", "measure_run", "read_curve"]

_METRICS = {"dice": "dice", "hd95": "hd95_mm", "nsd": "nsd"}
_TIMED_SCANS = 5
# Overrides of a training that its evaluation needs as well.
_OVERRIDES = ("patch", "window", "outside")


def measure_run(run: Run, folder: Path, wanted: Measure, parts: Sequence[str]) -> dict[str, Any]:
    """Measure parts of a trained run.

    Args:
        run: the run.
        folder: its training, with the weights.
        wanted: settings of the optional parts.
        parts: names of the parts to measure, see `pipeline.study.result`.

    Returns:
        The parts by name, and ``machine`` with what measured them.

    Raises:
        InputError: the evaluation failed, or a part cannot be measured with this network or dataset.
    """
    weights = save_last_epoch(folder)
    found: dict[str, Any] = {"machine": _describe_machine(run)}
    if "curve" in parts:
        found["curve"] = read_curve(folder)
    if "cases" in parts:
        found["cases"] = _evaluate(run, folder, weights)
    if "weight_changes" in parts:
        found["weight_changes"] = _read_changes(folder / CHANGES)
    if "cost" in parts or "levels" in parts:
        task = make_task(run)
        found["cost"] = measure_cost(task) | {"scan_seconds": _time_scans(run, folder, weights)}
        found["levels"] = measure_skip_bytes(task.spec, task.window)
    if "robustness" in parts:
        found["robustness"] = _perturb(run, weights, wanted.robustness)
    if "probes" in parts:
        found["probes"] = _probe(run, folder, weights)
    if "membranes" in parts:
        found["membranes"] = _score_membranes(run, weights, wanted.membranes)
    return found


def make_task(run: Run) -> Task:
    """Return what a run's network computes: sizes and batch of the plan, or of the run's overrides."""
    arm, plan = run.arm, load_plan(run.arm.bundle)
    cases = int(arm.overrides.get("batch", plan.batch))
    return Task(
        {
            **arm.spec,
            "skip": arm.skip_definition,
            "spatial_dims": plan.spatial_dims,
            "in_channels": len(plan.data.channels),
            "out_channels": len(plan.outputs),
        },
        sparsity=arm.sparsity,
        patch=tuple(arm.overrides.get("patch", plan.patch)),
        window=tuple(arm.overrides.get("window", plan.window)),
        batch=cases * int(arm.overrides.get("samples_per_case", plan.training.samples_per_case)),
        device=str(run.settings["device"]),
        precision=str(run.settings["precision"]),
        threads=int(run.settings["threads"]),
    )


def evaluation_words(run: Run, weights: Path, output: Path) -> list[str]:
    """Return the words of an evaluation of a run after ``lightskip evaluate BUNDLE``."""
    settings: dict[str, Any] = {
        "checkpoint": str(weights),
        "output_dir": str(output),
        "fold": run.fold,
        "runtime": "pytorch",
        "check_data": False,
        "device": run.settings["device"],
        "precision": run.settings["precision"],
        **({} if run.arm.dataset_dir is None else {"dataset_dir": str(run.arm.dataset_dir)}),
        **{key: value for key, value in run.arm.overrides.items() if key in _OVERRIDES},
    }
    return as_words({key: value if isinstance(value, str) else repr(value) for key, value in settings.items()})


def _describe_machine(run: Run) -> dict[str, Any]:
    task_device = torch.device(str(run.settings["device"]))
    return {
        "cpu": cpu_model(),
        "device": device_name(task_device),
        "threads": run.settings["threads"],
        "torch": torch.__version__,
        "monai": version("monai"),
        "lightskip": __version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def read_curve(folder: Path) -> list[dict[str, Any]]:
    """Return the epochs of a training: number, samples seen, minutes, loss, and Dice of those that were validated."""
    if not (folder / "history.csv").is_file():
        return []
    with (folder / "history.csv").open(newline="", encoding="utf-8") as file:
        _, rows = read_rows(file)
    return [
        {
            "epoch": int(row["epoch"]),
            "samples": int(row["samples_seen"]),
            "minutes": float(row["elapsed_seconds"]) / 60,
            "loss": float(row["train_loss"]),
            "dice": float(row["val_mean_dice"]) if row["val_mean_dice"] else None,
        }
        for row in rows
    ]


def _read_changes(file: Path) -> dict[str, Any]:
    with file.open(newline="", encoding="utf-8") as stream:
        _, rows = read_rows(stream)
    layers = [name for name in rows[0] if name != "epoch"]
    return {
        "layers": layers,
        "epochs": [int(row["epoch"]) for row in rows],
        "values": [[float(f"{float(row[name]):.3g}") for name in layers] for row in rows],
    }


def _evaluate(run: Run, folder: Path, weights: Path) -> dict[str, Any]:
    """Evaluate the weights of the last epoch, and return the metrics of every case and label."""
    output = folder / "evaluation"
    table = output / "cases.csv"
    if not table.is_file():
        words = ["evaluate", str(run.arm.bundle), *evaluation_words(run, weights, output)]
        status, _, _ = run_logged(words, folder / LOG, threads=int(run.settings["threads"]))
        if status != 0:
            raise failed_error(folder / LOG, f"an evaluation with exit status {status}")
    with table.open(newline="", encoding="utf-8") as file:
        _, rows = read_rows(file)
    names = list(dict.fromkeys(row["case"] for row in rows))
    labels = list(dict.fromkeys(row["label"] for row in rows))
    subjects = {row["case"]: row.get("subject") or row["case"] for row in rows}
    cells = {(row["case"], row["label"]): row for row in rows}
    return {
        "names": names,
        "subjects": [subjects[name] for name in names],
        "labels": labels,
        **({"regions": True} if load_plan(run.arm.bundle).regions else {}),
        "unit": length_unit_of(rows[0]),
        **{
            # A label that was not annotated in a case has no row.
            metric: [[_number(cells.get((name, label), {}).get(column, "")) for label in labels] for name in names]
            for metric, name in _METRICS.items()
            for column in [find_name(rows[0], name)]
        },
    }


def _number(text: str) -> float | None:
    value = float(text) if text else math.nan
    return value if math.isfinite(value) else None


def _time_scans(run: Run, folder: Path, weights: Path) -> float:
    """Return the median seconds to read, segment and restore a scan, of the first five validation cases."""
    torch.set_num_threads(int(run.settings["threads"]))
    session = Session(prepare("evaluate", run.arm.bundle, evaluation_words(run, weights, folder / "timing")))
    clock = time.process_time if session.device.type == "cpu" else time.perf_counter
    seconds = []
    try:
        with torch.no_grad():
            for index in range(min(_TIMED_SCANS, len(session.names))):
                start = clock()
                session.segment(session.read_case(index))
                seconds.append(clock() - start)
    finally:
        session.close()
    return sorted(seconds)[len(seconds) // 2]


def _perturb(run: Run, weights: Path, asked: Robustness | bool) -> dict[str, Any]:
    from .robustness import measure_robustness  # noqa: PLC0415 - needs TorchIO

    chosen = Robustness() if isinstance(asked, bool) else asked
    found: dict[str, Any] = measure_robustness(
        run.arm.bundle,
        checkpoint=weights,
        fold=run.fold,
        dataset_dir=run.arm.dataset_dir,
        cases=chosen.cases,
        perturbations=chosen.perturbations,
        overrides=_evaluation_overrides(run),
    )
    return found


def _evaluation_overrides(run: Run) -> dict[str, Any]:
    return {
        "device": run.settings["device"],
        "precision": run.settings["precision"],
        **{key: value for key, value in run.arm.overrides.items() if key in _OVERRIDES},
    }


def _probe(run: Run, folder: Path, weights: Path) -> list[dict[str, Any]]:
    """Return the mean change of Dice by each probe; nothing for a network whose skips transfer nothing."""
    if not any(level["handed_bytes"] for level in measure_skip_bytes(make_task(run).spec, make_task(run).window)):
        return []
    output = folder / "probe"
    if not (output / "summary.json").is_file():
        words = ["probe", str(run.arm.bundle), "-o", str(output), "--checkpoint", str(weights), "--fold", str(run.fold)]
        words += [] if run.arm.dataset_dir is None else ["--dataset_dir", str(run.arm.dataset_dir)]
        words += ["--set", *(f"{key}={value!r}" for key, value in _evaluation_overrides(run).items())]
        status, _, _ = run_logged(words, folder / LOG, threads=int(run.settings["threads"]))
        if status != 0:
            raise failed_error(folder / LOG, f"a probe with exit status {status}")
    summary: Mapping[str, Any] = read_json(output / "summary.json")
    return [
        {
            "level": one["level"],
            "probe": one["probe"],
            "difference": one["labels"][OVERALL]["difference"],
            "interval": one["labels"][OVERALL]["interval"],
        }
        for one in summary["probes"]
    ]


def _score_membranes(run: Run, weights: Path, asked: Membranes | bool) -> dict[str, Any]:
    from .membranes import score_membranes  # noqa: PLC0415

    samples = 1 if isinstance(asked, bool) else asked.samples
    found: dict[str, Any] = score_membranes(
        run.arm.bundle,
        checkpoint=weights,
        fold=run.fold,
        dataset_dir=run.arm.dataset_dir,
        dropout_samples=samples,
        overrides=_evaluation_overrides(run),
    )
    return found
