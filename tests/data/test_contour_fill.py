"""Contours filled, against scikit-image's polygons, analytic areas and volumes, and shapes counted by hand."""

import numpy as np
import pytest
from skimage.draw import polygon2mask

from pipeline.data.contour_fill import fill_contours, fill_polygons
from pipeline.data.errors import InputError

from .rt import make_affine, points_of, to_ras

SHAPE = (40, 36, 20)
SQUARE = np.array([(4.5, 5.5), (24.5, 5.5), (24.5, 25.5), (4.5, 25.5)])  # the centres 5..24 and 6..25
HOLE = np.array([(9.5, 10.5), (14.5, 10.5), (14.5, 15.5), (9.5, 15.5)])
# To the hole and back on the same line.
KEYHOLE = np.array([SQUARE[0], HOLE[0], *HOLE[:0:-1], HOLE[0], SQUARE[0], *SQUARE[1:]])
AFFINE = make_affine(SHAPE, (0.8, 0.8, 3))


def fill(contours, affine=AFFINE, shape=SHAPE):
    filled = fill_contours(contours, affine, shape, "a.dcm (liver)")
    mask = np.zeros(shape, bool)
    mask[filled.box] = filled.mask
    return mask, filled.gaps


def circle(radius, centre=(20, 18), count=400):
    angles = np.arange(count) * 2 * np.pi / count
    return np.column_stack([np.cos(angles), np.sin(angles)]) * radius + np.array(centre)


@pytest.mark.parametrize("seed", range(8))
def test_polygons_are_those_of_scikit_image(seed):
    """Stars with random corners, which cross themselves nowhere; and several, of which it fills one at a time."""
    rng = np.random.default_rng(seed)
    stars = []
    for _ in range(1 + seed % 3):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 30))
        radii = rng.uniform(3, 25, 30)[:, None]
        stars.append(np.column_stack([np.cos(angles), np.sin(angles)]) * radii + rng.uniform(0, 50, 2))
    expected = np.logical_xor.reduce([polygon2mask((50, 60), star) for star in stars])
    np.testing.assert_array_equal(fill_polygons(stars, (50, 60)), expected)


def test_neighbours_that_share_an_edge_share_no_pixel():
    left, right = np.array([(2, 2), (8, 2), (8, 5), (2, 5)]), np.array([(2, 5), (8, 5), (8, 9), (2, 9)])
    one, other = fill_polygons([left], (12, 12)), fill_polygons([right], (12, 12))
    assert not (one & other).any()
    assert (one.sum(), other.sum()) == (18, 24)


@pytest.mark.parametrize(
    ("contours", "voxels"),
    {
        "one": ([SQUARE], 400),
        "a hole as a contour of its own": ([SQUARE, HOLE], 375),
        "a keyhole": ([KEYHOLE], 375),
        "a keyhole the other way round": ([KEYHOLE[::-1]], 375),
        "an island in the hole": ([SQUARE, HOLE, HOLE * 0.2 + 10], 376),
        "two contours": ([SQUARE, SQUARE * 0.25 + 28], 425),
    }.values(),
)
def test_contours_of_one_plane(contours, voxels):
    mask, _ = fill([to_ras(AFFINE, contour, 7) for contour in contours])
    assert mask[:, :, 7].sum() == mask.sum() == voxels


@pytest.mark.parametrize("angles", [(0, 0, 0), (20, -35, 10), (90, 0, 45)])
def test_an_oblique_series(angles):
    affine = make_affine(SHAPE, (0.7, 0.9, 2.5), angles)
    mask, _ = fill([to_ras(affine, SQUARE, height) for height in (3, 4, 5)], affine)
    expected = np.zeros(SHAPE, bool)
    expected[5:25, 6:26, 3:6] = True
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("axis", [0, 1])
def test_contours_in_planes_of_another_axis(axis):
    """Drawn on sagittal or coronal reformats of the voxels."""
    square = np.insert(SQUARE / 2, axis, 11, axis=1)
    points = np.column_stack([square, np.ones(4)]) @ AFFINE.T
    mask, _ = fill([points[:, :3]])
    assert mask.sum() == 100
    assert np.take(mask, 11, axis).sum() == 100


PLANES = {
    "on slices": ([3, 4, 5], [3, 4, 5]),
    "a little off": ([3.04, 3.96, 5.05], [3, 4, 5]),
    "a third off": ([3.3, 4.3, 5.3], [3, 4, 5]),
    "two thirds off": ([2.7, 3.7, 4.7], [3, 4, 5]),
    "half-way": ([2.5, 3.5, 4.5], [2, 3, 4]),
    "every second slice": ([3, 5, 7], [2, 3, 4, 5, 6, 7]),
    "every third slice": ([3, 6, 9], [2, 3, 4, 5, 6, 7, 8, 9, 10]),
    "finer than slices": ([3, 3.4, 3.8, 4.2, 4.6, 5], [3, 4, 5]),
    "one": ([6], [6]),
    "one between slices": ([6.4], [6]),
    "at the first slice": ([0, 1], [0, 1]),
    "at the last slice": ([18, 19], [18, 19]),
}


@pytest.mark.parametrize(("heights", "slices"), PLANES.values(), ids=PLANES)
def test_planes_and_slices(heights, slices):
    mask, gaps = fill([to_ras(AFFINE, SQUARE, height) for height in heights])
    assert np.flatnonzero(mask.any(axis=(0, 1))).tolist() == slices
    assert set(mask.sum(axis=(0, 1))[slices]) == {400}
    assert gaps == []


def test_a_gap_stays_empty():
    mask, gaps = fill([to_ras(AFFINE, SQUARE, height) for height in (2, 3, 4, 9, 10, 11)])
    assert np.flatnonzero(mask.any(axis=(0, 1))).tolist() == [2, 3, 4, 9, 10, 11]
    assert gaps == [(4, 9)]


def test_between_two_planes_is_the_shape_between():
    """Circles of radius 5 and 15: half-way 10, and a quarter of the way 7.5."""
    mask, _ = fill([to_ras(AFFINE, circle(5), 4), to_ras(AFFINE, circle(15), 8)])
    for height, radius in ((4, 5), (5, 7.5), (6, 10), (7, 12.5), (8, 15)):
        assert np.sqrt(mask[:, :, height].sum() / np.pi) == pytest.approx(radius, abs=0.35)


@pytest.mark.parametrize("angles", [(0, 0, 0), (25, 40, -10)])
@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.8, 0.8, 3)])
def test_a_ball_has_its_volume(angles, spacing):
    shape = (44, 44, 18) if spacing[2] == 3 else (36, 36, 36)
    affine = make_affine(shape, spacing, angles)
    radius, centre = 14.0, points_of(shape, affine).mean(axis=(1, 2, 3))
    middle = (np.linalg.inv(affine) @ [*centre, 1])[:3]
    contours = []
    for height in range(shape[2]):
        left = radius**2 - ((height - middle[2]) * spacing[2]) ** 2
        if left > 0:
            contours.append(to_ras(affine, circle(np.sqrt(left) / spacing[0], middle[:2]), height))
    mask, _ = fill(contours, affine, shape)
    away = np.linalg.norm(points_of(shape, affine) - centre[:, None, None, None], axis=0)
    # A polygon of 400 corners is inside its circle by 0.0004 mm.
    np.testing.assert_array_equal(mask[np.abs(away - radius) > 1e-3], (away < radius)[np.abs(away - radius) > 1e-3])
    assert mask.sum() * np.prod(spacing) == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.02)


BAD = {
    "beside the scan": (to_ras(AFFINE, SQUARE + np.array([20, 0]), 7), r"up to 5 voxels outside the scan"),
    "above the scan": (to_ras(AFFINE, SQUARE, 22), r"up to 2\.5 voxels outside the scan"),
    "across slices": (to_ras(AFFINE, SQUARE, 7) + np.outer([0, 0, 6, 6], [0, 0, 1]), "not in planes"),
}


@pytest.mark.parametrize(("contour", "words"), BAD.values(), ids=BAD)
def test_what_cannot_be_drawn(contour, words):
    with pytest.raises(InputError, match=rf"a\.dcm \(liver\).*{words}"):
        fill([contour])


def test_a_contour_between_voxel_centres_has_no_voxel():
    mask, _ = fill([to_ras(AFFINE, SQUARE * 0.02 + 10.2, 7)])
    assert not mask.any()
