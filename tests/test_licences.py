"""The table of licences is that of constraints.txt, and all are allowed; an audit that checked nothing is no pass."""

import importlib.util
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


licences = load(ROOT / "docs" / "licences.py")
audit = load(ROOT / ".ci" / "audit.py")
ROWS = licences.read_rows(licences.DOCUMENT.read_text(encoding="utf-8"))


def test_the_table_has_the_packages_of_constraints():
    assert {name: row[1] for name, row in ROWS.items()} == licences.read_constraints()


def test_every_licence_is_allowed():
    assert not [name for name, row in ROWS.items() if licences.refused_parts(name, row[2])]
    assert not [name for name, row in ROWS.items() if "GPL" in row[2] and row[3] == "LightSkip"]


def test_the_table_says_what_the_packages_say():
    for name, row in ROWS.items():
        try:
            assert licences.find_licence(name) == row[2], name
        except PackageNotFoundError:
            continue


@pytest.mark.parametrize("licence", ["GPL-3.0-only", "MIT AND AGPL-3.0", "", "Proprietary"])
def test_other_licences_are_refused(licence):
    assert licences.refused_parts("numpy", licence)


@pytest.mark.parametrize(
    ("packages", "status", "words"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], 0, "1 of 1 packages checked, 0 known"),
        ([{"name": "a", "version": "1", "vulns": [{"id": "X-1", "fix_versions": ["2"]}]}], 1, "X-1; versions without"),
        ([{"name": "a", "skip_reason": "not found"}], 3, "NOT CHECKED"),
        ([], 3, "0 of 0"),
    ],
)
def test_an_audit_passes_only_if_all_was_checked(packages, status, words):
    found, lines = audit.describe({"dependencies": packages})
    assert found == status
    assert words in " ".join(lines)
