import hashlib
import json

import nibabel
import numpy as np
import pytest
from monai.data import load_decathlon_datalist
from monai.transforms import LoadImage

from pipeline.data.cases import read_cases
from pipeline.data.dataset import read_dataset
from pipeline.data.errors import InputError
from pipeline.data.layouts import find_globs
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
    assert (datalist["numTraining"], datalist["numTest"], "test" in datalist) == (11, 0, False)
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


def write_table(folder, text):
    """A CSV whose files exist, each with its own name as content."""
    for line in text.splitlines()[1:]:
        for name in line.split(",")[:2]:
            (folder / name).write_text(name)
    (folder / "list.csv").write_text(text)
    return folder / "list.csv"


def folds_of(datalist):
    return [item["fold"] for item in datalist["training"]]


def test_the_folder_is_told_relative_to_the_datalist_and_left_out_when_it_is_not_asked_for(tmp_path):
    make_msd(tmp_path)
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "deep")
    assert "folder" not in make_datalist(tmp_path)
    for place in ("lists/new", "link", "."):
        named = make_datalist(tmp_path, relative_to=tmp_path / place, checksums=False)["folder"]
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        assert (tmp_path / place / named / "dataset.json").is_file()
        assert not named.startswith("/")


def test_channels_test_items_and_names_are_written_as_monai_reads_them(tmp_path):
    for part in ("imagesTr", "labelsTr", "imagesTs"):
        (tmp_path / part).mkdir()
    for case in ("b_10", "b_9", "b_1"):
        (tmp_path / "labelsTr" / f"{case}.png").touch()
        for channel in "01":
            (tmp_path / "imagesTr" / f"{case}_000{channel}.png").touch()
            (tmp_path / "imagesTs" / f"t{case}_000{channel}.png").touch()
    described = {
        "channel_names": {"1": "PET", "0": "CT"},
        "labels": {"liver": 7, "background": 0},
        "file_ending": ".png",
    }
    (tmp_path / "dataset.json").write_text(json.dumps(described))
    datalist = make_datalist(tmp_path, folds=3)
    assert datalist["modality"] == {"0": "CT", "1": "PET"}
    assert datalist["labels"] == {"0": "background", "7": "liver"}
    assert (datalist["numTraining"], datalist["numTest"]) == (3, 3)
    write_json(datalist, tmp_path / "lists" / "b.json")
    for key, name in (("training", "imagesTr/b"), ("test", "imagesTs/tb")):
        read = load_decathlon_datalist(str(tmp_path / "lists" / "b.json"), True, key, base_dir=str(tmp_path))
        assert [item["image"] for item in read] == [
            [str(tmp_path / f"{name}_{case}_000{channel}.png") for channel in "01"] for case in (1, 9, 10)
        ]
    assert read_dataset(tmp_path / "lists" / "b.json", tmp_path).labels == {"background": 0, "liver": 7}


def test_given_names_win_over_those_of_the_source(tmp_path):
    make_msd(tmp_path)
    datalist = make_datalist(tmp_path, label_names=["background", "liver"], channel_names=["CT"])
    assert (datalist["labels"], datalist["modality"]) == ({"0": "background", "1": "liver"}, {"0": "CT"})
    described = json.loads((tmp_path / "dataset.json").read_text())
    (tmp_path / "dataset.json").write_text(json.dumps(described | {"labels": {"whole": "1 2"}}))
    with pytest.raises(InputError, match="one whole number per name"):
        make_datalist(tmp_path)
    assert make_datalist(tmp_path, label_names=["background", "liver"])["labels"]["1"] == "liver"


def test_folds_of_the_source_are_kept_until_others_are_asked_for(tmp_path):
    rows = [f"i{n}.nii,l{n}.nii,{n % 2 + 4},s{n % 4}" for n in range(8)]
    file = write_table(tmp_path, "image,label,fold,subject\n" + "\n".join(rows) + "\n")
    kept = make_datalist(file)
    assert (folds_of(kept), kept["folds"], "seed" in kept) == ([4, 5] * 4, "2 folds, those of list.csv", False)
    made = make_datalist(file, folds=4, seed=7)
    assert (made["folds"], made["seed"]) == ("4 folds, grouped by subject", 7)
    assert sorted(set(folds_of(made))) == [0, 1, 2, 3]
    assert folds_of(made)[:4] == folds_of(made)[4:]


@pytest.mark.parametrize(
    ("column", "options", "message"),
    [
        ("fold\n0\n0\n\n", {}, r"1 of 3 cases without a fold, the first is line 4"),
        ("fold\n3\n3\n3\n", {}, "all cases in fold 3"),
        ("fold,subject\n0,a\n1,b\n0,b\n", {}, "the subject b in two folds"),
        ("fold\n0\n1\n1\n", {"stratify": ["spacing"]}, "folds, which are kept"),
    ],
)
def test_folds_of_the_source_that_do_not_do_are_explained(tmp_path, column, options, message):
    lines = column.split("\n")
    rows = [f"i{n}.nii,l{n}.nii,{cells}" for n, cells in enumerate(lines[1:4])]
    with pytest.raises(InputError, match=rf"list\.csv: found {message}.*--folds (5|N \(--fold-count N for)"):
        make_datalist(write_table(tmp_path, "\n".join([f"image,label,{lines[0]}", *rows]) + "\n"), **options)


def test_one_case_in_a_fold_of_the_source_asks_for_more_cases(tmp_path):
    with pytest.raises(InputError, match=r"all cases in fold 3; .* add labelled cases"):
        make_datalist(write_table(tmp_path, "image,label,fold\ni.nii,l.nii,3\n"))


def test_a_regular_expression_tells_subjects_by_file_name_or_path(tmp_path):
    for number in range(12):
        folder = tmp_path / f"p{number // 3}"
        folder.mkdir(exist_ok=True)
        for kind in ("scan", "seg"):
            (folder / f"{kind}_{'abc'[number % 3]}.png").touch()
    found = find_globs(["p?/scan_*.png"], "p?/seg_*.png", dataset_dir=tmp_path)
    by_path = make_datalist(found, folds=2, subject=r"^p(\d)/")
    assert [item["subject"] for item in by_path["training"]] == [str(number // 3) for number in range(12)]
    assert len({(item["subject"], item["fold"]) for item in by_path["training"]}) == 4
    by_name = make_datalist(found, folds=3, subject=r"^scan_(\w)")
    assert [item["subject"] for item in by_name["training"]] == ["a", "b", "c"] * 4
    assert len({(item["subject"], item["fold"]) for item in by_name["training"]}) == 3
    for pattern, message in (
        ("(", "malformed regular"),
        ("scan", "without a group"),
        ("_([ab])", r"no subject in .*scan_c\.png"),
    ):
        with pytest.raises(InputError, match=message):
            make_datalist(found, subject=pattern)


def test_columns_group_and_stratify(tmp_path):
    rows = [f"i{n:02d}.nii,l{n:02d}.nii,s{n // 2},f{n // 4},{'north' if n < 8 else 'south'}" for n in range(24)]
    file = write_table(tmp_path, "image,label,subject,family,Site\n" + "\n".join(rows) + "\n")
    datalist = make_datalist(file, folds=2, group="family", stratify=["Site"])
    assert datalist["folds"] == "2 folds, stratified by Site, grouped by family"
    folds = folds_of(datalist)
    assert [len(set(folds[start : start + 4])) for start in range(0, 24, 4)] == [1] * 6
    assert (folds[:8].count(0), folds[8:].count(0)) == (4, 8)
    with pytest.raises(InputError, match="no column age; expected one of family, site, shape, spacing"):
        make_datalist(file, stratify=["age"])
    split = [row.replace("f0", f"f{n}") for n, row in enumerate(rows)]
    file = write_table(tmp_path, "image,label,subject,family,Site\n" + "\n".join(split) + "\n")
    with pytest.raises(InputError, match="subject s0 with 'f0' and 'f1' as family"):
        make_datalist(file, group="family")


def test_shape_and_spacing_stratify(tmp_path):
    for number in range(20):
        image = nibabel.Nifti1Image(np.zeros((3, 4, 5), np.uint8), np.diag([1, 1, 1 if number < 6 else 5, 1.0]))
        for kind in "il":
            nibabel.save(image, tmp_path / f"{kind}{number:02d}.nii")
    datalist = make_datalist(find_globs(["i*.nii"], "l*.nii", dataset_dir=tmp_path), folds=2, stratify=["spacing"])
    folds = folds_of(datalist)
    assert (folds[:6].count(0), folds[6:].count(0)) == (3, 7)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ["a.nii,l.nii,,training", "b.nii,missing.nii,,training"],
            r"missing\.nii: found no such file; .*list\.csv \(line 3\)",
        ),
        (["a.nii,l.nii,,training", "a.nii,m.nii,,training"], r"a\.nii: found this file twice in .*line 2 and line 3"),
        (["a.nii,l.nii,,training", "b.nii,l.nii,,training"], r"l\.nii: found this file twice"),
        (["a.nii,l.nii,,training", "a.nii,,,test"], r"a\.nii: found this file twice"),
        (["a.nii,l.nii,,training", "a.nrrd,m.nii,,training"], r"/a: found this name twice"),
        (["a.nii,l.nii,x,training", "b.nii,,x,test"], "subjects in both training and test: x"),
        (["b.nii,,x,test"], "no training case"),
        (["p.hdr,l.nii,,training"], r"p\.img: found no such file"),
    ],
)
def test_cases_that_cannot_be_used_are_explained(tmp_path, rows, message):
    for name in ("a.nii", "a.nrrd", "b.nii", "l.nii", "m.nii", "p.hdr"):
        (tmp_path / name).touch()
    (tmp_path / "list.csv").write_text("\n".join(["image,label,subject,part", *rows]) + "\n")
    with pytest.raises(InputError, match=message):
        make_datalist(tmp_path / "list.csv")


def test_cases_must_have_the_same_number_of_images_and_names_for_each(tmp_path):
    items = [{"image": [f"{name}{n}.nii" for n in range(2)], "label": f"{name}l.nii"} for name in "ab"]
    items.append({"image": "c.nii", "label": "cl.nii"})
    for name in ("a0", "a1", "b0", "b1", "c", "al", "bl", "cl"):
        (tmp_path / f"{name}.nii").touch()
    (tmp_path / "dataset.json").write_text(json.dumps({"training": items}))
    with pytest.raises(InputError, match=r"1 cases with another number of images than a0\.nii: c\.nii"):
        make_datalist(tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps({"training": items[:2]}))
    with pytest.raises(InputError, match="1 channel names for 2 images"):
        make_datalist(tmp_path, folds=2, channel_names=["CT"])


@pytest.mark.real
def test_a_real_series_has_a_checksum_for_each_of_its_files(real_data, tmp_path):
    for name in ("a.nii", "b.nii", "c.nii"):
        (tmp_path / name).touch()
    (tmp_path / "list.csv").write_text(f"image,label\n{real_data / 'ct_dicom'},a.nii\nb.nii,c.nii\n")
    datalist = make_datalist(tmp_path / "list.csv", folds=2)
    files = sorted((real_data / "ct_dicom").iterdir())
    digests = {hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    assert len(datalist["checksums"]) == len(files) + 3
    assert digests < set(datalist["checksums"].values())
    image = load_decathlon_datalist_of(datalist, tmp_path)[0]["image"]
    assert LoadImage(image_only=True)(image).shape == (512, 512, len(files))


def load_decathlon_datalist_of(datalist, folder):
    write_json(datalist, folder / "made.json")
    return load_decathlon_datalist(str(folder / "made.json"), True, "training", base_dir=str(folder))


@pytest.mark.real
def test_real_slices_are_paired_by_patterns(real_data, tmp_path):
    found = find_globs(["images/*.png"], "labels/*.png", dataset_dir=real_data / "em_isbi2012")
    datalist = make_datalist(
        found, label_names=["0=background", "255=cell"], channel_names=["EM"], relative_to=tmp_path
    )
    assert [item["image"] for item in datalist["training"]] == [f"./images/{number}.png" for number in range(25)]
    write_json(datalist, tmp_path / "em.json")
    read = read_dataset(tmp_path / "em.json")
    assert (read.folder.resolve(), read.labels) == (
        (real_data / "em_isbi2012").resolve(),
        {"background": 0, "cell": 255},
    )


@pytest.mark.real
def test_the_committed_hippocampus_datalist_is_what_its_folder_gives(real_data, request):
    committed = json.loads((request.config.rootpath / "data_manifests" / "msd_task04_hippocampus.json").read_text())
    names = ["background", "anterior", "posterior"]
    made = make_datalist(real_data / "hippocampus", folds=5, seed=0, label_names=names)
    # The committed one tells the story of its folds in its own words.
    new = {"seed", "folds", "numTraining", "numTest"}
    assert {key: committed[key] for key in made if key not in new} == {key: made[key] for key in made if key not in new}
    assert {"training", "checksums", "labels", "modality", "licence"} < set(made)
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
