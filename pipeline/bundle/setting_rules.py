"""The values that a training's settings may have. Needs neither torch nor MONAI."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from ..data.cases import ALL_CASES
from ..data.dropout_samples import MAX_SAMPLES, is_sample_count
from ..data.errors import InputError
from ..data.longer import WAYS

__all__ = [
    "NOT_NEGATIVE",
    "RULES",
    "TRACKERS",
    "check_folder",
    "check_length",
    "check_start",
    "check_validation",
    "check_value",
]

Rule = tuple[Callable[[Any], bool], str]

_LENGTH = ("epochs", "minutes", "warmup_epochs")
TRACKERS = ("tensorboard", "mlflow", "none")
_YEAR = 366 * 24 * 60  # minutes


def _whole_number(minimum: int, maximum: int = 2**31 - 1) -> Rule:
    meaning = f"a whole number, {minimum} or more" + (f", at most {maximum}" if maximum < 2**31 - 1 else "")
    return lambda value: type(value) is int and minimum <= value <= maximum, meaning


def _number(fits: Callable[[float], bool], meaning: str) -> Rule:
    return lambda value: type(value) in (int, float) and isfinite(value) and fits(value), meaning


_POSITIVE = _number(lambda value: value > 0, "a number above 0")
NOT_NEGATIVE = _number(lambda value: value >= 0, "a number, 0 or more")
_MINUTES = _number(lambda value: 0 < value <= _YEAR, f"a number above 0, at most {_YEAR} (a year)")


def _or_none(rule: Rule, meaning: str) -> Rule:
    fits, expected = rule
    return lambda value: value is None or fits(value), f"{expected}, or None {meaning}"


_TRACKER: Rule = (lambda value: value in TRACKERS, "tensorboard, mlflow or none")

RULES: dict[str, Rule] = {
    "fold": (
        lambda value: value == ALL_CASES or _whole_number(0)[0](value),
        f"the number of the fold that validates, or {ALL_CASES} to train on all cases",
    ),
    "longer": (lambda value: value is None or value in WAYS, f"{' or '.join(WAYS)}"),
    "epochs": _or_none(_whole_number(1), "for as many as fit into the minutes"),
    "val_interval": _or_none(_whole_number(1), "for validations spread evenly"),
    "early_stop_patience": _or_none(_whole_number(0), "for no early stop"),
    "batch": _whole_number(1),
    "samples_per_case": _whole_number(1),
    "learning_rate": _POSITIVE,
    "weight_decay": NOT_NEGATIVE,
    "warmup_epochs": _or_none(_whole_number(0), "for 4.5 % of the training"),
    "average_momentum": _number(lambda value: 0 < value <= 1, "a number above 0, at most 1; 1 averages nothing"),
    "minutes": _or_none(_MINUTES, "for no limit"),
    "clock": (lambda value: value in ("wall", "processor"), "wall or processor"),
    "sparsity": NOT_NEGATIVE,
    "seed": _whole_number(0, 2**63 - 1),
    "frozen_epochs": _whole_number(0),
    "num_workers": _whole_number(0, 512),
    "tolerance_mm": NOT_NEGATIVE,
    "dropout_samples": (is_sample_count, f"a whole number from 1 to {MAX_SAMPLES}; 1 is one pass without dropout"),
    "tracking": _TRACKER,
    "used_tracking": _TRACKER,
    "part": (
        lambda value: value in ("validation", "test"),
        "validation (the fold's cases) or test (the datalist's test cases that have a label map)",
    ),
}


def check_value(key: str, value: Any, where: str) -> None:
    """Raise InputError if a value breaks the rule of its key in `RULES`.

    Args:
        key: a key of `RULES`.
        value: its value.
        where: the config's files, for the message.
    """
    fits, expected = RULES[key]
    if not fits(value):
        raise InputError(where, found=f"{key} {value!r}", expected=expected, remedy=f"set another value: --{key} VALUE")


def check_length(values: Mapping[str, Any], where: str) -> None:
    """Refuse a training without an end, and a warm-up in epochs of a training that has no number of them.

    Args:
        values: the settings; nothing is checked unless ``epochs``, ``minutes`` and ``warmup_epochs`` are among them.
        where: the config's files, for the message.

    Raises:
        InputError: the settings contradict each other.
    """
    if not set(_LENGTH).issubset(values):
        return
    epochs, minutes, warmup = (values[key] for key in _LENGTH)
    if epochs is None and minutes is None:
        raise InputError(
            where,
            found="neither epochs nor minutes",
            expected="one of them, or both: the training ends with whichever is reached first",
            remedy="set --epochs N or --minutes N",
        )
    if epochs is None and warmup is not None:
        raise InputError(
            where,
            found=f"warmup_epochs {warmup} of a training without a number of epochs",
            expected="epochs as well, or no warmup_epochs: then the warm-up is 4.5 % of the minutes",
            remedy="add --warmup_epochs '$None', or --epochs N",
        )


def check_validation(values: Mapping[str, Any], where: str) -> None:
    """Refuse an early stop of a training on all cases, which has no validation that could stop it.

    Args:
        values: the settings; nothing is checked unless ``fold``, ``early_stop_patience`` and ``epochs`` are among them.
        where: the config's files, for the message.

    Raises:
        InputError: the patience is shorter than the training.
    """
    patience, epochs = values.get("early_stop_patience"), values.get("epochs")
    if values.get("fold") == ALL_CASES and patience and (epochs is None or patience < epochs):
        raise InputError(
            where,
            found=f"early_stop_patience {patience} and fold {ALL_CASES}",
            expected="no early stop: nothing is validated that could stop a training on all cases",
            remedy="add --early_stop_patience 0",
        )


def check_start(values: Mapping[str, Any], start_from: Any, resume: Any, where: str) -> None:
    """Refuse a frozen encoder with new weights.

    Args:
        values: the settings, perhaps with ``frozen_epochs``.
        start_from: weights to start from; None for new ones.
        resume: whether the training is resumed; its first start decides then.
        where: the config's files, for the message.

    Raises:
        InputError: epochs are to be frozen, but there are no weights to start from.
    """
    if values.get("frozen_epochs") and start_from is None and resume is not True:
        raise InputError(
            where,
            found=f"frozen_epochs {values['frozen_epochs']} of a training from new weights",
            expected="weights to start from: a new encoder that does not train is of no use",
            remedy="name them: --from WEIGHTS; or leave --frozen_epochs out",
        )


def check_folder(folder: Path, key: str) -> None:
    """Raise InputError if a folder cannot be written to; it need not exist.

    Args:
        folder: the folder.
        key: its key in the config, for the message.
    """
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        found = "a file" if existing == folder.absolute() else f"a file among its parent folders: {existing}"
    elif not os.access(existing, os.W_OK | os.X_OK):
        found = f"no permission to write into {existing}"
    else:
        return
    raise InputError(folder, found=found, expected="a folder to write to", remedy=f"name another one: --{key} FOLDER")
