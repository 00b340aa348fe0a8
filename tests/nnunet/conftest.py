"""A tiny dataset in nnU-Net's layout, planned and preprocessed by nnU-Net."""

import json
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest

from pipeline.nnunet import EXTERNAL_FOLDER

DATASET = "Dataset501_Tiny"
LABELS = {"background": 0, "shell": 1, "core": 2}


@pytest.fixture(scope="session")
def nnunet_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with nnU-Net's raw, preprocessed and results; nnU-Net's variables name them."""
    from . import load_torchvision  # noqa: F401, PLC0415

    folder = tmp_path_factory.mktemp("nnunet")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("raw", "preprocessed", "results"):
            (folder / name).mkdir()
            patch.setenv(f"nnUNet_{name}", str(folder / name))
        patch.setenv("nnUNet_extTrainer", str(EXTERNAL_FOLDER))
        patch.setenv("nnUNet_def_n_proc", "1")
        patch.setenv("nnUNet_n_proc_DA", "1")
        _write_dataset(folder / "raw" / DATASET)
        _plan_and_preprocess(folder / "preprocessed" / DATASET / "nnUNetPlans.json")
        # Augment in this process. nnU-Net's planner does not take 0.
        patch.setenv("nnUNet_n_proc_DA", "0")
        yield folder


def _write_dataset(folder: Path, cases: int = 5) -> None:
    """Write scans of a core in a shell: slices of 4 mm with pixels of 1 mm, turned by 20 degrees."""
    (folder / "imagesTr").mkdir(parents=True)
    (folder / "labelsTr").mkdir()
    random = np.random.default_rng(0)
    turn = np.deg2rad(20)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    affine[:3, :3] *= [1, 1, 4]
    affine[:3, 3] = [10, -20, 30]
    for case in range(cases):
        shape = (32 + case, 36, 12)
        position = np.indices(shape) - np.reshape([size / 2 for size in shape], (3, 1, 1, 1))
        radius = np.sqrt((position**2 * np.reshape([1, 1, 9], (3, 1, 1, 1))).sum(axis=0))
        labels = (radius < 10).astype(np.uint8) + (radius < 5)
        image = 50 * labels + random.normal(0, 10, shape)
        for name, values in (("imagesTr", image.astype(np.float32)), ("labelsTr", labels)):
            ending = "_0000.nii.gz" if name == "imagesTr" else ".nii.gz"
            nibabel.save(nibabel.Nifti1Image(values, affine), folder / name / f"case_{case}{ending}")
    content = {"channel_names": {"0": "MRI"}, "labels": LABELS, "numTraining": cases, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(content))


def _plan_and_preprocess(plans_file: Path) -> None:
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (  # noqa: PLC0415
        extract_fingerprints,
        plan_experiments,
        preprocess,
    )

    extract_fingerprints([501], num_processes=1, check_dataset_integrity=True)
    plan_experiments([501])
    plans = json.loads(plans_file.read_text())
    # A quarter of the planned widths, for the time of the tests.
    for configuration in plans["configurations"].values():
        widths = configuration["architecture"]["arch_kwargs"]["features_per_stage"]
        configuration["architecture"]["arch_kwargs"]["features_per_stage"] = [width // 4 for width in widths]
    plans["configurations"]["3d_per_level"] = {
        "inherits_from": "3d_fullres",
        "lightskip": {"name": "vnet", "skip": ["none", "sat", "concat"], "sparsity": 0.5, "residual": "merged"},
    }
    plans_file.write_text(json.dumps(plans))
    preprocess([501], configurations=("2d", "3d_fullres"), num_processes=(1, 1))
