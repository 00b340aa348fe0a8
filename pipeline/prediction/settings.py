"""The settings of a prediction: weights, memory, threads, device and runtime, checked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch

from ..bundle.trainings import BEST, Weights, find_training, find_weights
from ..data.amounts import parse_memory
from ..data.errors import InputError
from ..inference.runtimes import RUNTIMES
from ..memory import free_bytes

__all__ = ["check_device_name", "check_thread_count", "choose_checkpoints", "choose_device", "memory_budget"]

_FREE_SHARE = 0.8
_MAX_THREADS = 64  # or the machine's CPUs, if more; the system refuses to start very many more


def memory_budget(text: str | None) -> int:
    """Return the memory limit (bytes) of ``--memory``, by default 80% of the free memory.

    Raises:
        InputError: the text is not a size.
    """
    return int(_FREE_SHARE * free_bytes()) if text is None else parse_memory(text)


def choose_checkpoints(
    bundle: Path, files: Sequence[str] = (), folds: Sequence[int] | None = None, trainings: Sequence[str] = ()
) -> tuple[list[str], str]:
    """Choose the weights to predict with.

    Args:
        bundle: the bundle's folder.
        files: files of weights that the user names; several are averaged.
        folds: folds whose trainings are averaged: ``fold_N`` in the bundle's ``runs``.
        trainings: trainings whose weights are averaged, by name or path.

    Returns:
        The files of the weights, and a line that names their trainings. Both are empty for the bundle's own weights,
        which its config names.

    Raises:
        InputError: weights are named in two ways, a training does not exist, or nothing is named and there are several
            trainings.
    """
    named = {"--checkpoint": files, "--folds": folds, "--training": trainings}
    given = [word for word, value in named.items() if value]
    if len(given) > 1:
        raise InputError(given[1], found=f"{given[0]} as well", expected="one of the two", remedy="leave one out")
    if files:
        return list(files), ""
    if folds or trainings:
        names: list[str | Path] = [*_find_folds(bundle, folds or ()), *trainings]
        found = [find_training(bundle, name) for name in names]
        return [str(one.weights) for one in found], "\n".join(Weights(one.weights, one).note for one in found)
    weights = find_weights(bundle)
    if weights is None or weights.training is None:
        return [], ""
    return [str(weights.file)], weights.note


def _find_folds(bundle: Path, folds: Sequence[int]) -> list[Path]:
    """Return the folders of the folds' trainings; raise InputError if one has no weights."""
    folders = [bundle / "runs" / f"fold_{fold}" for fold in folds]
    for fold, folder in zip(folds, folders, strict=True):
        if not (folder / BEST).is_file():
            raise InputError(
                folder / BEST,
                found="no such file",
                expected=f"the weights of fold {fold}",
                remedy=f"train it (lightskip train {bundle} --fold {fold}), or name trainings: --training NAME ...",
            )
    return folders


def check_device_name(name: str) -> str:
    """Return the name of a device if it is valid. Evaluating the config checks that this machine has it.

    Raises:
        InputError: it is not the name of a device.
    """
    try:
        known = name == "auto" or torch.device(name).type in ("cpu", "cuda", "mps", "xpu")
    except RuntimeError:
        known = False
    if not known:
        raise InputError(
            "--device", found=name, expected="auto, cpu, cuda or cuda:N", remedy="leave it out, or choose one of these"
        )
    return name


def choose_device(runtime: str, device: str) -> str:
    """Return the device to compute on: `device`, or the CPU for a runtime that only runs there.

    Raises:
        InputError: the runtime or the device is unknown, the runtime is not installed, or it needs another device.
    """
    if runtime not in RUNTIMES:
        raise InputError(
            "--runtime", found=runtime, expected=f"one of {', '.join(RUNTIMES)}", remedy="leave it out, or choose one"
        )
    check_device_name(device)
    if runtime == "pytorch":
        return device
    if find_spec(runtime) is None:
        raise InputError(
            f"--runtime {runtime}",
            found=f"no package {runtime}",
            expected="the package of this runtime",
            remedy="install it: pip install 'lightskip[runtime]'; or leave --runtime out",
        )
    if device != "auto" and torch.device(device).type != "cpu":
        raise InputError(
            f"--runtime {runtime}",
            found=f"--device {device}",
            expected="a CPU: LightSkip uses this runtime only there",
            remedy="leave one of the two out",
        )
    return "cpu"


def check_thread_count(count: int | None) -> int | None:
    """Return the number of threads if it is valid.

    Raises:
        InputError: it is less than 1, or more than this machine can use.
    """
    limit = max(_MAX_THREADS, os.cpu_count() or 1)
    if count is not None and not 1 <= count <= limit:
        raise InputError(
            "--threads", found=str(count), expected=f"1 to {limit}", remedy="leave it out, or choose another number"
        )
    return count
