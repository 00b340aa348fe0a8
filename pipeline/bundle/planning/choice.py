"""A value of a plan with the reason for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Choice", "listed"]


@dataclass(frozen=True)
class Choice:
    """What a plan's key is set to, and why, in words that stand beside it."""

    value: Any
    reason: str


def listed(numbers: Any, *, by: str = " x ") -> str:
    """Give numbers as text, such as 1 x 1 x 4.5."""
    return by.join(f"{number:.4g}" for number in numbers)
