"""Check the overrides of a group: values of the config's keys that its trainings have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..bundle.launch_checks import check_overrides_given, read
from ..bundle.nested_rules import check_nested
from ..bundle.overrides import normalise_id
from ..bundle.setting_rules import RULES, check_value
from ..bundle.start_file import find_start
from ..data.errors import InputError
from .problems import shorten

__all__ = ["SIZES", "check_json", "check_overrides"]

SIZES = ("patch", "window")  # keys of sizes in voxels
_BY_GROUP = "set it by networks, skips, seeds, folds or budget"
_EXAMPLES = {2: [64, 64], 3: [32, 32, 32]}


def check_overrides(overrides: Mapping[str, Any], file: Path, dimensions: int, where: str) -> None:
    """Refuse overrides that no training can take, or that the study sets itself.

    Args:
        overrides: values by the config's keys.
        file: the bundle's ``configs/train.json``.
        dimensions: number of spatial dimensions.
        where: the study file and the group's key, for messages.

    Raises:
        InputError: a key is not in the config or belongs to the study, or its value cannot be used.
    """
    own = {
        **dict.fromkeys(
            (
                "skip",
                "sparsity",
                "network_def",
                "network",
                "fold",
                "seed",
                "epochs",
                "minutes",
                "clock",
                "early_stop_patience",
            ),
            _BY_GROUP,
        ),
        **dict.fromkeys(("device", "precision", "threads"), "set it as a key of the study, next to name"),
        "dataset_dir": "set it next to bundle, or with --dataset_dir BUNDLE=DIR",
        **dict.fromkeys(
            ("labels", "label_values", "spatial_dims", "in_channels", "out_channels", "datalist", "bundle_root"),
            "name another bundle: it belongs to the task",
        ),
        **dict.fromkeys(("ckpt_dir", "cache_dir", "weight_changes", "resume", "longer"), "remove it"),
    }
    config = read(file)
    for key, value in overrides.items():
        # A part of a key counts as the key: network_def#channels would replace the network that the report names.
        top = normalise_id(key).partition("::")[0]
        if top in own:
            raise InputError(
                where, found=key, expected="keys that the study does not set itself",
                remedy=own[top],
            )  # fmt: skip
        if top not in config:
            close = get_close_matches(top, list(config), n=1)
            raise InputError(
                where,
                found=f"{key}, which is not a key of the bundle's configs/train.json",
                expected="a key of the config",
                remedy=f"did you mean {close[0]}?" if close else "see docs/runner.md",
            )
        if top in SIZES and key != top:
            raise InputError(
                where, found=key, expected=f"{top} as a whole", remedy=f"write {top}: {_EXAMPLES.get(dimensions)}"
            )
        _check_value(key, value, dimensions, where)
        check_nested({key: value}, where)
    # What the training itself would say, at the start of every run.
    for key, value in overrides.items():
        try:
            check_overrides_given("train", [file], {key: value})
        except InputError as error:
            raise InputError(
                where,
                found=f"{key}: {shorten(value)} ({error.found})",
                expected=error.expected,
                remedy=f"correct {key}",
            ) from error
    _check_start(overrides, where)


def _check_start(overrides: Mapping[str, Any], where: str) -> None:
    """Refuse weights to start from that are not there, and a frozen encoder without them."""
    start = overrides.get("start_from")
    if start is None:
        if overrides.get("frozen_epochs"):
            raise InputError(
                where,
                found=f"frozen_epochs: {overrides['frozen_epochs']}, and no weights to start from",
                expected="start_from as well: a new encoder that does not train is of no use",
                remedy="add start_from: FILE or BUNDLE, or remove frozen_epochs",
            )
        return
    if not isinstance(start, str):
        raise InputError(
            where,
            found=f"start_from: {shorten(start)}",
            expected="a file of weights, or a bundle",
            remedy="correct start_from",
        )
    try:
        find_start(start)
    except InputError as error:
        raise InputError(
            where,
            found=f"start_from: {start} ({error.found})",
            expected=error.expected,
            remedy=error.remedy,
        ) from error


def _check_value(key: str, value: Any, dimensions: int, where: str) -> None:
    """Refuse a value that the training would refuse."""
    check_json(key, value, where)
    if key in SIZES and not (isinstance(value, list) and len(value) == dimensions and all(map(_is_size, value))):
        raise InputError(
            where,
            found=f"{key}: {value!r}",
            expected=f"{dimensions} numbers of voxels, such as {_EXAMPLES[dimensions]}",
            remedy=f"correct {key}",
        )
    if key in RULES and not (isinstance(value, str) and value[:1] in ("$", "@", "%")):
        try:
            check_value(key, value, where)
        except InputError as error:
            raise InputError(where, found=error.found, expected=error.expected, remedy=f"correct {key}") from error


def check_json(key: str, value: Any, where: str) -> None:
    """Refuse values that a JSON file cannot have, such as dates and NaN."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            where,
            found=f"{key}: {value!r}",
            expected="text, finite numbers, true, false, null, or lists and mappings of these",
            remedy="correct it, or put it in quotes",
        ) from error


def _is_size(value: Any) -> bool:
    return type(value) is int and value > 0
