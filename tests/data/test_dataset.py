import json
from pathlib import Path

import pytest

from pipeline.data.dataset import locate, read_dataset, subjects_in_datalist
from pipeline.data.errors import InputError

ITEM = {"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}


@pytest.fixture
def read(tmp_path):
    def read(content, **options):
        (tmp_path / "list.json").write_text(json.dumps(content))
        return read_dataset(tmp_path / "list.json", **options)

    return read


def names(dataset):
    return [case.name for case in dataset.cases]


def items(*images):
    return {"training": [{"image": image, "label": "l"} for image in images]}


LABELS = {
    "MSD, value to name": (
        {"0": "background", "1": "liver", "2": "tumour"},
        {"background": 0, "liver": 1, "tumour": 2},
    ),
    "nnU-Net, name to value": ({"background": 0, "liver": 1}, {"background": 0, "liver": 1}),
    "in any order": ({"2": "tumour", "0": "background", "1": "liver"}, {"background": 0, "liver": 1, "tumour": 2}),
    "without a background": ({"1": "liver"}, {"background": 0, "liver": 1}),
    "the background called otherwise": ({"0": "bg", "1": "liver"}, {"background": 0, "liver": 1}),
    "background with a capital": ({"Background": 0, "Liver": 1}, {"background": 0, "Liver": 1}),
    "background 255": ({"0": "membrane", "255": "background"}, {"background": 255, "membrane": 0}),
    "background 255 with a capital": ({"0": "membrane", "255": "Background"}, {"background": 255, "membrane": 0}),
    "not consecutive": ({"0": "background", "7": "a", "3": "b"}, {"background": 0, "b": 3, "a": 7}),
    "below 0": ({"-1": "a", "0": "background"}, {"background": 0, "a": -1}),
    "names that are numbers": ({"0": "background", "1": "7"}, {"background": 0, "7": 1}),
    "none": (None, None),
}


@pytest.mark.parametrize(("written", "expected"), LABELS.values(), ids=LABELS)
def test_labels_are_read_in_both_directions_with_the_background_first(read, written, expected):
    labels = read({"training": [ITEM], "labels": written}).labels
    assert (labels, labels and list(labels)) == (expected, expected and list(expected))


@pytest.mark.parametrize(
    "labels",
    [
        ["liver"],
        {},
        {"0": "background", "1": "background"},
        {"a": 1, "b": 1},
        {"1": "a", "01": "b"},
        {"1": 1.5},
        {"²": "a"},
        {"--1": "a"},
        {"a": True},
    ],
)
def test_labels_that_can_be_read_in_two_ways_or_none_are_refused(read, labels):
    with pytest.raises(InputError, match='"labels"'):
        read({"training": [ITEM], "labels": labels})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"modality": {"0": "T1", "1": "T2"}}, ["T1", "T2"]),
        ({"modality": {"10": "c", "2": "b", "0": "a"}}, ["a", "b", "c"]),
        ({"channel_names": {"0": "CT"}}, ["CT"]),
        ({}, None),
    ],
)
def test_channels_are_read_in_the_order_of_their_numbers(read, content, expected):
    assert read({"training": [ITEM]} | content).channels == expected


@pytest.mark.parametrize("modality", ["CT", ["CT"], {}, {"CT": 0}, {"²": "CT"}])
def test_channels_in_another_form_are_refused(read, modality):
    with pytest.raises(InputError, match='"modality"'):
        read({"training": [ITEM], "modality": modality})


def test_every_case_has_a_name_of_its_own_wherever_the_dataset_is(read, tmp_path):
    content = items("./imagesTr/p1/t1.nii", "imagesTr/p2/t1.nii.gz", "imagesTr/p2/t2_0000.nii") | {
        "test": ["imagesTs/p1/t1.nii", str(tmp_path / "imagesTs" / "t3.nii")]
    }
    expected = ["imagesTr_p1_t1", "p2_t1", "t2", "imagesTs_p1_t1", "t3"]
    assert names(read(content)) == expected
    (tmp_path / "moved" / "far").mkdir(parents=True)
    (tmp_path / "moved" / "far" / "something").touch()
    content["test"][1] = "imagesTs/t3.nii"
    assert names(read(content, dataset_dir=tmp_path / "moved" / "far")) == expected


def test_test_scans_come_as_items_and_as_paths_under_both_words(read):
    dataset = read({"training": [ITEM], "test": ["x.nii", {"image": "y.nii", "subject": 7}], "testing": ["z.nii"]})
    assert names(dataset) == ["a", "x", "y", "z"]
    assert [case.part for case in dataset.cases] == ["training", "test", "test", "test"]
    assert (dataset.cases[2].subject, dataset.cases[2].label) == ("7", None)


def test_test_scans_may_have_a_label_map_and_subjects_are_found_by_the_image(read, tmp_path):
    content = {"training": [ITEM], "test": [{"image": "x.nii", "label": "x_label.nii", "subject": 7}, "y.nii"]}
    assert [case.label for case in read(content).cases if case.part == "test"] == ["x_label.nii", None]
    assert subjects_in_datalist(tmp_path / "list.json") == {str(tmp_path / "x.nii"): "7"}


@pytest.mark.parametrize("test", ["imagesTs", {"image": "x.nii"}, [5], [{}], [{"image": []}], 3])
def test_test_scans_in_another_form_are_refused(read, test):
    with pytest.raises(InputError, match=r"list\.json"):
        read({"training": [ITEM], "test": test})


def test_the_folder_is_the_one_given_else_the_one_told_else_the_datalists(read, tmp_path):
    for name in ("told", "given"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "something").touch()
    content = {"training": [ITEM]}
    assert read(content).folder == tmp_path
    assert read(content | {"folder": "told"}).folder == tmp_path / "told"
    assert read(content | {"folder": "told"}, dataset_dir=tmp_path / "given").folder == tmp_path / "given"
    for folder in ("absent", 7, None):
        with pytest.raises(InputError):
            read(content | {"folder": folder})


def test_a_tilde_is_the_users_folder_only_before_a_slash(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate(Path("/data"), "~/a.nii") == tmp_path / "a.nii"
    assert locate(Path("/data"), "~a.nii") == Path("/data/~a.nii")
    assert locate(Path("/data"), "/else/a.nii") == Path("/else/a.nii")


@pytest.mark.parametrize("part", ["test", "testing"])
@pytest.mark.parametrize("training", [{}, {"training": []}, {"training": None}])
def test_test_cases_alone_are_read_where_nothing_is_trained(read, part, training):
    content = {**training, part: ["a.nii.gz", {"image": "b.nii.gz", "label": "c.nii.gz"}]}
    dataset = read(content, needs_training=False)
    assert [(case.name, case.part, case.label) for case in dataset.cases] == [
        ("a", "test", None),
        ("b", "test", "c.nii.gz"),
    ]
    with pytest.raises(InputError, match=r"only test cases; .*lightskip check and lightskip predict take test cases"):
        read(content)


@pytest.mark.parametrize("content", [{}, {"training": []}, {"training": [], "test": []}])
def test_a_datalist_without_any_case_is_refused(read, content):
    with pytest.raises(InputError, match=r'no list "training" with cases in it; .*MSD/MONAI form'):
        read(content, needs_training=False)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("checksums", "abc", "an object with the SHA-256 of each file"),
        ("name", True, "a text"),
        ("name", {}, "a text"),
    ],
)
def test_entries_of_another_form_are_refused(tmp_path, key, value, expected):
    file = tmp_path / "list.json"
    file.write_text(json.dumps({"training": [], "test": [{"image": "a.nii.gz"}]} | {key: value}))
    with pytest.raises(InputError, match=rf'list.json: found "{key}": .*; expected {expected} under it'):
        read_dataset(file, needs_training=False)


def test_an_entry_without_a_value_is_none(tmp_path):
    file = tmp_path / "list.json"
    file.write_text(json.dumps({"test": [{"image": "a.nii.gz"}], "name": None, "checksums": None}))
    assert read_dataset(file, needs_training=False).name == "list"
