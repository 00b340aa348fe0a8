import json

import pytest

from pipeline.data.errors import InputError
from pipeline.data.layouts.msd import find_msd

ITEM = {"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}


def write(folder, /, **content):
    folder.mkdir(exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps({"training": [ITEM]} | content))
    return folder


def test_folds_subjects_columns_and_both_kinds_of_test_items_are_read(tmp_path):
    item = ITEM | {"fold": 3, "subject": 7, "site": "north", "box": [1, 2]}
    write(tmp_path, training=[item], test=["./imagesTs/b.nii.gz", {"image": "c.nii.gz", "subject": "x"}])
    found = find_msd(tmp_path)
    (case,) = found.training
    assert (case.images, case.label) == ((tmp_path / "imagesTr/a.nii.gz",), tmp_path / "labelsTr/a.nii.gz")
    assert (case.fold, case.subject, case.columns) == (3, "7", {"site": "north"})
    assert [(scan.images[0].name, scan.label, scan.subject) for scan in found.test] == [
        ("b.nii.gz", None, None),
        ("c.nii.gz", None, "x"),
    ]
    assert find_msd(tmp_path, keep_folds=False).training[0].fold is None


def test_what_the_source_says_of_itself_is_kept_and_the_rest_is_not(tmp_path):
    entries = {"name": "Toy", "reference": "r", "release": "1", "modality": {"0": "CT"}, "labels": {"0": "background"}}
    write(tmp_path, **entries, license="CC0", numTraining=99, tensorImageSize="3D")
    assert find_msd(tmp_path).described == entries | {"licence": "CC0"}


def test_entries_for_hidden_files_of_macos_are_left_out(tmp_path):
    ghosts = {key: value.replace("/a", "/._a") for key, value in ITEM.items()}
    found = find_msd(write(tmp_path, training=[ghosts, ITEM], test=["./imagesTs/._b.nii.gz", "./imagesTs/b.nii.gz"]))
    assert [case.images[0].name for case in (*found.training, *found.test)] == ["a.nii.gz", "b.nii.gz"]


def test_a_datalist_starts_where_it_says(tmp_path):
    write(tmp_path / "data")
    write(tmp_path / "lists", folder="../data")
    found = find_msd(tmp_path / "lists" / "dataset.json")
    assert found.folder.resolve() == tmp_path / "data"
    assert find_msd(tmp_path / "lists" / "dataset.json", dataset_dir=tmp_path).folder == tmp_path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"validation": ITEM}, '"validation": .*, a list'),
        ({"validation": [{"label": "x"}]}, r'validation\[0\] without a file under "image"'),
        ({"training": [["a.nii.gz", "b.nii.gz", "c.nii.gz"]]}, r"training\[0\] \['a.*expected \[image, label\]"),
        ({"training": [ITEM | {"annotated": "liver"}]}, r"training\[0\] with annotated 'liver'"),
        ({"training": [ITEM | {"fold": "1"}]}, r"training\[0\] with fold '1'"),
        ({"training": [ITEM | {"fold": -1}]}, r"training\[0\] with fold -1"),
        ({"training": [ITEM | {"label": ["a", "b"]}]}, r"training\[0\] with 2 label maps"),
        ({"training": [ITEM | {"label": ""}]}, r"1 of 1 cases without a label map: a\.nii\.gz \(training\[0\]\)"),
        ({"training": [ITEM | {"label": 5}]}, r'training\[0\] without a file under "label"'),
        ({"test": [{"label": "x"}]}, r'test\[0\] without a file under "image"'),
        ({"training": []}, 'no list "training"'),
    ],
)
def test_a_malformed_list_is_explained(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        find_msd(write(tmp_path, **content))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: found no such folder"):
        find_msd(tmp_path / "nowhere")


def item(name):
    return {"image": f"./{name}.nii.gz", "label": f"./{name}_seg.nii.gz"}


@pytest.mark.parametrize(
    ("training", "options", "folds"),
    [
        ([item("a"), item("b")], {}, {"v": 0, "w": 0, "a": 1, "b": 1}),
        ([item("a") | {"fold": 0}, item("b") | {"fold": 1}], {}, {"a": 0, "b": 1, "v": 2, "w": 2}),
        ([item("a"), item("b")], {"keep_folds": False}, dict.fromkeys("abvw")),
    ],
)
def test_the_validation_cases_are_a_fold(tmp_path, training, options, folds):
    """MONAI's datalists: the scan without a label map is predicted, the labelled test case stays a test case."""
    validation = [item("v"), item("w"), {"image": "./x.nii.gz"}]
    found = find_msd(write(tmp_path, training=training, validation=validation, testing=[item("t")]), **options)
    assert {case.images[0].name[0]: case.fold for case in found.training} == folds
    assert [(case.images[0].name[0], case.label is not None) for case in found.test] == [("t", True), ("x", False)]
    assert len(found.notes) == 2


def test_items_may_be_pairs_of_image_and_label_map(tmp_path):
    """The form of AMOS's first release."""
    pairs = [[f"./imagesTr/amos_000{n}.nii.gz", f"./labelsTr/amos_000{n}.nii.gz"] for n in (1, 2)]
    test = ["./imagesTs/amos_0004.nii.gz"]
    found = find_msd(write(tmp_path, training=pairs[:1], validation=pairs[1:], test=test))
    assert [(case.images[0].name, case.label.parent.name, case.fold) for case in found.training] == [
        ("amos_0002.nii.gz", "labelsTr", 0),
        ("amos_0001.nii.gz", "labelsTr", 1),
    ]
    assert found.test[0].images == (tmp_path / "imagesTs/amos_0004.nii.gz",)


def test_regions_and_partial_annotation_are_kept(tmp_path):
    entries = {"labels": {"0": "background", "1": "a", "2": "a+b"}, "regions": {"a": [1, 2], "b": [2]}}
    entries |= {"region_order": {"a": 1, "b": 2}, "ignore": 255}
    found = find_msd(write(tmp_path, training=[ITEM | {"annotated": ["a"]}], **entries))
    assert found.described == entries
    assert (found.training[0].annotated, found.training[0].columns) == (("a",), {})


def test_items_without_a_label_map_are_refused_or_become_what_was_asked(tmp_path):
    write(tmp_path, training=[ITEM, {"image": "./imagesTr/b.nii.gz"}, {"image": "./imagesTr/c.nii.gz", "label": None}])
    with pytest.raises(
        InputError, match=r"2 of 3 cases .*b\.nii\.gz \(training\[1\]\), c\.nii\.gz .*--unlabelled test"
    ):
        find_msd(tmp_path)
    assert [scan.images[0].name for scan in find_msd(tmp_path, unlabelled="test").test] == ["b.nii.gz", "c.nii.gz"]
    assert find_msd(tmp_path, unlabelled="ignore").left_out == ["2 without a label map (b.nii.gz, c.nii.gz)"]
