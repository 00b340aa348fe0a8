"""Findings from the comparison of cases: lengths in different units, which have no common mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .findings import Finding

__all__ = ["common_unit", "find_mixed_units"]

Record = Mapping[str, Any]


def common_unit(records: Iterable[Record]) -> str:
    """Return the unit of lengths of most cases that were read; "mm" without any."""
    counts = Counter(str(record["unit"]) for record in records if record.get("unit"))
    return counts.most_common(1)[0][0] if counts else "mm"


def find_mixed_units(records: Iterable[Record]) -> Iterator[Finding]:
    """Yield the cases whose lengths are in another unit than those of most cases."""
    read = [record for record in records if record.get("unit")]
    usual = common_unit(read)
    for record in read:
        if record["unit"] != usual:
            yield Finding(
                "unit-mixed",
                found=f"lengths in {record['unit']}",
                expected=f"lengths in {usual}, as in most cases",
                remedy="give every picture a spacing in its metadata, or none",
                case=record["name"],
                file=record["images"][0],
            )
