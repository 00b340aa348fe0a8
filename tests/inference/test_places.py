"""Positions of a scan's voxels in the network's grid, computed by hand."""

import itertools

import numpy as np
import pytest

from pipeline.inference.places import compute_grid_change, find_leaning_places, find_straight_axes


def change(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array([*rows, (0, 0, 0, 1)], dtype=float)


def turned(degrees: float, x: float = 1.5, y: float = -0.5) -> np.ndarray:
    """A turn in the plane of axes 0 and 1, and a shift."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return change((c, -s, 0, x), (s, c, 0, y), (0, 0, 1, 0))


def test_the_change_goes_from_the_scan_to_the_network() -> None:
    # The scan: x runs to the left from 10 mm in steps of 2 mm. The network's grid: to the right from 0, 1 mm.
    scan = np.array([[-2, 0, 0, 10], [0, 3, 0, 0], [0, 0, 1, -4], [0, 0, 0, 1]], dtype=float)
    network = np.diag([1.0, 1.5, 1.0, 1.0])
    # Index 3 of the scan is at 10 - 6 = 4 mm, at 6 mm and at -3 mm: voxel (4, 4, -3).
    np.testing.assert_allclose(compute_grid_change(network, scan) @ [3, 2, 1, 1], [4, 4, -3, 1])


def test_axes_that_are_swapped_and_flipped_are_straight() -> None:
    # Network axis 0 runs against scan axis 2 at half its spacing, axis 1 along scan axis 0 with a shift of a quarter.
    axes = find_straight_axes(
        change((0, 0, -2, 4), (1, 0, 0, 0.25), (0, 1, 0, 0)), shape=(3, 2, 3), network_shape=(5, 4, 2)
    )
    assert axes is not None
    first, second, third = axes
    assert [axis.scan_axis for axis in axes] == [2, 0, 1]
    assert (first.lower.tolist(), first.upper.tolist()) == ([4, 2, 0], [4, 2, 0])
    assert (second.lower.tolist(), second.upper.tolist()) == ([0, 1, 2], [1, 2, 3])
    np.testing.assert_allclose(second.weight, [0.25, 0.25, 0.25])
    assert (third.lower.tolist(), third.weight.tolist()) == ([0, 1], [0, 0])


def test_beyond_the_border_its_voxel_goes_on() -> None:
    axes = find_straight_axes(
        change((1, 0, 0, -0.75), (0, 1, 0, 0), (0, 0, 1, 0)), shape=(5, 1, 1), network_shape=(3, 1, 1)
    )
    assert axes is not None
    # Places -0.75, 0.25, 1.25, 2.25, 3.25 in a grid of three voxels.
    assert axes[0].lower.tolist() == [0, 0, 1, 2, 2]
    assert axes[0].upper.tolist() == [0, 1, 2, 2, 2]
    np.testing.assert_allclose(axes[0].weight, [0, 0.25, 0.25, 0, 0])


def test_rounding_of_affines_is_no_reason_to_interpolate() -> None:
    axes = find_straight_axes(
        change((1 + 1e-7, 1e-9, 0, -3e-6), (0, 1, 0, 5e-5), (0, 0, 1, 2e-3)), shape=(9, 9, 9), network_shape=(9, 9, 9)
    )
    assert axes is not None
    assert [bool((axis.lower == axis.upper).all()) for axis in axes] == [True, True, False]
    assert axes[1].lower.tolist() == list(range(9))


def test_what_a_range_of_the_grid_is_enough_for() -> None:
    axes = find_straight_axes(
        change((0.5, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0)), shape=(9, 1, 1), network_shape=(5, 1, 1)
    )
    assert axes is not None
    # Index i is at i / 2: 2 at voxel 1, 5 between 2 and 3.
    assert axes[0].between(0, 4) == slice(0, 9)
    assert axes[0].between(1, 2) == slice(2, 5)
    assert axes[0].between(1, 1) == slice(2, 3)
    assert axes[0].between(7, 9) == slice(0, 0)


def test_ranges_that_share_a_voxel_leave_no_index_out() -> None:
    for factor, shift in ((0.37, 0.1), (-0.83, 8.9), (1.7, -2.0), (1.0, 0.0)):
        axes = find_straight_axes(change((factor, 0, 0, shift), (0, 1, 0, 0), (0, 0, 1, 0)), (30, 1, 1), (10, 1, 1))
        assert axes is not None
        found = {index for low in range(9) for index in range(30)[axes[0].between(low, low + 1)]}
        assert found == set(range(30))


@pytest.mark.parametrize(
    "leaning",
    [
        pytest.param(turned(5), id="turned"),
        pytest.param(change((1, 0, 0, 0), (0, 1, 0.01, 0), (0, 0, 1, 0)), id="sheared by a tenth of a voxel"),
        pytest.param(change((1, 0, 0, 0), (0.6, 0.8, 0, 0), (0, 0, 1, 0)), id="sheared"),
        pytest.param(change((1, 0, 0, 0), (1, 0.1, 0, 0), (0, 0, 1, 0)), id="two axes along one"),
    ],
)
def test_what_leans_has_no_straight_axes(leaning: np.ndarray) -> None:
    assert find_straight_axes(leaning, (11, 11, 11), (11, 11, 11)) is None


def test_an_axis_of_one_voxel_cannot_lean() -> None:
    assert find_straight_axes(change((1, 0, 0.3, 0), (0, 1, 0, 0), (0, 0, 1, 0)), (4, 4, 1), (4, 4, 1))


@pytest.mark.parametrize("first", [(0, 0, 0), (2, 1, 0)])
@pytest.mark.parametrize("last", [(5, 5, 2), (8, 6, 3)])
@pytest.mark.parametrize(
    "matrix",
    [
        turned(20),
        turned(200, 6.5, 5.5),
        # Planes of constant scan index 2 lie across the network's axis 0.
        change((0.1, -0.2, 1.1, 0.3), (0.9, 0.1, 0, -1.2), (0, 0.7, 0.2, 0.4)),
        change((0, -0.8, 0.3, 7), (1, 0.1, 0, 0), (0, 0.2, -1, 2)),
    ],
    ids=["turned", "turned over", "thrice sheared", "flipped"],
)
def test_leaning_places_are_those_of_the_box_and_no_others(
    matrix: np.ndarray, first: tuple[int, ...], last: tuple[int, ...]
) -> None:
    shape, network_shape = (7, 8, 4), (9, 7, 4)
    expected = {}
    for index in itertools.product(*map(range, shape)):
        # Rounded, so that what misses 4 by rounding is 4.
        place = np.clip((matrix @ [*index, 1])[:3], 0, np.array(network_shape) - 1).round(9)
        lower, upper = np.floor(place), np.ceil(place)
        if (lower >= first).all() and (upper <= last).all():
            expected[index] = (*lower, *upper, *(place - lower))
    found = {
        tuple(index): numbers
        for places in find_leaning_places(matrix, shape, network_shape, first, last)
        for index, numbers in zip(
            places.index.T.tolist(), np.vstack([places.lower, places.upper, places.weight]).T.tolist(), strict=True
        )
    }
    assert len(expected) > 10
    assert found.keys() == expected.keys()
    for index, numbers in found.items():
        np.testing.assert_allclose(numbers, expected[index], atol=1e-5)


def test_leaning_places_come_once_and_plane_by_plane() -> None:
    planes = list(find_leaning_places(turned(30), (5, 6, 3), (9, 9, 3), (0, 0, 0), (8, 8, 2)))
    # The network's first axis runs mostly along the scan's first.
    assert [set(places.index[0].tolist()) for places in planes] == [{number} for number in range(5)]
    indices = np.concatenate([places.index.T for places in planes])
    assert sorted(map(tuple, indices.tolist())) == list(np.ndindex(5, 6, 3))
