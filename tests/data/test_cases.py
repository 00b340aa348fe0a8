import json

import pytest
from monai.auto3dseg.utils import datafold_read

from pipeline.data.cases import list_folds, read_cases
from pipeline.data.errors import InputError


def make_dataset(folder, names="abcdefg", folds="0120120"):
    """Files that merely exist, and a datalist of them with the folds given."""
    items = []
    for name, fold in zip(names, folds, strict=True):
        item = {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz", "fold": int(fold)}
        for key in ("image", "label"):
            path = folder / item[key]
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(f"{key} {name}".encode())
        items.append(item)
    (folder / "datalist.json").write_text(json.dumps({"labels": {"0": "background"}, "training": items}))
    return folder / "datalist.json"


def case_names(cases):
    return "".join(case["image"].split("/")[-1][0] for case in cases)


@pytest.mark.parametrize(
    ("fold", "training", "validation"),
    [(0, "bcef", "adg"), (1, "acdfg", "be"), (2, "abdeg", "cf")],
)
def test_read_cases_splits_by_fold_as_auto3dseg_does(tmp_path, fold, training, validation):
    datalist = make_dataset(tmp_path)
    parts = [read_cases(datalist, tmp_path, fold=fold, part=part) for part in ("training", "validation")]
    assert [case_names(part) for part in parts] == [training, validation]
    theirs = datafold_read(str(datalist), str(tmp_path), fold=fold)
    assert [case_names(part) for part in theirs] == [training, validation]


def test_read_cases_gives_absolute_paths_from_a_relative_folder(tmp_path, monkeypatch):
    datalist = make_dataset(tmp_path)
    monkeypatch.chdir(tmp_path.parent)
    case = read_cases(datalist, tmp_path.name, fold=1, part="validation")[0]
    assert case == {
        "image": str(tmp_path / "imagesTr" / "b.nii.gz"),
        "label": str(tmp_path / "labelsTr" / "b.nii.gz"),
    }


def test_read_cases_keeps_channels_together(tmp_path):
    datalist = make_dataset(tmp_path)
    content = json.loads(datalist.read_text())
    content["training"][0]["image"] = ["imagesTr/a.nii.gz", "imagesTr/g.nii.gz"]
    datalist.write_text(json.dumps(content))
    case = read_cases(datalist, tmp_path, fold=0, part="validation")[0]
    assert case["image"] == [str(tmp_path / "imagesTr" / name) for name in ("a.nii.gz", "g.nii.gz")]


def drop(key, *numbers):
    return lambda content: [content["training"][number].pop(key) for number in numbers]


BAD_DATALISTS = [
    (drop("label", 3), r'training\[3\] without a file under "label"'),
    (drop("image", 0), r'training\[0\] without a file under "image"'),
    (lambda content: content["training"][2].update(image=[]), r'training\[2\] without a file under "image"'),
    (lambda content: content["training"][2].update(label=7), r'training\[2\] without a file under "label"'),
    (lambda content: content["training"].insert(1, "x.nii.gz"), r"training\[1\] without"),
    (drop("fold", *range(7)), r'7 of 7 cases without a "fold".*training\[0\]'),
    (drop("fold", 4, 5), r'2 of 7 cases without a "fold".*training\[4\]'),
    (lambda content: content.pop("training"), 'no list "training"'),
    (lambda content: content["training"].clear(), 'no list "training"'),
    (lambda content: [item.update(fold=1) for item in content["training"]], "every case in fold 1"),
    (lambda content: content["training"][2].update(fold="1"), r"training\[2\] with fold '1'; expected a whole number"),
    (lambda content: content["training"][2].update(fold=1.0), r"training\[2\] with fold 1.0"),
    (lambda content: content["training"][2].update(fold=-1), r"training\[2\] with fold -1"),
    (lambda content: content["training"][2].update(fold=True), r"training\[2\] with fold True"),
    (lambda content: [item.update(fold=item["fold"] + 4) for item in content["training"]], "no case with fold 1.*4, 5"),
]


@pytest.mark.parametrize(("spoil", "message"), BAD_DATALISTS)
def test_read_cases_tells_what_is_wrong_with_a_datalist(tmp_path, spoil, message):
    datalist = make_dataset(tmp_path)
    content = json.loads(datalist.read_text())
    spoil(content)
    datalist.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message) as raised:
        read_cases(datalist, tmp_path, fold=1, part="training")
    assert raised.value.where == datalist


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"training": [\n {"image": }]}', "invalid JSON at line 2, column 12"),
        (b"\xff\xfe\x00", "not text"),
        (b"[]", 'no list "training"'),
    ],
)
def test_read_cases_tells_what_is_no_datalist(tmp_path, text, message):
    datalist = make_dataset(tmp_path)
    datalist.write_bytes(text)
    with pytest.raises(InputError, match=message):
        read_cases(datalist, tmp_path, fold=0, part="training")


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    datalist = make_dataset(tmp_path)
    plain = read_cases(datalist, tmp_path, fold=0, part="training")
    datalist.write_text(datalist.read_text(), encoding="utf-8-sig")
    assert read_cases(datalist, tmp_path, fold=0, part="training") == plain


@pytest.mark.parametrize(("once", "key"), [('"fold": 0', "fold"), ('"training": [', "training")])
def test_a_key_that_is_there_twice_is_an_error(tmp_path, once, key):
    datalist = make_dataset(tmp_path)
    twice = {"fold": '"fold": 0, "fold": 1', "training": '"training": [], "training": ['}[key]
    datalist.write_text(datalist.read_text().replace(once, twice, 1))
    # The standard library takes the last one.
    assert json.loads(datalist.read_text())["training"]
    with pytest.raises(InputError, match=f'found the key "{key}" twice in one mapping'):
        read_cases(datalist, tmp_path, fold=0, part="training")


def test_read_cases_without_a_datalist(tmp_path):
    make_dataset(tmp_path)
    with pytest.raises(InputError, match=r"other.json: found no readable file \(No such file"):
        read_cases(tmp_path / "other.json", tmp_path, fold=0, part="training")


def test_read_cases_refuses_an_unknown_part(tmp_path):
    with pytest.raises(InputError, match="part: found 'half'; expected one of training, validation, test"):
        read_cases(make_dataset(tmp_path), tmp_path, fold=0, part="half")


def add_test_items(datalist, items):
    content = json.loads(datalist.read_text())
    datalist.write_text(json.dumps({**content, **items}))
    return datalist


def test_read_cases_returns_the_test_cases_that_have_a_label_map_whatever_the_fold(tmp_path, caplog):
    caplog.set_level("INFO")
    items = [
        {"image": "imagesTr/t.nii.gz", "label": "labelsTr/t.nii.gz", "subject": "7"},
        {"image": "imagesTr/u.nii.gz"},
        "imagesTr/v.nii.gz",
    ]
    datalist = add_test_items(make_dataset(tmp_path), {"test": items, "testing": [items[0] | {"label": None}]})
    for name in ("imagesTr/t.nii.gz", "labelsTr/t.nii.gz"):
        (tmp_path / name).write_bytes(b"t")
    for fold in (0, 99):
        assert read_cases(datalist, tmp_path, fold=fold, part="test") == [
            {"image": str(tmp_path / "imagesTr/t.nii.gz"), "label": str(tmp_path / "labelsTr/t.nii.gz")}
        ]
    assert f"3 of 4 test cases left out, without a label map in {datalist}" in caplog.messages
    (tmp_path / "labelsTr/t.nii.gz").unlink()
    with pytest.raises(InputError, match=r"labelsTr/t.nii.gz: found no such file"):
        read_cases(datalist, tmp_path, fold=0, part="test")


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ({}, "found no test case"),
        ({"test": ["imagesTr/t.nii.gz"]}, "found 1 test cases, none with a label map"),
        ({"test": "imagesTs"}, "found \"test\" 'imagesTs'"),
        (
            {"test": [{"image": "imagesTr/../imagesTr/b.nii.gz", "label": "labelsTr/b.nii.gz"}]},
            "found this image in training and in test",
        ),
    ],
)
def test_read_cases_refuses_test_cases_without_labels_or_in_training(tmp_path, items, message):
    with pytest.raises(InputError, match=message):
        read_cases(add_test_items(make_dataset(tmp_path), items), tmp_path, fold=0, part="test")


def test_read_cases_names_the_first_missing_file_and_counts_the_others(tmp_path):
    datalist = make_dataset(tmp_path)
    for name in ("labelsTr/c.nii.gz", "imagesTr/e.nii.gz", "imagesTr/f.nii.gz"):
        (tmp_path / name).unlink()
    with pytest.raises(InputError, match=r"found no such file \(and 2 more") as raised:
        read_cases(datalist, tmp_path, fold=0, part="training")
    assert raised.value.where == str(tmp_path / "labelsTr" / "c.nii.gz")
    # The three cases of fold 0 are whole.
    assert len(read_cases(datalist, tmp_path, fold=0, part="validation")) == 3


@pytest.mark.parametrize(
    ("name", "message"), [("absent", "no such folder"), ("datalist.json", "a file"), ("empty", "an empty folder")]
)
def test_read_cases_refuses_a_folder_that_cannot_be_one(tmp_path, name, message):
    datalist = make_dataset(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=f"{name}: found {message}"):
        read_cases(datalist, tmp_path / name, fold=0, part="training")


# The image of item 3 (fold 1) again, as item 5 (fold 2), and how that is written.
@pytest.mark.parametrize(
    ("image", "named"),
    [
        ("./imagesTr/d.nii.gz", "imagesTr/d.nii.gz"),
        ("labelsTr/../imagesTr/d.nii.gz", "labelsTr/../imagesTr/d.nii.gz"),
        (["imagesTr/f.nii.gz", "imagesTr/d.nii.gz"], "imagesTr/d.nii.gz"),
    ],
)
@pytest.mark.parametrize("fold", [0, 1, 2])
@pytest.mark.parametrize("part", ["training", "validation"])
def test_read_cases_refuses_an_image_in_two_folds(tmp_path, image, named, fold, part):
    datalist = make_dataset(tmp_path, folds="0121220")
    content = json.loads(datalist.read_text())
    content["training"][5]["image"] = image
    datalist.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"this image in fold 1 and in fold 2 of .*datalist\.json") as raised:
        read_cases(datalist, tmp_path, fold=fold, part=part)
    assert raised.value.where == str(tmp_path / named)


def test_read_cases_takes_an_image_twice_in_one_fold(tmp_path):
    # Two experts' label maps of one scan.
    datalist = make_dataset(tmp_path)
    content = json.loads(datalist.read_text())
    content["training"][4]["image"] = "imagesTr/b.nii.gz"  # of fold 1, as item 1 is
    datalist.write_text(json.dumps(content))
    assert case_names(read_cases(datalist, tmp_path, fold=1, part="validation")) == "bb"


@pytest.mark.parametrize("with_folds", [True, False])
def test_all_cases_train_whatever_their_folds(tmp_path, with_folds):
    datalist = make_dataset(tmp_path)
    if not with_folds:
        content = json.loads(datalist.read_text())
        for item in content["training"]:
            del item["fold"]
        datalist.write_text(json.dumps(content))
    assert case_names(read_cases(datalist, tmp_path, fold="all", part="training")) == "abcdefg"
    with pytest.raises(InputError, match="a training on all cases, which has no validation part"):
        read_cases(datalist, tmp_path, fold="all", part="validation")


def test_a_case_that_is_there_twice_is_refused_for_all_cases(tmp_path):
    datalist = make_dataset(tmp_path)
    content = json.loads(datalist.read_text())
    content["training"][4] |= {"image": "imagesTr/b.nii.gz"}
    datalist.write_text(json.dumps(content))
    # Two label maps of one image, in one fold.
    assert case_names(read_cases(datalist, tmp_path, fold="all", part="training")) == "abcdbfg"
    content["training"][4]["label"] = content["training"][1]["label"]
    datalist.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"this image with the same label map twice in .*datalist\.json"):
        read_cases(datalist, tmp_path, fold="all", part="training")


def test_all_cases_of_a_datalist_without_any(tmp_path):
    datalist = make_dataset(tmp_path)
    datalist.write_text('{"training": []}')
    with pytest.raises(InputError, match='no list "training" with cases in it'):
        read_cases(datalist, tmp_path, fold="all", part="training")


def test_the_folds_of_a_datalist(tmp_path):
    assert list_folds(make_dataset(tmp_path)) == [0, 1, 2]


def test_read_cases_returns_the_annotated_labels_of_the_cases_that_name_them(tmp_path):
    datalist = make_dataset(tmp_path)
    content = json.loads(datalist.read_text()) | {"labels": {"background": 0, "liver": 1, "kidney": 2}}
    content["training"][0]["annotated"] = ["liver", "background", "liver"]
    datalist.write_text(json.dumps(content))
    cases = read_cases(datalist, tmp_path, fold=0, part="validation")
    assert [case.get("annotated") for case in cases] == [["liver"]] + [None] * (len(cases) - 1)
    content["training"][0]["annotated"] = ["livr"]
    datalist.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r'the annotated label "livr".*did you mean "liver"\?'):
        read_cases(datalist, tmp_path, fold=0, part="validation")
