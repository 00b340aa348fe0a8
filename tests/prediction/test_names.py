"""A case has one name, whoever names it: check, evaluation, prediction, and the runner's own inference."""

import json
import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from pipeline.data import find_scans, names_by_file, names_in_datalist, read_cases
from pipeline.data.check_dataset import check_dataset
from pipeline.prediction.inputs import read_inputs

# Image files of each training case, with its fold, and of each test case; the names.
DATASETS: dict[str, tuple[list[tuple[Any, int]], list[Any], list[str]]] = {
    "sessions": (
        [("s1/ses/scan.nii.gz", 0), ("s2/ses/scan.nii.gz", 1), ("s2/ses/other.nii.gz", 0)],
        ["s3/ses/scan.nii.gz"],
        ["s1_ses_scan", "s2_ses_scan", "other", "s3_ses_scan"],
    ),
    "nnU-Net, one channel": (
        [("imagesTr/case_1_0000.nii.gz", 0), ("imagesTr/case_2_0000.nii.gz", 1)],
        ["imagesTs/case_1_0000.nii.gz"],
        ["imagesTr_case_1", "case_2", "imagesTs_case_1"],
    ),
    "nnU-Net, two channels": (
        [(["i/a_0000.nii.gz", "i/a_0001.nii.gz"], 0), (["i/b_0000.nii.gz", "i/b_0001.nii.gz"], 1)],
        [],
        ["a", "b"],
    ),
    "frames": ([("f_0000.nii.gz", 0), ("f_0001.nii.gz", 1)], ["g_0000.nii.gz"], ["f_0000", "f_0001", "g"]),
}


@pytest.mark.parametrize("name", DATASETS)
def test_a_case_has_one_name(tmp_path: Path, name: str) -> None:
    training, test, names = DATASETS[name]
    items = [
        {"image": image, "label": f"label_{number}.nii.gz", "fold": fold}
        for number, (image, fold) in enumerate(training)
    ]
    listed = [image for image, _ in training] + test
    files = [str(item["label"]) for item in items]
    files += [file for image in listed for file in (image if isinstance(image, list) else [image])]
    for number, file in enumerate(files):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        voxels = np.arange(60).reshape(3, 4, 5) + number
        nib.Nifti1Image((voxels % 2 if "label" in file else voxels).astype(np.int16), np.eye(4)).to_filename(
            tmp_path / file
        )
    datalist = tmp_path / "list.json"
    datalist.write_text(json.dumps({"training": items, "test": test, "labels": {"0": "background", "1": "odd"}}))

    report = check_dataset(datalist, progress=False)
    assert [case["name"] for case in report["cases"]] == names
    assert all(re.fullmatch(r"[\w.-]+", case) for case in names)

    channels = max(len(image) if isinstance(image, list) else 1 for image in listed)
    assert [scan.name for scan in read_inputs([datalist], channels=channels)] == names

    # As `evaluate` finds them: by the file of each case of one fold.
    by_file = names_in_datalist(datalist, tmp_path)
    for fold in (0, 1):
        for case in read_cases(datalist, tmp_path, fold=fold, part="validation"):
            first = case["image"][0] if isinstance(case["image"], list) else case["image"]
            number = next(
                number
                for number, (image, _) in enumerate(training)
                if first.endswith(str(image if isinstance(image, str) else image[0]))
            )
            assert by_file[first] == names[number]

    # The runner's inference refuses scans that only their folders tell apart; others it names likewise.
    if name in ("nnU-Net, two channels", "frames"):
        assert list(names_by_file(find_scans(tmp_path, datalist, channels=channels)).values()) == names
