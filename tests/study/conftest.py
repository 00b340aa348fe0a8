"""A small study of the shipped synthetic bundle, and results of its runs without trainings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.study.expand import Run, expand_study
from pipeline.study.read_study import StudyFile, read_study
from pipeline.study.result import result_file, write_result

STUDY: dict[str, Any] = {
    "name": "small",
    "question": "Which skip?",
    "baseline": "concat",
    "seeds": [0, 1],
    "budget": {"epochs": 2},
    "arms": [
        {
            "bundle": "synthetic_shapes",
            "networks": [
                {"name": "vnet", "channels": [2, 4], "convs_per_level": [1, 1], "decoder_convs_per_level": [1]}
            ],
            "skips": ["concat", "sat", {"skip": ["concat", {"only": 0}], "label": "only 0"}],
            "overrides": {"patch": [16, 16, 16], "window": [32, 32, 16]},
        }
    ],
}


def changed(*path: Any, to: Any) -> dict[str, Any]:
    """Return the study with another value at a path of keys; None removes the key."""
    content = yaml.safe_load(yaml.safe_dump(STUDY))
    place = content
    for key in path[:-1]:
        place = place[key]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return content


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a study file."""

    def write_study(content: dict[str, Any] = STUDY, name: str = "study.yaml") -> Path:
        file = tmp_path / name
        file.write_text(yaml.safe_dump(content, sort_keys=False))
        return file

    return write_study


@pytest.fixture
def study(write: Callable[..., Path]) -> StudyFile:
    return read_study(write())


@pytest.fixture
def runs(study: StudyFile) -> list[Run]:
    return expand_study(study)


def make_result(run: Run, *, state: str = "done", **more: Any) -> dict[str, Any]:
    """Return a result as `do_run` writes it."""
    if state == "diverged":
        parts: dict[str, Any] = {"curve": [{"epoch": 1, "samples": 8, "minutes": 0.1, "loss": None, "dice": None}]}
    else:
        dice = [[0.8 + 0.01 * run.seed, 0.7], [0.9, 0.6]]
        parts = {
            "curve": [{"epoch": 2, "samples": 16, "minutes": 0.2, "loss": 0.5, "dice": 0.75}],
            "cases": {
                "names": ["a", "b"], "subjects": ["a", "b"], "labels": ["ellipsoid", "tube"],
                "dice": dice, "hd95": dice, "nsd": dice,
            },
            "cost": {
                "parameters": 10, "step_multiply_adds": 10, "window_multiply_adds": 5, "skip_bytes_handed": 4,
                "skip_bytes_kept": 4, "training_peak_bytes": 100, "inference_peak_bytes": 50, "step_seconds": 0.1,
                "window_seconds": 0.05, "scan_seconds": 0.2, "training_seconds": 90.0,
            },
            "levels": [{"level": 0, "handed_bytes": 4, "kept_bytes": 4}],
            "weight_changes": {"layers": ["a"], "epochs": [1, 2], "values": [[0.1], [0.05]]},
        }  # fmt: skip
    machine = {
        "cpu": "a",
        "device": "cpu",
        "threads": 1,
        "torch": "2",
        "monai": "1",
        "lightskip": "0",
        "date": "2026-11-30",
    }
    return {
        "format": 1, "id": run.id, "settings": dict(run.settings), "state": state, "reason": "", "machine": machine,
        **parts, **more,
    }  # fmt: skip


def save(run: Run, output: Path, **more: Any) -> Path:
    """Write a result of a run into a study's folder."""
    file = result_file(output, run.id)
    write_result(file, make_result(run, **more))
    return file
