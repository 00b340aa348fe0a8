"""`lightskip datalist` as a user types it, with small files."""

import json
import zipfile

import nibabel as nib
import numpy as np
import pytest

from pipeline.cli import main

SHAPE = (8, 8, 6)


def save(path, voxels):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, np.diag([1.5, 1.5, 3, 1])), path)


def make_masks(folder, image="img/c{n}.nii.gz", mask="seg/c{n}_{name}.nii.gz", count=5):
    """Write cases with a tumour inside the liver, and a spleen with one voxel of 97 in the liver."""
    for n in range(count):
        liver, tumour, spleen = (np.zeros(SHAPE, np.uint8) for _ in range(3))
        liver[:5], tumour[1:3, 2:4, 2 : 4 + n % 2], spleen[5:, :, :4] = 1, 1, 255
        spleen[4, 0, 0] = 255
        save(folder / image.format(n=n), np.arange(384, dtype=np.int16).reshape(SHAPE) + n)
        for name, voxels in {"liver": liver, "tumour": tumour, "spleen": spleen}.items():
            save(folder / mask.format(n=n, name=name), voxels)


def run(*words):
    return main(["datalist", *map(str, words)])


def test_masks_become_label_maps_next_to_the_datalist(tmp_path, capsys):
    make_masks(tmp_path / "in")
    (tmp_path / "in/seg/c3_spleen.nii.gz").unlink()
    pattern = "seg/*_{liver,tumour,spleen}.nii.gz"
    words = ["--images", "img/*.nii.gz", "--labels", pattern, "--dataset_dir", tmp_path / "in"]
    assert run(*words, "-o", tmp_path / "out/list.json") == 0
    shown = capsys.readouterr().out
    assert "overlaps kept: liver and tumour share 48 voxels (100.0% of the smaller)" in shown
    assert "given to the later class: liver and spleen share 4 voxels (1.0% of the smaller)" in shown
    datalist = json.loads((tmp_path / "out/list.json").read_text())
    assert datalist["labels"] == {"0": "background", "1": "liver_only", "2": "spleen", "3": "tumour"}
    assert datalist["regions"] == {"liver": [1, 3], "tumour": [3], "spleen": [2]}
    assert datalist["region_order"] == {"liver": 1, "tumour": 3, "spleen": 2}
    assert list(datalist["region_order"]) == ["liver", "tumour", "spleen"]
    assert [item.get("annotated") for item in datalist["training"]] == [None] * 3 + [["liver", "tumour"], None]
    for item in datalist["training"]:
        label = tmp_path / "in" / item["label"]
        assert label.resolve().parent == tmp_path / "out/list_labels"
        assert item["label"] in datalist["checksums"]
        masks = {
            file.name.split("_")[-1].removesuffix(".nii.gz"): nib.load(file).get_fdata() > 0
            for file in (tmp_path / "in/seg").glob(f"{label.name.removesuffix('.nii.gz')}_*")
        }
        # The spleen is written last: its voxel in the liver is its own.
        masks["liver"] &= ~masks.get("spleen", np.zeros(SHAPE, bool))
        voxels = nib.load(label).get_fdata()
        for name, mask in masks.items():
            np.testing.assert_array_equal(np.isin(voxels, datalist["regions"][name]), mask)


def test_totalsegmentator_from_a_zip_with_other_names(tmp_path, capsys, monkeypatch):
    make_masks(tmp_path / "Total", "s{n:04d}/ct.nii.gz", "s{n:04d}/segmentations/{name}.nii.gz")
    with zipfile.ZipFile(tmp_path / "Total.zip", "w") as archive:
        for path in sorted((tmp_path / "Total").rglob("*.nii.gz")):
            archive.write(path, path.relative_to(tmp_path))
    monkeypatch.chdir(tmp_path)
    names = ["--label-names", "background", "Milz", "Leber"]
    assert run("Total.zip", "--labels", "{spleen,liver}", *names, "-o", "list.json") == 0
    datalist = json.loads((tmp_path / "list.json").read_text())
    assert datalist["labels"] == {"0": "background", "1": "Milz", "2": "Leber"}
    assert datalist["folder"] == "list_files/Total"
    assert (datalist["training"][0]["image"], datalist["training"][0]["label"]) == (
        "./s0000/ct.nii.gz",
        "../../list_labels/s0000_ct.nii.gz",
    )
    shown = capsys.readouterr().out
    assert "Total.zip is unpacked in list_files" in shown
    assert "Milz and Leber share 5 voxels" in shown
    first = (tmp_path / "list.json").read_bytes()
    assert run("Total.zip", "--labels", "{spleen,liver}", *names, "-o", "list.json") == 0
    assert (tmp_path / "list.json").read_bytes() == first


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--portable"], "list_labels: found a folder for merged label maps outside the dataset's, with --portable"),
        (["--label-names", "background", "a"], "--label-names: found names of the values 1; expected background and 3"),
        (["--folds", "9"], "9"),
    ],
)
def test_mistakes_are_found_before_the_masks_are_read(tmp_path, capsys, monkeypatch, words, message):
    make_masks(tmp_path / "Total", "s{n}/a.nii.gz", "s{n}/masks/{name}.nii.gz")
    monkeypatch.setattr("pipeline.data.masks.merge.read_masks", None)
    before = sorted(tmp_path.rglob("*"))
    assert run(tmp_path / "Total", *words, "-o", tmp_path / "list.json") == 2
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
