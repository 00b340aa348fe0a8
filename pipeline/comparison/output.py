"""Write the files of a comparison: ``cases.csv``, ``lesions.csv``, ``calibration.csv`` and ``summary.json``."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from ..data.json_file import load_json
from ..evaluation.metric_names import list_metrics
from ..files import remove_unused_folders, whole_file
from ..spreadsheet import format_table

__all__ = ["FILES", "check_output", "format_csv", "list_columns", "relative_to", "write_files"]

CASES, LESIONS, CALIBRATION, SUMMARY = "cases.csv", "lesions.csv", "calibration.csv", "summary.json"
FILES = (LESIONS, CALIBRATION, CASES, SUMMARY)
"""The files, in the order in which they are written: the summary is last."""

LOCK = ".comparison.lock"
"""Of the folder: one comparison at a time writes there."""

KIND = "comparison"
_FIRST = ("set", "case", "subject", "label", "outcome")
_LAST = ("reference_size", "prediction_size", "size_unit")

Rows = Sequence[Mapping[str, Any]]


def check_output(folder: Path, inputs: Sequence[Path]) -> None:
    """Check that the results can be written to a folder, before anything is read.

    Raises:
        InputError: it is a file or one of the inputs, cannot be written to, or holds the results of something else.
    """
    found = ""
    if folder.exists() and not folder.is_dir():
        found = "a file"
    elif any(folder.resolve() == path.resolve() for path in inputs):
        found = "a folder of label maps that are compared"
    elif (folder / SUMMARY).exists() and _read_kind(folder / SUMMARY) != KIND:
        found = f"a {SUMMARY} that is no comparison's, such as that of an evaluation"
    if found:
        raise InputError(
            folder, found=found, expected="a new folder, or one of an earlier comparison", remedy="name another: -o OUT"
        )
    with remove_unused_folders(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _writing_error(folder, error) from error
        if not os.access(folder, os.W_OK):
            raise _writing_error(folder, PermissionError(0, "Permission denied"))


def write_files(folder: Path, texts: Mapping[str, str]) -> None:
    """Write the files of a comparison, all or none, and delete those of an earlier one that has more."""
    names = [SUMMARY, *(name for name in FILES if name != SUMMARY)]
    with ExitStack() as stack:
        # Each is renamed when the stack closes, the summary last.
        for name in names:
            if name in texts:
                stack.enter_context(whole_file(folder / name)).write_bytes(texts[name].encode())
        # Without its summary an interrupted replacement is no comparison.
        (folder / SUMMARY).unlink(missing_ok=True)
    for name in names:
        if name not in texts:
            (folder / name).unlink(missing_ok=True)


def list_columns(rows: Rows) -> list[str]:
    """Return the columns of ``cases.csv`` for these rows."""
    return [*_FIRST, *(metric.name for metric in list_metrics(rows)), *_LAST]


def format_csv(rows: Rows, columns: Sequence[str]) -> str:
    """Return rows as CSV. Numbers have six decimals; ``nan`` is a value that is not counted."""
    return format_table(columns, ([_format_cell(row.get(key, math.nan)) for key in columns] for row in rows))


def format_json(content: Mapping[str, Any]) -> str:
    """Return content as JSON; numbers that are not finite become null."""
    return json.dumps(_as_json(content), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def relative_to(folder: Path, path: Path | None) -> str | None:
    """Return a path relative to a folder, absolute if it is on another drive; None for None."""
    if path is None:
        return None
    absolute = os.path.abspath(path)  # noqa: PTH100 - links keep their names
    try:
        return Path(os.path.relpath(absolute, os.path.abspath(folder))).as_posix()  # noqa: PTH100
    except ValueError:  # Windows
        return Path(absolute).as_posix()


def _format_cell(value: Any) -> Any:
    return f"{value:.6f}" if isinstance(value, float) else value


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _as_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _read_kind(file: Path) -> str:
    try:
        content = load_json(file)
    except (OSError, ValueError):
        return ""
    return str(content.get("kind", "")) if isinstance(content, dict) else ""


def _writing_error(folder: Path, error: OSError) -> InputError:
    return InputError(
        folder,
        found=f"a folder that cannot be written to ({str(error.strerror).lower()})",
        expected="a folder for the results",
        remedy="name another, or check its permissions and the free space on its disk",
    )
