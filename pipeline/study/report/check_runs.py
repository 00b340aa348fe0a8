"""Check that the numbers of every run fit each other, before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...data.errors import InputError
from .arms import Run
from .values import METRICS, as_array

__all__ = ["check_runs"]


def check_runs(runs: Sequence[Run]) -> None:
    """Raise InputError for the first run whose parts have wrong shapes or lack a key."""
    for run in runs:
        try:
            _check(run)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise InputError(
                f"run {run.get('id', '?')}",
                found=what,
                expected="the numbers of one training, as `lightskip study` writes them",
                remedy="delete this run's file and start the study again",
            ) from error


def _check(run: Run) -> None:
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
