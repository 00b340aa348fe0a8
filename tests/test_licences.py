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
    ("metadata", "licence", "refused"),
    [
        ("License-Expression: MIT", "MIT", []),
        ("License: BSD 3-Clause\nClassifier: License :: OSI Approved :: BSD License", "BSD-3-Clause", []),
        ("License: MIT\nClassifier: License :: OSI Approved", "MIT", []),
        ("License: Limited licence of a firm", "Limited licence of a firm", ["Limited licence of a firm"]),
        ("License: GPLv3 or MIT", "GPL", ["GPL"]),
        ("License: MIT with Commons Clause", "MIT with Commons Clause", ["MIT with Commons Clause"]),
        ("License: MIT\nClassifier: License :: OSI Approved :: GNU General Public License v3", "MIT AND GPL", ["GPL"]),
        ("Classifier: License :: A Proprietary Licence", "A Proprietary Licence", ["A Proprietary Licence"]),
        ("Summary: no word of a licence", "", ["no licence"]),
    ],
)  # fmt: skip
def test_what_metadata_say_counts_in_full(monkeypatch, tmp_path, metadata, licence, refused):
    (folder := tmp_path / "odd_package-1.dist-info").mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: odd-package\nVersion: 1\n{metadata}\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert licences.find_licence("odd-package") == licence
    assert licences.refused_parts("odd-package", licence) == refused


def test_a_table_made_without_an_extra_keeps_what_it_needs(monkeypatch):
    monkeypatch.setattr(
        licences, "list_users", lambda: ({"numpy": "LightSkip", "idna": "study"}, {"mlflow": {"alembic"}})
    )
    monkeypatch.setattr(licences, "read_constraints", lambda: {"numpy": "1", "idna": "2", "alembic": "3", "mako": "4"})
    monkeypatch.setattr(licences, "find_licence", lambda _: "MIT")
    monkeypatch.setattr(licences, "_is_absent", lambda name: name in ("alembic", "mako"))
    earlier = {"idna": ["idna", "1", "BSD", "mlflow, study"], "alembic": ["alembic", "3", "ISC", "mlflow"]}
    rows, said = licences.make_rows(earlier)
    assert [row[2:] for row in rows.values()] == [
        ["MIT", "LightSkip"],
        ["MIT", "mlflow, study"],
        ["ISC", "mlflow"],
        ["", "another system or Python"],
    ]
    # The licence of a package that is new and not installed is unknown, which fails.
    assert licences.refused_parts("mako", rows["mako"][2]) == ["no licence"]
    assert "alembic, mako" in said[0]
    assert "`mlflow`" in said[1]


@pytest.mark.parametrize(
    ("packages", "status", "words"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], 0, "1 of 1 packages checked, 0 known"),
        ([{"name": "a", "version": "1", "vulns": [{"id": "X-1", "fix_versions": ["2"]}]}], 1, "X-1; versions without"),
        (
            [{"name": "a", "skip_reason": "not found: a (1)"}],
            3,
            "NOT CHECKED: all packages   found: not found   This is no",
        ),
        ([{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "?"}], 3, "NOT CHECKED: b "),
        ([], 3, "0 of 0"),
    ],
)
def test_an_audit_passes_only_if_all_was_checked(packages, status, words):
    found, lines = audit.describe({"dependencies": packages})
    assert found == status
    assert words in " ".join(lines)
