import csv
import json
import shutil
from pathlib import Path

import pytest

from pipeline.data.errors import InputError
from pipeline.report.report_content import Lesion
from pipeline.report.report_read import read_content

from .comparison_folder import write_comparison

BUNDLE = Path(__file__).resolve().parents[2] / "bundles" / "hippocampus_mri"


@pytest.fixture
def comparison(tmp_path):
    return write_comparison(tmp_path)


def test_a_comparison_has_its_sets_scores_and_files(comparison):
    content = read_content(comparison)
    assert (content.kind, content.name, list(content.sets)) == ("comparison", "heavy against light", ["heavy", "light"])
    assert content.labels == {"head": 1, "tail": 2}
    assert list(content.facts) == ["4 cases", "2 sets", "3D"]
    assert [(metric.name, metric.unit, metric.better) for metric in content.metrics] == [
        ("dice", "", "higher"),
        ("volume_difference", "ml", "zero"),
    ]
    assert len(content.scores) == 2 * 4 * 2
    [missed] = [score for score in content.scores if score.outcome == "missed"]
    assert (missed.set, missed.case, missed.label, missed.values["dice"]) == ("light", "case_b", "head", 0.0)
    case = content.cases[0]
    assert case.image.is_file()
    assert case.reference.is_file()
    assert all(path.is_file() for path in case.predictions.values())
    assert content.run["Command"].startswith("lightskip compare")
    assert content.run["Set light"] == "../set_1, arm light"
    assert content.run["Tolerance of NSD"] == "1 mm"
    assert content.run["Made"] == "30 November 2026, 12:00 UTC, in 1.25 s"


def test_lesions_that_one_side_lacks_are_read(comparison):
    rows = "set,case,label,side,status,size,size_unit\nheavy,case_a,head,reference,missed,1.5,ml\n"
    (comparison / "lesions.csv").write_text(rows + "heavy,case_a,head,reference,matched,2,ml\n")
    assert read_content(comparison).lesions == [Lesion("heavy", "case_a", "head", "missed", 1.5, "ml")]


def test_a_file_of_the_folder_stands_for_it(comparison):
    assert read_content(comparison / "summary.json").kind == "comparison"


def test_a_prediction_that_a_set_lacks_has_no_file(comparison):
    file = comparison / "summary.json"
    summary = json.loads(file.read_text())
    summary["cases"][0]["predictions"]["light"] = None
    summary["cases"][0]["image"] = None
    file.write_text(json.dumps(summary))
    case = read_content(comparison).cases[0]
    assert case.predictions["light"] is None
    assert case.image is None


def test_images_are_found_by_the_names_of_the_cases(comparison, tmp_path):
    scans = tmp_path / "scans"
    scans.mkdir()
    shutil.copy(tmp_path / "images" / "scan_0.nii.gz", scans / "case_a_0000.nii.gz")
    shutil.copy(tmp_path / "images" / "scan_1.nii.gz", scans / "other.nii.gz")
    cases = read_content(comparison, images=scans).cases
    assert cases[0].image == scans / "case_a_0000.nii.gz"
    assert cases[1].image.name == "scan_1.nii.gz"
    (scans / "case_a_0000.nii.gz").unlink()
    with pytest.raises(InputError, match=r"no scan of the 4 cases \(other\)"):
        read_content(comparison, images=scans)


def test_an_evaluation_has_one_set_named_after_its_folder(tmp_path):
    folder = tmp_path / "fold_0"
    shutil.copytree(BUNDLE / "docs" / "results", folder)
    (folder / "history.csv").unlink()
    content = read_content(folder)
    assert (content.kind, list(content.sets), content.labels) == (
        "evaluation",
        ["fold_0"],
        {"anterior": 1, "posterior": 2},
    )
    assert len(content.cases) == 42
    assert {"dice", "hd95_mm", "nsd", "assd_mm"} < {metric.name for metric in content.metrics}
    values = content.scores[0].values
    assert (values["dice"], values["hd95_mm"], values["nsd"]) == (0.933976, 1.0, 0.995491)
    assert content.run["checkpoint"] == "model.pt"


def test_an_evaluation_of_an_earlier_version_has_three_metrics(tmp_path):
    folder = tmp_path / "fold_0"
    folder.mkdir()
    with (BUNDLE / "docs" / "results" / "cases.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    columns = ("case", "label", "dice", "hd95_mm", "nsd", "reference_size", "prediction_size", "size_unit", "outcome")
    lines = [columns, *([row[name] for name in columns] for row in rows)]
    (folder / "cases.csv").write_text("".join(",".join(line) + "\n" for line in lines))
    statistics = {name: {"mean": 0.9, "std": 0.1, "median": 0.9, "min": 0.8, "max": 1.0} for name in columns[2:5]}
    counts = {"counted": 42, "missed": 0, "false_positives": 0, "absent": 0}
    summary = {
        "cases": 42,
        "labels": dict.fromkeys(("anterior", "posterior"), statistics | counts),
        "overall": statistics | counts,
        "tolerance_mm": 1.0,
        "provenance": None,
        "versions": {"monai": "1.6.1"},
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    content = read_content(folder)
    assert [metric.name for metric in content.metrics] == ["dice", "hd95_mm", "nsd"]
    assert content.scores[0].values == {"dice": 0.933976, "hd95_mm": 1.0, "nsd": 0.995491}


def test_a_bundle_has_its_plan_its_curves_and_the_results_that_were_shipped():
    content = read_content(BUNDLE)
    assert (content.kind, content.name) == ("bundle", "hippocampus_mri")
    assert [history.name for history in content.histories] == ["shipped weights"]
    assert len(content.histories[0].columns["epoch"]) == 90
    assert len(content.cases) == 42
    assert content.plan.startswith("# The settings")
    assert content.labels == {"anterior": 1, "posterior": 2}


def test_a_bundle_s_own_trainings_and_evaluations_come_before_the_shipped_ones(tmp_path):
    bundle = tmp_path / "b"
    shutil.copytree(BUNDLE / "docs", bundle / "docs")
    shutil.copy(BUNDLE / "plan.yaml", bundle)
    for number in (0, 1):
        (bundle / "runs" / f"fold_{number}").mkdir(parents=True)
        shutil.copy(BUNDLE / "docs" / "results" / "history.csv", bundle / "runs" / f"fold_{number}")
        (bundle / "evaluation" / f"fold_{number}").mkdir(parents=True)
        lines = (BUNDLE / "docs" / "results" / "cases.csv").read_text().splitlines()
        (bundle / "evaluation" / f"fold_{number}" / "cases.csv").write_text(
            "\n".join([lines[0], *lines[1 + 2 * number : 3 + 2 * number]])
        )
    (bundle / "evaluation" / "fold_1" / "summary.json").write_text('{"notes": ["one subject only"]}')
    content = read_content(bundle)
    assert list(content.notes) == ["fold_1: one subject only"]
    assert [history.name for history in content.histories] == ["fold_0", "fold_1"]
    assert list(content.sets) == ["fold_0", "fold_1"]
    assert [case.name for case in content.cases] == ["hippocampus_001", "hippocampus_011"]


def test_a_run_of_fit_is_its_bundle(tmp_path):
    (tmp_path / "bundle").mkdir()
    shutil.copy(BUNDLE / "plan.yaml", tmp_path / "bundle")
    (tmp_path / "fit.json").write_text("{}")
    content = read_content(tmp_path)
    assert (content.kind, content.name) == ("bundle", "hippocampus_mri")
    assert content.plan == read_content(tmp_path / "bundle").plan


def test_a_training_has_its_curve_and_the_facts_of_its_network(tmp_path):
    shutil.copy(BUNDLE / "docs" / "results" / "history.csv", tmp_path)
    shutil.copy(BUNDLE / "models" / "model.json", tmp_path)
    content = read_content(tmp_path)
    assert content.kind == "training"
    assert list(content.facts) == ["90 epochs in 35.8 min, best mean Dice 0.895 at epoch 85"]
    assert content.run["Network"].startswith("name vnet")
    assert content.cases == ()


def make_predictions(folder, *, uncertainty=(0.1, 0.3, None), statistics=True):
    scans = [
        {
            "name": f"scan_{number}",
            "files": [f"/data/scan_{number}.nii.gz"],
            "status": "done",
            "outputs": [f"/elsewhere/scan_{number}_entropy.nii.gz", f"/elsewhere/scan_{number}_seg.nii.gz"],
            "uncertainty": value,
        }
        for number, value in enumerate(uncertainty)
    ]
    scans.append({"name": "bad", "files": ["/data/bad.nii.gz"], "status": "failed", "error": "no image", "outputs": []})
    report = {"started": "2026-11-30T12:10:49+00:00", "bundle": "Hippocampus", "labels": {"head": 1}, "scans": scans}
    (folder / "report.json").write_text(json.dumps(report))
    if statistics:
        (folder / "statistics.csv").write_text(
            "scan,label,name,voxels,volume_ml\nscan_0,1,head,10,1.5\nscan_1,1,head,0,\n"
        )


def test_predictions_are_sorted_by_uncertainty_and_failures_say_why(tmp_path):
    make_predictions(tmp_path)
    content = read_content(tmp_path)
    assert content.kind == "prediction"
    assert [case.name for case in content.cases] == ["scan_1", "scan_0", "scan_2", "bad"]
    # The folder may have moved since.
    assert content.cases[0].predictions == {"prediction": tmp_path / "scan_1_seg.nii.gz"}
    assert content.cases[0].entropy == tmp_path / "scan_1_entropy.nii.gz"
    assert content.cases[-1].notes == ["Not segmented: no image"]
    assert [(score.case, dict(score.values), score.outcome) for score in content.scores] == [
        ("scan_0", {"volume_ml": 1.5}, ""),
        ("scan_1", {}, "absent"),
    ]
    assert list(content.facts) == ["4 scans", "1 failed"]


def test_predictions_without_uncertainty_say_so(tmp_path):
    make_predictions(tmp_path, uncertainty=(None, None), statistics=False)
    content = read_content(tmp_path)
    assert "--uncertainty" in content.notes[0]
    assert content.metrics == []


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, "an empty folder"),
        ({"a.txt": ""}, "a.txt"),
        ({"summary.json": '{"probes": []}'}, "the output of lightskip probe"),
        ({"summary.json": "[]"}, "a JSON list"),
        ({"summary.json": "{"}, "cannot be read"),
        ({"summary.json": '{"kind": "comparison"}'}, "no such file"),
        ({"summary.json": '{"kind": "comparison", "sets": [1]}', "cases.csv": "case,label,outcome\n"}, "structure"),
        ({"report.json": '{"scans": [[]]}'}, "another structure"),
        ({"summary.json": '{"kind": "comparison"}', "cases.csv": "case,label,outcome\n"}, "no case"),
        ({"cases.csv": "case,label,dice\nx,y,1\n"}, "no column outcome"),
        ({"cases.csv": b"\xff\xfe\x00"}, "cannot be read"),
        ({"history.csv": "epoch\n1\n"}, "no column train_loss"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_folder_that_has_no_report_is_refused(tmp_path, files, found):
    for name, text in files.items():
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=found):
        read_content(tmp_path)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="nowhere: found no such folder; expected the folder that lightskip compare"):
        read_content(tmp_path / "nowhere")


def test_files_with_other_values_than_the_labels(comparison):
    file = comparison / "summary.json"
    summary = json.loads(file.read_text())
    labels = summary["labels"]
    summary["reference"]["labels"] = labels
    summary["sets"][0]["labels"] = {name: value + 10 for name, value in labels.items()}
    file.write_text(json.dumps(summary))
    [case, *_] = read_content(comparison).cases
    assert case.values == {summary["sets"][0]["name"]: {value + 10: value for value in labels.values()}}
