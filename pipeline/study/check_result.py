"""Check that the numbers of a run's result fit each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.length_units import LENGTHS

__all__ = ["METRICS", "as_array", "check_result"]

METRICS = {"dice": "dice", "hd95_mm": "hd95", "nsd": "nsd"}
"""The metrics of a run: name in `pipeline.evaluation.metric_names`, key in the run."""


def check_result(run: Mapping[str, Any]) -> None:
    """Check the parts of a result.

    Args:
        run: the content of its JSON.

    Raises:
        ValueError: a part has a wrong shape, lacks a key, or something else is where a number should be.
    """
    try:
        _check(run)
    except KeyError as error:
        msg = f"no {error}"
        raise ValueError(msg) from error
    except (TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error


def as_array(values: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return nested lists as an array of this shape. None and infinite numbers become NaN.

    Raises:
        ValueError: If the shape is another.
    """
    array = np.array(values, dtype=np.float64)
    if array.shape != shape:
        msg = f"values of shape {array.shape}: expected {shape}"
        raise ValueError(msg)
    array[~np.isfinite(array)] = np.nan
    return array


def _check(run: Mapping[str, Any]) -> None:
    settings = run["settings"]
    for key in ("bundle", "network", "skip", "seed", "fold"):
        settings[key]
    if run.get("cases"):
        _check_cases(run["cases"])
    for one in run.get("curve") or ():
        _check_numbers({"epoch": one["epoch"], "loss": one.get("loss"), "dice": one.get("dice")})
    for part in ("cost", "membranes"):
        _check_numbers(run.get(part) or {})
    if run.get("robustness"):
        _check_robustness(run["robustness"])
    if run.get("weight_changes"):
        changes = run["weight_changes"]
        as_array(changes["values"], (len(changes["epochs"]), len(changes["layers"])))
    for one in run.get("probes") or ():
        _check_numbers({"level": one["level"], "difference": one.get("difference"), one["probe"]: None})
    for one in run.get("levels") or ():
        _check_numbers(one)


def _check_numbers(values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if value is not None and not isinstance(value, int | float):
            msg = f"{key} {value!r}: expected a number"
            raise ValueError(msg)


def _check_cases(cases: Mapping[str, Any]) -> None:
    shape = len(cases["names"]), len(cases["labels"])
    if len(set(cases["names"])) < shape[0] or len(cases.get("subjects") or cases["names"]) != shape[0]:
        msg = f"{shape[0]} cases, of which some have the same name or no subject"
        raise ValueError(msg)
    if cases.get("unit", "mm") not in LENGTHS:
        msg = f"unit {cases['unit']!r}: expected one of {', '.join(LENGTHS)}"
        raise ValueError(msg)
    if not isinstance(cases.get("regions", False), bool):
        msg = f"regions {cases['regions']!r}: expected true or false"
        raise ValueError(msg)
    for key in METRICS.values():
        if cases.get(key):
            as_array(cases[key], shape)


def _check_robustness(robust: Mapping[str, Any]) -> None:
    _check_numbers({"dice": robust.get("dice")})
    for one in robust["perturbations"]:
        str(one["name"])
        levels = len(one["levels"])
        as_array(one["dice"], (levels,))
        as_array(one["case_dice"], (levels, len(robust["cases"])))
    if robust.get("case_dice"):
        as_array(robust["case_dice"], (len(robust["cases"]),))
