"""Scans in the formats that MONAI does not read, through datalist, check, training's loader and predict."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pipeline.data.cases import read_cases
from pipeline.data.check import check_cases
from pipeline.data.check_dataset import check_dataset
from pipeline.data.layouts import find_globs
from pipeline.data.make_datalist import make_datalist, write_json
from pipeline.data.reader import LoadScand
from pipeline.prediction.command import Request, predict_files

zarr = pytest.importorskip("zarr")

SHAPE = (22, 20, 18)
# In the sense of ITK's LPS, which a store without orientations has: nothing but scales and a shift.
AFFINE = np.array([[-1.0, 0, 0, 11], [0, -1.25, 0, 12], [0, 0, 1.5, -13], [0, 0, 0, 1]])
ENDINGS = [".mgz", ".ome.zarr", ".nii.zarr"]


def write(file: Path, voxels: np.ndarray) -> None:
    """Write an image; a store as OME-Zarr 0.4 describes it."""
    file.parent.mkdir(exist_ok=True)
    if file.name.endswith(".nii.gz"):
        nib.Nifti1Image(voxels, AFFINE).to_filename(file)
        return
    if file.name.endswith(".mgz"):
        nib.MGHImage(voxels, AFFINE).to_filename(file)
        return
    group = zarr.open_group(str(file), mode="w", zarr_format=2)
    group.create_array("0", data=np.ascontiguousarray(voxels.T), chunks=(8, 8, 8))
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    steps = [
        {"type": "scale", "scale": [1500.0, 1250.0, 1000.0]},
        {"type": "translation", "translation": [-13000.0, -12000.0, -11000.0]},
    ]
    datasets = [{"path": "0", "coordinateTransformations": steps}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    if file.name.endswith(".nii.zarr"):
        header = nib.Nifti1Image(voxels, AFFINE).header
        group.create_array("nifti", data=np.frombuffer(header.binaryblock, np.uint8).copy())


def scan(phantom: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    places = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    return phantom(places @ AFFINE[:3, :3].T + AFFINE[:3, 3]).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ENDINGS)
def test_the_label_map_is_that_of_the_same_scan_in_nifti(
    ending: str, phantom: Callable[[np.ndarray], np.ndarray], tiny_bundle: Path, tmp_path: Path
) -> None:
    voxels = scan(phantom)
    for name in (f"a{ending}", "b.nii.gz"):
        write(tmp_path / "scans" / name, voxels)
    inputs = [tmp_path / "scans" / f"a{ending}", tmp_path / "scans" / "b.nii.gz"]
    summary = predict_files(Request(tiny_bundle, inputs, tmp_path / "out", device="cpu", progress=False))
    assert [(result.name, result.error) for result in summary.results] == [("a", None), ("b", None)]
    ours, nifti = (nib.load(tmp_path / "out" / f"{name}_seg.nii.gz") for name in "ab")
    assert set(np.unique(nifti.dataobj)) == {0, 1, 2}
    np.testing.assert_array_equal(np.asarray(ours.dataobj), np.asarray(nifti.dataobj))
    np.testing.assert_allclose(ours.affine, AFFINE, atol=1e-5)
    guessed = any("left and right are a guess" in note for note in summary.results[0].notes)
    assert guessed == (ending == ".ome.zarr")


@pytest.mark.slow
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_dataset_is_listed_checked_and_loaded(ending: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    label = np.zeros(SHAPE, np.uint8)
    label[5:12, 5:12, 5:12] = 1
    changed = {".mgz": "images/a.mgz"}.get(ending, f"images/a{ending}/0/0.0.0")
    for name in "abcd":
        write(tmp_path / "images" / f"{name}{ending}", rng.normal(100, 20, SHAPE).astype(np.float32))
        write(tmp_path / "labels" / f"{name}{ending}", label)
    found = find_globs(["images/*"], "labels/*", dataset_dir=tmp_path)
    datalist = make_datalist(found, folds=2, label_names=["background", "core"], channel_names=["MRI"])
    assert [Path(item["image"]).name for item in datalist["training"]] == [f"{name}{ending}" for name in "abcd"]
    assert all((tmp_path / file).is_file() for file in datalist["checksums"])
    write_json(datalist, tmp_path / "list.json")
    report = check_dataset(tmp_path / "list.json", progress=False)
    kinds = {finding["kind"] for finding in report["findings"]}
    assert report["summary"]["problems"] == 0, json.dumps(report["findings"], indent=1)
    assert ("form-missing" in kinds) == (ending == ".ome.zarr")
    first = report["cases"][0]
    assert (first["shape"], first["spacing"], first["orientation"]) == (list(SHAPE), [1.0, 1.25, 1.5], "LPS")
    cases = read_cases(tmp_path / "list.json", tmp_path, fold=0, part="training")
    check_cases(cases, labels={"background": 0, "core": 1}, workers=1)
    assert changed in datalist["checksums"]
    datalist["checksums"][changed] = "0" * 64
    write_json(datalist, tmp_path / "list.json")
    assert [finding["file"] for finding in check_dataset(tmp_path / "list.json", progress=False)["findings"]].count(
        changed
    ) == 1
    loaded = LoadScand(keys=["image", "label"], ensure_channel_first=True)(cases[0])
    assert loaded["image"].shape == (1, *SHAPE)
    np.testing.assert_array_equal(loaded["label"].numpy()[0], label)
    np.testing.assert_allclose(loaded["image"].affine, AFFINE, atol=1e-5)
