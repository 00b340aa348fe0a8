"""Interpolation from a box of the network's grid, against SciPy, and its two ways against each other."""

from itertools import product

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from pipeline.inference import boxes
from pipeline.inference.boxes import Box, find_neighbours
from pipeline.inference.buffers import Buffers
from pipeline.inference.decisions import MostProbable
from pipeline.inference.places import Axis, find_straight_axes

CPU = torch.device("cpu")
NETWORK, CLASSES = (8, 7, 9), 4
DECISION = MostProbable(CLASSES)
# Voxels of the scan, and how many of the network's voxels one is long.
GRIDS = {
    "finer": ((15, 13, 17), (0.5, 0.5, 0.5)),
    "coarser": ((5, 4, 6), (1.7, 1.9, 1.6)),
    "finer along one axis": ((8, 7, 27), (1.0, 1.0, 0.3)),
    "the same": (NETWORK, (1.0, 1.0, 1.0)),
    "beyond the border": ((14, 13, 16), (0.7, 0.7, 0.7)),
    "every second": ((4, 4, 5), (2.0, 2.0, 2.0)),
}


def best_of(probabilities: Tensor, dtype: torch.dtype) -> Tensor:
    """The most probable class of each voxel."""
    return MostProbable(len(probabilities)).choose(probabilities, dtype, Buffers(CPU))


def axes_of(name: str) -> tuple[Axis, ...]:
    shape, steps = GRIDS[name]
    axes = find_straight_axes(np.diag([*steps, 1.0]), shape, NETWORK)
    assert axes is not None
    return axes


def box_of(name: str, buffers: Buffers | None = None) -> Box:
    axes = axes_of(name)
    return Box(axes, [slice(0, len(axis.weight)) for axis in axes], (0, 0, 0), buffers or Buffers(CPU))


def interpolated(name: str, values: Tensor) -> np.ndarray:
    """The same by SciPy, which repeats the border's voxel beyond it."""
    shape, steps = GRIDS[name]
    places = np.indices(shape) * np.reshape(steps, (3, 1, 1, 1))
    return ndimage.map_coordinates(values.numpy(), places, order=1, mode="nearest")


def make_probabilities(classes: int = CLASSES, shape: tuple[int, ...] = NETWORK) -> Tensor:
    """Smooth probabilities, so that neighbours mostly agree."""
    noise = np.random.default_rng(2).normal(size=(classes, *shape))
    smooth = np.stack([ndimage.gaussian_filter(one, 1.0) for one in noise])
    return torch.softmax(torch.as_tensor(12 * smooth, dtype=torch.float32), dim=0)


@pytest.mark.parametrize("name", GRIDS)
def test_interpolation_is_scipy_s(name: str) -> None:
    values = make_probabilities()[1]
    found = box_of(name).interpolate(values)
    assert tuple(found.shape) == GRIDS[name][0]
    np.testing.assert_allclose(found.numpy(), interpolated(name, values), atol=1e-6)


def test_interpolation_by_hand() -> None:
    # Places 0, 0.25, 0.5, 0.75 and 1 between 10 and 20; the last one is beyond the border.
    (axis, *_) = find_straight_axes(np.diag([0.25, 1, 1, 1]), (6, 1, 1), (2, 1, 1)) or ()
    flat = Axis(1, np.array([0]), np.array([0]), np.array([0], np.float32))
    box = Box([axis, flat, flat], [slice(0, 6), slice(0, 1), slice(0, 1)], (0, 0, 0), Buffers(CPU))
    found = box.interpolate(torch.tensor([10.0, 20.0]).view(2, 1, 1))
    assert found.flatten().tolist() == [10, 12.5, 15, 17.5, 20, 20]


@pytest.mark.parametrize("name", GRIDS)
def test_labels_are_the_most_probable_after_scipy_s_interpolation(name: str) -> None:
    probabilities = make_probabilities()
    expected = np.stack([interpolated(name, one) for one in probabilities])
    found = box_of(name).labels(probabilities, best_of(probabilities, torch.uint8), DECISION)
    second, first = np.sort(expected, axis=0)[-2:]
    clear = first - second > 1e-5
    assert clear.mean() > 0.99
    assert len(np.unique(found.numpy())) == CLASSES
    np.testing.assert_array_equal(found.numpy()[clear], expected.argmax(axis=0)[clear])


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_gathering_some_positions_and_computing_all_are_the_same(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two classes are equal in many voxels: a difference in the last bit would choose another one.
    probabilities = (make_probabilities() * 8).round() / 8
    best = best_of(probabilities, dtype).clone()
    found = []
    for dense, tile in ((-1.0, 1 << 18), (2.0, 1 << 18), (2.0, 101 * CLASSES)):
        monkeypatch.setattr(boxes, "_DENSE", dense)
        monkeypatch.setattr(boxes, "_TILE", tile)
        found.append(box_of(name).labels(probabilities, best, DECISION).clone())
    assert found[0].dtype == dtype
    assert torch.equal(found[1], found[0])
    assert torch.equal(found[2], found[0])


def test_both_ways_compute_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    name, probabilities = "beyond the border", make_probabilities()
    box = box_of(name)
    every = torch.stack(torch.meshgrid(*(torch.arange(n) for n in box.shape), indexing="ij")).flatten(1)
    corners, weights = box._find_corners(tuple(every), NETWORK)
    gathered = boxes._interpolate_corners(probabilities.flatten(1), corners, weights)
    for number, one in enumerate(probabilities):
        assert torch.equal(box.interpolate(one).flatten(), gathered[number])


@pytest.mark.parametrize("name", GRIDS)
def test_parts_of_the_scan_are_parts_of_the_whole(name: str) -> None:
    probabilities, axes = make_probabilities(), axes_of(name)
    best = best_of(probabilities, torch.uint8).clone()
    whole = box_of(name)
    values, labels = whole.interpolate(probabilities[2]).clone(), whole.labels(probabilities, best, DECISION).clone()
    covered = torch.zeros(whole.shape, dtype=torch.bool)
    # Boxes of the network's grid that share a layer, whose arrays are used again.
    buffers = Buffers(CPU)
    for first, last in (((0, 0, 0), (4, 6, 8)), ((4, 0, 0), (7, 3, 8)), ((4, 3, 0), (7, 6, 8))):
        taken = [axis.between(low, high) for axis, low, high in zip(axes, first, last, strict=True)]
        inner = tuple(slice(low, high + 1) for low, high in zip(first, last, strict=True))
        box = Box(axes, taken, first, buffers)
        cut = probabilities[(slice(None), *inner)].contiguous()
        where = tuple(taken)
        assert torch.equal(box.interpolate(cut[2]), values[where])
        assert torch.equal(box.labels(cut, best[inner].contiguous(), DECISION), labels[where])
        covered[where] = True
    assert covered.all()


def test_the_probabilities_and_the_best_classes_stay_as_they_are() -> None:
    probabilities = make_probabilities()
    best = best_of(probabilities, torch.uint8).clone()
    before = probabilities.clone(), best.clone()
    for name in GRIDS:
        box = box_of(name)
        box.labels(probabilities, best, DECISION)
        box.interpolate(probabilities[0])
    assert torch.equal(probabilities, before[0])
    assert torch.equal(best, before[1])


def test_the_best_class_between_two_may_be_a_third() -> None:
    # Halfway 0.5, 0 and 0.5 of the first and the last, but 0.4 and 0.4 of the one between.
    probabilities = torch.tensor([[0.6, 0.0], [0.0, 0.6], [0.4, 0.4]]).view(3, 2, 1, 1)
    (axis, *_) = find_straight_axes(np.diag([0.5, 1, 1, 1]), (3, 1, 1), (2, 1, 1)) or ()
    flat = Axis(1, np.array([0]), np.array([0]), np.array([0], np.float32))
    box = Box([axis, flat, flat], [slice(0, 3), slice(0, 1), slice(0, 1)], (0, 0, 0), Buffers(CPU))
    labels = box.labels(probabilities, best_of(probabilities, torch.uint8), DECISION)
    assert labels.flatten().tolist() == [0, 2, 1]


def test_neighbours_are_numpy_s_flat_indices() -> None:
    shape = (3, 4, 5)
    lower, upper = np.array([[0, 1], [2, 0], [3, 4]]), np.array([[1, 2], [2, 1], [4, 4]])
    found = find_neighbours(torch.as_tensor(lower), torch.as_tensor(upper), shape)
    expected = [
        np.ravel_multi_index([(lower, upper)[up][axis] for axis, up in enumerate(corner)], shape)
        for corner in product((0, 1), repeat=3)
    ]
    np.testing.assert_array_equal(found.numpy(), expected)
