"""The work of `lightskip quantize`: a network in int8, kept if its Dice on the validation fold holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
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
from ..evaluation.metrics import measure_dice
from ..evaluation.rows import find_rows
from ..inference.choose_runtime import time_window
from ..inference.nncf_int8 import quantize_network, require_nncf
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
from .predictor import Predictor
from .quantized import Quantized, compare_dice, describe

__all__ = ["CASES", "quantize_bundle"]

CASES = 30  # training cases that calibrate
_MAX_WINDOWS = 120  # that calibrate
_ROUNDS = 3


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
        labels=compare_dice(dice, list(find_rows(plan.labels, list_regions(plan)))),
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
    known = {"window": list(shape), **describe(found, predictor.bundle)}
    return replace(found, files=tuple(write_int8(weights, save, known)))


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
