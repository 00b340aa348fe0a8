"""What `--fix` writes, read back with nibabel and SimpleITK, and what it leaves alone."""

import gzip
import hashlib
import json

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from pipeline.data.check_dataset import check_dataset
from pipeline.data.dataset import read_dataset
from pipeline.data.errors import InputError
from pipeline.data.fix import fix_dataset
from pipeline.data.sample import make_sample

from .conftest import AFFINE
from .defects import seed_defects

NUDGED = AFFINE + np.array([[0, 0, 0, 0.02], [0] * 4, [0] * 4, [0] * 4])


def fix(small, folder):
    datalist = small.write()
    return fix_dataset(read_dataset(datalist), check_dataset(datalist), folder)


def state(folder):
    return {
        path: (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.rglob("*")
        if path.is_file()
    }


def header(path):
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return nib.Nifti1Header(raw[:348], check=False)


def differing(one, other):
    """The header's fields that differ."""
    one, other = header(one), header(other)
    return {key for key in one if one[key].tobytes() != other[key].tobytes()}


def findings(datalist):
    return [(f["kind"], f["file"]) for f in check_dataset(datalist)["findings"]]


TYPES = {
    "float32": lambda label: label.astype(np.float32),
    "float64": lambda label: label.astype(np.float64),
    "rounded": lambda label: label * np.float32(0.99999994),
    "rounded more": lambda label: np.where(label == 2, 1.9995, label).astype(np.float32),
}


@pytest.mark.parametrize("change", TYPES.values(), ids=TYPES)
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_label_map_becomes_integers_and_stays_the_same_otherwise(small, tmp_path, change, ending):
    descrip = {"descrip": b"drawn by hand", "cal_max": 7.0, "intent_code": 1002, "aux_file": b"colours"}
    name = small.save(f"labels/a{ending}", change(small.label()), **descrip)
    small.add("a", label=name)
    before = state(small.folder)
    fixed = fix(small, tmp_path / "fixed")
    old, new = small.folder / name, tmp_path / "fixed" / "labels" / f"a{ending}"
    assert fixed.datalist == tmp_path / "fixed" / "datalist.json"
    assert list(fixed.repaired) == [f"labels/a{ending}"]
    assert fixed.unable == {}
    for voxels in (np.asarray(nib.load(new).dataobj), sitk.GetArrayFromImage(sitk.ReadImage(str(new))).T):
        np.testing.assert_array_equal(voxels, small.label())
        assert voxels.dtype == np.uint8
    assert differing(old, new) <= {"datatype", "bitpix", "scl_slope", "scl_inter"}
    assert {key: value for key, value in state(small.folder).items() if key.name != "list.json"} == before
    assert findings(fixed.datalist) == []


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ((0, 255), np.uint8),
        ((0, 256), np.uint16),
        ((-1, 100), np.int16),
        ((-1, 200), np.int16),
        ((0, 2**31 - 1), np.uint32),
    ],
)
def test_the_integers_are_small_and_hold_the_values(small, tmp_path, values, dtype):
    label = np.array(values, np.float64)[(small.label() > 0).astype(int)]
    small.described["labels"] = {"0": "background", str(values[1]): "a", "-1": "b"}
    small.add("a", label=small.save("l.nii", label))
    image = nib.load(fix(small, tmp_path / "fixed").datalist.parent / "l.nii")
    assert image.get_data_dtype() == dtype
    np.testing.assert_array_equal(np.asarray(image.dataobj), label)


def test_a_slope_that_made_integers_of_integers_is_gone(small, tmp_path):
    stored = nib.Nifti1Image(small.label() * 85, AFFINE)
    stored.to_filename(small.folder / "l.nii")
    raw = bytearray((small.folder / "l.nii").read_bytes())
    raw[112:120] = np.array([1 / 85, 0], np.float32).tobytes()
    (small.folder / "l.nii").write_bytes(raw)
    small.add("a", label="l.nii")
    fixed = fix(small, tmp_path / "fixed")
    assert fixed.repaired == {"l.nii": ["label-rounding"]}
    new = tmp_path / "fixed" / "l.nii"
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(new))).T, small.label())
    np.testing.assert_array_equal(np.asarray(nib.load(new).dataobj), small.label())


@pytest.mark.parametrize("codes", [(1, 1), (0, 2), (1, 0), (4, 1)])
@pytest.mark.parametrize("turned", [False, True])
def test_a_place_rounded_otherwise_becomes_the_images(small, tmp_path, codes, turned):
    affine = AFFINE.copy()
    if turned:
        affine[:3, :3] = [[0, -0.96, 0.56], [-1.5, 0, 0], [0, 0.28, 1.92]]
    small.add("a", image=small.save("i.nii.gz", small.image(0), affine, qform_code=codes[0], sform_code=codes[1]))
    nudged = affine + np.outer([1, 0, 0, 0], [0, 0, 0, 0.02])
    small.items["training"][0]["label"] = small.save("l.nii.gz", small.label(), nudged, descrip=b"by hand")
    fixed = fix(small, tmp_path / "fixed")
    old, new, image = small.folder / "l.nii.gz", tmp_path / "fixed" / "l.nii.gz", small.folder / "i.nii.gz"
    assert fixed.repaired == {"l.nii.gz": ["grid-rounding"]}
    np.testing.assert_array_equal(nib.load(new).affine, nib.load(image).affine)
    ours, theirs = sitk.ReadImage(str(new)), sitk.ReadImage(str(image))
    assert (ours.GetOrigin(), ours.GetSpacing(), ours.GetDirection()) == (
        theirs.GetOrigin(),
        theirs.GetSpacing(),
        theirs.GetDirection(),
    )
    place = {"qform_code", "sform_code", "qoffset_x", "srow_x", "srow_y", "srow_z", "pixdim"}
    assert differing(old, new) <= place | {f"quatern_{axis}" for axis in "bcd"} | {"qoffset_y", "qoffset_z"}
    np.testing.assert_array_equal(np.asarray(nib.load(new).dataobj), small.label())
    assert findings(fixed.datalist) == []


def test_a_second_channel_with_a_slope_keeps_its_stored_numbers(small, tmp_path):
    """Written from its scaled voxels it would be rounded anew."""
    small.described["modality"] = {"0": "T1", "1": "T2"}
    numbers = np.random.default_rng(0).integers(-3000, 3000, (12, 10, 8)).astype(np.int16)
    second = small.save("b.nii", numbers, NUDGED)
    raw = bytearray((small.folder / "b.nii").read_bytes())
    raw[112:120] = np.array([0.1, -3], np.float32).tobytes()
    (small.folder / "b.nii").write_bytes(raw)
    small.add("a", image=[small.save("a.nii", small.image(0)), second])
    fixed = fix(small, tmp_path / "fixed")
    assert fixed.repaired == {"b.nii": ["grid-rounding"]}
    assert (tmp_path / "fixed" / "b.nii").read_bytes()[348:] == bytes(raw[348:])
    assert json.loads(fixed.datalist.read_text())["training"][0]["image"] == ["../small/a.nii", "./b.nii"]
    assert findings(fixed.datalist) == []


def test_big_endian_files_stay_so(small, tmp_path):
    image = nib.Nifti1Image(small.label().astype(np.float32), NUDGED, nib.Nifti1Header(endianness=">"))
    image.set_sform(NUDGED, code=1)
    image.set_qform(NUDGED, code=1)
    image.to_filename(small.folder / "l.nii")
    small.add("a", label="l.nii")
    fixed = fix(small, tmp_path / "fixed")
    assert fixed.repaired == {"l.nii": ["grid-rounding", "label-float"]}
    new = nib.load(tmp_path / "fixed" / "l.nii")
    np.testing.assert_array_equal(np.asarray(new.dataobj), small.label())
    np.testing.assert_array_equal(new.affine, AFFINE)
    assert findings(fixed.datalist) == []


def test_the_datalist_keeps_all_else_that_the_old_one_says(small, tmp_path):
    small.described |= {"licence": "CC0", "numTraining": 2, "checksums": {"images/a.nii.gz": "0"}, "folder": "."}
    small.add("a", label=small.save("labels/a.nii.gz", small.label().astype(np.float32)), subject="s1", age=70, fold=3)
    small.add("b", fold=4)
    small.items["test"] = [small.save("t1.nii", small.image(8)), {"image": small.save("t2.nii", small.image(9))}]
    fixed = fix(small, tmp_path / "deep" / "er" / "fixed")
    content = json.loads(fixed.datalist.read_text())
    assert content.keys() == {"name", "modality", "labels", "licence", "numTraining", "training", "test"}
    assert content["training"] == [
        {
            "image": "../../../small/images/a.nii.gz",
            "label": "./labels/a.nii.gz",
            "fold": 3,
            "subject": "s1",
            "age": 70,
        },
        {"image": "../../../small/images/b.nii.gz", "label": "../../../small/labels/b.nii.gz", "fold": 4},
    ]
    assert content["test"] == ["../../../small/t1.nii", {"image": "../../../small/t2.nii"}]
    assert check_dataset(fixed.datalist)["summary"]["kinds"] == {}


def test_the_way_from_a_folder_behind_a_link_leads_to_the_files(small, tmp_path):
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "deep")
    small.add("a", label=small.save("l.nii", small.label().astype(np.float32)))
    assert findings(fix(small, tmp_path / "link" / "fixed").datalist) == []


def test_files_of_one_name_from_elsewhere_do_not_replace_each_other(small, tmp_path):
    for number, folder in enumerate(("x", "y")):
        label = small.label().astype(np.float32)
        label[0, 0, :number] = 1
        small.add(folder, label=small.save(f"../{folder}/l.nii", label), fold=number)
    small.add("z", label=str(tmp_path / "x" / "l.nii"))
    fixed = fix(small, tmp_path / "fixed")
    labels = [item["label"] for item in json.loads(fixed.datalist.read_text())["training"]]
    assert len({*labels}) == 3
    for number, label in enumerate(labels[:2]):
        assert np.asarray(nib.load(tmp_path / "fixed" / label).dataobj)[0, 0].sum() == number


def test_what_has_another_problem_or_is_not_nifti_is_left_as_it_is(small, tmp_path):
    small.add("sound", label=small.save("sound.nii", small.label().astype(np.float32)))
    small.add("undeclared", label=small.save("undeclared.nii", small.label().astype(np.float32) * 5))
    sitk.WriteImage(sitk.ReadImage(str(small.folder / "sound.nii")), str(small.folder / "other.mha"))
    small.add("other", label="other.mha")
    small.add("in doubt", image=small.save("doubt.nii", small.image(7), qoffset_x=90.0))
    small.items["training"][-1]["label"] = small.save("beside.nii", small.label(), NUDGED)
    fixed = fix(small, tmp_path / "fixed")
    assert list(fixed.repaired) == ["sound.nii"]
    assert fixed.unable == {
        "undeclared.nii": "it has another problem",
        "other.mha": "it is not NIfTI",
        "beside.nii": "the header of its image has problems too",
    }
    assert sorted(path.name for path in (tmp_path / "fixed").rglob("*")) == ["datalist.json", "sound.nii"]


def test_where_there_is_nothing_to_repair_nothing_is_written(small, tmp_path):
    small.add("a")
    fixed = fix(small, tmp_path / "fixed")
    assert (fixed.datalist, fixed.repaired, fixed.unable) == (None, {}, {})
    assert not (tmp_path / "fixed").exists()


@pytest.mark.parametrize("there", ["a file in it", "a file", "a link to nowhere"])
def test_a_folder_that_holds_something_is_refused_and_stays_as_it_is(small, tmp_path, there):
    target = tmp_path / "fixed"
    if there == "a file in it":
        target.mkdir()
        (target / "mine").write_text("mine")
    elif there == "a file":
        target.write_text("mine")
    else:
        target.symlink_to(tmp_path / "nowhere")
    small.add("a", label=small.save("l.nii", small.label().astype(np.float32)))
    with pytest.raises(InputError, match="--fix"):
        fix(small, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fixed", "small"]
    if there != "a link to nowhere":
        assert (target / "mine" if there == "a file in it" else target).read_text() == "mine"


def test_an_empty_folder_is_taken(small, tmp_path):
    (tmp_path / "fixed").mkdir()
    small.add("a", label=small.save("l.nii", small.label().astype(np.float32)))
    assert findings(fix(small, tmp_path / "fixed").datalist) == []


def test_nothing_is_left_where_something_goes_wrong_midway(small, tmp_path, monkeypatch):
    for name in "abc":
        small.add(name, label=small.save(f"{name}.nii", small.label().astype(np.float32)))
    datalist = small.write()
    dataset, report = read_dataset(datalist), check_dataset(datalist)
    small.save("b.nii", small.label() + np.float32(0.5))
    with pytest.raises(InputError, match=r"b\.nii.*as it was during the check"):
        fix_dataset(dataset, report, tmp_path / "fixed")
    (small.folder / "b.nii").unlink()
    with pytest.raises(InputError, match=r"b\.nii.*cannot be read"):
        fix_dataset(dataset, report, tmp_path / "fixed")

    def full(*_):
        raise OSError(28, "No space left on device")

    small.save("b.nii", small.label().astype(np.float32))
    monkeypatch.setattr("pipeline.data.fix.write_json", full)
    with pytest.raises(InputError, match="No space left"):
        fix_dataset(dataset, report, tmp_path / "fixed")
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


@pytest.mark.slow
def test_seeded_defects_are_repaired_where_they_can_be(tmp_path):
    sound = make_sample(tmp_path / "sound", cases=8, scans=0).parent
    seeded = seed_defects(sound, tmp_path / "seeded", untouched=4)
    before = state(tmp_path / "seeded")
    fixed = fix_dataset(read_dataset(seeded.datalist), check_dataset(seeded.datalist), tmp_path / "fixed")
    assert state(tmp_path / "seeded") == before
    wanted = {e.files[0] for e in seeded.expected if e.kinds[0] in {"grid-rounding", "label-rounding", "label-float"}}
    assert {*fixed.repaired} >= wanted - {*fixed.unable}
    left = {f["file"] for f in check_dataset(fixed.datalist)["findings"] if f["fixable"]}
    assert left.isdisjoint(fixed.repaired)
    assert len(wanted & {*fixed.repaired}) >= 8


def spoil_sform(path):
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    fields = nib.Nifti1Header(raw[:348], check=False)
    for axis in "xyz":
        fields[f"srow_{axis}"] = 0
    raw = fields.binaryblock + raw[348:]
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("spoilt", ["images", "labels"])
def test_a_useless_sform_becomes_the_qform(small, tmp_path, spoilt, ending):
    named = {
        "image": small.save(f"images/a{ending}", small.image(0)),
        "label": small.save(f"labels/a{ending}", small.label()),
    }
    small.add("a", **named)
    small.add("b")
    old = small.folder / f"{spoilt}/a{ending}"
    spoil_sform(old)
    result = fix(small, tmp_path / "fixed")
    assert result.repaired == {f"{spoilt}/a{ending}": ["sform-singular"]}
    new = tmp_path / f"fixed/{spoilt}/a{ending}"
    assert differing(old, new) == {"srow_x", "srow_y", "srow_z"}
    np.testing.assert_allclose(nib.load(new).affine, AFFINE, atol=1e-5)
    np.testing.assert_allclose(sitk.ReadImage(str(new)).GetSpacing(), np.linalg.norm(AFFINE[:3, :3], axis=0), rtol=1e-6)
    np.testing.assert_array_equal(nib.load(new).dataobj, nib.load(old).dataobj)
    assert not [kind for kind, _ in findings(result.datalist) if kind in ("sform-singular", "origin-differs")]
