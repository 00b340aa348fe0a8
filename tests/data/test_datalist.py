import hashlib
import json

import pytest
from monai.auto3dseg.utils import datafold_read
from monai.data import load_decathlon_datalist

from pipeline.data.datalist import find_scans, make_datalist, read_cases, write_json
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


def make_msd(folder, count=11):
    make_dataset(folder, "abcdefghijk"[:count], "0" * count)
    content = json.loads((folder / "datalist.json").read_text())
    for item in content["training"]:
        del item["fold"]
    content["training"].reverse()
    (folder / "dataset.json").write_text(json.dumps(content | {"name": "Toy", "licence": "old", "numTraining": count}))
    return folder


@pytest.mark.parametrize(("folds", "sizes"), [(5, [3, 2, 2, 2, 2]), (2, [6, 5]), (11, [1] * 11)])
def test_make_datalist_cuts_even_folds_of_sorted_cases(tmp_path, folds, sizes):
    datalist = make_datalist(make_msd(tmp_path), folds=folds)
    own = [item["fold"] for item in datalist["training"]]
    assert [own.count(fold) for fold in range(folds)] == sizes
    assert case_names(datalist["training"]) == "abcdefghijk"


def test_make_datalist_depends_on_the_seed_alone(tmp_path):
    make_msd(tmp_path)
    again = [[item["fold"] for item in make_datalist(tmp_path, seed=seed)["training"]] for seed in (0, 0, 1)]
    assert again[0] == again[1] != again[2]


def test_make_datalist_has_checksums_and_the_extra_entries(tmp_path):
    datalist = make_datalist(make_msd(tmp_path), extra={"licence": "CC-BY-SA 4.0", "source": "somewhere"})
    assert datalist["name"] == "Toy"
    assert (datalist["licence"], datalist["source"]) == ("CC-BY-SA 4.0", "somewhere")
    assert "numTraining" not in datalist
    assert len(datalist["checksums"]) == 22
    assert datalist["checksums"]["labelsTr/c.nii.gz"] == hashlib.sha256(b"label c").hexdigest()
    assert "checksums" not in make_datalist(tmp_path, checksums=False)


@pytest.mark.parametrize("folds", [0, 1, 12])
def test_make_datalist_refuses_impossible_folds(tmp_path, folds):
    with pytest.raises(InputError, match=f"11 training cases for {folds} folds"):
        make_datalist(make_msd(tmp_path), folds=folds)


def test_make_datalist_names_a_missing_file(tmp_path):
    (make_msd(tmp_path) / "imagesTr" / "d.nii.gz").unlink()
    with pytest.raises(InputError, match=r"imagesTr/d\.nii\.gz: found no such file"):
        make_datalist(tmp_path)


def test_written_datalist_is_read_back_by_us_and_by_monai(tmp_path):
    datalist = make_datalist(make_msd(tmp_path), extra={"citation": ["Antonelli é"], "nested": {"a": {"b": [1]}}})
    path = tmp_path / "new" / "toy.json"
    write_json(datalist, path)
    assert json.loads(path.read_text(encoding="utf-8")) == datalist
    ours = [case for part in ("training", "validation") for case in read_cases(path, tmp_path, fold=0, part=part)]
    theirs = load_decathlon_datalist(str(path), is_segmentation=True, data_list_key="training", base_dir=str(tmp_path))
    assert sorted(case["label"] for case in ours) == sorted(str(case["label"]).replace("/./", "/") for case in theirs)


def test_written_json_has_an_entry_per_line_and_ends_with_a_newline(tmp_path):
    write_json({"name": "x", "empty": [], "list": [{"a": 1}, {"a": 2}], "map": {"k": "v"}}, tmp_path / "x.json")
    expected = """{
 "name": "x",
 "empty": [],
 "list": [
  {"a": 1},
  {"a": 2}
 ],
 "map": {
  "k": "v"
 }
}
"""
    assert (tmp_path / "x.json").read_text() == expected


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.json"
    write_json({"a": 1}, path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"a": float("nan")}, path)
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.real
def test_the_committed_hippocampus_datalist_is_what_its_folder_gives(real_data, request):
    committed = json.loads((request.config.rootpath / "data_manifests" / "msd_task04_hippocampus.json").read_text())
    made = make_datalist(real_data / "hippocampus", folds=5, seed=0)
    assert {key: committed[key] for key in made} == made
    sizes = [
        len(
            read_cases(
                request.config.rootpath / "data_manifests" / "msd_task04_hippocampus.json",
                real_data / "hippocampus",
                fold=fold,
                part="validation",
            )
        )
        for fold in range(5)
    ]
    assert sizes == [42, 42, 42, 41, 41]
