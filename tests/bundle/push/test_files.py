import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.bundle.push.files import find_private_notes, sort_files

Make = Callable[..., Path]


def test_what_programs_leave_behind_stays_out(bundle: Make) -> None:
    junk = [".DS_Store", ".git/config", ".env", "scripts/__pycache__/a.pyc", "scripts/b.pyc", "docs/.cache/x"]
    uploads, left_out, refused = sort_files(bundle(dict.fromkeys(junk, "x")))
    assert [one.file for one in uploads] == [
        "LICENSE",
        "configs/inference.json",
        "configs/metadata.json",
        "docs/README.md",
        "models/model.pt",
        "scripts/__init__.py",
    ]
    assert left_out == [".DS_Store", ".env", ".git", "docs/.cache", "scripts/__pycache__", "scripts/b.pyc"]
    assert refused == []


@pytest.mark.parametrize(
    ("file", "refused"),
    [
        ("runs/fold_0/model.pt", "runs/"),
        ("predictions/case_seg.nii.gz", "predictions/"),
        ("docs/example.nii.gz", "docs/example.nii.gz"),
        ("docs/SCAN.DCM", "docs/SCAN.DCM"),
        ("patients.csv", "patients.csv"),
        ("models/events.out.tfevents.1", "models/events.out.tfevents.1"),
        ("models/training.log", "models/training.log"),
        *(
            (f"docs/a{ending}", f"docs/a{ending}")
            for ending in [".tgz", ".bz2", ".xz", ".rar", ".pkl", ".parquet", ".sqlite", ".vtk", ".mnc", ".mat"]
        ),
        ("patients.xls", "patients.xls"),
        ("scripts/runs/model.pt", "scripts/runs/"),
        ("docs/Predictions/a.md", "docs/Predictions/"),
    ],
)
def test_what_may_be_data_or_results_is_refused(bundle: Make, file: str, refused: str) -> None:
    assert sort_files(bundle({file: "x"}))[2] == [refused]


def test_a_folder_of_modules_may_be_called_data(bundle: Make) -> None:
    uploads, _, refused = sort_files(bundle({"scripts/data/__init__.py": ""}))
    assert (refused, "scripts/data/__init__.py" in [one.file for one in uploads]) == ([], True)


def test_dicom_without_an_ending_and_links_are_refused(bundle: Make) -> None:
    folder = bundle({"docs/IM0001": bytes(128) + b"DICM"})
    (folder / "docs" / "link.md").symlink_to(folder / "LICENSE")
    assert sort_files(folder)[2] == ["docs/IM0001", "docs/link.md"]


def test_binary_and_large_files_go_by_lfs(bundle: Make) -> None:
    folder = bundle({"docs/long.md": "x" * (10 * 2**20 + 1), "docs/short.md": "x" * (10 * 2**20)})
    large = {one.file: one.large for one in sort_files(folder)[0]}
    assert [file for file, is_large in large.items() if is_large] == ["docs/long.md", "models/model.pt"]


def test_texts_and_configs_in_yaml_are_told_as_well(bundle: Make) -> None:
    cases = "training: [{image: DOE_1.nii}, {image: DOE_2.nii}, {image: DOE_3.nii}]\nx: {y: [/home/me/data]}\n"
    files = {"patients.txt": "x", "docs/data_license.txt": "x", "configs/sub/a.yaml": cases}
    assert list(find_private_notes(bundle(files), list(files))) == [
        "patients.txt: check that no text identifies a patient",
        "configs/sub/a.yaml names 3 cases: check that no name identifies a patient",
        "configs/sub/a.yaml names paths on a machine: /home/me/data",
    ]


def test_names_of_cases_places_of_a_machine_and_tables_are_told(bundle: Make) -> None:
    datalist = {"training": [{"image": f"DOE_JOHN_{number}.nii"} for number in range(3)]}
    train = {"dataset_dir": "/home/me/data", "x": ["C:\\data"], "url": "https://x/home"}
    files = {"configs/datalist.json": json.dumps(datalist), "configs/train.json": json.dumps(train), "docs/a.csv": "x"}
    assert list(find_private_notes(bundle(files), list(files))) == [
        "docs/a.csv: check that no table identifies a patient",
        "configs/datalist.json names 3 cases: check that no name identifies a patient",
        "configs/train.json names paths on a machine: /home/me/data, C:\\data",
    ]
