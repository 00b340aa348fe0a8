import io
import itertools
import tracemalloc

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from PIL import Image

from pipeline.data.images.door import read_volume
from pipeline.report.preview import draw_preview

RED, BLUE, MAGENTA = (220, 40, 30), (40, 60, 230), (255, 0, 255)
TABLE = [(1, "liver", RED), (2, "tumour", BLUE)]
# Of a volume of 21 x 15 x 11 mm: coronal and sagittal side by side fill 960 pixels but for four margins of 26.
MARGIN, TOP = 26, 66
SCALE = (960 - 4 * MARGIN) / (21 + 15)
GREY = 96  # of an image that is the same everywhere


def pixels(picture):
    """The picture, (rows, columns, 3)."""
    with Image.open(io.BytesIO(picture)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def phantom():
    """A RAS volume without any symmetry; its fullest slices are the middle ones, whose number no flip changes."""
    rng = np.random.default_rng(0)
    image = rng.normal(100, 20, (21, 15, 11))
    labels = np.zeros(image.shape, np.uint8)
    labels[10, 3:13, 2:8] = 1
    labels[4:18, 7, 4:9] = 2
    labels[2:17, 5:14, 5] = 1
    return image, labels


def panel(picture, name):
    """A view of the volume of 21 x 15 x 11 mm."""
    width, depth, height = (round(n * SCALE) for n in (21, 15, 11))
    right, lower = MARGIN + width + 2 * MARGIN, TOP + height + 2 * MARGIN
    left, upper, across, down = {
        "coronal": (MARGIN, TOP, width, height),
        "sagittal": (right, TOP, depth, height),
        "axial": (MARGIN, lower, width, depth),
    }[name]
    return pixels(picture)[upper : upper + down, left : left + across]


def at(view, across, down):
    """The pixel in the middle of a voxel that has so many voxels on its left and above it."""
    return tuple(view[int((down + 0.5) * SCALE), int((across + 0.5) * SCALE)])


def tinted(colour):
    return tuple(round(0.7 * GREY + 0.3 * part) for part in colour)


def test_labels_are_translucent_with_outlines_in_their_colours():
    labels = np.zeros((21, 15, 11), np.uint8)
    labels[15:20, 10:14, 6:10] = 1  # right, anterior, superior
    picture = draw_preview(np.zeros(labels.shape), labels, np.eye(4), TABLE, title="a")
    seen = {
        "axial": (21 - 1 - 17, 15 - 1 - 12),
        "coronal": (21 - 1 - 17, 11 - 1 - 8),
        "sagittal": (15 - 1 - 12, 11 - 1 - 8),
    }
    for name, place in seen.items():
        view = panel(picture, name)
        assert at(view, *place) == tinted(RED), name
        assert at(view, place[0] + 6, place[1]) == (GREY,) * 3, name
        outline = (view == RED).all(axis=-1)
        left = (21 if name != "sagittal" else 15) - (20 if name != "sagittal" else 14)
        assert outline.any(axis=0).argmax() == pytest.approx(left * SCALE, abs=1), name
        assert outline.sum() == pytest.approx(2 * SCALE * (4 + (4 if name == "sagittal" else 5)), rel=0.03), name


@pytest.mark.slow
@pytest.mark.parametrize(
    "codes",
    [
        codes
        for order in ("RAS", "SRA", "ASR", "ARS")
        for codes in (order, order.translate(str.maketrans("RAS", "LPI")), order.replace("A", "P"))
    ],
)
def test_the_picture_does_not_depend_on_how_the_axes_are_stored(codes):
    image, labels = phantom()
    expected = draw_preview(image, labels, np.eye(4), TABLE, title="a")
    turn = ornt_transform(io_orientation(np.eye(4)), axcodes2ornt(codes))
    stored = [nib.Nifti1Image(volume, np.eye(4)).as_reoriented(turn) for volume in (image, labels)]
    assert "".join(nib.aff2axcodes(stored[0].affine)) == codes
    voxels = [np.asarray(volume.dataobj) for volume in stored]
    assert draw_preview(*voxels, stored[0].affine, TABLE, title="a") == expected


@pytest.mark.slow
def test_a_mirrored_phantom_gives_another_picture():
    image, labels = phantom()
    pictures = {
        draw_preview(np.flip(image, axes), np.flip(labels, axes), np.eye(4), TABLE, title="a")
        for axes in itertools.chain.from_iterable(itertools.combinations(range(3), n) for n in range(4))
    }
    assert len(pictures) == 8


def test_a_turned_grid_is_shown_along_its_nearest_axes():
    image, labels = phantom()
    angle = np.deg2rad(20)
    affine = np.eye(4)
    affine[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    straight = draw_preview(image, labels, np.eye(4), TABLE, title="a")
    np.testing.assert_array_equal(pixels(draw_preview(image, labels, affine, TABLE, title="a")), pixels(straight))


def test_slices_with_most_labelled_voxels_are_shown():
    image = np.zeros((21, 15, 11))
    labels = np.zeros(image.shape, np.uint8)
    labels[3, 4, 2] = 2
    labels[16:19, 9:12, 7:9] = 1
    image[:, :, 7] = np.arange(15)  # a slope in one slice only
    picture = draw_preview(image, labels, np.eye(4), TABLE, title="a")
    axial = panel(picture, "axial")
    assert axial[:20].mean() > axial[-20:].mean() + 100
    assert not (pixels(picture)[:, :500] == tinted(BLUE)).all(axis=-1).any()


def test_without_labels_the_middle_slices_are_shown():
    image = np.zeros((21, 15, 11))
    image[:, 8:, 5] = 1
    picture = draw_preview(image, np.zeros(image.shape, np.uint8), np.eye(4), TABLE, title="a")
    axial = panel(picture, "axial")
    assert axial[:100].mean() > 200
    assert axial[-100:].mean() < 50
    assert np.ptp(axial, axis=-1).max() == 0  # no colour


def test_millimetres_and_not_voxels_give_the_proportions():
    coarse = np.zeros((21, 15, 11), np.uint8)
    coarse[5:9, 3:7, 2:6] = 1
    fine = np.repeat(coarse, 3, axis=2)
    image = np.zeros(coarse.shape)
    first = draw_preview(image, coarse, np.diag([2, 2, 6, 1]), TABLE, title="a")
    second = draw_preview(np.repeat(image, 3, axis=2), fine, np.diag([2, 2, 2, 1]), TABLE, title="a")
    one, two = (np.argwhere((pixels(picture)[:, :500] == RED).all(axis=-1)) for picture in (first, second))
    assert len(one) > 100
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_volume_of_one_slice_shows_that_slice_alone(axis):
    shape = [20, 20, 20]
    shape[axis] = 1
    labels = np.zeros(shape, np.uint8)
    quarter = [slice(10, 20)] * 3
    quarter[axis] = slice(None)
    labels[tuple(quarter)] = 1  # right, anterior, superior: always the upper left
    view = pixels(draw_preview(np.zeros(shape), labels, np.eye(4), TABLE, title="a"))[
        TOP : TOP + 908, MARGIN : MARGIN + 908
    ]
    assert tuple(view[200, 200]) == tinted(RED)
    for row, column in ((200, 700), (700, 200), (700, 700)):
        assert tuple(view[row, column]) == (GREY,) * 3


def test_a_2d_image_is_shown_as_a_viewer_does():
    stored = np.zeros((20, 40), np.uint8)  # rows from the top, columns from the left
    stored[:10, 20:] = 1
    view = pixels(draw_preview(np.zeros((40, 20)), stored.T, np.eye(4), TABLE, title="a"))[TOP : TOP + 454, MARGIN:934]
    assert tuple(view[100, 700]) == tinted(RED)
    for row, column in ((100, 200), (400, 200), (400, 700)):
        assert tuple(view[row, column]) == (GREY,) * 3


@pytest.mark.parametrize(("value", "grey"), [(0.0, GREY), (7.5, GREY), (np.nan, 0), (-np.inf, 0), (np.inf, 255)])
def test_an_even_image_is_one_grey(value, grey):
    labels = np.zeros((21, 15, 11), np.uint8)
    picture = draw_preview(np.full(labels.shape, value), labels, np.eye(4), TABLE, title="a")
    assert np.unique(panel(picture, "axial")).tolist() == [grey]


def test_a_ct_keeps_soft_tissue_apart_and_widens_for_lung():
    image = np.full((21, 15, 11), -1000, np.int16)
    image[2:19, 2:13] = 40
    image[8:10, 5:9] = 110  # a vessel with contrast
    image[14:17, 5:9] = -850  # lung
    image[12, 9:11] = 1500
    labels = np.zeros(image.shape, np.uint8)

    def greys():
        view = panel(draw_preview(image, labels, np.eye(4), TABLE, title="a"), "axial")
        return [at(view, 20 - x, 14 - y)[2] for x, y in ((8, 7), (4, 4), (15, 7), (0, 0))]

    vessel, tissue, lung, air = greys()
    assert vessel - tissue == pytest.approx(255 * 70 / 400, abs=12)
    assert lung <= 5
    assert air <= 5
    labels[14:17, 5:9, 5] = 1
    _, tissue, _, air = greys()
    assert tissue == pytest.approx(255 * (40 + 850) / (240 + 850), abs=5)
    assert air == 0


def test_a_large_background_takes_no_contrast():
    image = np.zeros((63, 45, 33))
    image[30:34, 20:25, 15:18] = np.random.default_rng(0).uniform(100, 200, (4, 5, 3))
    picture = draw_preview(image, np.zeros(image.shape, np.uint8), np.eye(4), TABLE, title="a")
    bright = panel(picture, "axial").max(axis=-1)
    assert np.percentile(bright[bright > 20], 20) < 150
    assert bright.max() > 240


def legend_colours(picture, rows):
    code = np.array([1 << 16, 1 << 8, 1])
    counts = dict(zip(*np.unique(pixels(picture) @ code, return_counts=True), strict=True))
    return [bool(counts.get(int(code @ colour), 0) > 100) for _, _, colour in rows]


@pytest.mark.parametrize("number", [1, 20, 48, 100])
def test_the_legend_has_a_patch_for_every_label_that_fits(number):
    rows = [(n, f"a structure with a rather long name {n}", (n, 255 - n, 77)) for n in range(1, number + 1)]
    labels = np.zeros((21, 15, 11), np.uint8)
    picture = draw_preview(np.zeros(labels.shape), labels, np.eye(4), rows, title="a")
    shown = legend_colours(picture, rows)
    fitting = min(number, 46)  # of 48 lines one says that nothing is labelled, and one how many more there are
    assert shown == [True] * fitting + [False] * (number - fitting)
    assert pixels(picture).shape[1] == 960


def test_labels_that_are_there_come_first_in_the_legend():
    rows = [(n, "x", (n, 255 - n, 77)) for n in range(1, 101)]
    labels = np.zeros((21, 15, 11), np.uint8)
    labels[3, 3, 3], labels[5, 5, 5] = 99, 100
    shown = legend_colours(draw_preview(np.zeros(labels.shape), labels, np.eye(4), rows, title="a"), rows)
    assert shown[-2:] == [True, True]
    assert sum(shown) == 47


def test_a_value_that_the_table_lacks_is_magenta():
    labels = np.zeros((21, 15, 11), np.uint16)
    labels[8:13, 5:10, 3:8] = 700
    picture = draw_preview(np.zeros(labels.shape), labels, np.eye(4), TABLE, title="a")
    assert at(panel(picture, "axial"), 10, 7) == tinted(MAGENTA)
    assert legend_colours(picture, [(700, "", MAGENTA)]) == [True]


def test_volumes_and_names_change_the_legend_alone():
    image, labels = phantom()
    pictures = [
        pixels(draw_preview(image, labels, np.eye(4), table, title="a"))
        for table in (TABLE, [(1, "Leber", RED), (2, "tumour", BLUE)])
    ]
    changed = np.argwhere((pictures[0] != pictures[1]).any(axis=-1))
    assert len(changed)
    assert changed.min(axis=0).tolist() > [TOP + round(11 * SCALE), MARGIN + round(21 * SCALE)]


@pytest.mark.parametrize("title", ["", "x" * 5000, "Schädel é 肝\n\x1b[31m", "\ud800"])
def test_any_name_can_be_written(title):
    image, labels = phantom()
    rows = [(1, title, RED), (2, "b", BLUE)]
    picture = draw_preview(image, labels, np.eye(4), rows, title=title)
    assert pixels(picture).shape[1] == 960


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 40), (2, 300, 2), (300, 2, 2), (2, 2, 300), (1, 1), (3, 4000)])
def test_odd_shapes_fit_on_the_page(shape):
    image = np.random.default_rng(0).normal(size=shape)
    picture = pixels(draw_preview(image, (image > 0).astype(np.uint8), np.eye(4), TABLE, title="a"))
    assert picture.shape[1] == 960
    assert picture.shape[0] < 1300
    assert (picture[:, -4:] == picture[0, 0]).all()  # nothing runs over the edge


def test_only_slices_are_copied():
    labels = np.zeros((300, 300, 300), np.uint8, order="F")
    labels[100:200, 100:200, 100:200] = 1
    image = np.asfortranarray(labels.astype(np.int16))
    draw_preview(image[:9, :9, :9], labels[:9, :9, :9], np.eye(4), TABLE, title="a")  # loads fonts and codecs
    tracemalloc.start()
    draw_preview(image, labels, np.eye(4), TABLE, title="a")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < labels.size  # bytes: not even one copy of the labels


@pytest.mark.parametrize(
    ("image", "labels", "affine"),
    [
        (np.zeros((3, 3, 3)), np.zeros((3, 3, 4), int), np.eye(4)),
        (np.zeros((3, 3, 3)), np.zeros((3, 3, 3)), np.eye(4)),
        (np.zeros((3, 3, 3)), np.full((3, 3, 3), -1), np.eye(4)),
        (np.zeros((3, 0, 3)), np.zeros((3, 0, 3), int), np.eye(4)),
        (np.zeros((3, 3, 3)), np.zeros((3, 3, 3), int), np.diag([1.0, 1, 0, 1])),
        (np.zeros((3, 3, 3)), np.zeros((3, 3, 3), int), np.full((4, 4), np.nan)),
    ],
)
def test_what_does_not_fit_is_refused(image, labels, affine):
    with pytest.raises(ValueError, match="expected"):
        draw_preview(image, labels, affine, TABLE, title="a")


@pytest.mark.real
def test_a_real_case_shows_both_parts_of_the_hippocampus(real_data):
    image, labels = (
        read_volume(str(real_data / "hippocampus" / folder / "hippocampus_001.nii.gz"))
        for folder in ("imagesTr", "labelsTr")
    )
    picture = pixels(
        draw_preview(image.voxels, labels.voxels.astype(np.uint8), image.affine, TABLE, title="hippocampus")
    )
    coloured = [np.argwhere((picture[450:, :400] == colour).all(axis=-1)) for colour in (RED, BLUE)]
    assert coloured[0][:, 0].mean() < coloured[1][:, 0].mean() - 50  # anterior is up


def test_of_slices_alike_the_middle_one_is_shown():
    image = np.zeros((21, 15, 11))
    image[:, 8:, 5] = 1
    picture = draw_preview(image, np.ones(image.shape, np.uint8), np.eye(4), TABLE, title="a")
    axial = panel(picture, "axial")
    assert axial[:100].mean() > axial[-100:].mean() + 50
