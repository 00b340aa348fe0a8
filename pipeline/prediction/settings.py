"""What a user says about weights, memory, threads and runtime, as prediction takes it."""

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

__all__ = ["budget", "checkpoints", "device_name", "runtime_device", "thread_count"]

_OF_FREE = 0.8
_MOST_THREADS = 64  # or as many as the machine has CPUs; with very many more the system refuses to start them


def budget(text: str | None) -> int:
    """Return the memory (bytes) that ``--memory`` allows; without it most of what is free.

    Raises:
        InputError: the text is no size.
    """
    return int(_OF_FREE * free_bytes()) if text is None else parse_memory(text)


def checkpoints(
    bundle: Path, files: Sequence[str] = (), folds: Sequence[int] | None = None, trainings: Sequence[str] = ()
) -> tuple[list[str], str]:
    """Choose the weights to predict with.

    Args:
        bundle: its folder.
        files: of weights, as the user names them; several are averaged.
        folds: whose trainings are averaged: ``fold_N`` in the bundle's ``runs``.
        trainings: whose weights are averaged, by name or path.

    Returns:
        The files of the weights, none for the bundle's own, which its config names; and a line that says which they
        are, where they are a training's.

    Raises:
        InputError: weights are named in two ways, a training is not there, or nothing is named and there are several
            trainings.
    """
    named = {"--checkpoint": files, "--folds": folds, "--training": trainings}
    given = [word for word, value in named.items() if value]
    if len(given) > 1:
        raise InputError(given[1], found=f"{given[0]}, too", expected="one of them", remedy="leave one out")
    if files:
        return list(files), ""
    if folds or trainings:
        names: list[str | Path] = [*_of_folds(bundle, folds or ()), *trainings]
        found = [find_training(bundle, name) for name in names]
        return [str(one.weights) for one in found], "\n".join(Weights(one.weights, one).note for one in found)
    weights = find_weights(bundle)
    if weights is None or weights.training is None:
        return [], ""
    return [str(weights.file)], weights.note


def _of_folds(bundle: Path, folds: Sequence[int]) -> list[Path]:
    """Return the folders of the folds' trainings."""
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


def device_name(name: str) -> str:
    """Return the name of a device, after making sure that it is one; whether it is here, the config tells.

    Raises:
        InputError: it is none.
    """
    try:
        known = name == "auto" or torch.device(name).type in ("cpu", "cuda", "mps", "xpu")
    except RuntimeError:
        known = False
    if not known:
        raise InputError(
            "--device", found=name, expected="auto, cpu, cuda or cuda:N", remedy="leave it out, or give one of these"
        )
    return name


def runtime_device(runtime: str, device: str) -> str:
    """Return the device for a runtime: the one asked for, or the CPU where ``"auto"`` is and the runtime has no other.

    Raises:
        InputError: there is no such runtime, it is not installed, or it does not compute on this device.
    """
    if runtime not in RUNTIMES:
        raise InputError(
            "--runtime", found=runtime, expected=f"one of {', '.join(RUNTIMES)}", remedy="leave it out, or give another"
        )
    if runtime == "pytorch":
        return device
    if find_spec(runtime) is None:
        raise InputError(
            f"--runtime {runtime}",
            found=f"no {runtime} to compute with",
            expected="the package of this runtime",
            remedy="install it: pip install 'lightskip[runtime]'; or leave --runtime out",
        )
    if device_name(device) != "auto" and torch.device(device).type != "cpu":
        raise InputError(
            f"--runtime {runtime}",
            found=f"--device {device}, too",
            expected="a CPU, which is all that it is used for",
            remedy="leave one of them out",
        )
    return "cpu"


def thread_count(count: int | None) -> int | None:
    """Return the number of threads, after making sure that it is one.

    Raises:
        InputError: it is less than 1, or more than any machine like this has use for.
    """
    most = max(_MOST_THREADS, os.cpu_count() or 1)
    if count is not None and not 1 <= count <= most:
        raise InputError("--threads", found=str(count), expected=f"1 to {most}", remedy="leave it out, or give another")
    return count
