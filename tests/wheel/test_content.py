"""What the distributions contain: all that the package needs, and nothing that git ignores."""

import ast
import email
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

pytestmark = pytest.mark.wheel
ROOT = Path(__file__).resolve().parents[2]
Build = Callable[..., Path]
# Where a wheel has the folders of a checkout.
PLACES = {"pipeline": "pipeline", **{name: f"pipeline/{name}" for name in ("configs", "bundles", "data_manifests")}}
INSIDE = {"nnunetv2"}  # a program that LightSkip's networks run inside, in its own environment
COMES_WITH = {
    "markupsafe": "jinja2",
    "pydantic_core": "pydantic",
    "mlflow": "mlflow-skinny",
    "snakemake_interface_logger_plugins": "snakemake",
}
# `make viewer` fetches the 3D viewer of pages, which git ignores and the wheel has if it is there.
FETCHED = "pipeline/report/html/vendor/"
MAX_MEGABYTES = 10


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as opened:
        return set(opened.namelist())


def files_of_git() -> list[str]:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", *PLACES], capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("no git checkout: the list of files that belong into the wheel is git's")
    return listed.stdout.split("\0")[:-1]


def test_the_wheel_has_every_file_of_git_and_no_other(wheel: Path) -> None:
    expected = {f"{PLACES[name.split('/')[0]]}/{name.partition('/')[2]}" for name in files_of_git()}
    found = {name for name in names_in(wheel) if ".dist-info/" not in name}
    assert {name for name in found if not name.startswith(FETCHED)} == expected


def test_the_wheel_of_the_checkout_is_that_of_the_source_distribution(
    build: Build, wheel: Path, tmp_path: Path
) -> None:
    assert names_in(build("wheel", ROOT, tmp_path)) == names_in(wheel)


def test_the_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < MAX_MEGABYTES * 10**6


def test_the_source_distribution_has_what_builds_and_tests_need(sdist: Path) -> None:
    with tarfile.open(sdist) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    needed = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "Makefile", "constraints.txt", ".gitignore"}
    assert needed | {"tests/conftest.py", "docs/commands.md", *files_of_git()} <= names
    assert not [name for name in names if re.search(r"(^|/)(\.venv|__pycache__|build|runs)(/|$)", name)]


def test_what_git_ignores_stays_out_but_for_what_pages_need(
    build: Build, unpack: Callable[[Path], Path], wheel: Path, tmp_path: Path
) -> None:
    source = unpack(tmp_path / "source")
    bundle = source / "bundles" / "hippocampus_mri"
    vendor = "pipeline/report/html/vendor"
    with (source / ".gitignore").open("a") as ignored:
        ignored.write(f"\n{vendor}/\n")
    left_out = ("runs/fold_0/model.pt", "evaluation/fold_0/cases.csv", "data/a.nii.gz", "models/model.int8.bin")
    for file in (*(bundle / name for name in left_out), source / vendor / "viewer.js"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    assert names_in(build("wheel", source, tmp_path / "dist")) == names_in(wheel) | {f"{vendor}/viewer.js"}
    with tarfile.open(build("sdist", source, tmp_path / "again")) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert f"{vendor}/viewer.js" in names
    assert not [name for name in left_out if f"bundles/hippocampus_mri/{name}" in names]


def test_an_editable_installation_only_points_to_the_checkout(
    build: Build, unpack: Callable[[Path], Path], tmp_path: Path
) -> None:
    source = unpack(tmp_path / "source")
    editable = build("editable", source, tmp_path / "dist")
    [name] = [name for name in names_in(editable) if ".dist-info/" not in name]
    with zipfile.ZipFile(editable) as opened:
        assert opened.read(name).decode().strip() == str(source)


def metadata_of(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as opened:
        [name] = [name for name in opened.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(opened.read(name))


def imported_packages(wheel: Path) -> dict[str, str]:
    """By top-level package, a module in the wheel that imports it."""
    found: dict[str, str] = {}
    with zipfile.ZipFile(wheel) as opened:
        for name in filter(lambda name: name.endswith(".py"), opened.namelist()):
            for node in ast.walk(ast.parse(opened.read(name))):
                if isinstance(node, ast.Import):
                    found |= {item.name.partition(".")[0]: name for item in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    found[str(node.module).partition(".")[0]] = name
    return {package: file for package, file in found.items() if package not in sys.stdlib_module_names}


def test_every_package_that_is_imported_is_required(wheel: Path) -> None:
    required = metadata_of(wheel).get_all("Requires-Dist") or []
    declared = {re.split(r"[^\w.-]", text)[0].lower().replace("_", "-") for text in required}
    distributions = packages_distributions()
    missing = {}
    for package, file in imported_packages(wheel).items():
        known = (*distributions.get(package, ()), package, COMES_WITH.get(package, package))
        names = {name.lower().replace("_", "-") for name in known}
        if not names & declared and package not in {"pipeline", *INSIDE}:
            missing[package] = file
    assert missing == {}


def test_the_metadata_are_those_of_the_project(wheel: Path) -> None:
    metadata = metadata_of(wheel)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (metadata["Name"], metadata["Version"]) == (project["name"], project["version"])
    assert set(metadata.get_all("Provides-Extra") or []) == set(project["optional-dependencies"])
    assert metadata["License-Expression"] == "Apache-2.0"
    with zipfile.ZipFile(wheel) as opened:
        [entry] = [name for name in opened.namelist() if name.endswith("entry_points.txt")]
        assert "lightskip = pipeline.__main__:main" in opened.read(entry).decode()
