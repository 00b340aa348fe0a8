import errno
import json
import math
import os
from pathlib import Path

import pytest

from pipeline.comparison.output import check_output, format_csv, format_json, list_columns, relative_to, write_files
from pipeline.data.errors import InputError
from pipeline.disk import DiskError


def test_columns_are_those_of_the_contract():
    row = {"set": "s", "case": "c", "subject": "p", "label": "l", "outcome": "found", "nsd": 1.0, "dice": 0.5}
    columns = list_columns([row | {"reference_size": 1.0, "prediction_size": 2.0, "size_unit": "ml"}])
    assert columns == [
        *("set", "case", "subject", "label", "outcome", "dice", "nsd", "reference_size", "prediction_size", "size_unit")
    ]


def test_numbers_have_six_decimals_and_other_values_are_quoted():
    rows = [{"a": 1 / 3, "b": "x, y", "c": 2}, {"a": math.nan, "b": "z"}]
    assert format_csv(rows, ["a", "b", "c"]) == 'a,b,c\n0.333333,"x, y",2\nnan,z,nan\n'


def test_numbers_that_are_not_finite_are_null():
    assert json.loads(format_json({"a": [math.nan, (1.0, math.inf)], "ä": {1: None}})) == {
        "a": [None, [1.0, None]],
        "ä": {"1": None},
    }


def test_paths_are_relative_to_the_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    assert relative_to(tmp_path / "out", tmp_path / "set" / "a.nii") == "../set/a.nii"
    assert relative_to(tmp_path / "out", None) is None


def test_a_later_comparison_replaces_all_files_of_an_earlier_one(tmp_path):
    write_files(tmp_path / "out", {"lesions.csv": "l", "cases.csv": "c", "summary.json": "s"})
    write_files(tmp_path / "out", {"cases.csv": "d", "summary.json": "t"})
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {
        "cases.csv": "d",
        "summary.json": "t",
    }


def test_a_full_disk_leaves_an_earlier_comparison_as_it_was(tmp_path, monkeypatch):
    earlier = {"lesions.csv": "l", "cases.csv": "c", "summary.json": "s"}
    write_files(tmp_path, earlier)

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(DiskError):
        write_files(tmp_path, {"cases.csv": "d", "summary.json": "t"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == earlier


def test_folders_with_something_else_are_refused(tmp_path):
    (tmp_path / "file").touch()
    evaluation = tmp_path / "evaluation"
    evaluation.mkdir()
    (evaluation / "summary.json").write_text('{"labels": {}}')
    for folder, message in (
        (tmp_path / "file", "found a file"),
        (evaluation, "that is no comparison's, such as that of an evaluation"),
        (tmp_path / "set", "found a folder of label maps that are compared"),
        (tmp_path / "file" / "out", "a folder that cannot be written to"),
    ):
        with pytest.raises(InputError, match=message):
            check_output(folder, [tmp_path / "set"])
    check_output(tmp_path / "new" / "deep", [tmp_path / "set"])
    # Only checked.
    assert not (tmp_path / "new").exists()
    (evaluation / "summary.json").write_text('{"kind": "comparison"}')
    check_output(evaluation, [])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(InputError, match="permission denied"):
        check_output(tmp_path / "out", [])
