"""Read the JSON and CSV files of a report's folder, with errors for users."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from ..data.json_file import load_json
from ..spreadsheet import read_rows

__all__ = ["format_time", "parse_number", "read_json_file", "read_table", "settings_text", "versions_text"]


def read_json_file(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file with an object.

    Raises:
        InputError: it is missing, no JSON, or no object.
    """
    try:
        content = load_json(path)
    except (OSError, ValueError) as error:
        found = "no such file" if isinstance(error, FileNotFoundError) else f"a file that cannot be read ({error})"
        raise InputError(path, found=found, expected="a JSON file", remedy="make the folder again") from error
    if not isinstance(content, dict):
        raise InputError(
            path, found=f"a JSON {type(content).__name__}", expected="a JSON object", remedy="make the folder again"
        )
    return content


def read_table(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """Return the lines of a CSV file by column.

    Raises:
        InputError: it is missing or no text, or lacks a needed column.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            names, lines = read_rows(file)
    except (OSError, ValueError, csv.Error) as error:
        found = "no such file" if isinstance(error, FileNotFoundError) else f"a file that cannot be read ({error})"
        raise InputError(path, found=found, expected="a CSV file", remedy="make the folder again") from error
    missing = [name for name in needed if name not in names]
    if missing:
        found, expected = f"no column {', '.join(missing)}", f"columns {', '.join(needed)}"
        raise InputError(path, found=found, expected=expected, remedy="make the folder again")
    return lines


def parse_number(text: object) -> float | None:
    """Return the finite number that a text or a JSON value is; None for any other."""
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def format_time(made: object, seconds: object = None) -> str:
    """Return a time in ISO format for people, with the seconds that the work took; empty if there is none."""
    try:
        moment = datetime.fromisoformat(str(made))
    except ValueError:
        return ""
    number = parse_number(seconds)
    duration = "" if number is None else f", in {number:.3g} s"
    return f"{moment.day} {moment:%B %Y, %H:%M} {moment.tzname() or ''}".strip() + duration


def versions_text(versions: object) -> str:
    """Return names and versions of packages in one line."""
    return ", ".join(f"{name} {one}" for name, one in versions.items()) if isinstance(versions, Mapping) else ""


def settings_text(value: object) -> str:
    """Return a JSON value in one line for people."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {settings_text(one)}" for key, one in value.items())
    if isinstance(value, list) and not any(isinstance(one, Mapping | list) for one in value):
        return ", ".join(map(settings_text, value))
    return json.dumps(value)
