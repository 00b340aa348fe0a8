"""The work of `lightskip quantize`: a network in int8, kept if its Dice on the validation fold holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from ..bundle.plan import Plan, load_plan
from ..data.errors import InputError
from ..data.int8_file import write_int8
from ..evaluation.bootstrap import bootstrap_interval
from ..evaluation.metrics import measure_dice
from ..evaluation.paired_test import paired_differences
from ..evaluation.rows import find_rows
from ..inference.choose_runtime import time_window
from ..inference.nncf_int8 import quantize_network, require_nncf
from ..inference.runtime_cache import name_processor
from ..inference.runtimes import OpenVINONetwork
from ..inference.windows import Windows
from ..leftovers import temporary_folder
from .fold_cases import (
    check_fold,
    choose_fold_weights,
    list_regions,
    read_fold,
    read_reference,
    require_rendered,
    training_fold,
)
from .loaded_bundle import LoadedBundle
from .predictor import Predictor
from .report_file import package_versions

__all__ = ["CASES", "MAX_FALL", "LabelFall", "Quantized", "quantize_bundle", "quantized_text"]

CASES = 30  # training cases that calibrate
MAX_FALL = 0.001  # of any label's mean Dice
_MAX_WINDOWS = 120  # that calibrate
_ROUNDS = 3


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


def quantize_bundle(
    bundle: str | Path,
    *,
    checkpoint: str | Path | None = None,
    training: str | Path | None = None,
    fold: int | None = None,
    dataset_dir: str | Path | None = None,
    cases: int = CASES,
    dry_run: bool = False,
) -> Quantized:
    """Quantise a bundle's network to int8, and keep it beside its weights if no label's Dice falls by more than .001.

    Of a bundle with regions the Dice is that of regions. Training cases of the other folds calibrate the network.
    The cases of the fold are predicted in OpenVINO with float32 and with int8, with the bundle's post-processing. Both
    are compared case by case.

    Args:
        bundle: the bundle's folder, with plan and rendered configs.
        checkpoint: file of the weights, which must not have been trained on the fold; None: see `choose_fold_weights`.
        training: training whose weights are used instead, by name or path; its fold is the default fold.
        fold: fold whose cases are predicted; None: the config's.
        dataset_dir: the dataset's folder; None: the config's.
        cases: number of training cases that calibrate, at least 1.
        dry_run: whether to write nothing.

    Raises:
        InputError: a package is missing; or bundle, dataset, weights or number of cases cannot be used.
        OSError: the files cannot be written.
    """
    require_nncf()
    if cases < 1:
        raise InputError("--cases", found=str(cases), expected="1 or more", remedy="leave it out")
    bundle = Path(bundle).expanduser()
    plan = load_plan(bundle)
    require_rendered(bundle)
    if training is not None and fold is None:
        fold = training_fold(bundle, training)
    validation, fold = read_fold(bundle, fold, dataset_dir)
    others = read_fold(bundle, fold, dataset_dir, part="train_cases")[0]
    chosen = [others[place] for place in _spread(len(others), cases)]
    checkpoint, named = choose_fold_weights(bundle, checkpoint, training, fold)
    check_fold([*chosen, *validation], plan)
    predictor = Predictor(
        bundle, checkpoint=checkpoint, device="cpu", runtime="pytorch", settings={"precision": "float32"}
    )
    weights = predictor.bundle.checkpoints[0]
    windows = _draw_windows(predictor, [case["image"] for case in chosen])
    shape = tuple(windows[0].shape[1:])
    network = predictor.bundle.network
    save = quantize_network(network, windows)
    with temporary_folder() as folder:
        model = folder / "model.xml"
        save(model)
        both = {
            "float32": OpenVINONetwork(network, shape=shape),
            "int8": OpenVINONetwork(network, shape=shape, model=model),
        }
        seconds = _time(both, shape)
        dice = _measure(predictor, both, validation, plan)
    found = Quantized(
        labels=_compare(dice, list(find_rows(plan.labels, list_regions(plan)))),
        seconds=seconds,
        threads=torch.get_num_threads(),
        fold=fold,
        cases=len(validation),
        calibration=(len(chosen), len(windows)),
        weights=named,
        row="region" if plan.regions else "label",
    )
    if dry_run or not found.is_good:
        return found
    known = {"window": list(shape), **_describe(found, predictor.bundle)}
    return replace(found, files=tuple(write_int8(weights, save, known)))


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
            f"next: lightskip predict {bundle} SCANS -o OUT --runtime int8",
        ]
    return "\n".join(lines) + "\n"


def _shorten(file: Path, bundle: Path) -> str:
    """Return a file's path as the user names the bundle."""
    folder = bundle.expanduser().resolve()
    return str(bundle / file.relative_to(folder)) if file.is_relative_to(folder) else str(file)


def _spread(count: int, wanted: int) -> list[int]:
    """Return at most `wanted` places out of `count`, evenly spread."""
    return sorted({int(place) for place in np.linspace(0, count - 1, min(wanted, count)).round()})


def _draw_windows(predictor: Predictor, scans: Sequence[Any]) -> list[Tensor]:
    """Return windows (1, C, *spatial) of prepared scans, as a prediction feeds them, as many of each scan."""
    bundle, drawn = predictor.bundle, []
    of_each = max(_MAX_WINDOWS // max(len(scans), 1), 1)
    for scan in tqdm(scans, desc="calibrating", disable=None):
        image = predictor.prepare(scan).image
        windows = Windows(bundle.inferer, image, classes=bundle.classes, device=bundle.device)
        crops = (windows.image[(slice(None), *place)] for place in windows.slices)
        # Windows of air tell nothing.
        places = [number for number, crop in enumerate(crops) if float(crop.min()) < float(crop.max())]
        for number in _spread(len(places), of_each) if places else []:
            drawn.append(windows.image[(slice(None), *windows.slices[places[number]])][None].clone().contiguous())
    if not drawn:
        raise InputError(
            "the training cases",
            found="scans with one value only",
            expected="scans to calibrate on",
            remedy="lightskip check",
        )
    return drawn


def _time(networks: Mapping[str, OpenVINONetwork], shape: tuple[int, ...]) -> dict[str, float]:
    """Return the seconds of a window of each network: the least of some rounds, in turn."""
    rounds = [{name: time_window(network, shape, 1) for name, network in networks.items()} for _ in range(_ROUNDS)]
    return {name: min(one[name] for one in rounds) for name in networks}


def _measure(
    predictor: Predictor, networks: Mapping[str, OpenVINONetwork], cases: Iterable[Mapping[str, Any]], plan: Plan
) -> dict[str, NDArray[np.float64]]:
    """Return the Dice of each case and region, or foreground label, (cases, rows), of each network."""
    ignored = [len(plan.labels)] if plan.ignored_values else []  # as `read_reference` writes them
    rows: dict[str, list[list[float]]] = {name: [] for name in networks}
    own = predictor.bundle
    for case in tqdm(list(cases), desc="predicting", disable=None):
        prepared = predictor.prepare(case["image"])
        for name, network in networks.items():
            predictor.bundle = replace(own, network=network)
            labels = predictor.segment(prepared).labels
            reference, _ = read_reference(
                case["label"], labels, plan.labels, plan.label_values, ignored=plan.ignored_values
            )
            found = measure_dice(
                labels,
                reference,
                spatial_dims=labels.ndim,
                labels=plan.labels,
                regions=list_regions(plan),
                ignored=ignored,
                annotated=case.get("annotated"),
            )
            rows[name].append(list(found.values()))
    predictor.bundle = own
    return {name: np.array(found, dtype=np.float64) for name, found in rows.items()}


def _compare(dice: Mapping[str, NDArray[np.float64]], labels: Sequence[str]) -> tuple[LabelFall, ...]:
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


def _describe(found: Quantized, bundle: LoadedBundle) -> dict[str, Any]:
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
