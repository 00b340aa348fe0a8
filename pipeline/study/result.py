"""The result of a run: one small JSON file, ``runs/ID.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..data.errors import InputError
from ..files import write_text
from .schema import Measure

__all__ = ["FORMAT", "find_missing", "incomplete_file", "read_result", "result_file", "round_numbers", "write_result"]

FORMAT = 1
_DIGITS = 6
# Parts that a study can ask for, besides those that every run has.
_OPTIONAL = ("robustness", "probes", "membranes")
_USUAL = ("curve", "cases", "cost", "levels", "weight_changes")


def result_file(output: Path, name: str) -> Path:
    """Return the file of a run's result in a study's folder."""
    return output / "runs" / f"{name}.json"


def incomplete_file(file: Path) -> Path:
    """Return where a result is kept while a part of it is still to be measured."""
    return file.with_name(f"{file.name}.incomplete")


def read_result(file: Path) -> dict[str, Any]:
    """Read a result.

    Raises:
        InputError: the file cannot be read, is no result of a run, or one of a later version.
    """
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] > FORMAT or content["state"] not in ("done", "diverged") or "settings" not in content:
            raise ValueError("not a result of this version")
        for part, kind in {"settings": dict, "curve": list, "cases": dict, "cost": dict}.items():
            if not isinstance(content.get(part, kind()), kind):
                raise TypeError(part)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            file,
            found=f"a file that cannot be read as the result of a run ({type(error).__name__})",
            expected=f"JSON that lightskip study wrote, of format {FORMAT} or less",
            remedy="delete it, so that the run starts again; or update LightSkip",
        ) from error
    return content


def write_result(file: Path, content: Mapping[str, Any]) -> None:
    """Write a result, whole or not at all: numbers with six digits, one line for each part."""
    rounded = round_numbers(dict(content))
    lines = (f" {json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in rounded.items())
    write_text(file, "{\n" + ",\n".join(lines) + "\n}\n")


def find_missing(content: Mapping[str, Any], wanted: Measure) -> list[str]:
    """Return the parts that a study wants and a result lacks; none for a run that diverged."""
    if content.get("state") == "diverged":
        return []
    missing = [part for part in _USUAL if part not in content]
    for part in _OPTIONAL:
        asked = getattr(wanted, part)
        if asked and not _has(content.get(part), asked):
            missing.append(part)
    return missing


def _has(part: Any, asked: Any) -> bool:
    """Return whether a part was measured with the settings that are asked for."""
    if part is None:
        return False
    if not isinstance(part, Mapping) or asked is True:
        return True
    if hasattr(asked, "samples"):
        return bool(part.get("samples") == asked.samples)
    names = {one["name"] for one in part.get("perturbations", [])}
    return len(part.get("cases", [])) >= asked.cases and set(asked.perturbations or []) <= names


def round_numbers(value: Any) -> Any:
    """Return a value ready for JSON: floats with six digits, NaN and infinity as null."""
    if isinstance(value, Mapping):
        return {str(key): round_numbers(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [round_numbers(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
