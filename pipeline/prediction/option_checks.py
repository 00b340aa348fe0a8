"""Checks of options that Python passes: on a command line argparse has checked their types.

Needs neither torch nor MONAI.
"""

from __future__ import annotations

import filecmp
import math
import os
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ..data.errors import InputError
from ..data.weights import require_weights
from ..runtime_names import RUNTIMES

__all__ = [
    "check_bundle",
    "check_only",
    "check_settings_given",
    "check_switches",
    "check_weights_given",
    "check_window_count",
    "list_weights",
]


def check_bundle(bundle: Any) -> None:
    """Raise InputError if a bundle is not a path or a name."""
    if not isinstance(bundle, str | os.PathLike):
        raise InputError(
            "bundle",
            found=_describe(bundle),
            expected="the path of a bundle's folder, or its name",
            remedy="pass one of the two",
        )


def check_switches(**switches: Any) -> None:
    """Raise InputError for an option that is neither True nor False: a text such as "no" would count as True."""
    for name, value in switches.items():
        if not isinstance(value, bool | np.bool_):
            raise InputError(
                name, found=_describe(value), expected="True or False", remedy="leave it out, or pass one of the two"
            )


def check_settings_given(settings: Any) -> None:
    """Raise InputError if overrides are not a mapping of the config's keys to values, or None."""
    wrong = settings
    if isinstance(settings, Mapping):
        wrong = next((key for key in settings if not isinstance(key, str)), None)
    if wrong is not None:
        raise InputError(
            "settings",
            found=_describe(wrong),
            expected="a mapping of keys of the inference config to values",
            remedy='pass such as {"inferer#sw_batch_size": 1}, or leave it out',
        )


def list_weights(checkpoint: Any) -> list[str | Path]:
    """Return the files of weights of an option that may be None, one path or several.

    Raises:
        InputError: it is something else.
    """
    given = [checkpoint] if isinstance(checkpoint, str | os.PathLike) else checkpoint
    files = [] if given is None else list(given) if isinstance(given, Sequence) else [given]
    wrong = [file for file in files if not isinstance(file, str | os.PathLike)]
    if wrong:
        raise InputError(
            "--checkpoint",
            found=_describe(wrong[0]),
            expected="a file of weights, or a list of files",
            remedy="pass paths, or leave it out for the bundle's own weights",
        )
    return files


def check_weights_given(files: Sequence[str | Path]) -> None:
    """Raise InputError if a file of weights does not exist, or is named twice: also by another path, a link or a copy.

    Its network would count twice in the average.
    """
    paths = [Path(file).expanduser() for file in files]
    for path in paths:
        require_weights(path)
    for number, path in enumerate(paths):
        for other, earlier in zip(files, paths[:number], strict=False):
            both = f"{other} and {files[number]}"
            if path.samefile(earlier):
                _refuse_repeat(
                    f"{path} twice" if str(other) == str(files[number]) else f"one file by two names, {both}"
                )
            if filecmp.cmp(path, earlier, shallow=False):
                _refuse_repeat(f"one file and a copy of it, {both}")


def _refuse_repeat(found: str) -> NoReturn:
    raise InputError(
        "--checkpoint",
        found=found,
        expected="different weights: each network counts once in the average",
        remedy="name each file once",
    )


def check_window_count(count: Any) -> None:
    """Raise InputError if a number of windows is none: it is None, or 0 or more."""
    if count is None or (isinstance(count, Real) and not isinstance(count, bool) and 0 <= float(count) < math.inf):
        return
    raise InputError(
        "windows", found=_describe(count), expected="a number, 0 or more", remedy="leave it out, or correct it"
    )


def check_only(runtime: Any) -> None:
    """Raise InputError if a runtime to continue is neither None nor the name of one."""
    names = [name for name in RUNTIMES if name != "auto"]
    if runtime is not None and runtime not in names:
        raise InputError(
            "only",
            found=_describe(runtime),
            expected=f"one of {', '.join(names)}",
            remedy="leave it out, or choose one",
        )


def _describe(value: Any) -> str:
    return f"{value!r}"[:100]
