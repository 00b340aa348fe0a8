"""The values of a target label map: labels, ignored voxels, and labels of partly annotated cases.

With K labels, background included, the values are

- 0 to K-1: a label, of a case in which all labels were annotated
- K: ignored
- K + 1 + s * K + v: label v, of a case in which only those of set s were annotated
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

__all__ = ["INSIDE", "OUTSIDE", "UNKNOWN", "TargetTable", "mark_set"]

INSIDE, OUTSIDE, UNKNOWN = 1, 0, -1


class TargetTable:
    """Which output channels of a network a target value is in, is not in, or says nothing about.

    Without regions the channels are the labels, one of which each voxel has. In a case with annotated and other labels,
    a voxel without an annotated label may be background or any of the others: these channels are unknown, and those of
    the annotated labels are not.

    With regions the channels are the regions. In such a case a region is known in all voxels if it was annotated by its
    name, or if all of its labels were, and in none otherwise.

    Args:
        labels: value by name, 0 (background) to K-1.
        regions: the values of each region's labels; None for a network of labels.
        annotated: for each set the names of the labels or regions that were annotated.

    Attributes:
        rows: int8, (values, channels), of `INSIDE`, `OUTSIDE` and `UNKNOWN`.
        ignored: the value K.
        sets: for each set and channel, whether it was annotated; bool, (sets, channels).

    Raises:
        InputError: a set has a name that is none of a label or region, as after one was renamed in the plan.
    """

    def __init__(
        self,
        labels: Mapping[str, int],
        regions: Mapping[str, Sequence[int]] | None = None,
        annotated: Sequence[Collection[str]] = (),
    ) -> None:
        self.regions = {name: tuple(values) for name, values in (regions or {}).items()}
        self.num_labels = len(labels)
        self.ignored = self.num_labels
        names = sorted(labels, key=labels.__getitem__)
        channels = list(self.regions.values()) or [(value,) for value in range(self.num_labels)]
        inside = [[value in values for values in channels] for value in range(self.num_labels)]
        plain = np.array(inside, np.int8).reshape(self.num_labels, len(channels))
        parts = [plain, np.full((1, len(channels)), UNKNOWN, np.int8)]
        known_in = []
        for chosen in annotated:
            _check_names(chosen, [*labels, *self.regions])
            known = {labels[name] for name in chosen if name in labels}
            if self.regions:
                seen = [name in chosen or known.issuperset(values) for name, values in self.regions.items()]
                part = np.where(seen, plain, UNKNOWN)
            else:
                seen = [name in chosen for name in names]
                candidates = np.where(seen, OUTSIDE, UNKNOWN)
                part = np.stack([plain[value] if value in known else candidates for value in range(self.num_labels)])
            parts.append(part.astype(np.int8))
            known_in.append(seen)
        self.rows: NDArray[np.int8] = np.concatenate(parts)
        self.sets: NDArray[np.bool_] = np.array(known_in, bool).reshape(len(known_in), len(channels))

    @property
    def is_sigmoid(self) -> bool:
        """Whether each channel is a region with a probability of its own."""
        return bool(self.regions)

    @property
    def has_alternatives(self) -> bool:
        """Whether a voxel may have one of several labels: without regions, in cases of a set."""
        return not self.regions and len(self.sets) > 0

    def set_of(self, value: int) -> int | None:
        """Return the number of the set that a value is of; None if all labels are annotated, or it is ignored."""
        return (value - self.num_labels - 1) // self.num_labels if value > self.ignored else None


def _check_names(names: Collection[str], known: Sequence[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(
            "annotated",
            found=f"{', '.join(unknown)} in the datalist",
            expected=f"names of the plan's labels or regions: {', '.join(known)}",
            remedy="use the same names in plan and datalist, or plan again",
        )


def mark_set(number: int, num_labels: int) -> int:
    """Return what is added to a label's value in a case of this annotated set."""
    return num_labels + 1 + number * num_labels
