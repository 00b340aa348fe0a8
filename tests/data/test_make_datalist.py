import hashlib
import json

import pytest
from monai.data import load_decathlon_datalist

from pipeline.data.datalist import read_cases
from pipeline.data.errors import InputError
from pipeline.data.make_datalist import make_datalist, write_json


def case_names(cases):
    return "".join(case["image"].split("/")[-1][0] for case in cases)


def make_msd(folder, count=11):
    """A folder in the MSD's layout with files that merely exist, its items in reverse order."""
    items = []
    for name in reversed("abcdefghijk"[:count]):
        item = {key: f"./{key}sTr/{name}.nii.gz" for key in ("image", "label")}
        for key, path in item.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes(f"{key} {name}".encode())
        items.append(item)
    described = {"labels": {"0": "background"}, "name": "Toy", "licence": "old", "numTraining": count}
    (folder / "dataset.json").write_text(json.dumps(described | {"training": items}))
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
