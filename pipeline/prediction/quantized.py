"""What `lightskip quantize` has measured: Dice and times in float32 and in int8."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..evaluation.bootstrap import bootstrap_interval
from ..evaluation.paired_test import paired_differences
from ..inference.runtime_cache import name_processor
from .loaded_bundle import LoadedBundle
from .report_file import package_versions

__all__ = ["MAX_FALL", "LabelFall", "Quantized", "compare_dice", "describe", "quantized_text"]

MAX_FALL = 0.001  # of any label's mean Dice


@dataclass(frozen=True)
class LabelFall:
    """What int8 costs one label or region.

    Attributes:
        label: its name.
        float32: mean Dice over the fold's cases, 0 to 1.
        int8: the same in int8.
        interval: 95 % bootstrap interval of float32's Dice minus int8's, over the cases; None with fewer than two.
        cases: cases in which the label counts.
    """

    label: str
    float32: float
    int8: float
    interval: tuple[float, float] | None
    cases: int

    @property
    def fall(self) -> float:
        """Mean Dice in float32 minus that in int8."""
        return self.float32 - self.int8


@dataclass(frozen=True)
class Quantized:
    """A network in int8, measured.

    Attributes:
        labels: what it costs each label or region.
        seconds: seconds of a window in OpenVINO, ``float32`` and ``int8``.
        threads: CPU threads that took this time.
        fold: fold whose cases were predicted.
        cases: their number.
        calibration: numbers of cases and of windows that calibrated.
        weights: line that names the weights; empty if the user named their file.
        files: the files that were written; none in a dry run, and if the Dice fell.
        row: what `labels` are: ``label``, or ``region`` of a bundle with regions.
    """

    labels: tuple[LabelFall, ...]
    seconds: Mapping[str, float]
    threads: int
    fold: int
    cases: int
    calibration: tuple[int, int]
    weights: str
    files: tuple[Path, ...] = ()
    row: str = "label"

    @property
    def is_good(self) -> bool:
        """Whether no label's Dice falls by more than `MAX_FALL`, and some label counts at all."""
        falls = [one.fall for one in self.labels if one.cases]
        return bool(falls) and all(fall <= MAX_FALL for fall in falls)


def compare_dice(dice: Mapping[str, NDArray[np.float64]], labels: Sequence[str]) -> tuple[LabelFall, ...]:
    """Return what int8 costs each label.

    Args:
        dice: Dice, ``float32`` and ``int8``, each (cases, labels), NaN where a label does not count.
        labels: the labels' names.
    """
    found = []
    for place, label in enumerate(labels):
        before, after = dice["float32"][:, place], dice["int8"][:, place]
        falls = -paired_differences(before, after)
        counted = int(np.isfinite(falls).sum())
        interval = bootstrap_interval(falls) if counted > 1 else None
        found.append(LabelFall(label, _mean(before), _mean(after), interval, counted))
    return tuple(found)


def _mean(dice: NDArray[np.float64]) -> float:
    counted = dice[np.isfinite(dice)]
    return float(counted.mean()) if counted.size else float("nan")


def quantized_text(found: Quantized, bundle: Path) -> str:
    """Return the measurements as text for people: the table, the times, the files or why there are none."""
    width = max(len(found.row), *(len(one.label) for one in found.labels))
    lines = [f"{found.row:{width}}  float32    int8  falls by (95 % interval)"]
    for one in found.labels:
        interval = "one case: none" if one.interval is None else f"{one.interval[0]:+.4f} to {one.interval[1]:+.4f}"
        lines.append(f"{one.label:{width}}  {one.float32:7.4f} {one.int8:7.4f}  {one.fall:+.4f} ({interval})")
    times, (cases, windows) = found.seconds, found.calibration
    lines += [
        "",
        *([found.weights] if found.weights else []),
        f"Dice of {found.cases} cases of fold {found.fold}; calibrated on {windows} windows of {cases} cases of the "
        "other folds",
        f"a window takes {times['int8'] * 1e3:.3g} ms instead of {times['float32'] * 1e3:.3g} in OpenVINO "
        f"({times['int8'] / times['float32']:.2f}, {found.threads} thread{'s' * (found.threads > 1)})",
    ]
    worst = max((one for one in found.labels if one.cases), key=lambda one: one.fall, default=None)
    if worst is None:
        lines.append(f"not kept: none of the {found.row}s is in a case of this fold")
    elif not found.is_good:
        lines.append(f"not kept: {worst.label} falls by {worst.fall:.4f}; expected at most {MAX_FALL}")
    elif not found.files:
        lines.append("dry run: nothing was written")
    else:
        lines += [
            *(_shorten(file, bundle) for file in found.files),
            f"next: lightskip predict {shlex.quote(str(bundle))} SCANS -o OUT --runtime int8",
        ]
    return "\n".join(lines) + "\n"


def _shorten(file: Path, bundle: Path) -> str:
    """Return a file's path as the user names the bundle."""
    folder = bundle.expanduser().resolve()
    return str(bundle / file.relative_to(folder)) if file.is_relative_to(folder) else str(file)


def describe(found: Quantized, bundle: LoadedBundle) -> dict[str, Any]:
    """Return the record's entries about where the model comes from, and what it costs."""
    return {
        "bundle": bundle.name,
        "bundle_version": bundle.version,
        "dice": {
            one.label: {
                "float32": _as_number(one.float32),
                "int8": _as_number(one.int8),
                "fall": _as_number(one.fall),
                "interval_95": None if one.interval is None else [_as_number(end) for end in one.interval],
                "cases": one.cases,
            }
            for one in found.labels
        },
        "fold": found.fold,
        "cases": found.cases,
        "calibration": dict(zip(("cases", "windows"), found.calibration, strict=True)),
        "seconds_per_window": {name: float(f"{value:.4g}") for name, value in found.seconds.items()},
        "threads": found.threads,
        "processor": name_processor(),
        "versions": package_versions("int8"),
    }


def _as_number(value: float) -> float | None:
    """Return a number that JSON can hold."""
    return round(value, 6) if isfinite(value) else None
