"""A value of a plan with the reason for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Choice", "format_numbers"]


@dataclass(frozen=True)
class Choice:
    """The value of a plan's key, and the reason that is written next to it."""

    value: Any
    reason: str


def format_numbers(numbers: Any, *, by: str = " x ") -> str:
    """Return numbers as text, such as 1 x 1 x 4.5."""
    return by.join(f"{number:.4g}" for number in numbers)
