"""The settings of a prediction: weights, memory, threads, device, runtime and overrides, checked.

Needs neither torch nor MONAI.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from ..bundle.ensemble import read_ensemble
from ..bundle.trainings import BEST, Weights, find_training, find_weights, own_weights
from ..data.amounts import check_memory, parse_memory
from ..data.errors import InputError
from ..memory import free_bytes
from ..runtime_names import PACKAGES, RUNTIMES

__all__ = [
    "check_device_name",
    "check_thread_count",
    "choose_checkpoints",
    "choose_device",
    "config_overrides",
    "memory_budget",
    "memory_limit",
    "refuse_reserved",
]

_FREE_SHARE = 0.8
_FAST_OVERLAP = 0.25
_OWN = {
    "tta": "--tta, or tta=True from Python",
    "dropout_samples": "--dropout-samples, or dropout_samples=… from Python",
    "checkpoint": "--checkpoint, or checkpoint=… from Python",
    "device": "--device, or device=… from Python",
    "probabilities": "--probabilities, or probabilities=True from Python",
    "output_dir": "-o",
    "dataset_dir": "the inputs",
    "datalist": "the inputs",
    "check_data": "lightskip check: prediction always checks each scan",
}
_DEVICE = re.compile(r"(cpu|cuda|mps|xpu)(:(0|[1-9]\d*))?")
_MAX_THREADS = 64  # or the machine's CPUs, if more; the system refuses to start very many more


def memory_budget(text: str | None) -> int:
    """Return the memory limit (bytes) of ``--memory``, by default 80% of the free memory.

    Raises:
        InputError: the text is not a size.
    """
    return int(_FREE_SHARE * free_bytes()) if text is None else parse_memory(text)


def memory_limit(memory: Any) -> int | None:
    """Return the memory limit (bytes) of an option from Python: bytes, or text such as ``"4GB"``; None: no limit.

    Raises:
        InputError: it is something else, or out of range.
    """
    if memory is None:
        return None
    if isinstance(memory, str):
        return parse_memory(memory)
    is_number = isinstance(memory, Real) and not isinstance(memory, bool)
    return check_memory(float(memory) if is_number else 0, found=repr(memory))


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
        The files of the weights, and a line that names their trainings: those named, or the bundle's ensemble if it has
        no weights of its own, or its only training. Both are empty for the bundle's own weights, which its config
        names.

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
    _refuse_repeats("--folds", folds or ())
    _refuse_repeats("--training", trainings)
    if folds or trainings:
        names: list[str | Path] = [*_find_folds(bundle, folds or ()), *trainings]
        found = [find_training(bundle, name) for name in names]
        return [str(one.weights) for one in found], "\n".join(Weights(one.weights, one).note for one in found)
    if not own_weights(bundle).is_file() and (together := read_ensemble(bundle)):
        reason = "the ensemble's" if len(together) > 1 else "the final"
        notes = [Weights(one.weights, one, reason).note for one in together]
        return [str(one.weights) for one in together], "\n".join(notes)
    weights = find_weights(bundle)
    if weights is None or weights.training is None:
        return [], ""
    return [str(weights.file)], weights.note


def _refuse_repeats(word: str, names: Sequence[Any]) -> None:
    """Raise InputError if an option names something twice: its network would count twice in the average."""
    repeated = [name for number, name in enumerate(names) if name in names[:number]]
    if repeated:
        raise InputError(
            word,
            found=f"{repeated[0]} twice",
            expected="different ones: the network of each counts once in the average",
            remedy="name each once",
        )


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
    if name != "auto" and not (isinstance(name, str) and _DEVICE.fullmatch(name)):
        raise InputError(
            "--device",
            found=str(name),
            expected="auto, cpu, cuda or cuda:N",
            remedy="leave it out, or choose one of these",
        )
    return name


def choose_device(runtime: str, device: str) -> str:
    """Return the device to compute on: `device`, or the CPU for a runtime that only runs there.

    Raises:
        InputError: the runtime or the device is unknown, the runtime is not installed, or it needs another device.
    """
    if runtime not in RUNTIMES:
        raise InputError(
            "--runtime",
            found=str(runtime),
            expected=f"one of {', '.join(RUNTIMES)}",
            remedy="leave it out, or choose one",
        )
    check_device_name(device)
    if runtime in ("auto", "pytorch"):
        return device
    if find_spec(PACKAGES[runtime]) is None:
        raise InputError(
            f"--runtime {runtime}",
            found=f"no package {PACKAGES[runtime]}",
            expected="the package of this runtime",
            remedy="install it: pip install 'lightskip[runtime]'; or leave --runtime out",
        )
    if device != "auto" and not device.startswith("cpu"):
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
        InputError: it is no whole number, less than 1, or more than this machine can use.
    """
    limit = max(_MAX_THREADS, os.cpu_count() or 1)
    whole = isinstance(count, Integral) and not isinstance(count, bool)
    if count is not None and not (whole and 1 <= count <= limit):
        raise InputError(
            "--threads",
            found=str(count) if whole else repr(count),
            expected=f"1 to {limit}",
            remedy="leave it out, or choose another number",
        )
    return None if count is None else int(count)


def refuse_reserved(settings: Mapping[str, Any]) -> None:
    """Raise InputError for a config key that prediction sets itself."""
    for key in settings:
        if key in _OWN:
            raise InputError(
                f"--set {key}",
                found="a key that prediction sets itself",
                expected="another key of the inference config",
                remedy=f"use {_OWN[key]}",
            )


def config_overrides(
    checkpoints: Sequence[str | Path],
    device: str,
    *,
    tta: bool = False,
    dropout_samples: int = 1,
    fast: bool = False,
) -> dict[str, Any]:
    """Return the overrides of the inference config for prediction's own options."""
    overrides: dict[str, Any] = {}
    if checkpoints:
        overrides["checkpoint"] = str(Path(checkpoints[0]).expanduser())
    if device != "auto":
        overrides["device"] = f"$torch.device({device!r})"
    if tta:
        overrides["tta"] = True
    if dropout_samples > 1:
        overrides["dropout_samples"] = dropout_samples
    if fast:
        overrides["inferer#overlap"] = _FAST_OVERLAP
    return overrides
