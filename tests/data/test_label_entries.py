import json

import pytest

from pipeline.cli import main
from pipeline.data.errors import InputError
from pipeline.data.label_entries import LabelOptions, make_label_entries
from pipeline.data.make_datalist import make_datalist

NNUNET = {
    "labels": {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "inner": 3, "ignore": 4},
    "regions_class_order": [1, 2, 3],
}
ENTRIES = {
    "labels": {"0": "background", "1": "whole_only", "2": "core_only", "3": "inner"},
    "regions": {"whole": [1, 2, 3], "core": [2, 3], "inner": [3]},
    "region_order": {"whole": 1, "core": 2, "inner": 3},
    "ignore": 4,
}


@pytest.mark.parametrize(
    ("described", "options", "expected"),
    [
        ({}, {}, {}),
        ({"labels": {"background": 0, "liver": 1}}, {}, {"labels": {"0": "background", "1": "liver"}}),
        (NNUNET, {}, ENTRIES),
        (ENTRIES, {}, ENTRIES),
        (
            NNUNET,
            {"names": ["background", "edema", "necrosis", "enhancing"]},
            ENTRIES | {"labels": {"0": "background", "1": "edema", "2": "necrosis", "3": "enhancing"}},
        ),
        (
            {},
            {"names": ["background", "a", "b"], "regions": ["whole=1,b", "b=b"], "order": ["whole=a", "b=2"]},
            {
                "labels": {"0": "background", "1": "a", "2": "b"},
                "regions": {"whole": [1, 2], "b": [2]},
                "region_order": {"whole": 1, "b": 2},
            },
        ),
        ({}, {"regions": ["whole=1,2"]}, {"labels": {"0": "background", "1": "whole_only_1", "2": "whole_only_2"},
                                          "regions": {"whole": [1, 2]}}),
        ({}, {"ignored": [255]}, {"ignore": 255}),
        (
            {"labels": {"a": 1}},
            {"ignored": [254, 255]},
            {"labels": {"0": "background", "1": "a"}, "ignore": [254, 255]},
        ),
        # New regions, and with them no longer the source's order.
        (ENTRIES, {"regions": ["whole=1,2,3", "inner=3"]}, {**ENTRIES, "regions": {"whole": [1, 2, 3], "inner": [3]}}),
    ],
)  # fmt: skip
def test_entries(described, options, expected):
    found = make_label_entries(described, "dataset.json", LabelOptions(**options))
    if "regions" in options and "order" not in options:
        expected = {key: value for key, value in expected.items() if key != "region_order"}
    assert found == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regions": ["whole"]}, "--regions: found whole; expected a name, = and values for each region"),
        ({"regions": ["a=1", "a=2"]}, "--regions: found a=1 a=2"),
        ({"regions": ["whole=1,4"]}, '--regions: found the region "whole" with the label 4'),
        ({"ignored": [1]}, "--ignore: found the value 1 as ignored and as the label a"),
        ({"order": ["whole=1"]}, '--region-order: found "region_order", and no regions'),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(InputError) as error:
        make_label_entries({"labels": {"background": 0, "a": 1}}, "dataset.json", LabelOptions(**options))
    assert message in str(error.value)


def make_nnunet(folder, description):
    for sub in ("imagesTr", "labelsTr"):
        (folder / sub).mkdir(parents=True)
    for name in "ab":
        (folder / f"imagesTr/{name}_0000.nii.gz").touch()
        (folder / f"labelsTr/{name}.nii.gz").touch()
    base = {"channel_names": {"0": "CT"}, "file_ending": ".nii.gz", "numTraining": 2}
    (folder / "dataset.json").write_text(json.dumps(base | description))
    return folder


def test_regions_of_an_nnunet_folder_are_in_its_datalist_and_in_one_made_from_that(tmp_path, capsys):
    folder = make_nnunet(tmp_path / "Dataset001_Tumour", NNUNET)
    assert main(["datalist", str(folder), "-o", str(tmp_path / "one.json"), "--folds", "2"]) == 0
    assert "regions   whole (1 2 3), core (2 3), inner (3)\nignored   4\n" in capsys.readouterr().out
    assert main(["datalist", str(tmp_path / "one.json"), "-o", str(tmp_path / "two.json"), "--folds", "2"]) == 0
    for name in ("one.json", "two.json"):
        content = json.loads((tmp_path / name).read_text())
        assert {key: content[key] for key in ENTRIES} == ENTRIES
        assert "regions_class_order" not in content


def test_annotated_labels_of_a_table_are_kept(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.nii").touch()
    rows = ["image,label,annotated", "a.nii,la.nii,liver;left kidney", "b.nii,lb.nii,liver", "c.nii,lc.nii,"]
    for name in ("la", "lb", "lc"):
        (tmp_path / f"{name}.nii").touch()
    (tmp_path / "t.csv").write_text("\n".join(rows))
    names = ["background", "liver", "left kidney"]
    datalist = make_datalist(tmp_path / "t.csv", folds=3, label_names=names, checksums=False)
    assert [item.get("annotated") for item in datalist["training"]] == [["liver", "left kidney"], ["liver"], None]
    with pytest.raises(InputError, match=r'line 2 with the annotated label "left kidney".*liver, spleen'):
        make_datalist(tmp_path / "t.csv", folds=3, label_names=["background", "liver", "spleen"])


def test_annotated_labels_survive_new_folds(tmp_path):
    items = [{"image": f"i{n}.nii", "label": f"l{n}.nii", "fold": n, "annotated": ["a"]} for n in range(3)]
    for item in items:
        for key in ("image", "label"):
            (tmp_path / item[key]).touch()
    content = {"labels": {"background": 0, "a": 1, "b": 2}, "training": items}
    (tmp_path / "d.json").write_text(json.dumps(content))
    datalist = make_datalist(tmp_path / "d.json", folds=2, checksums=False)
    assert [item["annotated"] for item in datalist["training"]] == [["a"]] * 3
