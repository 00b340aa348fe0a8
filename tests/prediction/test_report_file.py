"""The report of one call, and the files about all scans of a folder."""

import csv
import hashlib
import json
import math
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.labelmaps.label_table import make_label_table
from pipeline.labelmaps.statistics import measure_labels, write_statistics
from pipeline.prediction.outputs import Wanted
from pipeline.prediction.records import Records
from pipeline.prediction.report_file import (
    Clock,
    make_report,
    make_settings,
    make_summary,
    package_versions,
    write_summary,
)
from pipeline.prediction.request import Request
from pipeline.prediction.result import Result

LABELS = {"background": 0, "rim": 2, "core": 1}
TABLE = make_label_table(LABELS)
DONE = Result("a", ("/in/a.nii.gz",), "done", ("/out/a_seg.nii.gz",), {"network": 0.12345}, uncertainty=math.nan)
FAILED = Result("b", ("/in/b.nii.gz",), "failed", error="b: found nothing")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    (folder / "configs").mkdir(parents=True)
    (folder / "configs" / "inference.json").write_text("{}")
    return folder


def request(bundle: Path, **options: Any) -> Request:
    return Request(bundle, [], bundle.with_name("out"), **options)


def settings(asked: Request, **chosen: str) -> dict[str, Any]:
    return make_settings(asked, name="tiny", version="1", folder=asked.bundle, sha256=("abc",), **chosen)


def test_settings_have_all_that_label_maps_depend_on(bundle: Path) -> None:
    asked = request(bundle, tta=True, settings={"inferer#overlap": 0.1})
    assert settings(asked, precision="float32", runtime="openvino") == {
        "bundle": "tiny",
        "version": "1",
        "config": hashlib.sha256(b"{}").hexdigest(),
        "weights": ["abc"],
        "tta": True,
        "fast": False,
        "post-processing": True,
        "precision": "float32",
        "runtime": "openvino",
        "settings": {"inferer#overlap": "0.1"},
    }
    assert {"precision", "runtime"}.isdisjoint(settings(asked))


@pytest.mark.parametrize(
    "changed",
    [
        {"tta": True},
        {"dropout_samples": 2},
        {"fast": True},
        {"postprocessing": False},
        {"settings": {"a": 1}},
        {"wanted": Wanted(anonymous=True)},
        {"wanted": Wanted(keep_header_text=True)},
        "config",
    ],
)
def test_an_option_that_changes_label_maps_changes_the_settings(changed: Any, bundle: Path) -> None:
    before = settings(request(bundle))
    if changed == "config":
        (bundle / "configs" / "inference.json").write_text('{"a": 1}')
        changed = {}
    assert settings(request(bundle, **changed)) != before


@pytest.mark.parametrize(
    "changed", [{"device": "cpu"}, {"memory": 1}, {"threads": 1}, {"overwrite": True}, {"wanted": Wanted(preview=True)}]
)
def test_other_options_leave_the_settings_as_they_are(changed: dict[str, Any], bundle: Path) -> None:
    assert settings(request(bundle, **changed)) == settings(request(bundle))


def test_the_report_has_every_scan_and_what_is_known(bundle: Path) -> None:
    began = datetime(2026, 1, 2, 3, 4, 5, 600000, UTC)
    clock = Clock(began, Clock.started().start - 7)
    report = make_report(request(bundle, memory=5), clock, [DONE, FAILED], labels={"core": 1}, device="cpu", threads=2)
    assert report.pop("seconds") >= 7
    # JSON has no NaN: the mean entropy of no voxel.
    done = {"name": "a", "files": ("/in/a.nii.gz",), "status": "done", "outputs": ("/out/a_seg.nii.gz",)}
    failed = {"name": "b", "files": ("/in/b.nii.gz",), "status": "failed", "outputs": (), "error": FAILED.error}
    assert report == {
        "started": "2026-01-02T03:04:05+00:00",
        "device": "cpu",
        "threads": 2,
        "memory_budget_bytes": 5,
        "labels": {"core": 1},
        "scans": [
            {**done, "seconds": {"network": 0.123}, "uncertainty": None, "notes": ()},
            {**failed, "notes": ()},
        ],
    }


def test_one_file_has_no_report(bundle: Path) -> None:
    report = {"seconds": 1.0, "peak_memory_bytes": 0}
    folder = make_summary(request(bundle), report, [DONE])
    assert folder.report_file == bundle.with_name("out") / "report.json"
    assert folder.results == (DONE,)
    assert folder.first
    one = Request(bundle, [], bundle.with_name("x.nii.gz"))
    assert make_summary(one, report, [DONE], first=False).report_file is None
    assert not make_summary(one, report, [DONE], first=False).first


def finish(records: Records, name: str, scan: Path, wanted: Wanted, voxels: int = 0) -> None:
    """Do what a run does for a scan, with statistics of a label of some voxels."""
    outputs = Request(Path(), [], records.folder.parent, wanted).outputs_for(name)
    records.begin(name, [str(scan)], outputs)
    for file in outputs.files:
        file.write_text("")
    if outputs.statistics is not None:
        labels = np.zeros((9, 1, 1), np.uint8)
        labels[:voxels] = 1
        rows = measure_labels(labels, None, np.eye(4), TABLE)
        write_statistics(rows, outputs.statistics, scan=name)
    records.finish(name, outputs, {"status": "done"})


def test_the_files_about_all_scans_are_written(bundle: Path, tmp_path: Path) -> None:
    scan = tmp_path / "scan"
    scan.write_text("")
    wanted = Wanted(statistics=True)
    asked = request(bundle, wanted=wanted)
    # Runtime and precision of earlier calls, which a call that needs no network does not know.
    made = Records(asked.output, settings(asked, precision="float32", runtime="openvino"))
    finish(made, "a", scan, wanted, 5)
    finish(made, "b", scan, Wanted())
    finish(Records(asked.output, settings(request(bundle, fast=True))), "c", scan, wanted, 9)
    summary = make_summary(asked, {"seconds": 1.0, "scans": []}, [])
    write_summary(summary, asked, TABLE, Records(asked.output, settings(asked)))
    assert json.loads((asked.output / "report.json").read_text()) == {"seconds": 1.0, "scans": []}
    assert "1 core " in (asked.output / "labels.ctbl").read_text()
    assert '"rim"' in (asked.output / "labels.txt").read_text()
    with (asked.output / "statistics.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    # b has no statistics, and c is of other settings.
    assert [(row["scan"], row["name"], row["voxels"]) for row in rows] == [("a", "core", "5"), ("a", "rim", "0")]


def test_a_table_of_statistics_is_written_only_if_it_is_asked_for(bundle: Path) -> None:
    asked = request(bundle)
    write_summary(make_summary(asked, {}, []), asked, TABLE, Records(asked.output, settings(asked)))
    assert sorted(file.name for file in asked.output.iterdir() if file.is_file()) == [
        "labels.ctbl",
        "labels.txt",
        "report.json",
    ]


@pytest.mark.parametrize("runtime", ["auto", "pytorch", "openvino"])
def test_versions_are_those_of_the_packages_that_computed(runtime: str) -> None:
    found = package_versions(runtime)
    assert found["python"] == platform.python_version()
    assert all(found[name] == version(name) for name in ("torch", "monai", "numpy"))
    assert ("openvino" in found) is (runtime == "openvino" and find_spec("openvino") is not None)
    assert "pytorch" not in found
