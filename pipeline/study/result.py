"""The result of a run: one small JSON file, ``runs/ID.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..data.errors import InputError
from ..data.json_file import load_json
from ..files import write_text
from .check_result import check_result
from .schema import Measure

__all__ = [
    "FORMAT",
    "LaterResultError",
    "damaged_file",
    "find_missing",
    "incomplete_file",
    "read_result",
    "result_file",
    "round_numbers",
    "write_result",
]

FORMAT = 1
_DIGITS = 6
_MAX_REASON = 200
# Parts that a study can ask for, besides those that every run has.
_OPTIONAL = ("robustness", "probes", "membranes")
# Parts that are read as they are.
_KINDS: dict[str, type] = {"settings": dict, "curve": list, "cases": dict, "cost": dict, "reason": str}
_USUAL = ("curve", "cases", "cost", "levels", "weight_changes")


class LaterResultError(InputError):
    """A result that a later version of LightSkip wrote: it is whole, and must not be replaced."""


def result_file(output: Path, name: str) -> Path:
    """Return the file of a run's result in a study's folder."""
    return output / "runs" / f"{name}.json"


def incomplete_file(file: Path) -> Path:
    """Return where a result is kept while a part of it is still to be measured."""
    return file.with_name(f"{file.name}.incomplete")


def damaged_file(file: Path) -> Path:
    """Return where a result that cannot be read is kept when its run starts again."""
    return file.with_name(f"{file.name}.damaged")


def read_result(file: Path) -> dict[str, Any]:
    """Read a result.

    Raises:
        LaterResultError: it is one of a later version.
        InputError: the file cannot be read, or is no result of a run.
    """
    try:
        content: dict[str, Any] = load_json(file)
        later = content["format"] > FORMAT
        if not later:
            _check_parts(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
        raise InputError(
            file,
            found=f"a file that cannot be read as the result of a run ({reason[:_MAX_REASON]})",
            expected="JSON that lightskip study wrote",
            remedy="bring it back from another copy; or delete it, so that the run starts again",
        ) from error
    if later:
        raise LaterResultError(
            file,
            found=f"a result of format {content['format']}",
            expected=f"format {FORMAT} or less",
            remedy="update LightSkip: a later version wrote it",
        )
    return content


def _check_parts(content: Mapping[str, Any]) -> None:
    if content["state"] not in ("done", "diverged"):
        msg = f"state {content['state']!r}"
        raise ValueError(msg)
    for part, kind in _KINDS.items():
        if not isinstance(content.get(part, kind()), kind):
            msg = f"{part} is {type(content[part]).__name__}, not {kind.__name__}"
            raise TypeError(msg)
    check_result(content)


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
