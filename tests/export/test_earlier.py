from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.data.errors import InputError
from pipeline.export.archive import write_checksums
from pipeline.export.earlier import require_new


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    folder = tmp_path / "phantom"
    for name in ("configs/metadata.json", "docs/README.md", "models/model.pt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    write_checksums(folder)
    return folder


def test_nothing_is_in_the_way(tmp_path):
    for overwrite in (False, True):
        require_new(tmp_path / "phantom", tmp_path / "phantom.zip", overwrite=overwrite)


def test_an_earlier_export_goes_only_where_that_is_wanted(earlier, tmp_path):
    with pytest.raises(
        InputError, match="phantom: found an existing file or folder; expected no existing file at the output path"
    ):
        require_new(earlier, earlier.with_suffix(".zip"), overwrite=False)
    require_new(earlier, earlier.with_suffix(".zip"), overwrite=True)
    (earlier / "scripts" / "__pycache__").mkdir(parents=True)
    (earlier / "scripts" / "__pycache__" / "a.pyc").touch()
    require_new(earlier, earlier.with_suffix(".zip"), overwrite=True)
    (tmp_path / "other.zip").touch()
    with pytest.raises(InputError, match=r"other\.zip: found an existing file or folder"):
        require_new(tmp_path / "other", tmp_path / "other.zip", overwrite=False)


def test_the_bundle_itself_is_not_replaced_by_its_export():
    bundle = Path(__file__).resolve().parents[2] / "bundles" / "hippocampus_mri"
    with pytest.raises(InputError, match="that no export wrote"):
        require_new(bundle, bundle.with_suffix(".zip"), overwrite=True)


@pytest.mark.parametrize("there", ["file", "folder"])
def test_what_no_export_made_is_not_replaced(tmp_path, there):
    target = tmp_path / "phantom"
    if there == "file":
        target.write_text("mine")
    else:
        (target / "configs").mkdir(parents=True)
        (target / "configs" / "metadata.json").touch()
    with pytest.raises(InputError, match="a folder or file that no export wrote"):
        require_new(target, target.with_suffix(".zip"), overwrite=True)


def test_a_training_in_an_exported_bundle_is_not_lost(earlier):
    (earlier / "runs").mkdir()
    (earlier / "runs" / "model.pt").touch()
    (earlier / "runs" / "log.txt").touch()
    with pytest.raises(InputError, match=r"found runs/log\.txt and 1 more, which no export wrote"):
        require_new(earlier, earlier.with_suffix(".zip"), overwrite=True)


def test_what_was_filled_in_is_not_lost(earlier):
    (earlier / "docs" / "README.md").write_text("filled in")
    with pytest.raises(InputError, match=r"found docs/README\.md, changed since it was exported"):
        require_new(earlier, earlier.with_suffix(".zip"), overwrite=True)


def test_a_folder_is_no_zip(tmp_path):
    (tmp_path / "phantom.zip").mkdir()
    with pytest.raises(InputError, match=r"phantom\.zip: found a folder"):
        require_new(tmp_path / "phantom", tmp_path / "phantom.zip", overwrite=True)
