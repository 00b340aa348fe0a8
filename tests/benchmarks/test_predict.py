import json

import nibabel as nib
import numpy as np
import pytest
from predict_cases import case_scores, rate_scores
from predict_overhead import make_wide_scan
from predict_parts import case_dice, compare_label_maps, fold_cases, make_bundle, make_ct
from predict_preparation import Preparation, measure_preparation

from pipeline.bundle.render import check_rendered


def test_a_ct_has_air_a_body_and_its_axes(tmp_path):
    scan = nib.load(make_ct(tmp_path / "ct.nii.gz", (40, 30, 20), spacing=(0.8, 0.8, 1.0), axes=(1, 2, 0)))
    voxels = np.asarray(scan.dataobj)
    assert (voxels.dtype, voxels.shape) == (np.int16, (40, 30, 20))
    assert nib.aff2axcodes(scan.affine) == ("A", "S", "R")
    assert scan.header.get_zooms() == pytest.approx((0.8, 0.8, 1.0))
    assert voxels[0].mean() == pytest.approx(-1000, abs=5)
    # The ellipse's half axes are 0.8 and 0.6 of the way from the image's centre to the outermost voxels.
    area = np.pi * (0.8 * 39 / 2) * (0.6 * 29 / 2)
    assert (voxels > -500).mean() == pytest.approx(area / (40 * 30), rel=0.02)
    assert voxels[20, 15].std() > 20


def test_a_bundle_is_rendered_and_has_the_classes_asked_for(tmp_path):
    bundle = make_bundle(tmp_path / "seven", classes=7, spacing=(0.8, 0.8, 1.0), window=32, channels=(4, 8), inputs=2)
    assert not check_rendered(bundle)
    config = json.loads((bundle / "configs" / "inference.json").read_text())
    assert (len(config["labels"]), config["in_channels"], config["inferer"]["roi_size"]) == (7, 2, [32, 32, 32])
    assert (bundle / "models" / "model.pt").is_file()


def test_label_maps_are_compared_voxel_by_voxel(tmp_path):
    labels = np.zeros((4, 5, 6), np.uint8)
    files = [tmp_path / f"{name}.nii.gz" for name in "abc"]
    for file, changed, affine in zip(files, (0, 3, 0), (1, 1, 2), strict=True):
        labels[0, 0, :changed] = 1
        nib.save(nib.Nifti1Image(labels, np.eye(4) * affine), file)
        labels[:] = 0
    assert compare_label_maps(files[0], files[1]) == {"voxels": 3, "of": 120, "bytes_equal": False}
    assert compare_label_maps(files[0], files[0]) == {"voxels": 0, "of": 120, "bytes_equal": True}
    with pytest.raises(RuntimeError, match="different grids"):
        compare_label_maps(files[0], files[2])


def test_scores_by_hand():
    labels = np.zeros((7, 7, 7), np.uint8)
    labels[3, 3, 3] = 2
    entropy = np.full(labels.shape, 0.1)
    entropy[3, 3, 3], entropy[3, 3, 2] = 0.5, 0.9
    scores = list(case_scores(entropy, labels).values())
    total = 0.5 + 0.9 + 341 * 0.1
    assert scores == pytest.approx([0.5, total, (0.5 + 0.9 + 25 * 0.1) / 27, total, total / 343])


@pytest.mark.slow
def test_what_scores_tell():
    dice = np.linspace(0.9, 0.5, 21)
    perfect, useless = -dice, np.tile([0.0, 1.0], 11)[:21]
    found = rate_scores(dice, {"perfect": perfect, "useless": useless}, seed=0)
    assert found["perfect"]["correlation"] == pytest.approx(1)
    assert found["perfect"]["dice_most_uncertain"] == pytest.approx(np.mean(dice[-10:]))
    assert found["perfect"]["dice_others"] == pytest.approx(np.mean(dice[:11]))
    assert found["perfect"]["better_by_interval"] == [0, 0]
    low, high = found["useless"]["interval"]
    assert low < 0 < high
    assert found["useless"]["better_by_interval"][1] < 0


def test_a_wide_scan_repeats_the_scan(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 100, (5, 6, 12)).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "a.nii.gz")
    wide = nib.load(make_wide_scan(tmp_path / "a.nii.gz", tmp_path / "wide", 11, 0.8) / "wide.nii.gz")
    assert wide.shape == (11, 11, 11)
    assert wide.header.get_zooms() == pytest.approx((0.8, 0.8, 0.8))
    data = np.asarray(wide.dataobj)
    np.testing.assert_array_equal(data[:5, :6], voxels[..., :11])
    np.testing.assert_array_equal(data[5:10, :6], voxels[::-1, :, :11])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nii.gz", "scaled.nii.gz", "mha", "dicom"])
def test_preparation_is_measured_in_the_networks_grid(kind, tmp_path):
    # Large enough that it does not fit into what the process has freed before.
    small = Preparation(shape=(161, 161, 161), spacing=(1.6, 1.6, 2.0), kind=kind)
    found = measure_preparation(small, tmp_path, seed=0)
    # From the first voxel's centre to the last one's: 160 steps, and 80 of twice the size.
    assert (found["scan_voxels"], found["network_voxels"]) == (161**3, 81**3)
    # The scan itself is the least that has to be held.
    assert found["measured"] > 161**3 * 2
    assert [path.name for path in tmp_path.iterdir()] == ["prepare_ct_1_1.6_1.6_2.0"]


def test_dice_of_a_case_by_hand(tmp_path):
    reference = np.zeros((4, 4, 4), np.uint8)
    reference[0, 0] = 1
    reference[1, 0] = 2
    nib.save(nib.Nifti1Image(reference, np.eye(4)), tmp_path / "label.nii.gz")
    found = reference.copy()
    found[0, 0, :2] = 0
    dice = case_dice(found, tmp_path / "label.nii.gz", {"background": 0, "a": 1, "b": 2})
    # Two of four voxels found: 2 * 2 / (2 + 4).
    assert dice == pytest.approx({"a": 2 / 3, "b": 1.0, "mean": 5 / 6})


def test_the_cases_of_a_fold(tmp_path):
    cases = [{"image": f"i{n}.nii", "label": f"l{n}.nii", "fold": n % 2} for n in range(4)]
    (tmp_path / "list.json").write_text(json.dumps({"training": cases}))
    assert fold_cases(tmp_path / "list.json", tmp_path, 1) == [
        {"image": tmp_path / "i1.nii", "label": tmp_path / "l1.nii"},
        {"image": tmp_path / "i3.nii", "label": tmp_path / "l3.nii"},
    ]


@pytest.mark.long
@pytest.mark.parametrize("part", ["cases", "memory", "preparation", "overhead"])
def test_quick(part, tmp_path, run_script):
    output = tmp_path / "found.json"
    words = ["--rounds", "1"] if part in ("cases", "overhead") else []
    done = run_script("predict", part, "--quick", *words, "-o", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(output.read_text())
    assert found["machine"]["cpu"]
    assert str(tmp_path) not in output.read_text()
    if part == "cases":
        same = found["same_as_monai"]
        assert (same["label_maps"], same["files_equal"], same["voxels_differing"]) == (3, 3, 0)
        assert found["quality"]["predict"].keys() == {"organ_1", "organ_2", "organ_3", "mean"}
    elif part == "memory":
        run = found["runs"]["tiny"]
        assert run["kept"]
        assert run["monai"]["voxels"] < 1e-4 * run["monai"]["of"]
    elif part == "preparation":
        tiny = found["preparations"]["tiny"]
        assert tiny["scan_voxels"] == tiny["network_voxels"] == 64**3
        assert tiny["ratio"] == pytest.approx(tiny["expected"] / tiny["measured"])
    else:
        assert len(found["runs"]) == 4
        assert all(0 < run["share"]["median"] < 1 for run in found["runs"].values())


def test_a_part_that_cannot_run_says_why(tmp_path, run_script):
    done = run_script("predict", "cases", "-o", str(tmp_path / "found.json"))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "--dataset_dir" in done.stderr
    wrong = run_script("predict", "cases", "--dataset_dir", str(tmp_path), "-o", str(tmp_path / "found.json"))
    assert (wrong.returncode, "Traceback" in wrong.stderr) == (2, False)
    assert wrong.stdout.startswith("error: ")
