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
        ({"validation": [ITEM]}, 'a list "validation"'),
        ({"training": [ITEM | {"fold": "1"}]}, r"training\[0\] with fold '1'"),
        ({"training": [ITEM | {"fold": -1}]}, r"training\[0\] with fold -1"),
        ({"training": [ITEM | {"label": ["a", "b"]}]}, r"training\[0\] with 2 label maps"),
        ({"training": [ITEM | {"label": ""}]}, r'training\[0\] without a file under "label"'),
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
