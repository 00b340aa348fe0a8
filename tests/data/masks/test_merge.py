import json

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from pipeline.data.errors import InputError
from pipeline.data.layouts.found import Item
from pipeline.data.masks import merge_masks

CLASSES = ["organ", "vessel", "bone"]
SHAPE = (12, 10, 6)
AFFINE = np.array([[-1.5, 0, 0, 30], [0, 1.5, 0, -20], [0, 0, 3, 5], [0, 0, 0, 1.0]])


def draw(seed):
    """Random boxes: the vessel crosses the organ, the bone touches neither."""
    rng = np.random.default_rng(seed)
    masks = {name: np.zeros(SHAPE, np.uint8) for name in CLASSES}
    start = rng.integers(1, 3)
    masks["organ"][start : start + 4, 2:8, 1:5] = 1
    masks["vessel"][:7, 4, 2:4] = 1
    masks["bone"][9:, rng.integers(0, 5) :, :] = 1
    return masks


def save(path, voxels):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(voxels, AFFINE)
    image.set_qform(AFFINE, code=1)
    image.set_sform(AFFINE, code=2)
    nib.save(image, path)
    return path


def make(folder, count=3, without=()):
    """Return cases with a mask file for each class, and their voxels."""
    items, drawn = [], []
    for number in range(count):
        masks = {name: mask for name, mask in draw(number).items() if (number, name) not in without}
        files = {name: save(folder / f"c{number}_{name}.nii.gz", mask) for name, mask in masks.items()}
        items.append(Item((folder / f"c{number}.nii.gz",), masks=files))
        drawn.append(masks)
    return items, drawn


def test_each_mask_is_found_again_in_the_label_map(tmp_path):
    items, drawn = make(tmp_path / "in")
    merged = merge_masks(items, CLASSES, tmp_path / "out")
    assert merged.entries == {
        "labels": {"0": "background", "1": "organ_only", "2": "vessel_only", "3": "bone", "4": "organ+vessel"},
        "regions": {"organ": [1, 4], "vessel": [2, 4], "bone": [3]},
        "region_order": {"organ": 1, "vessel": 2, "bone": 3},
    }
    for number, (item, masks) in enumerate(zip(merged.items, drawn, strict=True)):
        assert (item.label, item.masks, item.annotated) == (tmp_path / "out" / f"c{number}.nii.gz", {}, None)
        image, mask = nib.load(item.label), nib.load(items[number].masks["organ"])
        voxels = np.asanyarray(image.dataobj)
        assert voxels.dtype == np.uint8
        for name, values in merged.entries["regions"].items():
            np.testing.assert_array_equal(np.isin(voxels, values), masks[name] > 0)
        for field in ("sform_code", "qform_code", "pixdim", "srow_x", "quatern_b", "qoffset_x", "xyzt_units"):
            np.testing.assert_array_equal(image.header[field], mask.header[field])
        by_itk = sitk.GetArrayFromImage(sitk.ReadImage(str(item.label)))
        np.testing.assert_array_equal(by_itk.transpose(2, 1, 0), voxels)


def test_classes_without_overlap_are_plain_labels(tmp_path):
    items, drawn = make(tmp_path / "in")
    chosen = [Item(item.images, masks={"bone": item.masks["bone"], "organ": item.masks["organ"]}) for item in items]
    merged = merge_masks(chosen, ["organ", "bone"], tmp_path / "out")
    assert merged.entries == {"labels": {"0": "background", "1": "organ", "2": "bone"}}
    expected = np.where(drawn[1]["bone"] > 0, 2, drawn[1]["organ"])
    np.testing.assert_array_equal(nib.load(merged.items[1].label).get_fdata(), expected)


def test_a_case_without_a_mask_is_not_annotated_for_its_class(tmp_path):
    """An empty mask says that the structure is absent; no mask says nothing."""
    items, _ = make(tmp_path / "in", without={(1, "vessel")})
    save(items[2].masks["bone"], np.zeros(SHAPE, np.uint8))
    merged = merge_masks([*items, Item((tmp_path / "in" / "scan.nii.gz",))], CLASSES, tmp_path / "out")
    assert [item.annotated for item in merged.items] == [None, ("organ", "bone"), None, None]
    assert merged.items[3].label is None
    assert "1 case lacks the mask of a class" in merged.words[1]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.nii.gz")}


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.nii.gz")}


def test_files_that_fit_are_kept_and_others_are_made_again(tmp_path, monkeypatch):
    items, _ = make(tmp_path / "in")
    out = tmp_path / "out"
    merge_masks(items, CLASSES, out)
    before, written = times(out), contents(out)
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.data.masks.merge.read_masks", None)  # no mask is read
        merge_masks(items, CLASSES, out)
    assert times(out) == before
    # One changed mask, one damaged label map.
    save(items[0].masks["bone"], np.zeros(SHAPE, np.uint8))
    (out / "c1.nii.gz").write_bytes(b"x")
    merge_masks(items, CLASSES, out)
    assert contents(out)["c1.nii.gz"] == written["c1.nii.gz"]
    assert contents(out)["c0.nii.gz"] != written["c0.nii.gz"]
    assert times(out)["c2.nii.gz"] == before["c2.nii.gz"]


def test_an_interrupted_run_continues_to_the_same_files(tmp_path, monkeypatch):
    items, _ = make(tmp_path / "in")
    merge_masks(items, CLASSES, tmp_path / "whole")
    from pipeline.data.masks import merge  # noqa: PLC0415

    write, calls = merge.write_label_map, []

    def interrupt(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        write(*args)

    with monkeypatch.context() as patch:
        patch.setattr(merge, "write_label_map", interrupt)
        with pytest.raises(KeyboardInterrupt):
            merge_masks(items, CLASSES, tmp_path / "out")
    kept = times(tmp_path / "out")
    assert list(kept) == ["c0.nii.gz"]
    merge_masks(items, CLASSES, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert times(tmp_path / "out")["c0.nii.gz"] == kept["c0.nii.gz"]


def test_values_are_exchanged_when_other_cases_bring_other_combinations(tmp_path, monkeypatch):
    """The organ is in the bone in a new case: its combination comes before those of later classes."""
    items, drawn = make(tmp_path / "in", count=2)
    for item, masks in zip(items[1:], drawn[1:], strict=True):
        masks["vessel"][...] = masks["bone"]
        save(item.masks["vessel"], masks["vessel"])
        masks["bone"][...] = masks["organ"]
        save(item.masks["bone"], masks["bone"])
    first = merge_masks(items[:1], CLASSES, tmp_path / "out")
    assert first.entries["labels"]["4"] == "organ+vessel"
    order = ["organ", "bone", "vessel"]
    merged = merge_masks(items, order, tmp_path / "out")
    assert list(merged.entries["labels"].values())[-2:] == ["organ+bone", "organ+vessel"]
    for item, masks in zip(merged.items, drawn, strict=True):
        voxels = nib.load(item.label).get_fdata()
        for name, values in merged.entries["regions"].items():
            np.testing.assert_array_equal(np.isin(voxels, values), masks[name] > 0)
    # The same bytes as without the earlier run.
    merge_masks(items, order, tmp_path / "again")
    assert contents(tmp_path / "out") == contents(tmp_path / "again")


def test_another_rule_for_overlaps_needs_no_new_folder(tmp_path):
    items, drawn = make(tmp_path / "in")
    for overlaps in ("keep", "last", "keep"):
        merged = merge_masks(items, CLASSES, tmp_path / "out", overlaps=overlaps)
        voxels = nib.load(merged.items[0].label).get_fdata()
        if overlaps == "last":
            assert "regions" not in merged.entries
            organ = (drawn[0]["organ"] > 0) & (drawn[0]["vessel"] == 0)
            np.testing.assert_array_equal(voxels == 1, organ)
            np.testing.assert_array_equal(voxels == 2, drawn[0]["vessel"] > 0)
        else:
            np.testing.assert_array_equal(np.isin(voxels, merged.entries["regions"]["organ"]), drawn[0]["organ"] > 0)


def test_all_bad_masks_are_named_at_once_and_the_good_cases_are_kept(tmp_path):
    items, drawn = make(tmp_path / "in")
    save(items[0].masks["bone"], drawn[0]["bone"] * 2)
    save(items[2].masks["organ"], drawn[2]["organ"][:-1])
    with pytest.raises(InputError, match=r"c0_bone\.nii\.gz: found the values 0, 2(.|\n)*c2_vessel\.nii\.gz: shape"):
        merge_masks(items, CLASSES, tmp_path / "out")
    assert list(contents(tmp_path / "out")) == ["c1.nii.gz"]


def test_a_file_of_someone_else_is_not_replaced(tmp_path):
    items, _ = make(tmp_path / "in", count=1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "c0.nii.gz").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"c0\.nii\.gz: found a file that `lightskip datalist` did not write"):
        merge_masks(items, CLASSES, tmp_path / "out")
    assert (tmp_path / "out" / "c0.nii.gz").read_bytes() == b"mine"


def test_pictures_become_a_picture(tmp_path):
    one, other = np.zeros((7, 9), np.uint8), np.zeros((7, 9), np.uint8)
    one[:3], other[5:] = 255, 255
    for name, mask in (("a", one), ("b", other)):
        Image.fromarray(mask).save(tmp_path / f"p_{name}.png")
    item = Item((tmp_path / "p.png",), masks={name: tmp_path / f"p_{name}.png" for name in "ab"})
    (case,) = merge_masks([item], ["a", "b"], tmp_path / "out").items
    np.testing.assert_array_equal(np.asarray(Image.open(case.label)), one // 255 + other // 255 * 2)


def test_masks_in_nrrd_become_nifti_in_the_same_place(tmp_path):
    items, drawn = make(tmp_path / "in", count=1)
    masks = {}
    for name, file in items[0].masks.items():
        masks[name] = file.with_name(f"{name}.nrrd")
        sitk.WriteImage(sitk.ReadImage(str(file)), str(masks[name]))
    (case,) = merge_masks([Item(items[0].images, masks=masks)], CLASSES, tmp_path / "out").items
    np.testing.assert_allclose(nib.load(case.label).affine, AFFINE)
    np.testing.assert_array_equal(nib.load(case.label).get_fdata() == 3, drawn[0]["bone"] > 0)


def test_a_record_says_what_the_values_stand_for(tmp_path):
    items, _ = make(tmp_path / "in", count=1)
    merge_masks(items, CLASSES, tmp_path / "out")
    record = json.loads((tmp_path / "out" / "records" / "c0.json").read_text())
    assert {"+".join(names): value for names, value, _ in record["combinations"]} == {
        "organ": 1,
        "vessel": 2,
        "bone": 3,
        "organ+vessel": 4,
    }
    assert record["inputs"]["bone"][0] == "../in/c0_bone.nii.gz"
