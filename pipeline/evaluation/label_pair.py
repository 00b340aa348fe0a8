"""Read a case's two label maps, and count in one pass which labels meet and where each is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["LabelPair", "drop_ignored", "read_label_map", "read_pair"]

_PART = 1 << 22  # voxels that are counted at a time, so that few intermediate arrays are in memory


class LabelPair(NamedTuple):
    """Two label maps on one grid, and where their labels are.

    Attributes:
        predicted: predicted label map, (X, Y, Z) or (X, Y), of unsigned integers that may stand for the labels.
        expected: reference label map, of the same shape and kind.
        places: by a label's value, its number in both label maps and its row and column in `joint`.
        joint: number of voxels by predicted and by expected label, (n, n).
        starts: first index of each label in either map, (n, dims).
        ends: last index of each label in either map plus 1, (n, dims).
    """

    predicted: NDArray[np.unsignedinteger[Any]]
    expected: NDArray[np.unsignedinteger[Any]]
    places: dict[int, int]
    joint: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def count_voxels(self, values: Sequence[int]) -> tuple[int, int, int]:
        """Return the number of voxels of a label or a union of labels in the prediction, the reference, and both."""
        places = [self.places[value] for value in values]
        common = self.joint[np.ix_(places, places)]
        return int(self.joint[places].sum()), int(self.joint[:, places].sum()), int(common.sum())

    def crop(self, values: Sequence[int]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return the masks of a label or a union of labels in the box around both; at least one map must have it."""
        found = self.joint.sum(axis=0) + self.joint.sum(axis=1)
        places = [place for place in (self.places[value] for value in values) if found[place]]
        starts, ends = self.starts[places].min(axis=0), self.ends[places].max(axis=0)
        box = tuple(slice(*side) for side in zip(starts, ends, strict=True))
        predicted, expected = self.predicted[box], self.expected[box]
        if len(places) == 1:
            return predicted == places[0], expected == places[0]
        inside = np.zeros(len(self.joint), dtype=bool)
        inside[places] = True
        return inside[predicted], inside[expected]


def read_pair(
    prediction: Any, reference: Any, spatial_dims: int, labels: Mapping[str, int], *, ignored: Sequence[int] = ()
) -> LabelPair:
    """Check two label maps and count their labels.

    Args:
        prediction: label map, (X, Y, Z) or (X, Y), tensor or array; a leading channel of length 1 is accepted.
        reference: label map of the same shape.
        spatial_dims: 2 or 3.
        labels: value of each label by name; 0 is the background.
        ignored: values of the reference that do not count. Their voxels become background in both maps.

    Raises:
        ValueError: If the shapes differ, a label map has values that are no integers or not in `labels`, or a label's
            value is ignored.
    """
    predicted = read_label_map(prediction, spatial_dims, "prediction")
    expected = read_label_map(reference, spatial_dims, "reference")
    if predicted.shape != expected.shape:
        msg = f"prediction has shape {predicted.shape} and reference {expected.shape}: expected the same grid"
        raise ValueError(msg)
    predicted, expected = drop_ignored(predicted, expected, labels, ignored)
    values = sorted({0, *labels.values()})
    # Values below 256 stand for themselves. Larger ones are numbered, so that a table of all pairs stays small.
    places = {value: value if values[-1] < 256 else place for place, value in enumerate(values)}
    maps = [
        _number_labels(label_map, places, labels, name)
        for label_map, name in ((predicted, "prediction"), (expected, "reference"))
    ]
    number = max(places.values()) + 1
    if all(each.flags.f_contiguous for each in maps):
        joint, starts, ends = _count_joint(maps[0].T, maps[1].T, number)
        starts, ends = starts[:, ::-1], ends[:, ::-1]
    else:
        joint, starts, ends = _count_joint(np.ascontiguousarray(maps[0]), np.ascontiguousarray(maps[1]), number)
    for counts, name in ((joint.sum(axis=1), "prediction"), (joint.sum(axis=0), "reference")):
        undeclared = sorted(set(np.flatnonzero(counts).tolist()) - set(places.values()))
        if undeclared:
            raise ValueError(_describe_undeclared(name, undeclared, labels))
    return LabelPair(maps[0], maps[1], places, joint, starts, ends)


def drop_ignored(
    predicted: NDArray[Any], expected: NDArray[Any], labels: Mapping[str, int], ignored: Sequence[int]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return both label maps with background where the reference has an ignored value; the inputs are not changed.

    Args:
        predicted: predicted label map.
        expected: reference label map of the same shape.
        labels: value of each label by name.
        ignored: values of the reference that do not count.

    Raises:
        ValueError: If a label's value is ignored.
    """
    both = sorted({0, *labels.values()} & set(ignored))
    if both:
        msg = f"ignored values are {list(ignored)}: expected none of the labels {dict(labels)}, which have {both} too"
        raise ValueError(msg)
    inside = np.isin(expected, list(ignored)) if ignored else None
    if inside is None or not inside.any():
        return predicted, expected
    # A copy with the order of the axes in memory, which counting is quick in.
    maps = predicted.copy(order="K"), expected.copy(order="K")
    for each in maps:
        each[inside] = 0
    return maps


def read_label_map(volume: Any, spatial_dims: int, name: str) -> NDArray[np.generic]:
    """Return a label map as an array (X, Y[, Z]) without the channel. Its type is the volume's.

    Args:
        volume: tensor or array with `spatial_dims` axes, or one channel before them.
        spatial_dims: 2 or 3.
        name: name for errors.

    Raises:
        ValueError: If the volume has other axes, is empty, or has values that are no integers.
    """
    # Without an import of PyTorch, which takes seconds and which label maps from files do not need.
    array = np.asarray(volume.detach().cpu().numpy() if hasattr(volume, "detach") else volume)
    if array.ndim == spatial_dims + 1 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != spatial_dims or not array.size:
        msg = (
            f"{name} has shape {array.shape}: expected {spatial_dims} axes, as spacing has, or one channel before them"
        )
        raise ValueError(msg)
    integral = array.dtype.kind in "iub" or (
        array.dtype.kind == "f" and bool(np.isfinite(array).all()) and np.array_equal(array, np.rint(array))
    )
    if not integral:
        msg = f"{name} holds values that are no integers: expected a label map, after argmax"
        raise ValueError(msg)
    return array


def _number_labels(
    label_map: NDArray[Any], places: Mapping[int, int], labels: Mapping[str, int], name: str
) -> NDArray[np.unsignedinteger[Any]]:
    """Return the label map with the numbers of the labels, in the smallest type of unsigned integers."""
    largest = max(places)
    if label_map.min() < 0 or label_map.max() > largest:
        undeclared = sorted(set(np.unique(label_map).astype(np.int64).tolist()) - places.keys())
        raise ValueError(_describe_undeclared(name, undeclared, labels))
    kind = np.uint8 if max(places.values()) < 256 else np.uint16 if len(places) < 1 << 16 else np.uint32
    if largest < 256:
        return label_map.astype(np.uint8, copy=False)
    values = np.array(sorted(places))
    integers = label_map.astype(np.int64, copy=False)
    numbers = np.searchsorted(values, integers)
    if not np.array_equal(values[numbers], integers):
        raise ValueError(_describe_undeclared(name, sorted(set(np.unique(integers).tolist()) - places.keys()), labels))
    numbered: NDArray[np.unsignedinteger[Any]] = numbers.astype(kind)
    return numbered


def _describe_undeclared(name: str, undeclared: list[int], labels: Mapping[str, int]) -> str:
    return f"{name} holds the values {undeclared}, which labels {dict(labels)} do not declare"


def _count_joint(
    predicted: NDArray[np.unsignedinteger[Any]], expected: NDArray[np.unsignedinteger[Any]], number: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the voxels by both labels, (n, n), and the first and last index plus 1 of each label, (n, dims).

    Labels come in long runs along the last axis. So runs are counted, of which there are far fewer than voxels.
    """
    shape = predicted.shape
    joint = np.zeros(number * number, dtype=np.int64)
    # Whether a label is at an index, by axis; for the last axis at the start or at the end of a run.
    seen = [np.zeros((length, number), dtype=bool) for length in shape]
    first, second = (each.reshape(-1, shape[-1]) for each in (predicted, expected))
    rows = max(_PART // shape[-1], 1)
    for start in range(0, len(first), rows):
        one, other = first[start : start + rows], second[start : start + rows]
        # A new run starts at the start of each row, and where either label changes.
        change = np.ones(one.shape, dtype=bool)
        np.not_equal(one[:, 1:], one[:, :-1], out=change[:, 1:])
        change[:, 1:] |= other[:, 1:] != other[:, :-1]
        begins = np.flatnonzero(change)
        lengths = np.diff(begins, append=change.size)
        labels = [each.reshape(-1)[begins].astype(np.intp) for each in (one, other)]
        joint += np.bincount(labels[0] * number + labels[1], weights=lengths, minlength=number**2).astype(np.int64)
        inside = (labels[0] > 0) | (labels[1] > 0)
        row, along = np.divmod(begins[inside], shape[-1])
        last = along + lengths[inside] - 1
        places = [*np.unravel_index(row + start, shape[:-1])]
        for each in labels:
            label = each[inside]
            for axis, place in enumerate((*places, along)):
                seen[axis][place, label] = True
            seen[-1][last, label] = True
    starts, ends = (np.zeros((number, len(shape)), dtype=np.int64) for _ in range(2))
    for axis, found in enumerate(seen):
        starts[:, axis] = found.argmax(axis=0)
        ends[:, axis] = found.shape[0] - found[::-1].argmax(axis=0)
    return joint.reshape(number, number), starts, ends
