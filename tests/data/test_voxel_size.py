"""The size of a voxel, by hand and by Heron's formula."""

import math

import numpy as np
import pytest

from pipeline.data.voxel_size import voxel_size


@pytest.mark.parametrize(
    ("edges", "volume"),
    [
        # Columns are the edges in mm. Base 2 x 3 mm; the third edge leans by 2 mm and rises by 4: the height counts.
        ([[2, 0, 2], [0, 3, 0], [0, 0, 4]], 24.0),
        ([[0.5, 0, 0], [0, 0.5, 0], [0, 0, 3]], 0.75),
        ([[-0.5, 0, 0], [0, 0.5, 0], [0, 0, 3]], 0.75),  # mirrored
        ([[0, 0, 3], [0.5, 0, 0], [0, -0.5, 0]], 0.75),  # axes in another order
        ([[1, 1, 0], [0, 1, 1], [1, 0, 1]], 2.0),  # the rhombohedron of three diagonals of a cube's faces
        ([[1, 0, 0], [0, 1, 0], [0, 0, 0]], 0.0),
    ],
)
def test_the_volume_is_base_times_height(edges, volume):
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = edges, [7, -8, 9]
    assert voxel_size(affine) == pytest.approx(volume)


@pytest.mark.parametrize("lean", [0.0, 0.4, -2.0])
def test_the_area_of_a_pixel_in_the_plane_and_in_space(lean):
    flat = np.array([[0.5, lean, 3.0], [0.0, 2.0, 4.0], [0.0, 0.0, 1.0]])
    assert voxel_size(flat, 2) == pytest.approx(1.0)  # 0.5 mm wide and 2 mm high, however it leans
    # The same pixel in a plane that is turned in space: twice the triangle of its three sides, by Heron.
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    space = np.eye(4)
    space[:3, :2] = turn[:, :2] @ flat[:2, :2]
    a, b = (np.linalg.norm(space[:3, axis]) for axis in range(2))
    c = np.linalg.norm(space[:3, 0] - space[:3, 1])
    half = (a + b + c) / 2
    assert voxel_size(space, 2) == pytest.approx(2 * math.sqrt(half * (half - a) * (half - b) * (half - c)))
    assert voxel_size(space, 2) == pytest.approx(1.0)
