"""Names of regions, and of the labels that they consist of in datalists that name regions alone, as nnU-Net's do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

__all__ = ["MAX_NAME_BYTES", "find_bad_name", "name_labels"]

MAX_NAME_BYTES = 100
"""File names have at most 255 bytes, and a scan's name and an ending are in them as well."""


def find_bad_name(name: str) -> str | None:
    """Return why a region cannot have a name, such as "with a slash"; None if it can.

    `lightskip predict --regions files` puts the name into a file's name.
    """
    if len(name.encode(errors="replace")) > MAX_NAME_BYTES:
        return f"of more than {MAX_NAME_BYTES} bytes"
    if not name.isprintable():
        return "with a line break or another character that is not printed"
    if "/" in name or "\\" in name:
        return "with a slash"
    return None if name.strip(" .") or not name.strip() else "of dots alone"


def name_labels(regions: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """Return a name for every value that is in a region, sorted by value.

    A region of exactly one value gives it its own name. Any other value is named after the smallest region that has it,
    such as "tumour_only". It gets the names of several such regions if none contains the other, and its value if the
    name is taken.

    Args:
        regions: the values of each region by its name.
    """
    alone = {values[0]: name for name, values in regions.items() if len(set(values)) == 1}
    values = sorted({value for each in regions.values() for value in each})
    named = {value: alone.get(value) or _name_of(value, regions) for value in values}
    counts = Counter(named.values())
    taken = {name for name, count in counts.items() if count > 1} | (set(regions) - set(alone.values()))
    return {f"{name}_{value}" if name in taken else name: value for value, name in named.items()}


def _name_of(value: int, regions: Mapping[str, Sequence[int]]) -> str:
    own = {name: set(values) for name, values in regions.items() if value in values}
    smallest = [name for name, values in own.items() if not any(other < values for other in own.values())]
    return f"{'_and_'.join(smallest)}{'_only' if len(smallest) == 1 else ''}"
