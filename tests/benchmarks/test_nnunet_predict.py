"""The benchmark of nnU-Net's predictor runs in nnU-Net's environment: ``make test-nnunet``."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nnunet_parts import copy_scans, write_dataset

WITH_NNUNET = find_spec("nnunetv2") is not None


def test_the_dataset_is_in_nnunets_layout_with_one_fold(tmp_path: Path) -> None:
    cases = [{key: tmp_path / f"{key}_{number}.nii.gz" for key in ("image", "label")} for number in range(3)]
    for file in (file for case in cases for file in case.values()):
        nib.save(nib.Nifti1Image(np.zeros((2, 3, 4), np.uint8), np.eye(4)), file)
    write_dataset(tmp_path / "new", cases[1:], cases[:1], {"background": 0, "a": 1})
    [raw] = (tmp_path / "new" / "raw").iterdir()
    assert json.loads((raw / "dataset.json").read_text())["numTraining"] == 3
    assert sorted(file.name for file in (raw / "imagesTr").iterdir()) == [f"image_{n}_0000.nii.gz" for n in range(3)]
    assert sorted(file.name for file in (raw / "labelsTr").iterdir()) == [f"image_{n}.nii.gz" for n in range(3)]
    split = json.loads((tmp_path / "new" / "splits.json").read_text())
    assert split == [{"train": ["image_1", "image_2"], "val": ["image_0"]}]
    copy_scans([cases[0]["image"]], tmp_path / "scans")
    assert [file.name for file in (tmp_path / "scans").iterdir()] == ["image_0_0000.nii.gz"]


@pytest.mark.skipif(WITH_NNUNET, reason="nnU-Net is installed")
def test_without_nnunet_a_message_says_where_it_is(tmp_path: Path, run_script: Callable[..., Any]) -> None:
    done = run_script("nnunet_predict", "--quick", "-o", str(tmp_path / "found.json"))
    assert (done.returncode, done.stderr) == (2, "")
    [message] = done.stdout.splitlines()
    assert message.startswith("error: nnU-Net (nnunetv2) is missing")
    assert "make .venv-nnunet/.complete" in message


@pytest.mark.skipif(not WITH_NNUNET, reason="nnU-Net has an environment of its own: make test-nnunet")
def test_quick(tmp_path: Path, run_script: Callable[..., Any]) -> None:
    output, model = tmp_path / "found.json", tmp_path / "model"
    done = run_script("nnunet_predict", "--quick", "--keep", str(model), "-o", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(output.read_text())
    assert found["versions"]["nnunetv2"]
    assert str(tmp_path) not in output.read_text()
    assert (found["cases"], found["training"]["iterations"]) == (2, 2)
    runs = found["runs"]["1"]
    assert runs["nnU-Net"]["passes"] == 8 * runs["nnU-Net without mirroring"]["passes"]
    assert {run["threads"] for run in runs.values()} == {1}
    assert all(run["network"]["median"] > 0 for run in runs.values())
    assert runs["lightskip predict"]["per_scan_ratio"]["median"] == 1
    # The model that was kept gives the same label maps.
    again = run_script("nnunet_predict", "--quick", "--model", str(model), "-o", str(output))
    assert again.returncode == 0, again.stdout + again.stderr
    assert json.loads(output.read_text())["runs"]["1"]["nnU-Net"]["dice"] == runs["nnU-Net"]["dice"]
