"""Files that are others than when the datalist was made are told, and files that nobody touched are not."""

import json
import shutil
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest

from pipeline.data.check_dataset import check_dataset
from pipeline.data.layouts import find
from pipeline.data.make_datalist import make_datalist, write_json
from pipeline.data.sample import make_sample


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    make_sample(folder / "data", cases=4, scans=1, folds=2)
    write_json(make_datalist(find(folder / "data"), relative_to=folder), folder / "list.json")
    return folder


@pytest.fixture
def copied(drawn: Path, tmp_path: Path) -> Path:
    shutil.copytree(drawn, tmp_path / "copy")
    return tmp_path / "copy"


def checksum_findings(folder: Path, output: Path | None = None) -> list[tuple[str, str, str]]:
    report = check_dataset(folder / "list.json", output)
    return [
        (found["kind"], found["case"], found["file"]) for found in report["findings"] if found["kind"] == "checksum"
    ]


def add_one(path: Path) -> None:
    """Make a valid image of the same size that differs in one voxel."""
    image = nibabel.load(path)
    voxels = np.asanyarray(image.dataobj).copy()
    voxels[0, 0, 0] += 1
    nibabel.Nifti1Image(voxels, None, image.header).to_filename(path)


def test_the_datalist_has_what_sha256sum_tells(drawn: Path) -> None:
    checksums = json.loads((drawn / "list.json").read_text())["checksums"]
    assert len(checksums) == 4 * 2 + 1
    for name, digest in checksums.items():
        printed = subprocess.run(["sha256sum", drawn / "data" / name], capture_output=True, text=True, check=True)
        assert printed.stdout.split()[0] == digest


def test_untouched_files_are_not_told(drawn: Path) -> None:
    assert checksum_findings(drawn) == []


def test_a_changed_image_a_changed_label_and_a_changed_test_scan_are_told(copied: Path) -> None:
    for name in ("imagesTr/sample_001.nii.gz", "labelsTr/sample_002.nii.gz", "imagesTs/scan_000.nii.gz"):
        add_one(copied / "data" / name)
    assert checksum_findings(copied) == [
        ("checksum", "sample_001", "imagesTr/sample_001.nii.gz"),
        ("checksum", "sample_002", "labelsTr/sample_002.nii.gz"),
        ("checksum", "scan_000", "imagesTs/scan_000.nii.gz"),
    ]


def test_a_missing_file_is_missing_only(copied: Path) -> None:
    (copied / "data" / "imagesTr" / "sample_001.nii.gz").unlink()
    report = check_dataset(copied / "list.json")
    assert [found["kind"] for found in report["findings"] if found["severity"] == "problem"] == ["missing"]


def test_a_datalist_made_anew_is_believed_though_the_files_were_read_before(copied: Path) -> None:
    add_one(copied / "data" / "imagesTr" / "sample_001.nii.gz")
    assert len(checksum_findings(copied, copied / "report")) == 1
    write_json(make_datalist(find(copied / "data"), relative_to=copied), copied / "list.json")
    assert checksum_findings(copied, copied / "report") == []


def test_a_slice_of_a_series_is_told_by_its_own_name(tmp_path: Path) -> None:
    series = tmp_path / "data" / "ct"
    series.mkdir(parents=True)
    (series / "1.dcm").write_bytes(b"no image, but a file")
    items = [{"image": "ct", "label": "ct/1.dcm", "fold": 0}]
    content = {"folder": "data", "training": items, "checksums": {"ct/1.dcm": "0" * 64}}
    (tmp_path / "list.json").write_text(json.dumps(content))
    assert checksum_findings(tmp_path) == [("checksum", "ct", "ct/1.dcm")]
