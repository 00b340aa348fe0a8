"""A scan next to the training scans: notes, refusals, and the way past them."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pipeline.data.errors import InputError
from pipeline.prediction.compare_scan import compare_scan
from pipeline.prediction.predictor import Predictor

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"
HIPPOCAMPUS = json.loads((BUNDLES / "hippocampus_mri" / "configs" / "metadata.json").read_text())["training_scans"]
CT = HIPPOCAMPUS | {
    "extent": [[300, 350, 420], [300, 350, 420], [200, 320, 500]],
    "spacing": [[0.6, 0.8, 1], [0.6, 0.8, 1], [1, 2, 5]],
    "low": [[-1024, -1000, -990]],
    "middle": [[-900, -400, -100]],
    "high": [[300, 500, 900]],
    "span": [[1300, 1500, 1900]],
    "zero": [[-0.75, -0.67, -0.55]],
    "centre": [[0.1, 0.4, 0.6]],
}


def crop(shape=(35, 50, 36), seed=0):
    """Return an image with the intensities of the training scans."""
    values = np.random.default_rng(seed).normal(500, 200, shape).clip(30, 1000)
    return values.astype(np.float32)[None]


def ct(shape=(60, 60, 40)):
    rng = np.random.default_rng(0)
    body = rng.choice([-1000, -100, 50, 700], shape, p=[0.4, 0.2, 0.38, 0.02])
    return np.rint(body + rng.normal(0, 12, shape)).astype(np.float32)[None]


def compare(image, spacing=(1, 1, 1), training=HIPPOCAMPUS, modality="MRI"):
    return compare_scan(image, np.diag([*spacing, 1.0]), training, modality=modality)


def test_a_scan_like_the_training_scans_gives_nothing():
    found = compare(crop())
    assert (found.notes, found.beyond) == ([], [])


def test_a_bundle_without_the_record_says_nothing():
    for training in (None, {}, {"extent": "large"}, {"extent": [[1, 2, 3]]}):
        found = compare(crop((90, 90, 90)), training=training)
        assert (found.notes, found.beyond) == ([], [])


@pytest.mark.parametrize(("side", "notes", "beyond"), [(60, 0, 0), (75, 1, 0), (150, 0, 1)])
def test_a_larger_field_of_view_is_noted_and_beyond_reason_refused(side, notes, beyond):
    found = compare(crop((side, side, side)))
    assert (len(found.notes), len(found.beyond)) == (notes, beyond)
    assert all("field of view" in each for each in found.notes + found.beyond)


def test_lengths_are_said_in_the_unit_of_training_and_not_compared_in_another():
    pixels = HIPPOCAMPUS | {"unit": "px"}
    side = crop((75, 75, 75))
    assert "75 x 75 x 75 px" in compare_scan(side, np.eye(4), pixels, modality="MRI", unit="px").notes[0]
    assert "75 x 75 x 75 px" in compare_scan(side, np.eye(4), pixels, modality="MRI").notes[0]
    (note,) = compare_scan(crop((150,) * 3), np.eye(4), pixels, modality="MRI", unit="mm").notes
    assert note == "its lengths are in mm, those of training in px"


def test_a_long_scan_is_a_note_however_long():
    assert compare(crop((35, 50, 300))).beyond == []


def test_axes_are_those_of_the_world():
    """The same scan with its axes in another order and direction."""
    affine = np.array([[0.0, 0, -1, 9], [1, 0, 0, 2], [0, 1, 0, 3], [0, 0, 0, 1]])
    training = HIPPOCAMPUS | {"extent": [[10, 10, 10], [50, 50, 50], [90, 90, 90]]}
    found = compare_scan(crop((50, 90, 10)), affine, training, modality="MRI")
    assert (found.notes, found.beyond) == ([], [])


def test_other_voxels_are_noted():
    (note,) = compare(crop((12, 50, 36)), (3, 1, 1)).notes
    assert "its voxels are 3 x 1 x 1 mm, those of training 1 x 1 x 1 mm" in note


def test_a_label_map_given_as_image_is_refused():
    labels = np.random.default_rng(0).integers(0, 3, (1, 35, 50, 36)).astype(np.float32)
    (words,) = compare(labels).beyond
    assert "3 distinct values, all whole numbers, as a label map has" in words


def test_a_ct_through_a_bundle_for_mri_is_refused():
    (words,) = compare(ct((35, 50, 36))).beyond
    assert "as those of a CT" in words


def test_z_scores_are_noted():
    image = crop()
    found = compare((image - image.mean()) / image.std())
    assert (len(found.notes), found.beyond) == (1, [])


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values + 1024,
        lambda values: (values + 1060) / 2000,
        lambda values: (values - values.mean()) / values.std(),
    ],
)
def test_a_ct_without_hounsfield_units_is_refused(change):
    options = {"spacing": (6, 6, 8), "training": CT | {"spacing": [[5, 6, 8]] * 3}, "modality": "CT"}
    assert compare(ct(), **options).beyond == []
    (words,) = compare(change(ct()), **options).beyond
    assert "no Hounsfield units" in words


def test_channels_are_named():
    training = HIPPOCAMPUS | {
        key: HIPPOCAMPUS[key] * 2 for key in ("low", "middle", "high", "span", "zero", "centre", "distinct")
    }
    image = np.concatenate([crop(), crop() - 700])
    (note,) = compare(image, training=training).notes
    assert note.startswith("channel 1: its values are")


def test_pictures_are_cut_to_any_size():
    training = {**HIPPOCAMPUS, "extent": [[512, 512, 512]] * 2, "spacing": [[1, 1, 1]] * 2}
    assert compare(crop((200, 300)), training=training).notes == []
    found = compare(crop((3000, 300)), training=training)
    assert (len(found.notes), found.beyond) == (1, [])


@pytest.fixture(scope="module")
def bundle(tiny_bundle, tmp_path_factory):
    """The tiny bundle with a record of small scans."""
    folder = tmp_path_factory.mktemp("trained") / "tiny"
    shutil.copytree(tiny_bundle, folder)
    file = folder / "configs" / "metadata.json"
    training = HIPPOCAMPUS | {"extent": [[10, 12, 14]] * 3, "spacing": [[1, 1, 1]] * 3}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"training_scans": training}))
    return folder


def test_predict_refuses_and_with_anyway_goes_through_with_a_note(bundle, tmp_path):
    file = tmp_path / "head.nii.gz"
    nib.save(nib.Nifti1Image(crop((48, 48, 24))[0], np.eye(4)), file)
    with pytest.raises(InputError, match=r"head\.nii\.gz: found a scan unlike those .*field of view is 48 x 48 x 24"):
        Predictor(bundle, device="cpu", runtime="pytorch")(file)
    prediction = Predictor(bundle, device="cpu", runtime="pytorch", anyway=True)(file)
    assert prediction.labels.shape == (48, 48, 24)
    assert any("segmented anyway: its field of view" in note for note in prediction.notes)


def test_arrays_are_compared_too(bundle):
    predictor = Predictor(bundle, device="cpu", runtime="pytorch")
    assert not any("unlike" in note for note in predictor(crop((12, 12, 12))[0]).notes)
    with pytest.raises(InputError, match="unlike those"):
        predictor(crop((48, 48, 24))[0])
