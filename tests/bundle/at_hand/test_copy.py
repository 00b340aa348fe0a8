import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pipeline.bundle.at_hand.copy import copy_bundle
from pipeline.bundle.render import check_rendered
from pipeline.data.errors import InputError

Make = Callable[..., Path]
BUNDLES = Path(__file__).resolve().parents[3] / "bundles"
NAMES = ["em_membrane", "hippocampus_mri", "left_right", "synthetic_shapes"]


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_renders_to_the_same_configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    copied = copy_bundle(name)
    assert copied == Path(name)
    assert check_rendered(copied) == {}
    for file in (BUNDLES / name / "configs").iterdir():
        assert (copied / "configs" / file.name).read_bytes() == file.read_bytes()
    # Only the path of the datalist differs, and every comment stays.
    before, after = ((folder / name / "plan.yaml").read_text().splitlines() for folder in (BUNDLES, tmp_path))
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    has_manifest = yaml.safe_load((BUNDLES / name / "plan.yaml").read_text())["data"]["manifest"] is not None
    assert [new for _, new in changed] == ["  manifest: data_manifest.json"] * has_manifest
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_trainings_and_results_stay(make_bundle: Make, tmp_path: Path) -> None:
    files = ("runs/fold_0/model.pt", "evaluation/fold_0/summary.json", "predictions/a.nii.gz", "data/a", ".hidden")
    bundle = make_bundle(tmp_path / "spleen", {**dict.fromkeys(files, "x"), "docs/data/a.md": "kept"})
    copied = copy_bundle(bundle, tmp_path / "new" / "mine")
    found = sorted(str(path.relative_to(copied)) for path in copied.rglob("*") if path.is_file())
    assert found == ["configs/metadata.json", "docs/data/a.md"]


def test_a_copy_of_files_that_may_only_be_read_can_be_written(make_bundle: Make, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "spleen")
    (bundle / "configs" / "metadata.json").chmod(0o444)
    copied = copy_bundle(bundle, tmp_path / "mine")
    assert stat.S_IMODE((copied / "configs" / "metadata.json").stat().st_mode) & stat.S_IWUSR


PLAN = """\
data:
  manifest: {manifest}   # the datalist
  folder: {folder}
labels: {{background: 0}}
"""


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_paths_of_a_plan_mean_the_same_files(make_bundle: Make, tmp_path: Path, quote: str) -> None:
    text = PLAN.format(manifest=f"{quote}../lists/a list.json{quote}", folder=f"{quote}../scans #1{quote}")
    if not quote:
        text = text.replace(" #1", "")
    bundle = make_bundle(tmp_path / "one" / "spleen", {"plan.yaml": text, "../lists/a list.json": "{}"})
    copied = copy_bundle(bundle, tmp_path / "mine")
    plan = (copied / "plan.yaml").read_text()
    assert "  manifest: data_manifest.json   # the datalist\n" in plan
    assert yaml.safe_load(plan) == {
        "data": {
            "manifest": "data_manifest.json",
            "folder": str(tmp_path / "one" / ("scans #1" if quote else "scans")),
        },
        "labels": {"background": 0},
    }
    assert (copied / "data_manifest.json").read_text() == "{}"


def test_a_datalist_within_the_bundle_and_an_absolute_folder_stay(make_bundle: Make, tmp_path: Path) -> None:
    text = PLAN.format(manifest="own.json", folder="/scans")
    copied = copy_bundle(make_bundle(tmp_path / "a", {"plan.yaml": text, "own.json": "{}"}), tmp_path / "b")
    assert (copied / "plan.yaml").read_text() == text


def test_a_plan_in_another_form_is_not_half_copied(make_bundle: Make, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "a" / "b", {"plan.yaml": "data: {manifest: ../x.json}\n", "../x.json": "{}"})
    with pytest.raises(InputError, match="copy the folder by hand"):
        copy_bundle(bundle, tmp_path / "c")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


def test_nothing_is_overwritten(make_bundle: Make, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "a")
    for target in (bundle, tmp_path):
        with pytest.raises(InputError, match="nothing is overwritten"):
            copy_bundle(bundle, target)
    with pytest.raises(InputError, match="no such folder"):
        copy_bundle(tmp_path / "x" / "y")


def test_a_file_in_the_way_leaves_nothing(make_bundle: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file") as caught:
        copy_bundle(make_bundle(tmp_path / "a"), tmp_path / "file" / "mine")
    assert caught.value.filename is None or str(caught.value.filename).startswith(str(tmp_path / "file"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "file"]
