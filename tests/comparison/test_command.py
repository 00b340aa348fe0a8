"""`lightskip compare` as a user calls it."""

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.bundle.render import write_rendered
from pipeline.cli import main
from pipeline.comparison.output import LOCK
from pipeline.evaluation.metrics import measure_case
from pipeline.locks import hold_lock

from .conftest import AFFINE, LABELS, SPACING, make_map, save_named

NAMES = "abcdef"


@pytest.fixture
def folders(tmp_path, fill, monkeypatch):
    """References, predictions of two sets that differ, and the test's folder as working directory."""
    fill("ref", {name: make_map() for name in NAMES})
    fill("one", {name: make_map(n % 3) for n, name in enumerate(NAMES)}, "_seg.nii.gz")
    fill("two", {name: make_map(0) for name in NAMES[:-1]} | {"x": make_map()})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words, out="out"):
    return main(["compare", *words, "-o", out, "--jobs", "1", "--resamples", "200"])


def summary(out="out"):
    return json.loads(Path(out, "summary.json").read_text())


def rows(out="out", name="cases.csv"):
    with Path(out, name).open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.usefixtures("folders")
def test_two_sets_are_joined_measured_and_written(capsys):
    assert run("ref", "one", "other=two", "--labels", "organ=1", "lesion=2", "--tolerance_mm", "0.5") == 0
    found = rows()
    assert [(row["set"], row["case"], row["label"]) for row in found] == [
        (name, case, label) for name in ("one", "other") for case in NAMES for label in ("organ", "lesion")
    ]
    for n, case in enumerate(NAMES):
        expected = measure_case(make_map(n % 3), make_map(), spacing=SPACING, labels=LABELS, tolerance_mm=0.5)
        for row, wanted in zip(
            [row for row in found if (row["set"], row["case"]) == ("one", case)], expected, strict=True
        ):
            for key, value in wanted.items():
                assert row[key] == (f"{value:.6f}" if isinstance(value, float) else value)
    # The other set lacks the last case.
    assert [row["outcome"] for row in found if row["set"] == "other"] == ["found"] * 10 + ["missed"] * 2

    content = summary()
    assert content["kind"] == "comparison"
    assert content["command"].startswith("lightskip compare ref one other=two --labels organ=1 lesion=2 ")
    assert content["reference"] == {"path": "../ref", "kind": "folder", "part": None, "fold": None, "labels": LABELS}
    assert content["sets"] == [
        {"name": "one", "path": "../one", "kind": "folder", "arm": "one", "seed": None, "labels": LABELS},
        {"name": "other", "path": "../two", "kind": "folder", "arm": "other", "seed": None, "labels": LABELS},
    ]
    assert content["labels"] == LABELS
    assert content["tolerance_mm"] == {"organ": 0.5, "lesion": 0.5}
    assert (content["missing"], content["surplus"]) == ({"one": [], "other": ["f"]}, {"one": [], "other": ["x.nii.gz"]})
    assert content["ranking"] is None
    case = content["cases"][5]
    assert case["predictions"]["other"] is None
    for path, digest in (
        (case["reference"], case["reference_sha256"]),
        (case["predictions"]["one"]["path"], case["predictions"]["one"]["sha256"]),
    ):
        assert hashlib.sha256(Path("out", path).read_bytes()).hexdigest() == digest
    dice = [float(row["dice"]) for row in found if (row["set"], row["label"]) == ("one", "organ")]
    entry = content["statistics"]["one"]["organ"]
    assert entry["dice"]["mean"] == pytest.approx(np.mean(dice), abs=1e-6)
    assert (entry["counted"], entry["missed"]) == (6, 0)

    printed = capsys.readouterr().out
    assert "6 cases of 6 subjects; mean [95 % interval over subjects]" in printed
    assert "note: other: 1 of 6 cases without a prediction (f); each counts as missed for every label" in printed
    assert "note: other: 1 label map belongs to no case and is not counted (x.nii.gz)." in printed
    assert printed.rstrip().endswith("results: out")
    assert content["paired"][2]["sentence"] in printed


@pytest.mark.usefixtures("folders")
def test_the_terminal_has_the_metrics_that_were_asked_for_and_names_the_others(capsys):
    assert run("ref", "one", "--metrics", "nsd", "iou", "dice", "precision") == 0
    assert [one["asked"] for one in summary()["metrics"]] == [True] * 4
    text = capsys.readouterr().out
    assert all(title in text for title in ("Dice", "IoU", "Precision", "NSD"))
    assert "also measured" not in text
    assert run("ref", "one", "--cldice", "label_1") == 0
    assert [one["name"] for one in summary()["metrics"] if one["asked"]] == ["cldice"]
    text = capsys.readouterr().out
    assert "clDice" in text
    assert "also measured, in summary.json and cases.csv: iou, sensitivity, precision, hd_mm" in text


@pytest.mark.usefixtures("folders")
def test_several_processes_write_the_same(capsys):
    for jobs in ("1", "2"):
        assert main(["compare", "ref", "one", "two", "-o", jobs, "--jobs", jobs, "--resamples", "200"]) == 0
    assert Path("1/cases.csv").read_bytes() == Path("2/cases.csv").read_bytes()
    assert summary("1")["statistics"] == summary("2")["statistics"]


def make_datalist(folder, *, test=()):
    items = [
        {"image": f"scans/{name}_0000.nii.gz", "label": f"ref/{name}.nii.gz", "fold": n % 2, "subject": f"s{n // 3}"}
        for n, name in enumerate(NAMES)
    ]
    kept = [item for item, name in zip(items, NAMES, strict=True) if name not in test]
    content = {
        "labels": {"0": "background", "1": "organ", "2": "lesion"},
        "training": kept,
        "test": [item for item in items if item not in kept],
    }
    (folder / "list.json").write_text(json.dumps(content))


def test_the_test_cases_of_a_datalist_are_measured_with_its_labels_and_subjects(folders):
    make_datalist(folders, test="ad")
    assert run("list.json", "one", "--part", "test") == 0
    content = summary()
    assert [(case["case"], case["subject"], case["image"]) for case in content["cases"]] == [
        ("a", "s0", "../scans/a_0000.nii.gz"),
        ("d", "s1", "../scans/d_0000.nii.gz"),
    ]
    assert content["reference"].items() >= {"path": "../list.json", "kind": "datalist", "part": "test"}.items()
    assert list(content["labels"]) == ["background", "organ", "lesion"]
    assert len(content["surplus"]["one"]) == 4


def test_one_subject_only_has_no_interval_and_a_note_says_so(folders, capsys):
    make_datalist(folders)
    assert run("list.json", "one", "two", "--cases", "a", "b") == 0
    content = summary()
    assert content["statistics"]["one"]["organ"]["dice"]["interval"] is None
    assert "2 cases of one subject: no interval and no test, which need at least two subjects." in content["notes"]
    assert "One subject only" in capsys.readouterr().out


def test_a_bundle_and_a_fold_have_the_labels_and_the_tolerance_of_the_plan(folders):
    source = Path(__file__).parents[2] / "bundles" / "synthetic_shapes" / "plan.yaml"
    (folders / "shapes").mkdir()
    plan = source.read_text()
    labels = next(line for line in plan.splitlines() if line.startswith("labels:"))
    plan = plan.replace(
        labels, "labels: {background: 0, organ: 1, lesion: 2}\nlabel_values: {background: 0, organ: 2, lesion: 1}"
    )
    (folders / "shapes" / "plan.yaml").write_text(plan)
    write_rendered(folders / "shapes")
    make_datalist(folders)
    # The files' organ is 2; predictions have the network's values, and say so.
    swapped = np.array([0, 2, 1], np.uint8)
    for n, name in enumerate(NAMES):
        save_named(folders / "three" / f"{name}_seg.nii.gz", swapped[make_map(n % 3)], LABELS)
    (folders / "dataset.json").write_bytes((folders / "list.json").read_bytes())
    assert run("shapes", "three", "--fold", "1", "--dataset_dir", str(folders)) == 0
    content = summary()
    in_files = {"background": 0, "organ": 2, "lesion": 1}
    assert content["reference"] == {"path": "../shapes", "kind": "bundle", "part": None, "fold": 1, "labels": in_files}
    assert [case["case"] for case in content["cases"]] == ["b", "d", "f"]
    assert content["labels"] == content["sets"][0]["labels"] == LABELS
    assert (
        "three: labels are joined by name; organ, lesion have other values than in the reference." in content["notes"]
    )
    dice = [float(row["dice"]) for row in rows() if (row["case"], row["label"]) == ("d", "lesion")]
    assert dice == [1.0]


@pytest.mark.usefixtures("folders")
def test_seeds_lesions_tubes_and_probabilities_are_in_the_files(save):
    values = np.moveaxis(np.eye(3, dtype=np.float32)[make_map()], 0, 0)
    for name in NAMES:
        save(f"one/{name}_prob.nii.gz", values)
    options = ["--lesions", "label_2", "--cldice", "label_1", "--calibration"]
    assert run("ref", "sat:0=one", "sat:1=two", *options) == 0
    content = summary()
    assert [(one["name"], one["arm"], one["seed"]) for one in content["sets"]] == [
        ("sat:0", "sat", 0),
        ("sat:1", "sat", 1),
    ]
    assert content["arms"]["sat"]["sets"] == ["sat:0", "sat:1"]
    assert content["paired"] == []
    assert content["calibration"]["sat:0"]["ece"]["mean"] == 0
    assert content["lesions"]["sets"]["sat:0"]["label_2"]["all"]["reference_lesions"] == 6
    assert "probabilities_sha256" in content["cases"][0]["predictions"]["sat:0"]
    assert {row["set"] for row in rows(name="calibration.csv")} == {"sat:0"}
    assert {row["label"] for row in rows(name="lesions.csv")} == {"label_2"}
    [first, *_] = rows()
    assert (first["cldice"], first["lesion_f1"]) == ("1.000000", "nan")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ref", "one", "--labels", "organ=1"), "undeclared label values: 2"),
        (("ref", "one", "--part", "test"), "found a part of ref, which is a folder of label maps"),
        (("ref", "ref"), "found this path as the reference and a set"),
        (("ref", "empty"), "found an empty folder"),
        (("ref", "one", "--metrics", "dcie"), "--metrics: found dcie"),
        (("ref", "one", "--lesions", "liver"), "--lesions: found the label liver"),
    ],
)
def test_mistakes_end_with_2_a_message_and_no_files(folders, capsys, words, message):
    (folders / "empty").mkdir()
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert "Traceback" not in error
    assert not Path("out").exists()


@pytest.mark.parametrize(
    "words", [("--labels", "organ"), ("--labels", "=1"), ("--tolerance_mm", "a=b"), ("--jobs", "x")]
)
@pytest.mark.usefixtures("folders")
def test_words_that_are_no_values_are_usage_errors(words, capsys):
    with pytest.raises(SystemExit) as raised:
        run("ref", "one", *words)
    assert raised.value.code == 2


@pytest.mark.usefixtures("folders")
def test_an_interrupted_comparison_leaves_the_earlier_one(monkeypatch):
    assert run("ref", "one") == 0
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.comparison.measure.measure_case", interrupt)
    assert run("ref", "two") == 130
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before
    assert run("ref", "two", out="new") == 130
    assert not Path("new").exists()


def test_predictions_turned_to_other_axes_are_the_same(folders, save, capsys):
    flipped = AFFINE @ np.array([[-1, 0, 0, 9], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    for n, name in enumerate(NAMES):
        save(f"turned/{name}.nii.gz", make_map(n % 3)[::-1], flipped)
    assert run("ref", "one", "turned") == 0
    content = summary()
    assert content["statistics"]["one"] == content["statistics"]["turned"]
    assert "turned: 6 label maps have the reference's voxels with axes in another order" in capsys.readouterr().out
    assert content["paired"][2]["sentence"].startswith("No difference: one and turned have the same Dice")


@pytest.mark.usefixtures("folders")
def test_two_comparisons_do_not_write_to_one_folder(capsys):
    Path("out").mkdir()
    with hold_lock(Path("out", LOCK), verb="lightskip compare", keep=False):
        assert run("ref", "one") == 2
    assert "out: found another lightskip compare at work in it: process" in capsys.readouterr().err
    assert list(Path("out").iterdir()) == []
    assert run("ref", "one") == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["cases.csv", "summary.json"]
