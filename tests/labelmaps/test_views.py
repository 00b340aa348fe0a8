import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from pipeline.labelmaps.views import (
    PLANES,
    View,
    find_fullest_slice,
    find_grey_window,
    find_plane,
    has_axes,
    make_flat_view,
    make_slice_view,
    paint_labels,
    thin,
    to_grey_pixels,
)

RED, BLUE = (220, 40, 30), (40, 60, 230)


def affine_of(codes):
    """The affine of a grid of 1 mm whose axes point where the letters say, without nibabel."""
    direction = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for axis, letter in enumerate(codes):
        world, sign = direction[letter]
        affine[world, axis] = sign
    return affine


# What is at the left, right, upper and lower edge of each plane, as radiologists hold it.
HELD = {"axial": "RLAP", "coronal": "RLSI", "sagittal": "APSI"}


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LPI", "PIR", "SAR", "ILP", "ASR"])
@pytest.mark.parametrize("name", PLANES)
def test_a_plane_is_held_as_radiologists_do_whatever_the_storage(codes, name):
    affine = affine_of(codes)
    shape = (5, 6, 7)
    # Each voxel's world coordinates, by the affine itself.
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    world = index @ affine[:3, :3].T
    plane = find_plane(affine, PLANES[name])
    assert "".join(plane.letters) == HELD[name]
    right, anterior, superior = (plane.cut(world[..., axis], 2) for axis in range(3))
    towards = {"R": right, "L": -right, "A": anterior, "P": -anterior, "S": superior, "I": -superior}
    left_edge, _, upper_edge, _ = HELD[name]
    assert (np.diff(towards[left_edge], axis=1) < 0).all()
    assert (np.diff(towards[upper_edge], axis=0) < 0).all()
    through = (right, anterior, superior)[PLANES[name]]
    assert np.ptp(through) == 0
    assert np.shares_memory(plane.cut(world[..., 0], 2), world)


def test_a_turned_grid_has_its_nearest_planes():
    turn = np.deg2rad(20)
    affine = np.eye(4)
    affine[1:3, 1:3] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    assert find_plane(affine, 2) == find_plane(np.eye(4), 2)


@pytest.mark.parametrize(
    "affine", [np.full((4, 4), np.nan), np.zeros((4, 4)), np.diag([1.0, 1, 0, 1]), np.eye(3), None]
)
def test_an_affine_without_three_axes_is_refused(affine):
    assert not has_axes(affine)
    with pytest.raises(ValueError, match="independent axes"):
        find_plane(affine, 2)


def test_views_are_slices_with_the_size_of_their_pixels():
    image = np.random.default_rng(0).normal(size=(5, 6, 7))
    labels = (image > 0).astype(np.uint8)
    view = make_slice_view(find_plane(np.eye(4), PLANES["coronal"]), 4, image, labels, (0.5, 2.0, 3.0))
    np.testing.assert_array_equal(view.grey, image[::-1, 4, ::-1].T)
    np.testing.assert_array_equal(view.labels, labels[::-1, 4, ::-1].T)
    assert view.mm == (3.0, 0.5)
    assert view.extent == (7 * 3.0, 5 * 0.5)
    flat = make_flat_view(image[:, :, 0], None, (0.5, 2.0))
    np.testing.assert_array_equal(flat.grey, image[:, :, 0].T)
    assert (flat.labels, flat.mm, flat.letters) == (None, (2.0, 0.5), ())


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((slice(2, 3), slice(0, 4), slice(1, 2)), (2, 1, 1)),  # a bar along the second axis: 0, 1, 2 and 3 are equal
        ((slice(0, 5), slice(3, 4), slice(2, 3)), (2, 3, 2)),
        ((slice(0, 0), slice(0, 0), slice(0, 0)), (2, 2, 3)),  # nothing labelled: the middle of 5 x 6 x 8
        ((slice(0, 5), slice(0, 6), slice(0, 8)), (2, 2, 3)),  # all labelled
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("background", [0, 255])
def test_the_fullest_slice_of_a_box(box, expected, order, background):
    labels = np.full((5, 6, 8), background, np.uint8, order=order)
    labels[box] = 7
    assert tuple(find_fullest_slice(labels, axis, background=background) for axis in range(3)) == expected


def test_the_fullest_slice_counts_voxels_and_not_label_values():
    labels = np.zeros((4, 4, 4), int)
    labels[0, 0, 0] = 100
    labels[3, 3, :2] = 1
    assert [find_fullest_slice(labels, axis) for axis in (0, 1)] == [3, 3]
    rng = np.random.default_rng(0)
    for order in "CF":
        volume = np.array(rng.integers(0, 3, (7, 5, 6)), np.int16, order=order)
        for axis in range(3):
            others = tuple(other for other in range(3) if other != axis)
            counts = (volume > 0).sum(axis=others)
            assert counts[find_fullest_slice(volume, axis)] == counts.max()


def test_looking_for_the_fullest_slice_copies_a_plane_at_most():
    labels = np.zeros((200, 200, 200), np.uint8, order="F")
    labels[100:120, 50:60, 20:30] = 1
    tracemalloc.start()
    found = [find_fullest_slice(labels, axis) for axis in range(3)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == [109, 54, 24]  # 100 to 119, 50 to 59, 20 to 29
    assert peak < 2_000_000  # bytes, of 8 million voxels


def view(grey, labels=None):
    return View(np.asarray(grey), labels, (1.0, 1.0))


def test_the_window_goes_by_percentiles_of_all_views_above_their_lowest_value():
    first, second = np.arange(400.0).reshape(20, 20), np.full((20, 20), -50.0)
    second[3, 4], second[5, 6] = np.nan, np.inf
    # -50 fills half of the two views, and takes nothing from the contrast.
    assert find_grey_window([view(first), view(second)]) == pytest.approx(
        tuple(np.percentile(np.arange(400), (1, 99.5)))
    )


@pytest.mark.parametrize("value", [7.5, -3.0, 0.0])
def test_the_window_of_an_even_view_has_no_width(value):
    assert find_grey_window([view(np.full((4, 5), value))]) == (value, value)


def test_a_window_of_nothing_finite_is_zero():
    assert find_grey_window([view(np.full((4, 5), np.nan))]) == (0.0, 0.0)


def test_a_few_bright_voxels_on_an_even_ground_are_white():
    grey = np.zeros((50, 50))
    grey[20:23, 20:23] = 3.0
    assert find_grey_window([view(grey)]) == (0.0, 3.0)


def test_a_ct_has_the_window_of_soft_tissue_widened_for_what_is_labelled():
    grey = np.full((40, 40), -1000, np.int16)
    grey[5:35, 5:35] = 40
    grey[10:20, 10:20] = -850
    grey[30, 30] = 1500
    grey[6:9, 6:9] = -900
    assert find_grey_window([view(grey)]) == (-160.0, 240.0)
    labels = np.zeros(grey.shape, np.uint8)
    labels[10:20, 10:20] = 1
    assert find_grey_window([view(grey, labels)]) == (-850.0, 240.0)


@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e305])
def test_greys_run_straight_from_black_to_white(scale):
    values = np.array([-400.0, -200.0, 0.0, 200.0, 400.0, 600.0, np.nan, np.inf, -np.inf]) * scale
    shown = to_grey_pixels(values, (-200.0 * scale, 400.0 * scale))
    # (v + 200) / 600 of 255, rounded.
    assert shown.tolist() == [0, 0, 85, 170, 255, 255, 0, 255, 0]


def test_a_window_of_no_width_is_one_grey():
    assert to_grey_pixels(np.array([5, 7, np.nan, np.inf, -np.inf]), (5.0, 5.0)).tolist() == [96, 96, 0, 255, 0]


def test_windows_of_extreme_values_do_not_overflow():
    largest = np.finfo(np.float64).max
    grey = np.linspace(-1, 1, 101).reshape(1, -1) * largest
    with np.errstate(all="raise"):
        window = find_grey_window([view(grey)])
        shown = to_grey_pixels(grey, window)
    assert (shown[0, 0], shown[0, 50], shown[0, -1]) == (0, pytest.approx(127, abs=2), 255)


@pytest.mark.parametrize(
    ("shape", "expected"), [((2048, 5), (2048, 5)), ((2049, 5), (1025, 5)), ((3, 9000), (3, 1800))]
)
def test_a_large_slice_is_thinned(shape, expected):
    assert thin(np.zeros(shape, np.uint8)).shape == expected


def test_labels_are_tinted_with_an_edge_inside_them():
    pixels = np.full((8, 8, 3), 100, np.uint8)
    labels = np.zeros((8, 8), np.uint8)
    labels[2:6, 2:6] = 1
    paint_labels(pixels, labels, {1: RED}.__getitem__, fill=0.25)
    inner = tuple(round(0.75 * 100 + 0.25 * part) for part in RED)
    expected = np.full((8, 8, 3), 100)
    expected[2:6, 2:6] = RED
    expected[3:5, 3:5] = inner
    np.testing.assert_array_equal(pixels, expected)


def test_without_fill_the_edge_alone_is_painted():
    pixels = np.zeros((6, 6, 3), np.uint8)
    paint_labels(pixels, np.ones((6, 6), np.uint8), {1: BLUE}.__getitem__)
    expected = np.zeros((6, 6, 3))
    expected[:] = BLUE  # what reaches the border is closed there
    expected[1:-1, 1:-1] = 0
    np.testing.assert_array_equal(pixels, expected)


def test_of_voxels_under_a_pixel_the_largest_label_is_painted():
    labels = np.zeros((40, 40), np.uint8)
    labels[13, 29] = 2
    labels[12, 28] = 1
    pixels = np.zeros((10, 10, 3), np.uint8)
    paint_labels(pixels, labels, {1: RED, 2: BLUE}.__getitem__)
    assert tuple(pixels[3, 7]) == BLUE
    assert np.count_nonzero(pixels.any(axis=-1)) == 1


def test_another_background_and_negative_labels():
    labels = np.full((4, 4), 9, np.int16)
    labels[1, 1], labels[2, 2] = -5, 0
    pixels = np.zeros((4, 4, 3), np.uint8)
    paint_labels(pixels, labels, {-5: RED, 0: BLUE}.__getitem__, background=9)
    assert (tuple(pixels[1, 1]), tuple(pixels[2, 2])) == (RED, BLUE)
    assert np.count_nonzero(pixels.any(axis=-1)) == 2


def test_floating_point_labels_are_rounded_and_what_is_not_finite_is_background():
    labels = np.array([[0.9999, np.nan], [np.inf, -np.inf]])
    pixels = np.zeros((2, 2, 3), np.uint8)
    paint_labels(pixels, labels, {1: RED}.__getitem__)
    assert pixels.reshape(4, 3).tolist() == [list(RED), [0, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_a_view_of_a_stored_file_agrees_with_nibabel(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 99, (5, 6, 7)).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, affine_of("PIR")), tmp_path / "a.nii")
    image = nib.load(tmp_path / "a.nii")
    canonical = nib.as_closest_canonical(image)
    plane = find_plane(image.affine, PLANES["axial"])
    shown = plane.cut(np.asarray(image.dataobj), 3)
    across = np.asarray(canonical.dataobj)[::-1, ::-1].transpose(2, 1, 0)
    assert any(np.array_equal(shown, each) for each in across)
