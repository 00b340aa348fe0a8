import json

from pipeline.data.errors import InputError
from pipeline.data.findings import FIXABLE, SEVERITIES, Finding


def test_a_finding_has_its_kinds_severity_unless_it_has_its_own():
    finding = Finding("label-islands", "x", "y", "z", "case", "file")
    assert finding.record()["severity"] == "warning"
    assert Finding("label-islands", "x", "y", "z", severity="note").record()["severity"] == "note"


def test_a_record_holds_what_the_report_promises():
    record = Finding("grid-rounding", "x", "y", "z").record()
    assert json.loads(json.dumps(record)) == {
        "kind": "grid-rounding",
        "severity": "warning",
        "case": None,
        "file": None,
        "found": "x",
        "expected": "y",
        "remedy": "z",
        "fixable": True,
    }


def test_an_error_of_a_file_becomes_a_finding_of_its_kind():
    error = InputError("/data/a.nii", found="x", expected="y", remedy="z", kind="nan")
    assert Finding.of(error, case="a", file="a.nii") == Finding("nan", "x", "y", "z", "a", "a.nii")


def test_what_is_repaired_is_never_a_problem():
    """A problem has to be looked at by a person."""
    assert {SEVERITIES[kind] for kind in FIXABLE} <= {"warning", "note"}
