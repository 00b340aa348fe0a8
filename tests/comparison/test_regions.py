"""Regions, ignored values and partial labels in `lightskip compare`, also as a user calls it."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli import main
from pipeline.comparison.choose_labels import Labels
from pipeline.comparison.regions import choose_ignored, choose_regions, leave_out_region_files
from pipeline.comparison.request import require_plain_labels
from pipeline.comparison.source import LabelMap, Source
from pipeline.data.errors import InputError
from pipeline.evaluation.metrics import measure_case

from .conftest import LABELS, SPACING, make_map

# In the files the labels have other values than in the network.
FILE_LABELS = {"background": 0, "organ": 3, "lesion": 7}
TO_FILE = np.array([0, 3, 7], np.uint8)
REGIONS = {"all": (1, 2), "lesion": (2,)}
WHERE = Labels(LABELS, FILE_LABELS, "the datalist")


def with_ignored(voxels, value=255):
    ignored = voxels.copy()
    ignored[:, 5:] = value
    return ignored


@pytest.fixture
def folders(tmp_path, fill, monkeypatch):
    """References with ignored voxels, predictions without, and a datalist of the references."""
    fill("ref", {name: with_ignored(TO_FILE[make_map()]) for name in "ab"})
    fill("one", {name: TO_FILE[make_map(n + 1)] for n, name in enumerate("ab")}, "_seg.nii.gz")
    fill("two", {name: TO_FILE[make_map(2 * n)] for n, name in enumerate("ab")})
    items = [{"image": f"images/{name}.nii.gz", "label": f"ref/{name}.nii.gz"} for name in "ab"]
    content = {
        "labels": FILE_LABELS,
        "regions": {"all": ["organ", "lesion"], "lesion": [7]},
        "ignore": 255,
        "training": items,
    }
    (tmp_path / "list.json").write_text(json.dumps(content))
    monkeypatch.chdir(tmp_path)
    return content


def run(*words, out="out"):
    return main(["compare", *words, "-o", out, "--jobs", "1", "--resamples", "200"])


def summary(out="out"):
    return json.loads(Path(out, "summary.json").read_text())


def rows(out="out"):
    with Path(out, "cases.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def expected(shift, names=("all", "lesion"), ignored=True):
    reference = with_ignored(make_map(), 3) if ignored else make_map()
    found = measure_case(
        make_map(shift), reference, spacing=SPACING, labels=LABELS, regions=REGIONS, ignored=[3], annotated=names
    )
    return [{key: f"{v:.6f}" if isinstance(v, float) else v for key, v in row.items()} for row in found]


def assert_rows(found, wanted):
    assert [{key: row[key] for key in want} for row, want in zip(found, wanted, strict=True)] == wanted


def test_a_datalist_has_regions_and_ignored_values(folders, capsys):
    assert run("list.json", "one", "two") == 0
    assert_rows(rows(), [row for shift in (1, 2, 0, 2) for row in expected(shift)])
    content = summary()
    assert content["regions"] == {"all": ["organ", "lesion"], "lesion": ["lesion"]}
    assert content["ignored_values"] == [255]
    assert set(content["statistics"]["one"]) == {"all", "lesion", "mean of labels"}
    assert {pair["label"] for pair in content["paired"]} == {"all", "lesion", "mean of labels"}
    notes = " ".join(content["notes"])
    assert "Rows are of regions, which may overlap: all is organ + lesion." in notes
    assert "Ignored voxels" in notes
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines() if "one  " in line] == ["all", "lesion", "mean"]
    assert "organ  " not in shown


@pytest.mark.usefixtures("folders")
def test_options_name_regions_and_ignored_values_of_folders():
    words = ["--labels", "organ=3", "lesion=7", "--regions", "all=3,7", "lesion=lesion", "--ignore", "255"]
    assert run("ref", "one", *words) == 0
    assert_rows(rows(), [row for shift in (1, 2) for row in expected(shift)])
    # Without names the values are the labels.
    assert run("ref", "one", "--regions", "all=3,7", "--ignore", "255") == 0
    assert_rows(rows(), [row for shift in (1, 2) for row in expected(shift, ["all"])])
    assert summary()["regions"] == {"all": ["label_3", "label_7"]}


@pytest.mark.usefixtures("folders")
def test_lesions_cldice_and_tolerances_are_of_regions():
    words = ["--lesions", "all", "--cldice", "lesion", "--tolerance_mm", "all=3", "lesion=0.1"]
    assert run("list.json", "one", *words) == 0
    found = rows()
    assert [row["lesion_f1"] != "nan" for row in found] == [True, False] * 2
    assert [row["cldice"] != "nan" for row in found] == [False, True] * 2
    assert summary()["tolerance_mm"] == {"all": 3, "lesion": 0.1}
    with Path("out", "lesions.csv").open(newline="") as stream:
        assert {row["label"] for row in csv.DictReader(stream)} == {"all"}


def test_a_case_has_rows_of_its_annotated_regions(folders, capsys):
    folders["training"][1]["annotated"] = ["lesion"]
    Path("list.json").write_text(json.dumps(folders))
    assert run("list.json", "one", "two") == 0
    wanted = [*expected(1), *expected(2, ["lesion"]), *expected(0), *expected(2, ["lesion"])]
    assert_rows(rows(), wanted)
    content = summary()
    assert [case.get("annotated") for case in content["cases"]] == [None, ["lesion"]]
    assert any(note.startswith("1 of 2 cases were annotated in part") for note in content["notes"])
    assert content["statistics"]["one"]["all"]["counted"] == 1
    # No region of a case is known by one of its labels.
    for item in folders["training"]:
        item["annotated"] = ["organ"]
    Path("list.json").write_text(json.dumps(folders))
    assert run("list.json", "one") == 2
    assert "no case in which a measured label or region was annotated" in capsys.readouterr().err
    folders["training"][1]["annotated"] = ["lesion"]
    Path("list.json").write_text(json.dumps(folders))
    # Labels of other names than the annotated ones.
    assert run("list.json", "one", "--labels", "x=3", "y=7", "--regions", "both=x,y") == 2
    assert "annotated names organ: expected some of both, x, y" in capsys.readouterr().err


def test_calibration_leaves_out_ignored_voxels(fill, save, tmp_path, monkeypatch):
    fill("ref", {name: with_ignored(make_map()) for name in "ab"})
    fill("one", {name: make_map() for name in "ab"})
    probabilities = np.eye(3, dtype=np.float32)[make_map()]
    wrong = probabilities.copy()
    wrong[:, 5:] = [0.5, 0.25, 0.25]
    for name, voxels in (("a", probabilities), ("b", wrong)):
        save(f"one/{name}_prob.nii.gz", voxels)
    monkeypatch.chdir(tmp_path)
    assert run("ref", "one", "--ignore", "255", "--calibration") == 0
    with Path("out", "calibration.csv").open(newline="") as stream:
        assert [(float(row["brier"]), float(row["ece"])) for row in csv.DictReader(stream)] == [(0, 0)] * 2
    # Probabilities of regions do not add up to 1.
    for name in "ab":
        save(f"one/{name}_prob.nii.gz", np.ones((*make_map().shape, 3), np.float32))
    assert run("ref", "one", "--regions", "all=1,2", "--ignore", "255", "--calibration") == 2


def test_nnunets_dataset_file_next_to_references(folders, save):
    content = {"labels": {"background": 0, "all": [3, 7], "lesion": [7], "ignore": 255}, "channel_names": {"0": "MR"}}
    Path("ref", "dataset.json").write_text(json.dumps(content))
    assert run("ref", "one") == 0
    assert_rows(rows(), [row for shift in (1, 2) for row in expected(shift)])
    assert summary()["regions"] == {"all": ["all_only", "lesion"], "lesion": ["lesion"]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--regions", "all=3,9"], "the region all with the label 9"),
        (["--regions", "all=organ,lesio"], "did you mean lesion"),
        (["--regions", "all=3,3"], "the region all with a label twice"),
        (["--regions", "all=3", "all=7"], "the region all twice"),
        (["--regions", "background=3"], "the region background"),
        (["--regions", "organ=3,7"], "the region organ of 3, 7, and a label of the same name"),
        (["--ignore", "7"], "7, which is also the label lesion"),
        (["--ignore", "255", "--as_background", "255"], r"255, which is also background \(--as_background\)"),
        (["--lesions", "organ"], "the label organ"),
    ],
)
@pytest.mark.usefixtures("folders")
def test_options_that_do_not_fit_end_in_one_message(words, message, capsys):
    assert run("list.json", "one", *words) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert re.search(message, error)
    assert not Path("out").exists()


@pytest.mark.usefixtures("folders")
def test_a_malformed_region_is_an_error_of_the_command_line(capsys):
    with pytest.raises(SystemExit, match="2"):
        run("list.json", "one", "--regions", "all=1,,2")
    assert "such as tumour=1,2,3" in capsys.readouterr().err


@pytest.mark.usefixtures("folders")
def test_files_of_one_region_next_to_label_maps_are_left_out(save):
    for name in "ab":
        save(f"one/{name}_all.nii.gz", make_map())
    assert run("list.json", "one") == 0
    assert_rows(rows(), [row for shift in (1, 2) for row in expected(shift)])
    assert summary()["surplus"] == {"one": []}
    assert any("a_all.nii.gz and 1 more left out" in note for note in summary()["notes"])


@pytest.mark.usefixtures("folders")
def test_a_folder_of_files_of_one_region_is_refused(save, capsys):
    for name in "ab":
        for region in REGIONS:
            save(f"masks/{name}_{region}.nii.gz", make_map())
    assert run("list.json", "masks") == 2
    error = capsys.readouterr().err
    assert "a file for each region of case a: a_all.nii.gz, a_lesion.nii.gz" in error
    assert "one label map for every case" in error


def test_a_name_that_ends_like_a_region_is_a_case_of_its_own():
    maps = [LabelMap("left_all", Path("left_all.nii.gz")), LabelMap("b", Path("b.nii.gz"))]
    source = Source(Path("x"), "folder", maps)
    assert leave_out_region_files(source, REGIONS) is source


def test_values_of_the_references_files_become_those_of_the_comparison():
    assert choose_regions([("all", ["3", "lesion"])], {"other": ["organ"]}, WHERE) == {"all": (1, 2)}
    assert choose_regions([], {"other": ["organ"]}, WHERE) == {"other": (1,)}
    assert choose_regions([], None, WHERE) == {}


def test_ignored_values_of_the_user_come_first():
    assert choose_ignored([4], [255], FILE_LABELS) == (4,)
    # A datalist's value that the user counts as background.
    assert choose_ignored([], [254, 255], FILE_LABELS, [255]) == (254,)
    with pytest.raises(InputError, match="3, which is also the label organ"):
        choose_ignored([3], [], FILE_LABELS)


def test_old_comparisons_have_no_regions(fill, tmp_path, monkeypatch):
    fill("ref", {name: make_map() for name in "ab"})
    monkeypatch.chdir(tmp_path)
    fill("one", {name: make_map() for name in "ab"})
    assert run("ref", "one") == 0
    assert not {"regions", "ignored_values"} & summary().keys()


def test_scores_of_membranes_need_labels_of_which_every_pixel_is_annotated():
    require_plain_labels("--membranes", regions=[], ignored=[])
    with pytest.raises(InputError, match="--membranes: found a comparison with the regions all, lesion"):
        require_plain_labels("--membranes", regions=list(REGIONS), ignored=[])
    with pytest.raises(InputError, match="--membranes: found a comparison with the ignored values 255"):
        require_plain_labels("--membranes", regions=[], ignored=[255])
