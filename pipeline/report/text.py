"""Text for people: one line that is safe to show, numbers with three digits, counts with their noun."""

from __future__ import annotations

import math

__all__ = ["amount", "count_of", "printable"]


def printable(value: object) -> str:
    r"""Return one line of text that is safe to show: names of files are whatever somebody called them.

    Runs of white space become one space. Characters that would steer a terminal, turn the direction of writing or not
    encode as UTF-8 become their escape, such as ``\x1b``.
    """
    line = " ".join(str(value).split())
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def amount(value: float | None) -> str:
    """Return a number with three digits that matter, in full up to ten millions; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    size = abs(value)
    if 100 <= size < 1e7:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def count_of(number: int, noun: str) -> str:
    """Return the number with its noun, such as ``1,208 cases``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
