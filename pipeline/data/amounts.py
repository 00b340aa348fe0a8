"""Amounts on the command line: memory such as 8GB."""

from __future__ import annotations

import re

from .errors import InputError

__all__ = ["parse_memory"]

_UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def parse_memory(text: str) -> int:
    """Return an amount of memory such as 8GB or 7.5GiB in bytes.

    Raises:
        InputError: the text is not a number with a unit.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text)
    if match is None or match[2].upper() not in _UNITS or float(match[1]) == 0:
        raise InputError(
            "--memory", found=text, expected="a number above 0 with its unit: MB, GB, MiB or GiB", remedy="give 8GB"
        )
    return int(float(match[1]) * _UNITS[match[2].upper()])
