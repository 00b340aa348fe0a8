"""Datalists whose labels are DICOM structure sets, from the command to the label maps."""

import json
import logging
import re

import nibabel as nib
import numpy as np
import pytest

from pipeline.cli import main
from pipeline.data.check_dataset import check_dataset

from ..rt import make_affine, make_series, make_structure_set, to_ras

SHAPE = (24, 20, 8)
LIVER = np.array([(3.5, 3.5), (15.5, 3.5), (15.5, 13.5), (3.5, 13.5)])  # 12 x 10 pixels
TUMOUR = np.array([(5.5, 5.5), (8.5, 5.5), (8.5, 8.5), (5.5, 8.5)])  # 3 x 3 pixels, inside
SPLEEN = LIVER + np.array([12, 0]) * 0.5 + np.array([6.0, 0])  # beside the liver: 4 columns beyond the scan are cut


class Cases:
    """Series and structure sets of some cases, as folders ct/1, … and files rt/1.dcm, …."""

    def __init__(self, folder):
        self.folder, self.affine = folder, make_affine(SHAPE, (1, 1.2, 3), (10, 5, 0))
        self.count = 0

    def contours(self, polygon, heights=(2, 3, 4)):
        return [to_ras(self.affine, polygon, height) for height in heights]

    def add(self, *structures, **options):
        self.count += 1
        name = str(self.count)

        def own(dataset, _):
            dataset.PatientID = name
            dataset.SeriesInstanceUID = f"1.2.3.{name}"

        make_series(self.folder / "ct" / name, SHAPE, self.affine, change=own)
        options = {"series": f"1.2.3.{name}"} | options
        return make_structure_set(self.folder / "rt" / f"{name}.dcm", structures, **options)

    def datalist(self, *options, labels="rt/*.dcm"):
        output = self.folder / "lists" / "mine.json"
        patterns = ["--images", str(self.folder / "ct/*"), "--labels", str(self.folder / labels)]
        status = main(["datalist", *patterns, "-o", str(output), "--folds", "2", *options])
        return status, json.loads(output.read_text()) if status == 0 else None

    def labels(self, name):
        return nib.load(self.folder / "lists" / "mine_labels" / f"{name}.nii.gz")


@pytest.fixture
def cases(tmp_path):
    return Cases(tmp_path)


def test_structures_become_label_maps(cases, capsys):
    for shift in (0, 1, 2):
        cases.add(
            ("Liver", cases.contours(LIVER, (2 + shift, 3 + shift))), ("Tumour", cases.contours(TUMOUR + 11, (3,)))
        )
    status, content = cases.datalist()
    assert status == 0
    assert content["labels"] == {"0": "background", "1": "Liver", "2": "Tumour"}
    assert [item["image"][-1] for item in content["training"]] == ["1", "2", "3"]
    assert all("annotated" not in item for item in content["training"])
    for shift, name in enumerate("123"):
        image = cases.labels(name)
        np.testing.assert_allclose(image.affine, cases.affine, atol=1e-4)
        expected = np.zeros(SHAPE, np.uint8)
        expected[4:16, 4:14, 2 + shift : 4 + shift] = 1
        expected[17:20, 17:20, 3] = 2
        np.testing.assert_array_equal(np.asarray(image.dataobj), expected)
    report = check_dataset(cases.folder / "lists" / "mine.json")
    # The scans are equal.
    assert {f["kind"] for f in report["findings"] if f["severity"] == "problem"} == {"leakage"}


def test_a_missing_structure_was_not_annotated(cases):
    cases.add(("liver", cases.contours(LIVER)), ("tumour", cases.contours(TUMOUR + 11)))
    cases.add(("LIVER ", cases.contours(LIVER)), ("tumour", []))
    cases.add(("Liver", cases.contours(LIVER)))
    status, content = cases.datalist()
    assert status == 0
    assert [item.get("annotated") for item in content["training"]] == [None, ["liver"], ["liver"]]
    assert content["labels"] == {"0": "background", "1": "liver", "2": "tumour"}


def test_names_are_chosen_and_renamed(cases):
    cases.add(("Liver_L", cases.contours(LIVER)), ("BODY", cases.contours(LIVER * 1.2 - 1)), ("GTV", []))
    cases.add(("Hepar", cases.contours(LIVER)), ("gtv 1", cases.contours(TUMOUR + 11)))
    chosen = ["--structures", "liver=liver_l", "liver=HEPAR", "tumour=GTV  1"]
    status, content = cases.datalist(*chosen)
    assert status == 0
    assert content["labels"] == {"0": "background", "1": "liver", "2": "tumour"}
    assert [item.get("annotated") for item in content["training"]] == [["liver"], None]


def test_structures_that_overlap_become_regions(cases):
    for _ in range(2):
        cases.add(("liver", cases.contours(LIVER)), ("tumour", cases.contours(TUMOUR, (3,))))
    status, content = cases.datalist()
    assert status == 0
    assert content["labels"] == {"0": "background", "1": "liver_only", "2": "tumour"}
    assert content["regions"] == {"liver": [1, 2], "tumour": [2]}
    labels = np.asarray(cases.labels("1").dataobj)
    assert ((labels == 1).sum(), (labels == 2).sum()) == (3 * 120 - 9, 9)


def test_a_folder_with_one_structure_set_is_one(cases):
    for _ in range(2):
        file = cases.add(("liver", cases.contours(LIVER)))
        file.parent.joinpath(file.stem).mkdir()
        file.rename(file.parent / file.stem / "RS.1.2.3")
    status, content = cases.datalist(labels="rt/*")
    assert (status, content["labels"]) == (0, {"0": "background", "1": "liver"})


def test_points_and_lines_are_no_structures(cases):
    for _ in range(2):
        cases.add(
            ("isocentre", [("POINT", cases.contours(LIVER)[0][:1])]),
            ("needle", [("OPEN_PLANAR", cases.contours(LIVER)[0])]),
            ("liver", [("CLOSEDPLANAR_XOR", part) for part in cases.contours(LIVER) + cases.contours(TUMOUR)]),
        )
    status, content = cases.datalist()
    assert (status, content["labels"]) == (0, {"0": "background", "1": "liver"})
    assert np.asarray(cases.labels("1").dataobj).sum() == 3 * (120 - 9)


def test_gaps_are_told(cases, caplog):
    for _ in range(2):
        cases.add(("liver", cases.contours(LIVER, (0, 1, 5, 6))))
    with caplog.at_level(logging.WARNING):
        assert cases.datalist()[0] == 0
    assert "(liver): not drawn between the slices 1 and 5 (from 0), and left empty there" in caplog.text


BAD = {
    "no contours": (lambda c: c.add(("liver", [])), (), "a structure set without closed contours"),
    "another series": (
        lambda c: c.add(("liver", c.contours(LIVER)), series="1.2.3.9"),
        (),
        "structures of another series than that of .*ct/2: 1.2.3.9; expected the series of the scan, 1.2.3.2",
    ),
    "another frame": (
        lambda c: c.add(("liver", c.contours(LIVER)), frame="1.9.9"),
        (),
        "structures of another frame of reference than that of .*ct/2: 1.9.9",
    ),
    "a name twice": (
        lambda c: c.add(("liver", c.contours(LIVER)), ("LIVER", c.contours(TUMOUR))),
        (),
        "two structures for 'LIVER': 'liver' and 'LIVER'",
    ),
    "two names of a label": (
        lambda c: c.add(("liver", c.contours(LIVER)), ("hepar", c.contours(TUMOUR))),
        ("--structures", "liver", "liver=hepar"),
        "two structures for 'liver': 'liver' and 'hepar'",
    ),
    "none of the structures": (
        lambda c: c.add(("hepar", c.contours(LIVER))),
        ("--structures", "liver"),
        "none of the structures liver; it has hepar",
    ),
    "a structure that no file has": (
        lambda c: c.add(("liver", c.contours(LIVER))),
        ("--structures", "liver", "splene"),
        "--structures splene: found no such structure in any file; expected names of structures: liver",
    ),
    "a structure without a name": (
        lambda c: c.add((" ", c.contours(LIVER))),
        (),
        "found a class without a name; .*--label-names background",
    ),
    "a number as a name": (lambda c: c.add(("7", c.contours(LIVER))), (), "found a class called '7'; .*--label-names"),
    "the background's name": (lambda c: c.add(("Background", c.contours(LIVER))), (), "a class called 'Background'"),
    "off the volume": (
        lambda c: c.add(("liver", c.contours(LIVER, (6, 7, 8, 9)))),
        (),
        r"rt/2\.dcm \(liver\): found a contour that is up to 1\.5 voxels outside the scan",
    ),
    "across the slices": (
        lambda c: c.add(("liver", [c.contours(LIVER)[0] + np.outer([0, 0, 9, 9], [0, 0, 1])])),
        (),
        r"\(liver\): found contours that are not in planes",
    ),
    "coordinates that are no numbers": (
        lambda c: c.add(("liver", c.contours(LIVER)), change=_cut_numbers),
        (),
        "a contour whose coordinates are no numbers",
    ),
    "an empty name": (
        lambda c: c.add(("liver", c.contours(LIVER))),
        ("--structures", "liver="),
        "--structures liver=: found an empty name",
    ),
}


def _cut_numbers(dataset):
    item = dataset.ROIContourSequence[0].ContourSequence[0]
    item.ContourData = item.ContourData[:-1]


@pytest.mark.parametrize(("add", "options", "words"), BAD.values(), ids=BAD)
def test_bad_input_ends_in_one_message(cases, capsys, add, options, words):
    cases.add(("liver", cases.contours(LIVER)))
    add(cases)
    status, _ = cases.datalist(*options)
    message = capsys.readouterr().err
    assert status == 2
    assert message.count("What to do") == 1
    assert re.search(words, message), message
    assert not (cases.folder / "lists" / "mine.json").exists()


def test_label_maps_and_structure_sets_are_not_mixed(cases, capsys):
    """The label map of the second case is a series."""
    for name in "12":
        file = cases.add(("liver", cases.contours(LIVER)))
        (cases.folder / "rt" / name).mkdir()
        file.rename(cases.folder / "rt" / name / "RS.dcm")
    (cases.folder / "rt" / "2" / "RS.dcm").unlink()
    make_series(cases.folder / "rt" / "2", SHAPE, cases.affine)
    assert cases.datalist(labels="rt/*")[0] == 2
    assert "rt/2: found no structure set, while the labels of other cases are" in capsys.readouterr().err


def test_structures_of_label_maps_are_refused(cases, capsys):
    for name in "12":
        cases.add(("liver", cases.contours(LIVER))).unlink()
        nib.Nifti1Image(np.ones(SHAPE, np.uint8), cases.affine).to_filename(cases.folder / "rt" / f"{name}.nii.gz")
    assert cases.datalist("--structures", "liver", labels="rt/*.nii.gz")[0] == 2
    assert "--structures: found label maps that are no structure sets" in capsys.readouterr().err


def test_an_anonymised_series_is_not_compared(cases):
    """Without identifiers there is nothing to compare."""

    def empty(dataset, _):
        dataset.SeriesInstanceUID = dataset.FrameOfReferenceUID = ""

    for name in "12":
        make_series(cases.folder / "ct" / name, SHAPE, cases.affine, change=empty)
        make_structure_set(cases.folder / "rt" / f"{name}.dcm", [("liver", cases.contours(LIVER))])
    assert cases.datalist()[0] == 0


def test_a_volume_made_of_the_series(cases):
    """As dcm2niix writes it: the place in the patient is the same, whatever the order of the axes."""
    for _ in range(2):
        cases.add(("liver", cases.contours(LIVER)))
    for name in "12":
        flipped = cases.affine @ np.array([[1, 0, 0, 0], [0, -1, 0, SHAPE[1] - 1], [0, 0, 1, 0], [0, 0, 0, 1]])
        nib.Nifti1Image(np.zeros(SHAPE, np.int16), flipped).to_filename(cases.folder / f"{name}.nii.gz")
    output = cases.folder / "lists" / "mine.json"
    patterns = ["--images", str(cases.folder / "*.nii.gz"), "--labels", str(cases.folder / "rt/*.dcm")]
    assert main(["datalist", *patterns, "-o", str(output), "--folds", "2"]) == 0
    labels = np.asarray(cases.labels("1").dataobj)
    assert labels[4:16, SHAPE[1] - 14 : SHAPE[1] - 4, 2:5].all()
    assert labels.sum() == 360


def test_a_backslash_in_a_name_is_no_list(cases):
    for _ in range(2):
        cases.add((r"liver\left", cases.contours(LIVER)))
    assert cases.datalist()[1]["labels"] == {"0": "background", "1": "liver/left"}


def test_numbers_can_be_renamed(cases):
    for _ in range(2):
        cases.add(("7", cases.contours(LIVER)))
    assert cases.datalist("--label-names", "background", "liver")[1]["labels"]["1"] == "liver"
    assert cases.datalist("--structures", "liver=7")[1]["labels"]["1"] == "liver"


def test_structure_sets_of_test_cases_are_drawn_too(cases, tmp_path):
    files = [cases.add(("liver", cases.contours(LIVER))) for _ in range(3)]
    parts = ("training", "training", "test")
    rows = [f"ct/{file.stem},rt/{file.name},{part}" for file, part in zip(files, parts, strict=True)]
    (tmp_path / "cases.csv").write_text("\n".join(["image,label,part", *rows]))
    assert main(["datalist", str(tmp_path / "cases.csv"), "-o", str(tmp_path / "mine.json"), "--folds", "2"]) == 0
    (test,) = json.loads((tmp_path / "mine.json").read_text())["test"]
    assert np.count_nonzero(nib.load(tmp_path / test["label"]).dataobj) == 3 * 12 * 10
