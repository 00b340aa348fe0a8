import json

import pytest
from monai.auto3dseg.utils import datafold_read

from pipeline.data.datalist import find_scans, read_cases
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
    content["training"][0]["image"] = ["imagesTr/a.nii.gz", "imagesTr/b.nii.gz"]
    datalist.write_text(json.dumps(content))
    case = read_cases(datalist, tmp_path, fold=0, part="validation")[0]
    assert case["image"] == [str(tmp_path / "imagesTr" / name) for name in ("a.nii.gz", "b.nii.gz")]


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


def test_read_cases_without_a_datalist(tmp_path):
    make_dataset(tmp_path)
    with pytest.raises(InputError, match=r"other.json: found no readable file \(No such file"):
        read_cases(tmp_path / "other.json", tmp_path, fold=0, part="training")


def test_read_cases_refuses_an_unknown_part(tmp_path):
    with pytest.raises(InputError, match="part: found 'test'"):
        read_cases(make_dataset(tmp_path), tmp_path, fold=0, part="test")


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
def test_both_readers_refuse_a_folder_that_cannot_be_one(tmp_path, name, message):
    datalist = make_dataset(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=f"{name}: found {message}"):
        read_cases(datalist, tmp_path / name, fold=0, part="training")
    with pytest.raises(InputError, match=f"{name}: found {message}"):
        find_scans(tmp_path / name)
    with pytest.raises(InputError, match=f"{name}: found {message}"):
        find_scans(tmp_path / name, ["a.nii.gz"])


def put(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()


def test_find_scans_takes_the_nifti_files_of_the_folder_alone(tmp_path):
    put(tmp_path, "b.nii", "a.nii.gz", "C.NII.GZ", ".hidden.nii", "notes.txt", "nii.gz.txt", "deep/d.nii")
    (tmp_path / "folder.nii").mkdir()
    assert find_scans(tmp_path) == [{"image": str(tmp_path / name)} for name in ("C.NII.GZ", "a.nii.gz", "b.nii")]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["imagesTr/a.nii.gz", "dataset.json"], "the folder holds dataset.json, imagesTr/;"),
        ([f"{number}.dcm" for number in range(8)], "0.dcm, 1.dcm, 2.dcm, 3.dcm, 4.dcm and 3 more"),
        ([".DS_Store"], "hidden files only"),
    ],
)
def test_find_scans_says_what_a_folder_without_scans_holds(tmp_path, names, message):
    put(tmp_path, *names)
    with pytest.raises(InputError, match="found no NIfTI file") as raised:
        find_scans(tmp_path)
    assert message in str(raised.value)


NAMED = [
    (["b.nii", "sub/c.nii.gz"], ["b.nii", "sub/c.nii.gz"]),
    ([{"image": "b.nii", "label": "absent.nii"}], ["b.nii"]),
    ([{"image": ["b.nii", "a.nii.gz"]}], [["b.nii", "a.nii.gz"]]),
    ({"training": [{"image": "./b.nii"}], "test": ["./a.nii.gz"]}, ["b.nii", "a.nii.gz"]),
    ({"testing": [{"image": "sub/c.nii.gz"}]}, ["sub/c.nii.gz"]),
]


@pytest.mark.parametrize("as_file", [False, True], ids=["value", "file"])
@pytest.mark.parametrize(("datalist", "expected"), NAMED)
def test_find_scans_takes_the_named_scans_in_their_order(tmp_path, datalist, expected, as_file):
    put(tmp_path, "a.nii.gz", "b.nii", "sub/c.nii.gz")
    if as_file:
        (tmp_path / "list.json").write_text(json.dumps(datalist))
        datalist = tmp_path / "list.json"
    absolute = [
        [str(tmp_path / one) for one in name] if isinstance(name, list) else str(tmp_path / name) for name in expected
    ]
    assert find_scans(tmp_path, datalist) == [{"image": path} for path in absolute]


def test_find_scans_needs_no_folder_for_absolute_paths(tmp_path):
    put(tmp_path, "a.nii.gz")
    scan = tmp_path / "a.nii.gz"
    assert find_scans(tmp_path / "absent", [scan]) == [{"image": str(scan)}]


@pytest.mark.parametrize(
    ("datalist", "message"),
    [
        (["a.nii.gz", "x.nii", "y.nii"], r"x\.nii: found no such file \(and 1 more"),
        ([], "no scan named"),
        ({"training": []}, "no scan named"),
        ([{"label": "a.nii.gz"}], "item 0 without"),
        (["a.nii.gz", 5], "item 1 without"),
        (["a.nii.gz", "a.nii"], r"a\.nii: found the same name as .*a\.nii\.gz"),
        (["a.nii.gz", "sub/a.nii.gz"], "the same name"),
        (["a.nii.gz", "a.nii.gz"], "the same name"),
    ],
)
def test_find_scans_tells_what_is_wrong_with_the_named_scans(tmp_path, datalist, message):
    put(tmp_path, "a.nii.gz", "a.nii", "sub/a.nii.gz")
    with pytest.raises(InputError, match=message):
        find_scans(tmp_path, datalist)


@pytest.mark.parametrize("names", [("a.nii", "a.nii.gz"), ("a.b.nii", "a.b.NII.GZ")])
def test_find_scans_refuses_scans_whose_outputs_would_share_a_name(tmp_path, names):
    put(tmp_path, *names)
    with pytest.raises(InputError, match="the same name"):
        find_scans(tmp_path)
