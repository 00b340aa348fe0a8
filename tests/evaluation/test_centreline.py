import numpy as np
import pytest

from pipeline.evaluation.centreline import measure_cldice


def tube(shape, along, centre, radius, ends):
    """A straight tube along an axis, from one end to another."""
    grid = np.indices(shape)
    across = [axis for axis in range(len(shape)) if axis != along]
    distance = sum((grid[axis] - c) ** 2 for axis, c in zip(across, centre, strict=True)) ** 0.5
    return (distance <= radius) & (grid[along] >= ends[0]) & (grid[along] < ends[1])


@pytest.mark.parametrize(("shape", "centre"), [((40, 15, 15), (7, 7)), ((40, 15), (7,))])
def test_a_thicker_tube_has_the_same_centreline(shape, centre):
    thin, thick = (tube(shape, 0, centre, radius, (5, 35)) for radius in (2, 4))
    assert measure_cldice(thick, thin) == 1
    assert 2 * (thin & thick).sum() / (thin.sum() + thick.sum()) < 0.75


def test_half_a_tube_by_hand():
    whole = np.zeros((5, 5, 33), dtype=bool)
    whole[2, 2, 1:31] = True
    half = whole.copy()
    half[..., 16:] = False
    # Lines are their own centrelines: all of 15 voxels are in the reference, 15 of 30 in the prediction.
    assert measure_cldice(half, whole) == pytest.approx(2 * 1 * 0.5 / 1.5)
    assert measure_cldice(half, whole) == measure_cldice(whole, half)


def test_what_does_not_touch_is_0_and_small_masks_have_a_centreline():
    first, second = np.zeros((2, 6, 6, 6), dtype=bool)
    first[1:3, 1, 1], second[4, 4, 4] = True, True
    assert measure_cldice(first, second) == 0
    assert measure_cldice(first, first) == measure_cldice(second, second) == 1
