import json

import pytest

from pipeline.data.errors import InputError
from pipeline.data.layouts.nnunet import find_nnunet, has_channel_files

V2 = {"channel_names": {"0": "CT", "1": "PET"}, "labels": {"background": 0, "liver": 1}, "file_ending": ".nii.gz"}


def make(folder, cases=("liver_1", "liver_2", "liver_10"), channels=2, ending=".nii.gz", description=None, scans=()):
    for part, names in (("Tr", cases), ("Ts", scans)):
        for sub in (f"images{part}", f"labels{part}"):
            (folder / sub).mkdir(parents=True, exist_ok=True)
        for name in names:
            for channel in range(channels):
                (folder / f"images{part}" / f"{name}_{channel:04d}{ending}").touch()
            if part == "Tr":
                (folder / "labelsTr" / f"{name}{ending}").touch()
    if description is not None:
        (folder / "dataset.json").write_text(json.dumps(description))
    return folder


def names(items):
    return [([path.name for path in item.images], item.label and item.label.name) for item in items]


@pytest.mark.parametrize("ending", [".nii.gz", ".png", ".mha", ".tif", ".nrrd"])
@pytest.mark.parametrize("described", [True, False])
def test_cases_have_their_channels_in_order(tmp_path, ending, described):
    description = V2 | {"file_ending": ending, "numTraining": 3} if described else None
    folder = make(tmp_path / "Dataset003_Liver", ending=ending, description=description, scans=["scan"])
    for ghost in ("imagesTr/._liver_1_0000", "labelsTr/._liver_1"):
        (folder / f"{ghost}{ending}").touch()
    found = find_nnunet(folder)
    assert names(found.training) == [
        ([f"{case}_0000{ending}", f"{case}_0001{ending}"], f"{case}{ending}")
        for case in ("liver_1", "liver_2", "liver_10")
    ]
    assert names(found.test) == [([f"scan_0000{ending}", f"scan_0001{ending}"], None)]
    assert found.described["name"] == "Liver"
    assert ("labels" in found.described, found.described.get("modality")) == (
        (True, V2["channel_names"]) if described else (False, None)
    )


def test_version_1_is_read_by_its_files_and_its_modality(tmp_path):
    items = [{"image": "./imagesTr/liver_1.nii.gz", "label": "./labelsTr/liver_1.nii.gz"}]
    description = {"modality": {"0": "CT", "1": "PET"}, "training": items, "test": [], "license": "x", "name": "L"}
    found = find_nnunet(make(tmp_path, cases=["liver_1"], description=description))
    assert names(found.training) == [(["liver_1_0000.nii.gz", "liver_1_0001.nii.gz"], "liver_1.nii.gz")]
    assert found.described == {"name": "L", "licence": "x", "modality": {"0": "CT", "1": "PET"}}


def test_files_named_in_the_description_may_lie_elsewhere(tmp_path):
    entry = {"images": ["../raw/a.nii.gz"], "label": "l/a.nii.gz"}
    make(tmp_path, cases=[], description={"channel_names": {"0": "CT"}, "dataset": {"a": entry}, "numTraining": 1})
    (case,) = find_nnunet(tmp_path).training
    assert (case.images, case.label) == ((tmp_path / "../raw/a.nii.gz",), tmp_path / "l/a.nii.gz")


def test_folds_are_those_that_validate_and_can_be_left_alone(tmp_path):
    make(tmp_path, description=V2)
    cases = ["liver_1", "liver_2", "liver_10"]
    splits = [
        {"train": [c for c in cases if c not in val], "val": val} for val in (["liver_10"], ["liver_1", "liver_2"])
    ]
    (tmp_path / "splits_final.json").write_text(json.dumps(splits))
    assert [case.fold for case in find_nnunet(tmp_path).training] == [1, 1, 0]
    assert [case.fold for case in find_nnunet(tmp_path, keep_folds=False).training] == [None] * 3


@pytest.mark.parametrize("place", ["own", "preprocessed", "elsewhere"])
def test_five_folds_are_found_where_nnunet_writes_them(tmp_path, place):
    cases = [f"liver_{number}" for number in range(10)]
    root = make(tmp_path / "nnUNet_raw" / "Dataset003_Liver", cases=cases, description=V2)
    folder = {
        "own": root,
        "preprocessed": tmp_path / "nnUNet_preprocessed" / "Dataset003_Liver",
        "elsewhere": tmp_path / "mine",
    }[place]
    folder.mkdir(parents=True, exist_ok=True)
    splits = [{"train": sorted(set(cases) - set(val)), "val": val} for val in (cases[fold::5] for fold in range(5))]
    (folder / "splits_final.json").write_text(json.dumps(splits))
    found = find_nnunet(root, splits=folder / "splits_final.json" if place == "elsewhere" else None)
    assert {case.label.name[:7]: case.fold for case in found.training} == {
        name: number % 5 for number, name in enumerate(cases)
    }
    assert found.notes == ([] if place == "own" else [f"folds of {folder / 'splits_final.json'}"])


def test_a_single_split_is_two_folds(tmp_path):
    make(tmp_path, description=V2)
    (tmp_path / "splits_final.json").write_text(json.dumps([{"train": ["liver_1", "liver_10"], "val": ["liver_2"]}]))
    found = find_nnunet(tmp_path)
    assert [case.fold for case in found.training] == [1, 0, 1]
    assert "one split: fold 0 validates" in found.notes[0]


def test_splits_that_do_not_exist_are_named(tmp_path):
    with pytest.raises(InputError, match="none\\.json: found no readable file"):
        find_nnunet(make(tmp_path, description=V2), splits=tmp_path / "none.json")


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ([{"train": ["liver_1"], "val": ["liver_2"]}], "not in both: liver_10"),
        ([{"train": ["liver_1", "liver_2"], "val": ["liver_2", "liver_10"]}], "not all cases outside"),
        (
            [
                {"train": ["liver_1", "liver_2"], "val": ["liver_10"]},
                {"train": ["liver_10"], "val": ["liver_1"]},
                {"train": ["liver_1", "liver_10"], "val": ["liver_2"]},
            ],
            "not all cases outside",
        ),
        ([{"train": [], "val": ["liver_1", "liver_2", "liver_10"]}] * 2, "several splits validate on"),
        ([{"train": ["liver_1"], "val": ["liver_1", "liver_2", "liver_10", "other"]}], "not in both: other"),
        ({"a": 1}, "splits of another form"),
        ([], "splits of another form"),
        ([None], "splits of another form"),
        ([{"train": [1, 2], "val": [3]}], "splits of another form"),
        ([{"train": ["liver_1", "liver_2"], "val": "liver_10"}], "splits of another form"),
    ],
)
def test_splits_that_are_no_partition_are_explained(tmp_path, splits, message):
    make(tmp_path, description=V2)
    (tmp_path / "splits_final.json").write_text(json.dumps(splits))
    with pytest.raises(InputError, match=rf"splits_final\.json: .*{message}.*--folds"):
        find_nnunet(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "imagesTr/liver_2_0001.nii.gz").unlink(), r"1 of 3 cases.*liver_2 \(0000\)"),
        (lambda folder: (folder / "imagesTr/liver_2_0002.nii.gz").touch(), r"liver_2 \(0000, 0001, 0002\)"),
        (lambda folder: (folder / "labelsTr/odd.nii.gz").touch(), r"without an image: odd\.nii\.gz"),
        (lambda folder: (folder / "labelsTr/liver_2.nii.gz").unlink(), r"without a label map: liver_2_0000"),
        (lambda folder: (folder / "imagesTr/other.nii.gz").touch(), r"other\.nii\.gz: .*without a channel's number"),
    ],
)
def test_incomplete_cases_are_named(tmp_path, change, message):
    change(make(tmp_path, description=V2))
    with pytest.raises(InputError, match=message):
        find_nnunet(tmp_path)


def test_unlabelled_training_images_become_test_items_when_asked(tmp_path):
    (make(tmp_path) / "labelsTr/liver_2.nii.gz").unlink()
    found = find_nnunet(tmp_path, unlabelled="test")
    assert (len(found.training), names(found.test)) == (2, [(["liver_2_0000.nii.gz", "liver_2_0001.nii.gz"], None)])


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (V2 | {"numTraining": 4}, "imagesTr: found 3 cases; expected 4 cases, the numTraining"),
        (V2 | {"file_ending": ".b2nd"}, r"dataset\.json: .*b2nd"),
        (["x"], "no object"),
        (V2 | {"dataset": {"a": {"images": "x"}}}, 'dataset "a"'),
    ],
)
def test_a_description_that_does_not_fit_is_explained(tmp_path, description, message):
    with pytest.raises(InputError, match=message):
        find_nnunet(make(tmp_path, description=description))


def test_has_channel_files_sees_the_pattern(tmp_path):
    assert has_channel_files(make(tmp_path / "a"))
    (tmp_path / "b" / "imagesTr").mkdir(parents=True)
    (tmp_path / "b" / "imagesTr" / "liver_1.nii.gz").touch()
    assert not has_channel_files(tmp_path / "b")
    assert not has_channel_files(tmp_path)


def test_the_preprocessed_folder_names_the_one_with_the_images(tmp_path):
    folder = tmp_path / "Dataset003_Liver"
    (folder / "gt_segmentations").mkdir(parents=True)
    (folder / "dataset.json").write_text(json.dumps(V2))
    with pytest.raises(InputError, match=r"nnUNet_preprocessed, which has no images.*nnUNet_raw/Dataset003_Liver"):
        find_nnunet(folder)
