import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from scipy.ndimage import binary_fill_holes
from scipy.ndimage import label as components

from pipeline.data.errors import InputError
from pipeline.data.sample import make_sample


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return make_sample(tmp_path_factory.mktemp("sample") / "set", cases=7, scans=1, folds=3).parent


def read_pair(root, split, name):
    image = nib.load(root / f"images{split}" / f"{name}.nii.gz")
    label = nib.load(root / f"labels{split}" / f"{name}.nii.gz")
    return image, label


def scan_names(root):
    return [(f.parent.name[-2:], f.name.removesuffix(".nii.gz")) for f in sorted(root.glob("images*/*.nii.gz"))]


def files_of(root):
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}


def test_datalist_names_every_file_and_its_fold(sample):
    datalist = json.loads((sample / "dataset.json").read_text())
    assert datalist["numTraining"] == len(datalist["training"]) == 7
    assert [item["fold"] for item in datalist["training"]] == [0, 1, 2, 0, 1, 2, 0]
    assert datalist["labels"] == {"background": 0, "ellipsoid": 1, "shell": 2, "tube": 3}
    assert "SYNTHETIC" in datalist["description"]
    assert (datalist["licence"], datalist["seed"], datalist["generator"]) == ("CC0-1.0", 0, "lightskip sample")
    named = [Path(item[key]) for item in datalist["training"] for key in ("image", "label")]
    named += [Path(path) for path in datalist["test"]]
    hidden = {Path("labelsTs/scan_000.nii.gz")}
    on_disk = {f.relative_to(sample) for f in sample.rglob("*.nii.gz")}
    assert on_disk == set(named) | hidden
    assert len(named) == 15


def test_simpleitk_reads_the_same_geometry_as_nibabel(sample):
    to_lps = np.diag([-1.0, -1.0, 1.0])  # NIfTI's world is RAS, ITK's is LPS
    for split, name in scan_names(sample):
        image, label = read_pair(sample, split, name)
        assert image.shape == label.shape
        assert np.array_equal(image.affine, label.affine)
        for kind, nifti in (("images", image), ("labels", label)):
            itk = SimpleITK.ReadImage(str(sample / f"{kind}{split}" / f"{name}.nii.gz"))
            matrix = to_lps @ np.reshape(itk.GetDirection(), (3, 3)) @ np.diag(itk.GetSpacing())
            np.testing.assert_allclose(matrix, nifti.affine[:3, :3], atol=1e-4)
            np.testing.assert_allclose(to_lps @ itk.GetOrigin(), nifti.affine[:3, 3], atol=1e-3)
            np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(itk).T, np.asarray(nifti.dataobj))


def test_headers_say_millimetres_and_both_forms(sample):
    for split, name in scan_names(sample):
        for nifti in read_pair(sample, split, name):
            assert (int(nifti.header["qform_code"]), int(nifti.header["sform_code"])) == (1, 1)
            assert nifti.header.get_xyzt_units()[0] == "mm"
            np.testing.assert_allclose(nifti.get_qform(), nifti.get_sform(), atol=1e-4)


def test_grids_and_number_types_vary(sample):
    images = [read_pair(sample, *scan)[0] for scan in scan_names(sample)]
    codes = ["".join(nib.aff2axcodes(image.affine)) for image in images[:7]]
    assert codes == ["RAS", "LPS", "PIR", "LAS", "ASL", "RPI", "SRA"]
    assert {image.get_data_dtype() for image in images} == {np.dtype(np.int16), np.dtype(np.float32)}
    for image in images:
        x, y, z = image.header.get_zooms()
        assert x == pytest.approx(y)
        assert 0.9 <= x <= 1.3
        assert 1.5 <= z <= 2.5
        assert all(low <= n <= high for n, low, high in zip(image.shape, (44, 44, 24), (60, 60, 34), strict=True))
    # The angle between a grid's axes and the world's: the matrix nearest to a permutation says how oblique it is.
    directions = [np.abs(image.affine[:3, :3] / image.header.get_zooms()) for image in images]
    obliquity = [np.rad2deg(np.arccos(d.max(axis=0).min())) for d in directions]
    assert max(obliquity) > 8.0
    assert max(obliquity) <= 20.1
    brightness = [np.percentile(image.get_fdata(), 99) for image in images]
    assert max(brightness) / min(brightness) > 300


def test_each_structure_is_whole_and_has_its_shape(sample):
    for split, name in scan_names(sample):
        label = read_pair(sample, split, name)[1]
        voxels = np.asarray(label.dataobj)
        assert label.get_data_dtype() == np.uint8
        assert np.unique(voxels).tolist() == [0, 1, 2, 3]
        inner = voxels[1:-1, 1:-1, 1:-1]
        assert np.count_nonzero(inner) == np.count_nonzero(voxels), "cut off by the border of the grid"
        for value in (1, 2, 3):
            assert components(voxels == value, np.ones((3, 3, 3)))[1] == 1
        cavity = binary_fill_holes(voxels == 2).sum() - (voxels == 2).sum()
        assert cavity * np.prod(label.header.get_zooms()) > 100  # mm³: the shell is closed; more than a 2.9 mm ball
        assert binary_fill_holes(voxels == 1).sum() == (voxels == 1).sum()


def test_volumes_in_mm3_are_those_of_the_solids(sample):
    # Ellipsoid: semi-axes of 7.5 to 12 mm. Tube: an arc of radius 9 to 12 mm over 120 to 170°, 3 to 3.5 mm thick each
    # way, with a half ball at each end.
    ball = 4 / 3 * np.pi
    tube = [np.pi * r**2 * bend * np.deg2rad(arc) + ball * r**3 for r, bend, arc in ((3.0, 9, 120), (3.5, 12, 170))]
    limits = {1: (ball * 7.5**3, ball * 12**3), 3: tube}
    for split, name in scan_names(sample):
        label = read_pair(sample, split, name)[1]
        for value, (low, high) in limits.items():
            volume = np.count_nonzero(np.asarray(label.dataobj) == value) * np.prod(label.header.get_zooms())
            assert 0.93 * low < volume < 1.07 * high  # sampling at voxel centres


def best_threshold_dice(intensity, truth):
    """The Dice of the best interval of intensities, in 200 equal steps, chosen with the truth in hand."""
    edges = np.linspace(intensity.min(), intensity.max(), 201)
    inside = np.histogram(intensity[truth], edges)[0].cumsum()
    everything = np.histogram(intensity, edges)[0].cumsum()
    hits = inside[None] - np.append(0, inside[:-1])[:, None]
    chosen = everything[None] - np.append(0, everything[:-1])[:, None]
    upper = np.triu_indices(len(inside))
    return (2 * hits[upper] / (chosen[upper] + truth.sum())).max()


def test_no_threshold_finds_the_structures(sample):
    dice = {1: [], 2: [], 3: []}
    for split, name in scan_names(sample):
        image, label = read_pair(sample, split, name)
        voxels = np.asarray(label.dataobj)
        for value, found in dice.items():
            found.append(best_threshold_dice(image.get_fdata().ravel(), (voxels == value).ravel()))
    assert best_threshold_dice(voxels.ravel().astype(float), (voxels == 3).ravel()) == 1.0  # the measure itself
    assert max(dice[3]) < 0.5
    assert np.mean(dice[3]) < 0.3
    assert np.mean(dice[1]) < 0.75
    assert np.mean(dice[2]) < 0.75


@pytest.mark.slow
def test_same_bytes_each_time_and_a_larger_set_extends_a_smaller(sample, tmp_path):
    small = files_of(make_sample(tmp_path / "small", cases=2, scans=1, folds=2).parent)
    again = files_of(make_sample(tmp_path / "again", cases=2, scans=1, folds=2).parent)
    assert small == again
    larger = files_of(sample)
    volumes = [name for name in small if name.endswith(".nii.gz")]
    assert len(volumes) == 6
    assert all(small[name] == larger[name] for name in volumes)
    for name in volumes:
        flags, mtime = small[name][3], small[name][4:8]
        assert (flags, mtime) == (0, b"\0\0\0\0")  # RFC 1952: no file name, no time
    other = files_of(make_sample(tmp_path / "other", cases=2, scans=1, folds=2, seed=1).parent)
    assert not any(small[name] == other[name] for name in volumes)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"cases": 3, "folds": 4}, "cases = 3"),
        ({"cases": 0, "folds": 0}, "folds = 0"),
        ({"scans": -1}, "scans = -1"),
        ({"seed": -1}, "seed = -1"),
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path, numbers, message):
    with pytest.raises(InputError, match=message):
        make_sample(tmp_path / "set", **numbers)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match="not empty"):
        make_sample(tmp_path / "set", cases=1, folds=1)
    assert files_of(tmp_path) == {"set/mine.txt": b"precious"}


def test_an_empty_folder_is_used(tmp_path):
    (tmp_path / "set").mkdir()
    path = make_sample(tmp_path / "set", cases=1, scans=0, folds=1)
    assert path == tmp_path / "set" / "dataset.json"
    assert [f.name for f in tmp_path.iterdir()] == ["set"]


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    written = []
    write_bytes = Path.write_bytes

    def interrupted_write(path, data):
        written.append(path)
        if len(written) == 3:
            raise KeyboardInterrupt
        return write_bytes(path, data)

    monkeypatch.setattr(Path, "write_bytes", interrupted_write)
    with pytest.raises(KeyboardInterrupt):
        make_sample(tmp_path / "set", cases=2, scans=0, folds=1)
    assert len(written) == 3
    assert list(tmp_path.iterdir()) == []
