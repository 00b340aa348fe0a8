import json
from pathlib import Path

import pytest

from pipeline.data.errors import InputError
from pipeline.data.layouts import Found, find, layout_of
from pipeline.data.sample import make_sample

MSD = {"training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}]}


def make(folder, *names, description=None):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    if description is not None:
        (folder / "dataset.json").write_text(json.dumps(description))
    return folder


@pytest.mark.parametrize(
    ("names", "description", "expected"),
    [
        (["imagesTr/a.nii.gz", "labelsTr/a.nii.gz"], MSD, "msd"),
        # A name that only looks like a channel's is MSD's when the list names it.
        (["imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz"], MSD, "nnunet"),
        (
            ["imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz"],
            {"training": [{"image": "imagesTr/a_0000.nii.gz", "label": "labelsTr/a.nii.gz"}]},
            "msd",
        ),
        (["imagesTr/a_0000.nii.gz"], {"channel_names": {"0": "CT"}}, "nnunet"),
        (["imagesTr/a_0000.nii.gz"], {"modality": {"0": "CT"}}, "nnunet"),
        (["imagesTr/a_0000.png", "labelsTr/a.png"], None, "nnunet"),
        (["sub-01/anat/sub-01_T1w.nii.gz"], None, "bids"),
        (["dataset_description.json"], None, "bids"),
        (["images/a.png", "labels/a.png"], None, "folders"),
        # In AMOS 0001 is a case, not a channel.
        (["imagesTr/amos_0001.nii.gz", "labelsTr/amos_0001.nii.gz"], None, "folders"),
        (["imagesTr/amos_0001.nii.gz", "labelsTr/amos_0001.nii.gz"], {"training": [["a", "b"]]}, "msd"),
        (["case_00000/imaging.nii.gz"], None, "kits"),
        (["s1/ct.nii.gz", "s1/segmentations/a.nii.gz", "s1/segmentations/b.nii.gz"], None, "totalsegmentator"),
        # A single file in a folder of label maps is one.
        (["s1/ct.nii.gz", "s1/segmentations/all.nii.gz"], None, "folders"),
    ],
)
def test_a_folder_is_recognised_by_what_lies_in_it(tmp_path, names, description, expected):
    assert layout_of(make(tmp_path, *names, description=description)) == expected


@pytest.mark.parametrize(("name", "expected"), [("a.csv", "table"), ("a.TSV", "table"), ("a.json", "msd")])
def test_a_file_is_recognised_by_its_ending(tmp_path, name, expected):
    assert layout_of(make(tmp_path, name) / name) == expected


def test_an_unknown_folder_is_told_what_was_looked_for(tmp_path):
    make(tmp_path, "p1/ct.nii.gz", "p1/organs.nii.gz", "p2/ct.nii.gz", "p2/organs.nii.gz")
    found = r"contains p1/, p2/; 4 images: 2 x ct\.nii\.gz, 2 x organs\.nii\.gz; "
    with pytest.raises(InputError, match=found + r".*dataset_description.json.*--images"):
        layout_of(tmp_path)
    make(tmp_path, "Task04/imagesTr/a_0000.nii.gz")
    with pytest.raises(InputError, match=f"give the folder {tmp_path / 'Task04'}"):
        layout_of(tmp_path)


@pytest.mark.slow
def test_the_sample_dataset_is_found_with_its_folds(tmp_path):
    found = find(make_sample(tmp_path / "sample", cases=4, scans=1).parent)
    assert isinstance(found, Found)
    assert [case.fold for case in found.training] == [0, 1, 2, 3]
    assert (len(found.test), found.described["labels"]["shell"]) == (1, 2)
    assert {case.fold for case in find(tmp_path / "sample", keep_folds=False).training} == {None}


def test_patterns_and_tables_are_found(tmp_path):
    make(tmp_path, "i/a.png", "l/a.png")
    assert len(find(images=["i/*.png"], labels="l/*.png", dataset_dir=tmp_path).training) == 1
    (tmp_path / "list.csv").write_text("image,label\ni/a.png,l/a.png\n")
    assert find(tmp_path / "list.csv").training[0].images == (tmp_path / "i/a.png",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": ".", "images": ["*.png"]}, "a source and patterns"),
        ({}, "source: found none"),
        ({"source": "nowhere"}, "nowhere: found no such folder"),
        ({"source": Path(__file__)}, "a file of another kind"),
        ({"source": ".", "layout": "msd", "suffixes": ["T1w"]}, "the option --suffix, which this layout does not use"),
        (
            {"source": ".", "layout": "nnunet", "dataset_dir": "."},
            "the option --dataset_dir, which this layout does not use",
        ),
        ({"source": ".", "layout": "kits", "splits": "x"}, "the option --splits, which this layout does not use"),
        ({"source": ".", "layout": "nnunet", "labels": "{a}"}, "a source and patterns"),
        ({"source": ".", "layout": "coco"}, "'coco'; expected msd or nnunet or bids or table or "),
        ({"images": ["*.png"], "derivatives": "x"}, "the option --derivatives"),
    ],
)
def test_options_that_do_not_belong_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        find(**options)


def test_an_unknown_word_for_unlabelled_is_refused(tmp_path):
    make(tmp_path, "i/a.png", "l/a.png")
    with pytest.raises(InputError, match="'drop'; expected"):
        find(images=["i/*.png"], labels="l/*.png", dataset_dir=tmp_path, unlabelled="drop")
