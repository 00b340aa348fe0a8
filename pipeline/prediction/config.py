"""Evaluating a bundle's config inside another program: quietly, and without a trace in it."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import create_workflow

from ..data.errors import InputError, input_error_behind
from ..quiet import quiet_monai

__all__ = ["evaluated_config", "explained", "refuse_own", "same_program"]

_OWN = {
    "tta": "--tta, or tta=True from Python",
    "checkpoint": "--checkpoint, or checkpoint=… from Python",
    "device": "--device, or device=… from Python",
    "probabilities": "--probabilities, or probabilities=True from Python",
    "output_dir": "-o",
    "dataset_dir": "the inputs",
    "datalist": "the inputs",
    "check_data": "lightskip check: what is read is always checked",
}


def refuse_own(settings: Mapping[str, Any]) -> None:
    """Raise InputError for a key of the config that prediction sets itself."""
    for key in settings:
        if key in _OWN:
            raise InputError(
                f"--set {key}",
                found="a key that prediction sets itself",
                expected="another key of the inference config",
                remedy=f"use {_OWN[key]}",
            )


def evaluated_config(files: Sequence[Path], settings: Mapping[str, Any]) -> Any:
    """Return MONAI's workflow of config files with overrides, initialised.

    Raises:
        InputError: a setting cannot work.
    """
    # As `python -m` has it: a module that a config imports may lie in the working directory.
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    with quiet_monai():
        try:
            return create_workflow(
                # Without the bundle's log on the console: a library leaves logging to its user.
                config_file=[str(file) for file in files],
                workflow_type="infer",
                logging_file=False,
                **settings,
            )
        except Exception as error:
            raise explained(error) from error


@contextmanager
def same_program() -> Iterator[None]:
    """Leave to the program what a config sets for a run of its own: random numbers, cuDNN, how errors are shown."""
    python, arrays = random.getstate(), np.random.get_state()  # noqa: NPY002
    cudnn, hook = torch.backends.cudnn, sys.excepthook
    flags = cudnn.deterministic, cudnn.benchmark
    try:
        with torch.random.fork_rng(devices=()):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)  # noqa: NPY002
        cudnn.deterministic, cudnn.benchmark = flags
        sys.excepthook = hook


def explained(error: Exception) -> Exception:
    """Return the InputError that MONAI wrapped in errors of its own, or what a misnamed argument is, or the error."""
    known = input_error_behind(error)
    if known is not None:
        return known
    cause: BaseException | None = error
    while cause is not None and "unexpected keyword argument" not in str(cause):
        cause = cause.__cause__
    if not isinstance(cause, TypeError):
        return error
    return InputError(
        "a setting of the inference config",
        found=str(cause),
        expected="arguments that the component takes",
        remedy="correct the name: --set KEY=VALUE",
    )
