import nibabel as nib
import numpy as np
import pytest
from matplotlib.image import imread
from pipeline.report.figures import draw_curve, draw_segmentation, fullest_slices

from pipeline.data.errors import InputError
from pipeline.report import figures as module

ORANGE = np.array([0xE6, 0x9F, 0x00]) / 255
HEADER = "epoch,train_loss,val_mean_dice,val_dice_tube,learning_rate,seconds,elapsed_seconds\n"


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


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((slice(2, 3), slice(0, 4), slice(1, 2)), (2, 0, 1)),  # a bar along the second axis: all its slices are equal
        ((slice(0, 5), slice(3, 4), slice(2, 3)), (0, 3, 2)),
        ((slice(0, 0), slice(0, 0), slice(0, 0)), (2, 3, 4)),  # nothing labelled: the middle of 5 x 6 x 8
    ],
)
def test_fullest_slices_of_a_box(box, expected):
    label_map = np.zeros((5, 6, 8), int)
    label_map[box] = 7
    assert fullest_slices(label_map) == expected


def test_fullest_slices_counts_voxels_and_not_label_values():
    label_map = np.zeros((4, 4, 4), int)
    label_map[1, 1, 1] = 1
    label_map[3, 2:4, 3] = 1
    label_map[1, 2, 1] = 1
    label_map[1, 3, 1] = 1
    assert fullest_slices(label_map) == (1, 2, 1)
    large_value = np.zeros((4, 4, 4), int)
    large_value[0, 0, 0] = 100
    large_value[3, 3, :2] = 1
    assert fullest_slices(large_value)[0] == 3


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


@pytest.fixture
def figures(monkeypatch):
    """The figures behind the files: their texts and places are what the pixels of a PNG no longer tell."""
    drawn = []

    def save_and_keep(figure, output):
        drawn.append(figure)
        return save_figure(figure, output)

    save_figure = module._save
    monkeypatch.setattr(module, "_save", save_and_keep)
    return drawn


def test_the_label_is_drawn_where_it_lies_whatever_the_orientation_of_the_files(scan, tmp_path, figures):
    pictures = []
    for axcodes in ("RAS", "LPI", "SAR"):
        label = make_label(tmp_path / f"{axcodes}.nii.gz", axcodes=axcodes)
        pictures.append(imread(draw_segmentation(scan, {"expert": label}, tmp_path / "picture.png")))
    assert np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(pictures[0], pictures[2])
    # The box is voxels 12..17 of 20 to the right, 18..26 of 30 to the front, 1..3 of 10 upwards. Rows count downwards.
    height = pictures[0].shape[0]
    expected = {"axial": ((12, 18, 20), (18, 27, 30)), "coronal": ((12, 18, 20), (1, 4, 10))}
    expected["sagittal"] = ((18, 27, 30), (1, 4, 10))
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
    # In mm: 20 x 30 x (10 x 3). The box is equally full in each of its slices, so the first of each is drawn.
    table = [
        ("axial, slice 2 of 10", 20 / 30, ["L", "R", "P", "A"]),
        ("coronal, slice 19 of 30", 20 / 30, ["L", "R", "I", "S"]),
        ("sagittal, slice 13 of 20", 30 / 30, ["P", "A", "I", "S"]),
    ]
    for panel, (title, proportion, letters) in zip(figure.axes, table, strict=True):
        frame = panel.get_window_extent()
        assert panel.get_title() == title
        assert frame.width / frame.height == pytest.approx(proportion, rel=0.01)
        assert [text.get_text() for text in panel.texts] == letters
        places = {text.get_text(): text.get_position() for text in panel.texts}
        assert places[letters[0]][0] < places[letters[1]][0]
        assert places[letters[2]][1] < places[letters[3]][1]
    grey = np.asarray(nib.load(scan).dataobj)
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), grey[:, :, 1].T)
    np.testing.assert_allclose(figure.axes[0].images[0].get_clim(), np.percentile(grey, (1, 99)))


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


def write_history(path, *lines, header=HEADER):
    path.write_text(header + "".join(f"{line}\n" for line in lines))
    return path


def test_curve_is_a_png_and_marks_the_best_epoch(tmp_path, figures):
    history = write_history(
        tmp_path / "history.csv",
        "1,1.5,,,0.001,60,60",
        "2,0.9,0.61,0.61,0.001,60,120",
        "3,0.7,0.83,0.83,0.001,60,180",
        "4,0.6,0.79,0.79,0.001,60,240",
    )
    output = draw_curve(history, tmp_path / "curve.png")
    assert imread(output).shape[:2] == (660, 880)
    upper, lower = figures[0].axes
    assert upper.get_title() == "history.csv: 4 epochs in 4 min; best mean Dice 0.830 at epoch 3"
    assert upper.get_yscale() == "log"
    drawn = {line.get_label(): line.get_xydata().tolist() for line in lower.lines}
    assert drawn["tube"] == drawn["mean"] == [[2.0, 0.61], [3.0, 0.83], [4.0, 0.79]]
    assert drawn["best: epoch 3"] == [[3.0, 0.83]]


def test_curve_with_a_negative_loss_is_linear_and_without_validation_has_no_best(tmp_path, figures):
    draw_curve(write_history(tmp_path / "history.csv", "1,-0.5,,,0.001,30,30"), tmp_path / "curve.png")
    upper, _ = figures[0].axes
    assert upper.get_yscale() == "linear"
    assert upper.get_title() == "history.csv: 1 epochs in 0.5 min"


@pytest.mark.parametrize(
    ("header", "lines", "message"),
    [
        ("epoch,train_loss,elapsed_seconds\n", ["1,0.5,60"], "no column val_mean_dice"),
        (HEADER, [], "no epoch"),
        (HEADER, ["1,much,,,0.001,60,60"], "much"),
        (HEADER, ["1,0.5,,,0.001,60,60", "2,0.4"], "line 3, column elapsed_seconds"),
        ("", [], "no column epoch"),
    ],
)
def test_unusable_histories_are_refused(tmp_path, header, lines, message):
    history = write_history(tmp_path / "history.csv", *lines, header=header)
    with pytest.raises(InputError, match=message) as refusal:
        draw_curve(history, tmp_path / "curve.png")
    assert str(history) in str(refusal.value)
    assert not (tmp_path / "curve.png").exists()


def test_a_missing_history_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        draw_curve(tmp_path / "history.csv", tmp_path / "curve.png")
