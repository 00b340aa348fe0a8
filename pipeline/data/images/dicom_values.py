"""Raw values of a DICOM data set, by tag, without pydicom's warnings about values that break a rule of their type."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["RawValues"]


class RawValues:
    """A data set's raw values. pydicom's own access would warn about each value that breaks a rule of its type."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def text(self, tag: int) -> str:
        """Return a value as text; "" if there is none."""
        return self._bytes(tag).decode("latin-1").strip("\0 ")

    def numbers(self, tag: int, count: int) -> list[float] | None:
        """Return `count` decimal numbers, or None if there is another number of them or one is not finite."""
        try:
            found = [float(part) for part in self.text(tag).split("\\")]
        except ValueError:
            return None
        return found if len(found) == count and np.isfinite(found).all() else None

    def number_or(self, tag: int, default: float) -> float:
        """Return a decimal number; the default if there is no value, NaN if the value is no finite number."""
        if not self.text(tag):
            return default
        found = self.numbers(tag, 1)
        return math.nan if found is None else found[0]

    def whole_number(self, tag: int) -> int:
        """Return a binary whole number; 0 if there is none."""
        content = self._bytes(tag)
        little = getattr(self._dataset, "original_encoding", (None, True))[1] is not False
        return int.from_bytes(content[:2], "little" if little else "big")

    def _bytes(self, tag: int) -> bytes:
        if tag not in self._dataset:
            return b""
        value = self._dataset.get_item(tag).value
        return (
            value if isinstance(value, bytes) else str(value if value is not None else "").encode("latin-1", "replace")
        )
