import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from scipy.ndimage import gaussian_filter
from scipy.ndimage import label as components

from pipeline.cli import main
from pipeline.data.errors import InputError
from pipeline.data.sample_left_right import make_left_right_sample

LEFT, RIGHT, LESION = 1, 2, 3
CASES, SCANS = 12, 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_left_right_sample(tmp_path_factory.mktemp("sample") / "set", cases=CASES, scans=SCANS).parent


class Case:
    """One case as nibabel reads it: two channels and a label map, and where each voxel's centre lies (mm, RAS)."""

    def __init__(self, label_file):
        images = label_file.parent.with_name(label_file.parent.name.replace("labels", "images"))
        stem = label_file.name.removesuffix(".nii.gz")
        self.files = [images / f"{stem}_0000.nii.gz", images / f"{stem}_0001.nii.gz", label_file]
        self.niftis = [nib.load(file) for file in self.files]
        *self.channels, labels = (nifti.get_fdata() for nifti in self.niftis)
        self.labels = labels.astype(int)
        self.affine = self.niftis[0].affine
        self.places = np.moveaxis(np.indices(labels.shape), 0, -1) @ self.affine[:3, :3].T + self.affine[:3, 3]
        self.body = self.channels[0] > np.percentile(self.channels[0], 90) / 2
        self.middle = self.places[self.body].mean(axis=0)

    def centroid(self, value):
        return self.places[self.labels == value].mean(axis=0)

    def ml(self, value):
        return np.count_nonzero(self.labels == value) * np.prod(self.niftis[2].header.get_zooms()) / 1000


@pytest.fixture(scope="module")
def all_cases(folder):
    return [Case(file) for file in sorted(folder.glob("labelsT*/*.nii.gz"))]


def files_of(root):
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}


def best_threshold_dice(intensity, truth):
    """The Dice of the best interval of intensities, in 200 equal steps, chosen with the truth in hand."""
    edges = np.linspace(intensity.min(), intensity.max(), 201)
    inside, everything = (np.append(0, np.histogram(v, edges)[0].cumsum()) for v in (intensity[truth], intensity))
    first, last = np.triu_indices(len(edges), 1)
    return (2 * (inside[last] - inside[first]) / (everything[last] - everything[first] + truth.sum())).max()


@pytest.mark.slow
def test_dataset_json_and_the_files_are_nnunets(folder):
    described = json.loads((folder / "dataset.json").read_text())
    assert described["channel_names"] == {"0": "synthetic A", "1": "synthetic B"}
    assert described["labels"] == {"background": 0, "left_organ": 1, "right_organ": 2, "lesion": 3}
    assert (described["numTraining"], described["file_ending"]) == (CASES, ".nii.gz")
    assert (described["licence"], described["seed"]) == ("CC0-1.0", 0)
    assert described["generator"] == "lightskip sample --kind left_right"
    assert "SYNTHETIC" in described["description"]
    assert "not anatomy" in described["description"]
    names = [("Tr", f"case_{index:03d}") for index in range(CASES)] + [("Ts", "scan_000")]
    expected = {f"labels{split}/{name}.nii.gz" for split, name in names}
    expected |= {f"images{split}/{name}_{channel}.nii.gz" for split, name in names for channel in ("0000", "0001")}
    assert set(files_of(folder)) == expected | {"dataset.json"}


def test_simpleitk_reads_one_grid_for_both_channels_and_the_labels_as_nibabel_does(all_cases):
    to_lps = np.diag([-1.0, -1.0, 1.0])  # NIfTI's world is RAS, ITK's is LPS
    for case in all_cases:
        for file, nifti in zip(case.files, case.niftis, strict=True):
            itk = SimpleITK.ReadImage(str(file))
            matrix = np.reshape(itk.GetDirection(), (3, 3)) * itk.GetSpacing()
            np.testing.assert_allclose(to_lps @ matrix, case.affine[:3, :3], atol=1e-4)
            np.testing.assert_allclose(to_lps @ itk.GetOrigin(), case.affine[:3, 3], atol=1e-3)
            np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(itk).T, np.asarray(nifti.dataobj))


def test_headers_say_millimetres_and_both_forms(all_cases):
    for nifti in (nifti for case in all_cases for nifti in case.niftis):
        assert (int(nifti.header["qform_code"]), int(nifti.header["sform_code"])) == (1, 1)
        assert nifti.header.get_xyzt_units()[0] == "mm"
        np.testing.assert_allclose(nifti.get_qform(), nifti.get_sform(), atol=1e-4)


def test_slices_are_thick_and_grids_and_number_types_vary(all_cases):
    codes = ["".join(nib.aff2axcodes(case.affine)) for case in all_cases[:7]]
    assert codes == ["RAS", "LPS", "LAS", "ALS", "RPI", "PRS", "LAI"]
    for case in all_cases:
        x, y, z = case.niftis[0].header.get_zooms()
        assert x == pytest.approx(y)
        assert 0.9 <= x <= 1.15
        assert 4.5 <= z <= 6.0
        assert all(low <= n <= high for n, low, high in zip(case.labels.shape, (64, 64, 14), (80, 80, 20), strict=True))
        assert case.niftis[0].get_data_dtype() == case.niftis[1].get_data_dtype()
        assert case.niftis[2].get_data_dtype() == np.uint8
    assert {case.niftis[0].get_data_dtype() for case in all_cases} == {np.dtype(np.int16), np.dtype(np.float32)}
    in_plane = [case.niftis[0].header.get_zooms()[0] for case in all_cases]
    assert max(in_plane) / min(in_plane) > 1.1
    directions = [np.abs(case.affine[:3, :3] / case.niftis[0].header.get_zooms()) for case in all_cases]
    obliquity = [np.rad2deg(np.arccos(d.max(axis=0).min())) for d in directions]
    assert 3.0 < max(obliquity) <= 8.1


def test_left_is_the_patients_left_in_the_world_and_on_changing_sides_of_the_array(all_cases):
    sides = []
    for case in all_cases:
        left, right = ((case.centroid(value) - case.middle)[0] for value in (LEFT, RIGHT))
        assert left < -10.0  # mm from the middle of the body; R grows to the patient's right
        assert right > 10.0
        axis = np.abs(case.affine[0, :3]).argmax()
        left, right = (np.argwhere(case.labels == value)[:, axis].mean() for value in (LEFT, RIGHT))
        sides.append(left < right)
    assert 0 < sum(sides) < len(sides)


def test_simpleitk_finds_the_left_organ_on_the_left(all_cases):
    for case in all_cases:
        labels = SimpleITK.ReadImage(str(case.files[2]))
        shapes = SimpleITK.LabelShapeStatisticsImageFilter()
        shapes.Execute(labels)
        assert shapes.GetCentroid(LEFT)[0] > shapes.GetCentroid(RIGHT)[0] + 20.0  # L grows to the patient's left


def test_the_organs_mirror_each_other_and_are_not_copies(all_cases):
    mirrored, moved = [], []
    for case in all_cases:
        assert 0.8 < case.ml(LEFT) / case.ml(RIGHT) < 1.25
        left, right = case.centroid(LEFT), case.centroid(RIGHT)
        across = (right - left) / np.linalg.norm(right - left)
        points = case.places[case.labels == LEFT]
        reflected = points - 2 * np.outer((points - (left + right) / 2) @ across, across)
        for found, there in ((mirrored, reflected), (moved, points + right - left)):
            voxels = np.rint((there - case.affine[:3, 3]) @ np.linalg.inv(case.affine[:3, :3]).T).astype(int)
            found.append(np.mean(case.labels[tuple(voxels.T)] == RIGHT))
    assert np.mean(mirrored) > 0.83
    assert min(np.subtract(mirrored, moved)) > 0.0


def test_intensities_do_not_tell_the_organs_apart(all_cases):
    for channel in (0, 1):
        stacked = [[case.channels[channel][case.labels == value] for value in (LEFT, RIGHT)] for case in all_cases]
        means, deviations = (np.log([[f(v) for v in pair] for pair in stacked]) for f in (np.mean, np.std))
        difference = means[:, 1] - means[:, 0]
        assert np.abs(difference).max() < 0.25  # the bias field's share
        assert np.abs(difference.mean()) < 0.06
        assert np.abs((deviations[:, 1] - deviations[:, 0]).mean()) < 0.15


def test_each_channel_shows_the_half_of_an_organ_that_the_other_does_not(all_cases):
    for case in all_cases:
        for value in (LEFT, RIGHT):
            y = case.places[case.labels == value][:, 1] - case.centroid(value)[1]
            values = [channel[case.labels == value] / np.median(channel[case.body]) for channel in case.channels]
            front, back = ([channel[half].mean() for channel in values] for half in (y > 3.0, y < -3.0))
            assert front[0] > back[0] + 0.05
            assert front[1] < back[1] - 0.05


def test_a_blob_on_the_right_is_in_channel_a_alone(all_cases):
    differences = []
    for case in all_cases:
        x, _, z = np.moveaxis(case.places - case.middle, -1, 0)
        low = case.body & (np.abs(z + 17.0) < 6.0)
        right, left = low & (x > 4.0), low & (x < -4.0)
        differences.append([(c[right].mean() - c[left].mean()) / np.median(c[case.body]) for c in case.channels])
    in_a, in_b = np.mean(differences, axis=0)
    assert in_a > 0.04
    assert in_b < 0.0


def test_the_lesion_is_small_and_sometimes_absent(all_cases):
    volumes = [case.ml(LESION) for case in all_cases]
    absent = sum(ml == 0 for ml in volumes)
    assert 1 <= absent <= CASES // 2
    # Semi-axes of 3.5 to 5.5 mm, sampled at the centres of voxels about 5 mm thick.
    assert all(0.07 < ml < 0.9 for ml in volumes if ml)
    places = [case.centroid(LESION) - case.middle for case in all_cases if case.ml(LESION)]
    assert np.ptp(places, axis=0).min() > 12.0


def test_structures_are_whole_and_apart_from_the_border(all_cases):
    for case in all_cases:
        assert set(np.unique(case.labels)) - {LESION} == {0, LEFT, RIGHT}
        inner = case.labels[1:-1, 1:-1, 1:-1]
        assert np.count_nonzero(inner) == np.count_nonzero(case.labels), "cut off by the border of the grid"
        for value in set(np.unique(case.labels)) - {0}:
            assert components(case.labels == value, np.ones((3, 3, 3)))[1] == 1


def test_no_threshold_finds_the_organs_and_the_lesion_needs_both_channels(all_cases):
    organs, lesions = [], []
    for case in all_cases:
        grey = [channel / np.median(channel[case.body]) for channel in case.channels]
        organs += [best_threshold_dice(v, case.labels == value) for v in grey for value in (LEFT, RIGHT)]
        if case.ml(LESION):
            smooth = [gaussian_filter(v, (1.0, 1.0, 0.3)) for v in grey]
            bright = (*smooth, np.minimum(*smooth))
            lesions.append([best_threshold_dice(v, case.labels == LESION) for v in bright])
    assert best_threshold_dice(case.labels.astype(float), case.labels == LEFT) == 1.0  # the measure itself
    assert max(organs) < 0.62
    assert np.mean(organs) < 0.4
    in_a, in_b, in_both = np.mean(lesions, axis=0)
    assert max(in_a, in_b) < in_both - 0.15


@pytest.mark.slow
def test_same_bytes_each_time_and_a_larger_set_extends_a_smaller(folder, tmp_path):
    small = files_of(make_left_right_sample(tmp_path / "small", cases=2, scans=1).parent)
    assert small == files_of(make_left_right_sample(tmp_path / "again", cases=2, scans=1).parent)
    larger = files_of(folder)
    volumes = [name for name in small if name.endswith(".nii.gz")]
    assert len(volumes) == 9
    assert all(small[name] == larger[name] for name in volumes)
    other = files_of(make_left_right_sample(tmp_path / "other", cases=2, scans=1, seed=1).parent)
    assert not any(small[name] == other[name] for name in volumes)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [({"cases": 0}, "cases = 0"), ({"scans": -1}, "scans = -1"), ({"seed": -1}, "seed = -1")],
)
def test_numbers_out_of_range_are_refused(tmp_path, numbers, message):
    with pytest.raises(InputError, match=message) as raised:
        make_left_right_sample(tmp_path / "set", **numbers)
    assert "fold" not in str(raised.value)  # there are none here
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone_and_an_empty_one_used(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match="not empty"):
        make_left_right_sample(tmp_path / "set", cases=1)
    assert files_of(tmp_path) == {"set/mine.txt": b"precious"}
    (tmp_path / "empty").mkdir()
    made = make_left_right_sample(tmp_path / "empty", cases=1, scans=0)
    assert made == tmp_path / "empty" / "dataset.json"
    assert sorted(f.name for f in tmp_path.iterdir()) == ["empty", "set"]


def test_the_command_writes_the_kind_that_is_asked_for(folder, tmp_path, capsys):
    words = ["sample", str(tmp_path / "set"), "--kind", "left_right", "--cases", "1", "--scans", "0"]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'set' / 'dataset.json'}\n"
    made, larger = files_of(tmp_path / "set"), files_of(folder)
    assert len(made) == 4
    assert all(made[name] == larger[name] for name in made if name != "dataset.json")
    assert main([*words[:1], str(tmp_path / "none"), *words[2:], "--cases", "0"]) == 2
    assert "cases = 0" in capsys.readouterr().err


def test_the_command_draws_forty_cases_unless_told(tmp_path, monkeypatch):
    asked = []

    def record(folder, **numbers):
        asked.append((folder, numbers))
        return Path("dataset.json")

    monkeypatch.setattr("pipeline.data.sample_left_right.make_left_right_sample", record)
    assert main(["sample", str(tmp_path), "--kind", "left_right", "--seed", "2"]) == 0
    assert asked == [(tmp_path, {"cases": 40, "scans": 4, "seed": 2})]


@pytest.mark.slow
def test_drawing_needs_neither_torch_nor_monai():
    words = "import sys, pipeline.data.sample_left_right; print({'torch', 'monai'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
