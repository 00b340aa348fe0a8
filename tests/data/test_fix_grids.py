"""Channels on different grids, from the check's finding to a datalist whose check finds nothing."""

import json
import logging

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from pipeline.data.check_dataset import check_dataset
from pipeline.data.dataset import read_dataset
from pipeline.data.fix import fix_dataset
from pipeline.data.read_scan import read_scan
from pipeline.report.fix_text import fix_text

from .conftest import AFFINE, SHAPE

FINE = AFFINE @ np.diag([0.5, 0.5, 0.5, 1])
FINE[:3, 3] -= 0.25 * np.abs(AFFINE[:3, :3]).sum(1) * np.sign(AFFINE[:3, :3].sum(1))
# 24 x 20 x 16 voxels of half the size: the same box as the first channel's.


def blob(shape, affine, centre=(24.0, -13, 12)):
    voxels = np.stack([*np.meshgrid(*map(np.arange, shape), indexing="ij"), np.ones(shape)])
    away = np.tensordot(affine, voxels, 1)[:3] - np.reshape(centre, (3,) + (1,) * len(shape))
    return 100 * np.exp(-((away / 5) ** 2).sum(0)).astype(np.float32)


@pytest.fixture
def two(small):
    small.described["modality"] = {"0": "T2", "1": "ADC"}
    return small


def add(two, name="a", *, shape=(24, 20, 16), affine=FINE, ending=".nii.gz", **item):
    # Equal images would be leakage.
    first = two.save(f"t2/{name}.nii.gz", len(name) + ord(name[0]) + blob(SHAPE, AFFINE))
    second = two.save(f"adc/{name}{ending}", blob(shape, affine), affine)
    return two.add(name, image=[first, second], **item)


def check(two):
    datalist = two.write()
    return read_dataset(datalist), check_dataset(datalist)


def problems(datalist):
    return [(f["kind"], f["file"]) for f in check_dataset(datalist)["findings"] if f["severity"] == "problem"]


def test_the_finding_names_the_remedy(two):
    add(two)
    _, report = check(two)
    found = [f for f in report["findings"] if f["kind"] in ("shape-differs", "spacing-differs")]
    assert {f["file"] for f in found} == {"adc/a.nii.gz"}
    assert all(f["fixable"] and "lightskip check DATALIST --fix FOLDER" in f["remedy"] for f in found)


def test_a_scan_to_predict_is_refused_with_the_remedy(two):
    item = add(two)
    files = [str(two.folder / path) for path in item["image"]]
    with pytest.raises(
        ValueError, match=r"adc/a\.nii\.gz.*shape \(24, 20, 16\).*lightskip check DATALIST --fix FOLDER"
    ):
        read_scan(files, channels=2, spatial_dims=3)


def test_a_channel_is_resampled_and_the_rest_stays(two, tmp_path):
    two.described |= {"licence": "CC0", "regions": {"both": [1, 2]}, "ignore": 9}
    add(two, "a", annotated=["front"], site="x")
    two.add("b", image=[two.save("t2/b.nii", blob(SHAPE, AFFINE)), two.save("adc/b.nii", 1 + blob(SHAPE, AFFINE))])
    add(two, "c", part="test")
    dataset, report = check(two)
    fixed = fix_dataset(dataset, report, tmp_path / "fixed")
    assert fixed.unable == {}
    assert set(fixed.repaired) == {"adc/a.nii.gz", "adc/c.nii.gz"}
    new = nib.load(tmp_path / "fixed/adc/a.nii.gz")
    assert new.shape == SHAPE
    np.testing.assert_allclose(new.affine, AFFINE, atol=1e-6)
    # The image is a smooth function of the place, so the resampled one is that function on the new grid, but for
    # the smoothing.
    assert np.abs(new.get_fdata() - blob(SHAPE, AFFINE)).max() < 8
    content = json.loads(fixed.datalist.read_text())
    item = content["training"][0]
    assert item == two.items["training"][0] | {
        "image": ["../small/t2/a.nii.gz", "./adc/a.nii.gz"],
        "label": "../small/labels/a.nii.gz",
    }
    assert content["test"] == [{"image": ["../small/t2/c.nii.gz", "./adc/c.nii.gz"]}]
    assert {key: content[key] for key in ("licence", "regions", "ignore")} == {
        key: two.described[key] for key in ("licence", "regions", "ignore")
    }
    assert problems(fixed.datalist) == []


def test_it_says_what_it_did(two, tmp_path):
    moved = FINE + np.array([[0, 0, 0, 2.0], [0] * 4, [0] * 4, [0] * 4])
    add(two, affine=moved)
    dataset, report = check(two)
    fixed = fix_dataset(dataset, report, tmp_path / "fixed")
    change = json.loads((tmp_path / "fixed/resampled.json").read_text())["adc/a.nii.gz"]
    assert (change["shape"], change["new_shape"]) == ([24, 20, 16], list(SHAPE))
    np.testing.assert_allclose(change["spacing"], [0.5, 0.75, 1])
    assert change["offset"] == pytest.approx(2)
    assert change["uncovered"] == pytest.approx(2 / 12)
    assert (
        "adc/a.nii.gz: resampled from 24 x 20 x 16 voxels of 0.5 x 0.75 x 1 mm to 12 x 10 x 8 voxels of 1 x 1.5 x 2 "
        "mm; centre 2 mm away, smoothed by 0.368 x 0.552 x 0.736 mm; 16.7 % of the first channel's grid not covered"
    ) in fix_text(fixed)


def test_a_label_map_on_another_channel_comes_along(two, tmp_path):
    """Drawn on the second channel, stored as floating point."""
    drawn = (blob((24, 20, 16), FINE) > 40).astype(np.float32)
    add(two, label=two.save("labels/a.nii.gz", drawn, FINE))
    dataset, report = check(two)
    fixed = fix_dataset(dataset, report, tmp_path / "fixed")
    assert set(fixed.repaired) == {"adc/a.nii.gz", "labels/a.nii.gz"}
    new = nib.load(tmp_path / "fixed/labels/a.nii.gz")
    assert new.get_data_dtype() == np.uint8
    expected = blob(SHAPE, AFFINE) > 40
    assert (np.asarray(new.dataobj) != expected).sum() <= 0.1 * expected.sum()
    assert problems(fixed.datalist) == []


UNABLE = {
    "another patient": ({"affine": FINE + np.outer([8, 0, 0, 0], [0, 0, 0, 1])}, "covers only 33.3 %"),
    "a label map of neither": ({"label_at": np.diag([1.0, 1, 1, 1])}, "the grid of one of its channels"),
}


@pytest.mark.parametrize(("change", "why"), UNABLE.values(), ids=UNABLE)
def test_what_cannot_be_repaired_has_a_reason(two, tmp_path, change, why):
    at = change.pop("label_at", None)
    item = {} if at is None else {"label": two.save("labels/a.nii.gz", two.label(), at)}
    add(two, **change, **item)
    dataset, report = check(two)
    fixed = fix_dataset(dataset, report, tmp_path / "fixed")
    assert any(why in reason for reason in fixed.unable.values()), fixed.unable


def test_one_channel_alone_is_not_resampled(small, tmp_path):
    small.add("a", label=small.save("labels/a.nii.gz", (blob((24, 20, 16), FINE) > 40).astype(np.uint8), FINE))
    datalist = small.write()
    report = check_dataset(datalist)
    assert not any(f["fixable"] for f in report["findings"])
    assert fix_dataset(read_dataset(datalist), report, tmp_path / "fixed").datalist is None


def test_nrrd_and_another_orientation(two, tmp_path):
    turned = np.array([[0, 0, 1.0, 19], [2, 0, 0, -23], [0, -2, 0, 22], [0, 0, 0, 1]])
    first = two.save("t2/a.nii.gz", blob(SHAPE, AFFINE))
    voxels = blob((10, 12, 14), turned)
    image = sitk.GetImageFromArray(voxels.T)
    lps = np.diag([-1.0, -1, 1]) @ turned[:3]
    image.SetSpacing((2, 2, 1))
    image.SetDirection((lps[:, :3] / [2, 2, 1]).ravel().tolist())
    image.SetOrigin(lps[:, 3].tolist())
    (two.folder / "adc").mkdir()
    sitk.WriteImage(image, str(two.folder / "adc/a.nrrd"))
    two.add("a", image=[first, "./adc/a.nrrd"])
    dataset, report = check(two)
    fixed = fix_dataset(dataset, report, tmp_path / "fixed")
    new = nib.load(tmp_path / "fixed/adc/a.nii.gz")
    inside = np.s_[1:-1, 1:-1, 1:-1]
    assert np.abs(new.get_fdata() - blob(SHAPE, AFFINE))[inside].max() < 8
    assert problems(fixed.datalist) == []


def test_dicom_series_as_channels(two, tmp_path, caplog):
    """The first is thick, the second thin and shifted; SimpleITK writes them, and resamples for comparison."""
    caplog.set_level(logging.ERROR)
    for folder, spacing, shape in (("t2", (1, 1, 3), (24, 22, 8)), ("adc", (1.5, 1.5, 1.5), (18, 18, 18))):
        affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
        affine[:3, 3] = 30 - (0.5 if folder == "adc" else 0), 20, 4
        _write_series(
            two.folder / folder / "a", np.rint(10 * blob(shape, affine, (18, 8, 14))).astype(np.int16), affine
        )
        if folder == "t2":
            model, first = affine, shape
    label = two.save("labels/a.nii.gz", (blob(first, model, (18, 8, 14)) > 50).astype(np.uint8), model)
    two.add("a", image=["./t2/a", "./adc/a"], label=label)
    dataset, report = check(two)
    fixed = fix_dataset(dataset, report, tmp_path / "fixed")
    assert set(fixed.repaired) == {"adc/a"}
    new = nib.load(tmp_path / "fixed/adc/a.nii.gz")
    np.testing.assert_allclose(new.affine, model, atol=1e-5)
    assert np.abs(new.get_fdata() - 10 * blob(first, model, (18, 8, 14)))[2:-2, 2:-2, 1:-1].max() < 150
    assert problems(fixed.datalist) == []


def _write_series(folder, voxels, affine):
    folder.mkdir(parents=True)
    lps = np.diag([-1.0, -1, 1]) @ affine[:3]
    spacing = np.linalg.norm(lps[:, :3], axis=0)
    for number in range(voxels.shape[2]):
        image = sitk.GetImageFromArray(voxels[:, :, number : number + 1].T)
        place = lps[:, 3] + number * lps[:, 2]
        image.SetSpacing(spacing.tolist())
        tags = {"0008|0060": "MR", "0020|000e": f"1.2.3.{len(folder.parent.name)}", "0020|0013": str(number)}
        tags |= {
            "0020|0032": "\\".join(map(str, place)),
            "0020|0037": "\\".join(map(str, (lps[:, :2] / spacing[:2]).T.ravel())),
        }
        tags |= {"0018|0050": str(spacing[2]), "0008|0016": "1.2.840.10008.5.1.4.1.1.4", "0020|0011": "1"}
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / f"{number:02d}.dcm"))
        writer.Execute(image)


def test_two_dimensions(small, tmp_path):
    small.described |= {"modality": {"0": "A", "1": "B"}}
    flat, half = np.diag([1.0, 1, 1, 1]), np.diag([2.0, 2, 1, 1])
    half[:2, 3] = 0.5
    first = small.save("a_0.nii.gz", np.mgrid[:12, :10].sum(0).astype(np.float32), flat)
    second = small.save("a_1.nii.gz", np.mgrid[:6, :5].sum(0).astype(np.float32), half)
    label = small.save("l.nii.gz", (np.mgrid[:12, :10].sum(0) > 9).astype(np.uint8), flat)
    small.add("a", image=[first, second], label=label)
    dataset, report = check(small)
    assert report["spatial_dims"] == 2
    fixed = fix_dataset(dataset, report, tmp_path / "fixed")
    new = nib.load(tmp_path / "fixed/a_1.nii.gz").get_fdata()
    assert new.shape == (12, 10)
    np.testing.assert_allclose(new[1:-1, 1:-1], (np.mgrid[:12, :10].sum(0) / 2 - 0.5)[1:-1, 1:-1], atol=1e-5)
    assert problems(fixed.datalist) == []


# The label map is drawn on the second channel, which begins 2 mm after the first one.
SHIFTED = FINE + np.outer([2.0, 0, 0, 0], [0, 0, 0, 1])


@pytest.mark.parametrize(
    ("described", "background", "outside"),
    [
        ({"labels": {"background": 0, "blob": 1}}, 0, 0),
        ({"labels": {"background": 0, "blob": 1}, "ignore": [300, 301]}, 0, 300),
        ({"labels": {"background": 1, "blob": 2}, "ignore": 0}, 1, 0),
        ({"labels": {"background": 255, "blob": 0}}, 255, 255),
    ],
    ids=["background", "ignored", "ignored 0", "background 255"],
)
def test_nothing_is_annotated_outside_a_label_map(two, tmp_path, described, background, outside):
    two.described |= described
    blob_value = described["labels"]["blob"]
    drawn = np.where(blob((24, 20, 16), SHIFTED) > 40, blob_value, background).astype(np.uint8)
    add(two, affine=SHIFTED, label=two.save("labels/a.nii.gz", drawn, SHIFTED))
    dataset, report = check(two)
    fix_dataset(dataset, report, tmp_path / "fixed")
    new = sitk.ReadImage(str(tmp_path / "fixed/labels/a.nii.gz"))
    voxels = sitk.GetArrayFromImage(new).T
    assert set(np.unique(voxels)) == {blob_value, background, outside}
    # New voxels whose centres are in no voxel of the drawn label map.
    centres = np.linalg.inv(SHIFTED) @ AFFINE @ np.stack([*np.indices(SHAPE).reshape(3, -1), np.ones(np.prod(SHAPE))])
    away = ((centres[:3] < -0.5) | (centres[:3] > np.reshape((24, 20, 16), (3, 1)) - 0.5)).any(0).reshape(SHAPE)
    assert 0 < away.mean() < 0.5
    assert (voxels[away] == outside).all()
    first = sitk.ReadImage(str(two.folder / "t2/a.nii.gz"))
    for place in ("GetSize", "GetOrigin", "GetSpacing", "GetDirection"):
        np.testing.assert_allclose(getattr(new, place)(), getattr(first, place)(), atol=1e-5)
