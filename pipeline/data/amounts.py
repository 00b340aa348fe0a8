"""Amounts on the command line: memory such as 8GB, hours."""

from __future__ import annotations

import re

from .errors import InputError

__all__ = ["MAX_MEMORY", "check_hours", "check_memory", "parse_memory"]

_UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
MAX_HOURS = 366 * 24  # a year
MAX_MEMORY = 1000 * 10**12  # bytes
_MAX_SHOWN = 40  # characters of a wrong amount


def parse_memory(text: str) -> int:
    """Return an amount of memory such as 8GB or 7.5GiB in bytes.

    Raises:
        InputError: the text is not a number with a unit, or less than a byte or more than `MAX_MEMORY`.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text)
    known = match is not None and match[2].upper() in _UNITS
    return check_memory(float(match[1]) * _UNITS[match[2].upper()] if match and known else 0, found=text)


def check_memory(amount: float, *, found: str) -> int:
    """Return an amount of memory in whole bytes.

    Args:
        amount: bytes.
        found: the amount as the user wrote it, for the message.

    Raises:
        InputError: it is less than a byte, or more than `MAX_MEMORY`, which no machine has.
    """
    if not 1 <= amount <= MAX_MEMORY:
        raise InputError(
            "--memory",
            found=found if len(found) <= _MAX_SHOWN else f"{found[:_MAX_SHOWN]}…",
            expected=f"a number above 0 with its unit: MB, GB, MiB or GiB; at most {MAX_MEMORY // 10**12} TB",
            remedy="give 8GB",
        )
    return int(amount)


def check_hours(hours: float) -> None:
    """Raise InputError if hours of a training are not above 0, or more than `MAX_HOURS`."""
    if not 0 < hours <= MAX_HOURS:
        raise InputError(
            "--hours",
            found=f"{hours:g}",
            expected=f"a number of hours above 0, at most {MAX_HOURS} (a year)",
            remedy="correct it; a training continues with --resume if it shall last longer",
        )
