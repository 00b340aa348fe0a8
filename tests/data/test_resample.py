"""Images and label maps in another grid, against SimpleITK's own geometry, and shapes known exactly."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from pipeline.data.check_file import Grid
from pipeline.data.resample import compare_grids, find_sigmas, is_same_plane, resample_image, resample_labels

LPS = np.diag([-1.0, -1, 1, 1])


def grid(shape, spacing, *, angles=(0, 0, 0), centre=(5.0, -3, 20), order=(0, 1, 2), shear=0.0):
    """A grid around a centre (mm, RAS), turned by Euler angles (degrees), its axes permuted."""
    affine = np.eye(4)
    turned = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()[:, list(order)]
    affine[:3, :3] = turned @ np.diag(spacing)
    affine[:3, 0] += shear * affine[:3, 1]
    affine[:3, 3] = np.array(centre) - affine[:3, :3] @ (np.array(shape) - 1) / 2
    return Grid("a", shape, affine)


def points(one):
    """World coordinates (mm) of all voxel centres, (3, X, Y, Z)."""
    voxels = np.stack([*np.meshgrid(*map(np.arange, one.shape), indexing="ij"), np.ones(one.shape)])
    return np.tensordot(one.affine, voxels, 1)[:3]


def to_sitk(voxels, one):
    image = sitk.GetImageFromArray(voxels.T)
    place = LPS @ one.affine
    spacing = np.linalg.norm(place[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(place[:3, 3].tolist())
    image.SetDirection((place[:3, :3] / spacing).ravel().tolist())
    return image


OLD = {
    "finer": ((40, 36, 30), (0.5, 0.6, 0.8), {}),
    "thick and turned": ((24, 26, 10), (1, 1, 3), {"angles": (12, -7, 30)}),
    "axes permuted": ((20, 28, 24), (1.2, 1, 0.9), {"order": (2, 0, 1), "centre": (7, 0, 18)}),
    "far turned": ((30, 30, 30), (1, 1, 1), {"angles": (60, 100, -140)}),
}
NEW = grid((22, 20, 12), (1, 1.1, 2), angles=(5, 0, -3))


@pytest.mark.parametrize("old", OLD.values(), ids=OLD)
def test_an_image_is_where_simpleitk_puts_it(old):
    shape, spacing, turned = old
    one = grid(shape, spacing, **turned)
    voxels = np.random.default_rng(0).normal(100, 30, shape).astype(np.float32)
    smoothed = to_sitk(voxels, one)
    sigmas = find_sigmas(one, NEW)
    if sigmas.any():
        from scipy.ndimage import gaussian_filter  # noqa: PLC0415

        smoothed = to_sitk(gaussian_filter(voxels, sigmas, mode="nearest"), one)
    model = to_sitk(np.zeros(NEW.shape, np.float32), NEW)
    expected = sitk.Resample(smoothed, model, sitk.Transform(), sitk.sitkLinear, float(voxels.min()))
    np.testing.assert_allclose(resample_image(voxels, one, NEW), sitk.GetArrayFromImage(expected).T, atol=2e-2)


@pytest.mark.parametrize("shear", [0, 0.3])
def test_a_ramp_stays_a_ramp(shear):
    """Linear interpolation of a linear function is exact, whatever the grids, also with shear, which ITK refuses."""
    old, new = grid((40, 40, 40), (1, 1, 1), angles=(20, 10, 5), shear=shear), grid((14, 12, 10), (0.9, 1, 1.4))
    ramp = np.tensordot([2.0, -1, 0.5], points(old), 1)
    expected = np.tensordot([2.0, -1, 0.5], points(new), 1)
    assert compare_grids(old, new).uncovered == 0
    np.testing.assert_allclose(resample_image(ramp, old, new), expected, atol=0.02)


def test_the_rule_against_aliasing_is_that_of_cardoso():
    """A voxel as a Gaussian of its width at half maximum: the variances' difference, in mm, is what is added."""
    old, new = grid((40, 40, 40), (0.5, 1, 2)), grid((20, 20, 20), (1.5, 1, 3))
    width = 2 * np.sqrt(2 * np.log(2))
    expected = [np.sqrt(1.5**2 - 0.5**2) / width, 0, np.sqrt(3**2 - 2**2) / width]
    np.testing.assert_allclose(find_sigmas(old, new) * [0.5, 1, 2], expected, atol=1e-12)


def test_only_axes_that_become_coarser_are_smoothed():
    old = grid((8, 8, 8), (1, 1, 4))
    np.testing.assert_array_equal(find_sigmas(old, grid((8, 8, 8), (1, 1, 1), angles=(0, 0, 37))), 0)
    along = find_sigmas(old, grid((8, 8, 8), (1, 3, 4)))
    assert along[0] == along[2] == 0
    assert along[1] == pytest.approx(np.sqrt(8) / 2.3548, rel=1e-4)
    # Permuted axes: the old third axis is the new first.
    permuted = find_sigmas(old, grid((8, 8, 8), (8, 1, 1), order=(2, 0, 1)))
    assert permuted[0] == permuted[1] == 0
    assert permuted[2] == pytest.approx(np.sqrt(3) / 2.3548, rel=1e-4)


def test_a_fine_checkerboard_becomes_grey():
    """Without smoothing every fourth voxel would be taken, and the board would become white."""
    board = np.indices((48, 48, 8)).sum(0) % 2 * 100.0
    coarse = resample_image(board, grid((48, 48, 8), (1, 1, 1)), grid((12, 12, 8), (4, 4, 1)))
    assert np.abs(coarse[2:-2, 2:-2, 2:-2] - 50).max() < 2


@pytest.mark.parametrize("spacing", [(1, 1, 1), (2, 1.5, 1)])
def test_a_ball_keeps_its_place_and_volume(spacing):
    old, new = grid((40, 40, 20), (1, 1, 2), angles=(10, 20, 5)), grid((48, 44, 40), spacing, angles=(0, -30, 0))
    centre = np.array([6, -2, 21.0])

    def ball(one):
        return (np.linalg.norm(points(one) - centre[:, None, None, None], axis=0) < 11).astype(np.uint8) * 3

    moved, expected = resample_labels(ball(old), old, new), ball(new)
    assert moved.dtype == np.uint8
    assert set(np.unique(moved)) == {0, 3}
    overlap = 2 * ((moved > 0) & (expected > 0)).sum() / ((moved > 0).sum() + (expected > 0).sum())
    assert overlap > 0.95
    volume = (moved > 0).sum() * np.prod(spacing)
    assert abs(volume / (4 / 3 * np.pi * 11**3) - 1) < 0.03


def test_labels_in_their_own_grid_stay_as_they_are():
    labels = np.random.default_rng(0).choice(np.array([0, 1, 7, 300], np.uint16), (9, 8, 7))
    one = grid((9, 8, 7), (1, 2, 3), angles=(3, 4, 5))
    np.testing.assert_array_equal(resample_labels(labels, one, one), labels)


def test_outside_is_the_lowest_value_and_the_share_is_counted():
    old, new = grid((10, 10, 10), (1, 1, 1), centre=(0, 0, 0)), grid((10, 10, 10), (1, 1, 1), centre=(3, 0, 0))
    change = compare_grids(old, new)
    assert change.uncovered == pytest.approx(0.3)
    assert change.offset == pytest.approx(3)
    assert change.angle == pytest.approx(0, abs=1e-5)
    moved = resample_image(np.random.default_rng(0).uniform(-900, 50, (10, 10, 10)), old, new)
    assert (moved[7:] == moved.min()).all()
    assert moved[:7].max() > 0
    labels = resample_labels(np.ones((10, 10, 10), np.uint8), old, new)
    assert labels.sum() == 1000  # A label map without 0 has no other background.


@pytest.mark.parametrize(("degrees", "expected"), [((0, 0, 90), 0), ((0, 0, 20), 20), ((45, 0, 0), 45)])
def test_the_angle_is_that_to_the_nearest_axis(degrees, expected):
    change = compare_grids(grid((9, 9, 9), (1, 1, 1)), grid((9, 9, 9), (1, 1, 1), angles=degrees))
    assert change.angle == pytest.approx(expected, abs=1e-4)


def test_two_dimensions():
    """The third column of a 2D file's affine may say anything."""
    affine = np.diag([1.0, 1, 1, 1])
    other = np.array([[0, -2, 0, 18], [2.0, 0, 0, 1], [0, 0, 7, 0], [0, 0, 0, 1]])
    old, new = Grid("a", (20, 20), affine), Grid("b", (8, 8), other)
    ramp = np.tensordot([2.0, 3], np.mgrid[:20, :20], 1)
    i, j = np.mgrid[:8, :8]
    np.testing.assert_allclose(resample_image(ramp, old, new), 2 * (18 - 2 * j) + 3 * (2 * i + 1.0), atol=0.1)
    assert is_same_plane(old, new)
    assert not is_same_plane(old, Grid("b", (8, 8), other + np.outer([0, 0, 3, 0], [0, 0, 0, 1])))
    assert compare_grids(old, new).new_spacing == (2, 2)
