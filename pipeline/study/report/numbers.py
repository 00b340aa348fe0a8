"""Write numbers of a study for people: Dice without the zero before the point, bytes, counts, seconds, p-values."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = [
    "NOTHING",
    "format_bytes",
    "format_count",
    "format_interval",
    "format_p",
    "format_seconds",
    "format_shown",
    "format_signed",
    "format_value",
    "shorten_p",
]

NOTHING = "-"
_RATIO_DECIMALS = 4
_BINARY = ("bytes", "KiB", "MiB", "GiB", "TiB")
_DECIMAL = ("", " k", " M", " G", " T", " P")


def format_value(value: float | None, unit: str = "") -> str:
    """Return a ratio with four decimals and no zero before the point, or a length with two; a dash for no number."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:z.2f}" if unit else _drop_zero(f"{value:z.{_RATIO_DECIMALS}f}")


def format_signed(value: float | None, unit: str = "") -> str:
    """Return a difference with its sign."""
    text = format_value(value, unit)
    return text if text == NOTHING or text.startswith("-") else f"+{text}"


def format_interval(ends: Sequence[float] | None, unit: str = "") -> str:
    """Return an interval in brackets; empty without one."""
    return "" if ends is None else f"[{format_value(ends[0], unit)}, {format_value(ends[1], unit)}]"


def format_shown(value: float, unit: str = "") -> str:
    """Return the smallest difference that could have been shown, rounded up to two digits."""
    power = 10.0 ** (math.floor(math.log10(value)) - 1)
    raised = math.ceil(value / power - 1e-9) * power
    decimals = max(0, 1 - math.floor(math.log10(raised) + 1e-9))
    text = f"{raised:.{decimals}f}"
    return text if unit else _drop_zero(text)


def format_p(p: float) -> str:
    """Return a p-value with its sign of relation, such as ``p = .03`` or ``p < .001``."""
    text = shorten_p(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def shorten_p(p: float) -> str:
    """Return a p-value for a column, such as ``.030`` or ``< .001``."""
    if p < 0.001:
        return "< .001"
    return _drop_zero(f"{p:.3f}" if p < 0.0995 else f"{p:.2f}" if p < 0.995 else "1")


def format_bytes(number: float | None) -> str:
    """Return a number of bytes with a binary unit and three digits; a dash for no number."""
    return _scale(number, 1024, _BINARY, " ")


def format_count(number: float | None) -> str:
    """Return a number of things with a decimal prefix and three digits; a dash for no number."""
    return _scale(number, 1000, _DECIMAL, "")


def format_seconds(seconds: float | None) -> str:
    """Return seconds with three digits; a dash for no number."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    return f"{_keep_three(seconds)} s"


def _scale(number: float | None, base: int, units: Sequence[str], gap: str) -> str:
    if number is None or not math.isfinite(number):
        return NOTHING
    size, place = float(number), 0
    # What rounds to the next unit is written in it.
    while abs(size) >= base - 0.5 and place < len(units) - 1:
        size, place = size / base, place + 1
    digits = f"{size:,.0f}" if place == 0 else _keep_three(size)
    return f"{digits}{gap}{units[place]}"


def _keep_three(value: float) -> str:
    """Return a number with three digits, or all before the point; what is below a thousandth has fewer."""
    for limit, decimals in ((0.9995, 3), (9.995, 2), (99.95, 1)):
        if abs(value) < limit:
            return f"{value:.{decimals}f}" if value == 0 or abs(value) >= 10.0**-decimals else f"{value:.2g}"
    return f"{value:,.0f}"


def _drop_zero(text: str) -> str:
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text
