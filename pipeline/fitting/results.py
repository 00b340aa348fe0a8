"""What `lightskip fit` reads from the files that its steps wrote."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..data.errors import InputError
from ..data.json_file import parse_json
from ..evaluation.rows import OVERALL

__all__ = ["describe_result", "read_problems", "read_seconds"]

_Value = TypeVar("_Value")


def read_problems(report: Path) -> int:
    """Return the number of problems that the check found.

    Args:
        report: ``check.json``.

    Raises:
        InputError: the file is damaged.
    """
    return _read(report, lambda text: int(parse_json(text)["summary"]["problems"]), delete=report)


def read_seconds(history: Path) -> float:
    """Return the seconds that a training counted, those of all its parts.

    Args:
        history: ``history.csv`` of a training.

    Raises:
        InputError: the file is missing or damaged.
    """
    return _read(
        history,
        lambda text: float(list(csv.DictReader(text.splitlines()))[-1]["elapsed_seconds"]),
        delete=history.parent,
    )


def describe_result(summary: Path) -> str:
    """Return the mean Dice with its interval, and the file that it is from.

    Args:
        summary: ``summary.json`` of a comparison of one set.

    Raises:
        InputError: the file is damaged.
    """
    return _read(summary, lambda text: f"{_result_text(text)}: {summary}", delete=summary)


def _result_text(text: str) -> str:
    content = parse_json(text)
    [means] = content["statistics"].values()
    overall = means[OVERALL]["dice"]
    interval = overall.get("interval")
    between = f" (95 % interval {interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
    mean = "unknown" if overall["mean"] is None else f"{overall['mean']:.3f}"
    return f"mean Dice {mean}{between}, {len(content['cases'])} cases"


def _read(file: Path, parse: Callable[[str], _Value], *, delete: Path) -> _Value:
    try:
        return parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(
            file,
            found=f"a missing or damaged file ({type(error).__name__})",
            expected="the file as its step wrote it",
            remedy=f"delete {delete} and repeat the command, which makes it again",
        ) from error
