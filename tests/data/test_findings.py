import json

from pipeline.data.errors import InputError
from pipeline.data.findings import FIXABLE, Finding


def test_a_finding_has_its_kinds_severity_unless_it_has_its_own():
    finding = Finding("label-islands", "x", "y", "z", "case", "file")
    assert finding.record()["severity"] == "warning"
    assert Finding("label-islands", "x", "y", "z", severity="note").record()["severity"] == "note"


def test_a_record_holds_what_the_report_promises():
    record = Finding("grid-rounding", "x", "y", "z").record()
    assert json.loads(json.dumps(record)) == {
        "kind": "grid-rounding",
        "severity": "problem",
        "case": None,
        "file": None,
        "found": "x",
        "expected": "y",
        "remedy": "z",
        "fixable": True,
    }


def test_an_error_of_a_file_becomes_a_finding_of_its_kind():
    error = InputError("/data/a.nii", found="x", expected="y", remedy="z", kind="nan")
    assert Finding.from_error(error, case="a", file="a.nii") == Finding("nan", "x", "y", "z", "a", "a.nii")


def test_what_ends_the_reading_of_a_file_is_a_problem_whatever_its_kind():
    error = InputError("/data/s/3.dcm", found="x", expected="y", remedy="z", kind="sheared")
    assert not Finding.from_error(error, case="s", file="s").is_problem
    unusable = Finding.from_read_error(error, case="s", file="s")
    assert unusable.is_problem
    assert unusable.record()["severity"] == "problem"
    # As an error it names the slice, in the report the series.
    assert (str(unusable.error().where), unusable.file) == ("/data/s/3.dcm", "s")
    assert "where" not in unusable.record()


def test_what_is_repaired_needs_no_look_at_the_voxels():
    """A repair rewrites a header or a number type; it never decides what a voxel is."""
    assert {"grid-rounding", "label-rounding", "label-float", "sform-singular"} == FIXABLE
