"""Format text for people: safe single lines, numbers with three digits, counts with their noun."""

from __future__ import annotations

import math

__all__ = ["amount", "count_of", "drawable", "printable", "shorten"]


def printable(value: object) -> str:
    r"""Return one line of text that is safe to show, since file names may contain anything.

    Runs of white space become one space. Characters that control a terminal, change the direction of writing or cannot
    be encoded as UTF-8 become their escape, such as ``\x1b``.
    """
    line = " ".join(str(value).split())
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def drawable(value: object) -> str:
    """Return a line for matplotlib, which would take what is between two dollars for a formula."""
    return printable(value).replace("$", r"\$")


def shorten(text: str, letters: int = 28) -> str:
    """Return a text of at most so many letters: a longer one without its middle."""
    if len(text) <= letters:
        return text
    kept = letters - 1
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


def amount(value: float | None) -> str:
    """Return a number with three significant digits, written in full up to ten millions; a dash for no number."""
    if value is None or not math.isfinite(value):
        return "-"
    size = abs(value)
    if 100 <= size < 1e7:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def count_of(number: int, noun: str) -> str:
    """Return the number with its noun, such as ``1,208 cases``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
