import nibabel as nib
import numpy as np
import pytest
from matplotlib.image import imread

from pipeline.data.errors import InputError
from pipeline.labelmaps.palette import label_colour
from pipeline.report.picture import draw_segmentation

ORANGE = np.array([0xE6, 0x9F, 0x00]) / 255


def save(path, voxels, affine):
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return path


@pytest.fixture
def scan(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 1000, (20, 30, 10)).astype(np.int16)
    return save(tmp_path / "scan.nii.gz", voxels, np.diag([1.0, 1.0, 3.0, 1.0]))


def make_label(path, *, axcodes="RAS", shape=(20, 30, 10), spacing=3.0, values=(1,)):
    """A box of label 1 in the right anterior inferior eighth, stored in another orientation of the same grid."""
    voxels = np.zeros(shape, np.uint8)
    for value in values:
        voxels[12:18, 18:27, 1:4] = value
    image = nib.Nifti1Image(voxels, np.diag([1.0, 1.0, spacing, 1.0]))
    turned = image.as_reoriented(
        nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(axcodes))
    )
    nib.save(turned, path)
    return path


def coloured(picture, colour):
    """Rows and columns of the pixels that have exactly this colour, as outlines and legend patches do."""
    return np.argwhere(np.abs(picture[..., :3] - colour).max(axis=-1) < 0.01)


def test_segmentation_is_a_png_with_a_row_per_label_map(scan, tmp_path):
    label = make_label(tmp_path / "label.nii.gz")
    heights = []
    for maps in ({"expert": label}, {"expert": label, "prediction": label}):
        output = draw_segmentation(scan, maps, tmp_path / "new" / "picture.png")
        assert output.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        height, width = imread(output).shape[:2]
        assert width == 1100
        heights.append(height)
        assert [f.name for f in output.parent.iterdir()] == ["picture.png"]
    assert heights == [484, 847]  # 110 dots per inch x (1.1 + 3.3 per row) inches


@pytest.mark.slow
def test_the_label_is_drawn_where_it_lies_whatever_the_orientation_of_the_files(scan, tmp_path, figures):
    pictures = []
    for axcodes in ("RAS", "LPI", "SAR"):
        label = make_label(tmp_path / f"{axcodes}.nii.gz", axcodes=axcodes)
        pictures.append(imread(draw_segmentation(scan, {"expert": label}, tmp_path / "picture.png")))
    assert np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(pictures[0], pictures[2])
    # The box is voxels 12..17 of 20 to the right, 18..26 of 30 to the front, 1..3 of 10 upwards. The patient's right,
    # in the sagittal slice the front, is on the left. Rows count downwards.
    height = pictures[0].shape[0]
    expected = {"axial": ((2, 8, 20), (18, 27, 30)), "coronal": ((2, 8, 20), (1, 4, 10))}
    expected["sagittal"] = ((3, 12, 30), (1, 4, 10))
    for panel, (plane, (across, up)) in zip(figures[0].axes, expected.items(), strict=True):
        assert panel.get_title().startswith(plane)
        frame = panel.get_window_extent()
        rows, columns = coloured(pictures[0], ORANGE).T
        inside = (columns > frame.x0) & (columns < frame.x1) & (height - rows > frame.y0) & (height - rows < frame.y1)
        share_across = (columns[inside] - frame.x0) / frame.width
        share_up = (height - rows[inside] - frame.y0) / frame.height
        for share, (first, after, size) in ((share_across, across), (share_up, up)):
            # An outline runs half a voxel from the centres of the label's voxels, which is at their edges.
            assert share.min() == pytest.approx(first / size, abs=0.02)
            assert share.max() == pytest.approx(after / size, abs=0.02)


def test_slices_have_true_proportions_titles_and_letters(scan, tmp_path, figures):
    label = make_label(tmp_path / "label.nii.gz")
    draw_segmentation(scan, {"expert": label}, tmp_path / "picture.png", label_names={1: "hippocampus"})
    figure = figures[0]
    assert figure.get_suptitle() == "scan.nii.gz   spacing 1 x 1 x 3 mm (R, A, S)"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["hippocampus"]
    # In mm: 20 x 30 x (10 x 3). The box (12..17, 18..26, 1..3) is equally full in each of its slices, so the middle one
    # is drawn: indices 14, 22 and 2.
    table = [
        ("axial, slice 3 of 10", 20 / 30, ["R", "L", "A", "P"]),
        ("coronal, slice 23 of 30", 20 / 30, ["R", "L", "S", "I"]),
        ("sagittal, slice 15 of 20", 30 / 30, ["A", "P", "S", "I"]),
    ]
    for panel, (title, proportion, letters) in zip(figure.axes, table, strict=True):
        frame = panel.get_window_extent()
        assert panel.get_title() == title
        assert frame.width / frame.height == pytest.approx(proportion, rel=0.01)
        assert [text.get_text() for text in panel.texts] == letters
        places = {text.get_text(): text.get_position() for text in panel.texts}
        assert places[letters[0]][0] < places[letters[1]][0]
        assert places[letters[2]][1] > places[letters[3]][1]
    grey = np.asarray(nib.load(scan).dataobj)
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), grey[::-1, ::-1, 2].T)
    shown = np.concatenate([grey[:, :, 2].ravel(), grey[:, 22].ravel(), grey[14].ravel()])
    expected = np.percentile(shown[shown > shown.min()], (1, 99.5))
    for panel in figure.axes:
        np.testing.assert_allclose(panel.images[0].get_clim(), expected)


def test_an_empty_label_map_and_a_full_one_can_be_drawn(scan, tmp_path):
    empty = save(tmp_path / "empty.nii.gz", np.zeros((20, 30, 10), np.uint8), np.diag([1.0, 1.0, 3.0, 1.0]))
    full = save(tmp_path / "full.nii.gz", np.full((20, 30, 10), 9, np.uint8), np.diag([1.0, 1.0, 3.0, 1.0]))
    nothing = imread(draw_segmentation(scan, {"prediction": empty}, tmp_path / "a.png"))
    everything = imread(draw_segmentation(scan, {"prediction": full}, tmp_path / "b.png"))
    is_grey = np.ptp(nothing[..., :3], axis=-1).max() < 0.01
    assert is_grey
    assert np.ptp(everything[..., :3], axis=-1).max() > 0.3


@pytest.mark.parametrize(
    "other_grid",
    [{"shape": (20, 30, 11)}, {"spacing": 2.5}],
    ids=["shape", "spacing"],
)
def test_a_label_map_on_another_grid_is_refused_by_name(scan, tmp_path, other_grid):
    label = make_label(tmp_path / "label.nii.gz", **other_grid)
    with pytest.raises(ValueError, match="resample") as refusal:
        draw_segmentation(scan, {"expert": label}, tmp_path / "picture.png")
    assert str(label) in str(refusal.value)
    assert str(scan) in str(refusal.value)
    assert not (tmp_path / "picture.png").exists()


def test_no_label_map_is_refused(scan, tmp_path):
    with pytest.raises(InputError, match="at least one"):
        draw_segmentation(scan, {}, tmp_path / "picture.png")


def test_a_label_has_the_colour_of_its_value(scan, tmp_path, figures):
    values = (3, 5, 12)
    voxels = np.zeros((20, 30, 10), np.uint8)
    for place, value in enumerate(values):
        voxels[6 * place : 6 * place + 5, 5:20, 2:8] = value
    label = save(tmp_path / "label.nii.gz", voxels, np.diag([1.0, 1.0, 3.0, 1.0]))
    picture = imread(draw_segmentation(scan, {"expert": label}, tmp_path / "picture.png"))
    for value, patch in zip(values, figures[0].legends[0].get_patches(), strict=True):
        colour = np.array(label_colour(value)) / 255
        assert patch.get_facecolor()[:3] == pytest.approx(colour)
        assert len(coloured(picture, colour)) > 100


def test_an_even_scan_is_drawn(tmp_path):
    scan = save(tmp_path / "even.nii.gz", np.full((6, 5, 4), 7, np.int16), np.eye(4))
    label = save(tmp_path / "label.nii.gz", np.ones((6, 5, 4), np.uint8), np.eye(4))
    assert imread(draw_segmentation(scan, {"expert": label}, tmp_path / "picture.png")).shape[1] == 1100
