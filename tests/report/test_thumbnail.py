import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from pipeline.labelmaps.palette import UNDECLARED_COLOUR, hex_colour
from pipeline.report.thumbnail import draw_thumbnail

RAS = np.eye(4)
ISOTROPIC = (1.0, 1.0, 1.0)
CONSTANT_GREY = 96
# World (R, A, S) by array axis, written by hand: column k is where array axis k points.
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
PIR = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], dtype=float)
# RAS turned by 20 degrees about the left-right axis, as a head is tilted.
TILTED = np.eye(4)
TILTED[1:3, 1:3] = [[np.cos(0.35), -np.sin(0.35)], [np.sin(0.35), np.cos(0.35)]]


def pixels(picture):
    """The decoded picture, (rows, columns, 3), signed so that differences are right."""
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)


def bright_quarter(picture):
    """Which quarter of the picture is brightest, such as ``top left``."""
    grey = pixels(picture).mean(axis=-1)
    half = grey.shape[0] // 2, grey.shape[1] // 2
    quarters = {
        "top left": grey[: half[0], : half[1]],
        "top right": grey[: half[0], half[1] :],
        "bottom left": grey[half[0] :, : half[1]],
        "bottom right": grey[half[0] :, half[1] :],
    }
    means = {name: quarter.mean() for name, quarter in quarters.items()}
    best = max(means, key=means.get)
    assert means[best] > 2 * sorted(means.values())[-2]
    return best


def colour(text):
    return np.array([int(text[start : start + 2], 16) for start in (1, 3, 5)])


def coloured(picture, text):
    """Where the picture has this colour, but for what JPEG changes, (rows, columns)."""
    return np.abs(pixels(picture) - colour(text)).max(axis=-1) < 60


@pytest.mark.parametrize(
    ("affine", "bright"),
    [
        (RAS, np.s_[12:, 12:, :]),  # the first axis rises to the right, the second to anterior
        (LPS, np.s_[:12, :12, :]),
        (PIR, np.s_[:12, :, 12:]),  # the first axis falls from anterior, the last rises to the right
        (TILTED, np.s_[12:, 12:, :]),
    ],
    ids=["RAS", "LPS", "PIR", "tilted"],
)
def test_the_right_anterior_quarter_is_at_the_top_left(affine, bright):
    image = np.zeros((24, 24, 24), np.int16)
    image[bright] = 1000
    assert bright_quarter(draw_thumbnail(image, None, ISOTROPIC, affine)) == "top left"


@pytest.mark.parametrize(
    ("affine", "slices"),
    [(RAS, np.s_[:, :, 17]), (LPS, np.s_[:, :, 17]), (PIR, np.s_[:, 17, :])],
    ids=["RAS", "LPS", "PIR"],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_axial_slice_with_most_labelled_voxels_is_shown(affine, slices, order):
    rng = np.random.default_rng(0)
    image = np.zeros((24, 24, 24), np.int16)
    image[slices] = rng.integers(0, 1000, (24, 24))
    label = np.zeros(image.shape, np.uint8, order=order)
    label[5:7, 5:7, 5:7] = 200  # counts voxels and not values
    label[slices][8:16, 8:16] = 1
    assert pixels(draw_thumbnail(image, None, ISOTROPIC, affine)).std() < 1  # the middle slice is empty
    assert pixels(draw_thumbnail(image, label, ISOTROPIC, affine)).std() > 30


@pytest.mark.parametrize("label", [None, np.zeros((9, 9, 9), np.uint8), np.zeros((9, 9, 9), np.float32)])
def test_without_a_labelled_voxel_the_middle_slice_is_shown(label):
    image = np.zeros((9, 9, 9))
    image[5:, 5:, 4] = 1.0
    assert bright_quarter(draw_thumbnail(image, label, ISOTROPIC, RAS)) == "top left"


@pytest.mark.parametrize(
    ("shape", "bright", "plane"),
    [
        ((24, 1, 24), np.s_[12:, :, 12:], "coronal: right at the left, superior up"),
        ((1, 24, 24), np.s_[:, 12:, 12:], "sagittal: anterior at the left, superior up"),
        ((24, 24, 1), np.s_[12:, 12:, :], "axial"),
    ],
)
def test_a_volume_of_one_slice_shows_that_slice(shape, bright, plane):
    image = np.zeros(shape)
    image[bright] = 1.0
    picture = draw_thumbnail(image, None, ISOTROPIC, RAS)
    assert pixels(picture).shape == (160, 160, 3)
    assert bright_quarter(picture) == "top left", plane


def test_a_2d_image_is_shown_as_an_image_viewer_does():
    stored = np.zeros((20, 40), np.uint8)  # rows from the top, columns from the left
    stored[:10, 20:] = 255
    picture = draw_thumbnail(stored.T, None, (1.0, 1.0), None)  # read as (x, y)
    assert pixels(picture).shape == (80, 160, 3)
    assert bright_quarter(picture) == "top right"


@pytest.mark.parametrize(
    ("affine", "spacing", "expected"),
    [
        (RAS, (2.0, 1.0, 7.0), (120, 160)),  # 20 x 2 mm across, 30 x 1 mm up
        (RAS, (1.0, 4.0, 7.0), (160, 27)),  # 20 mm across, 120 mm up: 160 / 6 = 26.7
        (PIR, (2.0, 7.0, 1.0), (160, 20)),  # 5 x 1 mm across, 20 x 2 mm up
        (RAS, (0.0, 1.0, 1.0), (160, 107)),  # a spacing that says nothing: 20 x 30
        (RAS, (np.nan, 1.0, 1.0), (160, 107)),
        (RAS, (1.0,), (160, 107)),
    ],
)
def test_pixels_keep_their_proportions(affine, spacing, expected):
    image = np.random.default_rng(0).normal(size=(20, 30, 5))
    assert pixels(draw_thumbnail(image, None, spacing, affine)).shape[:2] == expected


def test_size_is_the_longer_side():
    assert pixels(draw_thumbnail(np.zeros((30, 60, 3)), None, ISOTROPIC, RAS, size=90)).shape[:2] == (90, 45)


@pytest.mark.parametrize("affine", [None, np.full((4, 4), np.nan), np.zeros((4, 4)), np.diag([1.0, 1.0, 0.0, 1.0])])
def test_an_affine_that_says_nothing_counts_as_ras(affine):
    image = np.zeros((24, 24, 24))
    image[12:, 12:] = 1.0
    assert bright_quarter(draw_thumbnail(image, None, ISOTROPIC, affine)) == "top left"


@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e305])
@pytest.mark.parametrize("dtype", [np.float64, np.int16, np.uint64])
def test_grey_goes_from_the_1st_to_the_99th_and_a_half_percentile_above_the_lowest_value(dtype, scale):
    ramp = np.arange(160 * 160).reshape(160, 160) % 1000
    image = (ramp * scale if dtype is np.float64 else ramp).astype(dtype)
    low, high = np.percentile(ramp[ramp > 0], (1, 99.5))
    shown = pixels(draw_thumbnail(image, None, (1.0, 1.0), None))[..., 0].T
    smooth = (ramp > 50) & (ramp < 950)  # JPEG blurs where the ramp begins anew
    slope, start = np.polyfit(ramp[smooth], shown[smooth], 1)
    assert slope == pytest.approx(255 / (high - low), rel=0.01)
    assert start == pytest.approx(-low * slope, abs=1)


def test_a_few_bright_voxels_on_an_even_ground_are_seen():
    image = np.zeros((100, 100))
    image[40:44, 50:54] = 3.0
    shown = pixels(draw_thumbnail(image, None, (1.0, 1.0), None))
    assert shown.max() > 240
    assert np.median(shown) < 5


def test_voxels_that_are_not_finite_are_black_or_white_and_do_not_change_the_others():
    image = np.tile(np.linspace(0, 1, 160), (160, 1))
    holes = image.copy()
    holes[20:60, 20:60], holes[20:60, 100:140], holes[100:140, 20:60] = np.nan, np.inf, -np.inf
    before, after = (pixels(draw_thumbnail(array, None, (1.0, 1.0), None))[..., 0].T for array in (image, holes))
    assert after[30:50, 30:50].max() < 10
    assert after[30:50, 110:130].min() > 245
    assert after[110:130, 30:50].max() < 10
    assert np.abs(after - before)[100:140, 100:140].max() < 15


@pytest.mark.parametrize(
    ("value", "grey"), [(0, CONSTANT_GREY), (-7.5, CONSTANT_GREY), (np.nan, 0), (np.inf, 255), (-np.inf, 0)]
)
def test_a_constant_image_is_an_even_picture(value, grey):
    shown = pixels(draw_thumbnail(np.full((30, 20, 10), value), None, ISOTROPIC, RAS))
    assert shown.min() == shown.max() == grey


@pytest.mark.parametrize("undeclared", [3, -1])
def test_each_label_has_the_colour_of_its_value_and_an_undeclared_one_is_magenta(undeclared):
    label = np.zeros((40, 40), np.int16)
    label[4:16, 4:16], label[24:36, 4:16], label[24:36, 24:36] = 50, 255, undeclared
    picture = draw_thumbnail(np.zeros((40, 40)), label, (1.0, 1.0), None, declared=(0, 255, 50))
    for text, corner in (
        (hex_colour(255), np.s_[16:64, 96:144]),
        (hex_colour(50), np.s_[16:64, 16:64]),
        (UNDECLARED_COLOUR, np.s_[96:144, 96:144]),
    ):
        # The square of 12 x 12 voxels is one of 48 x 48 pixels; its outline has 4 x 47.
        assert coloured(picture, text).sum() == 4 * 47
        assert coloured(picture, text)[corner].sum() == 4 * 47
        assert not coloured(picture, text)[corner][1:-1, 1:-1].any()


def test_without_declared_labels_every_value_has_a_colour():
    label = np.zeros((40, 40), np.int16)
    label[4:16, 4:16], label[24:36, 24:36] = 1, 3
    picture = draw_thumbnail(np.zeros((40, 40)), label, (1.0, 1.0), None)
    assert coloured(picture, hex_colour(1)).sum() == coloured(picture, hex_colour(3)).sum() == 4 * 47
    assert not coloured(picture, UNDECLARED_COLOUR).any()


def test_another_background_has_no_outline_and_a_label_of_value_0_has_one():
    label = np.full((40, 40), 255, np.uint8)
    label[4:16, 4:16], label[24:36, 24:36] = 0, 1
    picture = draw_thumbnail(np.zeros((40, 40)), label, (1.0, 1.0), None, declared=(0, 1, 255), background=255)
    assert coloured(picture, hex_colour(0))[16:64, 16:64].sum() == 4 * 47
    assert coloured(picture, hex_colour(1))[96:144, 96:144].sum() == 4 * 47
    assert (np.ptp(pixels(picture), axis=-1) > 60).sum() <= 2 * 4 * 51


def test_a_lesion_of_one_voxel_is_not_lost_in_a_large_slice():
    label = np.zeros((512, 512, 3), np.int16)
    label[301, 203, 1] = 1
    picture = draw_thumbnail(np.zeros(label.shape, np.int16), label, ISOTROPIC, RAS)
    # From the right and from anterior: (511 - 301) / 512 and (511 - 203) / 512 of 160 pixels.
    shown = pixels(picture)
    strongest = (shown.max(axis=-1) - shown.min(axis=-1)).argmax()
    assert np.unravel_index(strongest, shown.shape[:2]) == (96, 65)
    assert shown[96, 65, :2].min() > shown[96, 65, 2] + 50  # orange, paler for JPEG


def test_labels_at_the_border_and_beside_each_other_have_closed_outlines():
    label = np.ones((40, 40), np.uint8)
    label[20:] = 2
    picture = draw_thumbnail(np.zeros(label.shape), label, (1.0, 1.0), None)
    left, right = (coloured(picture, text) for text in (hex_colour(1), hex_colour(2)))
    assert left[:, 0].all()
    assert left[:, 79].all()
    assert right[:, 80].all()
    assert right[0, 80:].all()


def test_a_label_map_in_floating_point_is_rounded_and_its_nan_is_background():
    label = np.zeros((40, 40))
    label[4:16, 4:16], label[24:36, 4:16], label[24:36, 24:36] = 0.9999999, np.nan, np.inf
    picture = draw_thumbnail(np.zeros(label.shape), label, (1.0, 1.0), None, declared=(0, 1))
    assert coloured(picture, hex_colour(1)).sum() == 4 * 47
    assert not coloured(picture, UNDECLARED_COLOUR).any()


def test_a_label_map_of_another_shape_is_left_out():
    image = np.random.default_rng(0).normal(size=(20, 20, 5))
    label = np.ones((20, 20, 6), np.uint8)
    assert draw_thumbnail(image, label, ISOTROPIC, RAS) == draw_thumbnail(image, None, ISOTROPIC, RAS)


@pytest.mark.slow
@pytest.mark.parametrize("side", [3, 160, 512, 3000])
def test_even_noise_stays_below_12_kilobytes(side):
    rng = np.random.default_rng(0)
    picture = draw_thumbnail(rng.integers(0, 255, (side, side)), rng.integers(0, 9, (side, side)), (1.0, 1.0), None)
    assert len(picture) <= 12_000
    assert pixels(picture).shape == (160, 160, 3)


def test_a_large_scan_is_not_copied():
    image = np.zeros((512, 512, 100), np.int16)  # 52 MB
    label = np.zeros(image.shape, np.uint8)
    label[100:200, 100:200, 30] = 1
    tracemalloc.start()
    draw_thumbnail(image, label, ISOTROPIC, PIR)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


def test_reading_does_not_change_image_or_label():
    image = np.random.default_rng(0).normal(size=(20, 20, 5))
    label = (image > 1).astype(np.float32)
    image[0, 0, 0] = label[0, 0, 0] = np.nan
    kept = image.copy(), label.copy()
    image.flags.writeable = label.flags.writeable = False
    draw_thumbnail(image, label, ISOTROPIC, RAS)
    np.testing.assert_array_equal(image, kept[0])
    np.testing.assert_array_equal(label, kept[1])


@pytest.mark.parametrize("shape", [(5,), (5, 5, 5, 2), (5, 0, 5)])
def test_what_is_no_image_is_refused_with_its_shape(shape):
    with pytest.raises(ValueError, match=r"\(5,.*expected \(x, y, z\) or \(x, y\)"):
        draw_thumbnail(np.zeros(shape), None, ISOTROPIC, RAS)
