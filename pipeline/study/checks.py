"""Check before the first run of a study what needs its datasets, and whether each measurement is possible."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import torch

from ..bundle.plan import load_plan
from ..data.cases import read_cases
from ..data.errors import InputError
from .datasets import allows_outside, datalist_of
from .expand import Run
from .read_study import StudyFile
from .robustness.perturbations import choose_perturbations
from .schema import Robustness

__all__ = ["check_datalists", "check_folds", "check_measurements", "check_output"]


def check_measurements(file: StudyFile, runs: Iterable[Run]) -> None:
    """Refuse a device that PyTorch does not know, an unknown perturbation, and cells to be counted in 3D scans.

    Raises:
        InputError: names the key of the study file.
    """
    study = file.study
    try:
        torch.device(study.device)
    except RuntimeError as error:
        raise InputError(
            f"{file.path}, device",
            found=study.device,
            expected="a device of PyTorch: cpu, cuda, cuda:1, mps",
            remedy="correct it, or leave it out for cpu",
        ) from error
    if isinstance(study.measure.robustness, Robustness):
        try:
            choose_perturbations(study.measure.robustness.perturbations)
        except InputError as error:
            where = f"{file.path}, measure.robustness.perturbations"
            raise InputError(where, found=error.found, expected=error.expected, remedy=error.remedy) from error
    if study.measure.membranes:
        solid = [run.arm.bundle for run in runs if load_plan(run.arm.bundle).spatial_dims != 2]
        if solid:
            raise InputError(
                f"{file.path}, measure.membranes",
                found=f"the bundle {solid[0].name}, whose scans have three dimensions",
                expected="pictures, whose cells are counted one by one",
                remedy="remove membranes, or make a study of the pictures alone",
            )


def check_datalists(runs: Iterable[Run]) -> None:
    """Refuse a dataset without the datalist that a bundle takes from it: the names of runs depend on it.

    Raises:
        InputError: names the folder of the dataset.
    """
    for bundle, dataset in {(run.arm.bundle, run.arm.dataset_dir): None for run in runs}:
        datalist, folder = datalist_of(bundle, dataset)
        if not datalist.is_file():
            found = f"no {datalist.name}" if folder.is_dir() else "a file" if folder.is_file() else "no such folder"
            raise _dataset_error(bundle, folder, found)


def _dataset_error(bundle: Path, folder: Path, found: str) -> InputError:
    return InputError(
        folder,
        found=found,
        expected=f"the dataset of the bundle {bundle.name}",
        remedy=f"name it: --dataset_dir {bundle.name}=DIR, or dataset_dir next to bundle in the study file",
    )


def check_folds(runs: Iterable[Run]) -> None:
    """Refuse a dataset that is not there, and a fold that it does not have.

    Raises:
        InputError: see `read_cases`.
    """
    for bundle, dataset, fold, outside in {
        (run.arm.bundle, run.arm.dataset_dir, run.fold, allows_outside(run.arm)): None for run in runs
    }:
        datalist, folder = datalist_of(bundle, dataset)
        if not folder.is_dir():
            raise _dataset_error(bundle, folder, "a file" if folder.is_file() else "no such folder")
        read_cases(datalist, folder, fold=fold, part="training", outside=outside)


def check_output(output: Path) -> None:
    """Refuse a folder of results that cannot be made or written to, with its ``runs``.

    Raises:
        InputError: names the folder or file that is in the way.
    """
    for folder in (output, output / "runs"):
        existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
            continue
        raise InputError(
            folder,
            found=f"a folder that cannot be written to: {existing}" if existing.is_dir() else f"a file: {existing}",
            expected="a folder for the results",
            remedy="name another one: -o OUT",
        )
