"""The main job as a user does it: MONAI's own runner, from another working directory, on the sample dataset."""

import csv
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from pipeline.networks import VNet

BUNDLE = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes"
TRAIN, EVALUATE, INFERENCE = (BUNDLE / "configs" / f"{name}.json" for name in ("train", "evaluate", "inference"))
# Half the bundle's widths, which evaluation and inference learn from the weights.
SMALL = ("--epochs", "3", "--val_interval", "3", "--patch", "[16,16,16]", "--network_def#channels", "[8,16,32]")
LABELS = {"ellipsoid": 1, "shell": 2, "tube": 3}


Run = Callable[..., str]


@pytest.fixture(scope="module")
def run(warm_start: Callable[..., "subprocess.CompletedProcess[str]"]) -> Run:
    """Function that runs a bundle in a working directory, and returns what was printed."""

    def start(folder: Path, *words: str | Path) -> str:
        done = warm_start("-W", "ignore", "-m", "monai.bundle", "run", *words, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return start


@pytest.fixture(scope="module")
def trained(run: Run, sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("elsewhere")
    # Relative paths, on purpose: they are the user's, relative to where he stands.
    dataset = os.path.relpath(sample, folder)
    out = run(folder, "training", "--config_file", TRAIN, "--dataset_dir", dataset, "--ckpt_dir", "run", *SMALL)
    assert "epoch 3/3" in out
    assert "left" in out
    return folder / "run"


@pytest.fixture(scope="module")
def evaluated(run: Run, sample: Path, trained: Path) -> Path:
    files = f"['{TRAIN}','{EVALUATE}']"
    words = ["--checkpoint", trained / "model.pt", "--output_dir", "evaluation", "--predictions_dir", "measured"]
    out = run(trained.parent, "evaluating", "--config_file", files, "--dataset_dir", sample, *words)
    assert "Dice" in out
    return trained.parent / "evaluation"


@pytest.fixture(scope="module")
def segmented(run: Run, sample: Path, trained: Path) -> Path:
    # The validation cases, by name, with probabilities.
    names = [str(sample / item["image"]) for item in fold_cases(sample)]
    words = ["--checkpoint", trained / "model.pt", "--output_dir", "segmented", "--probabilities", "true"]
    run(trained.parent, "--config_file", INFERENCE, "--dataset_dir", sample, "--datalist", str(names), *words)
    return trained.parent / "segmented"


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def fold_cases(sample: Path) -> list[dict[str, str]]:
    items = json.loads((sample / "dataset.json").read_text())["training"]
    return [item for item in items if item["fold"] == 0]


def test_training_leaves_best_and_last_checkpoint_and_its_curve(trained: Path) -> None:
    last = torch.load(trained / "last.pt", weights_only=True)
    assert last["epoch"] == 3
    network = VNet(
        3, 1, 4, (8, 16, 32), (1, 2, 2), (1, 1), 3,
        norm=("instance", {"affine": True}), act="leakyrelu", skip="sat", residual="decoder", head="pointwise",
    )  # fmt: skip
    network.load_state_dict(torch.load(trained / "model.pt", weights_only=True))
    rows = read_rows(trained / "history.csv")
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    # That such a training learns is shown in test_two_dimensional.py and test_own_dataset.py: three epochs are too few.
    assert len({float(row["train_loss"]) for row in rows}) == 3
    # 4 training cases, 2 patches of each, 3 epochs.
    assert rows[-1]["samples_seen"] == str(4 * 2 * 3)
    assert float(rows[-1]["val_mean_dice"]) == pytest.approx(
        np.mean([float(rows[-1][f"val_dice_{name}"]) for name in LABELS]), abs=1e-5
    )
    assert list((trained / "tensorboard").glob("events*"))


def test_evaluation_measures_what_inference_writes(sample: Path, evaluated: Path, segmented: Path) -> None:
    rows = read_rows(evaluated / "cases.csv")
    assert len(rows) == len(fold_cases(sample)) * len(LABELS)
    for item in fold_cases(sample):
        name = Path(item["image"]).name.removesuffix(".nii.gz")
        prediction = sitk.ReadImage(str(segmented / f"{name}_seg.nii.gz"))
        reference = sitk.ReadImage(str(sample / item["label"]))
        prediction.CopyInformation(reference)
        overlap = sitk.LabelOverlapMeasuresImageFilter()
        overlap.Execute(reference, prediction)
        for label, value in LABELS.items():
            (row,) = [row for row in rows if row["case"] == name and row["label"] == label]
            found = bool(np.any(sitk.GetArrayViewFromImage(prediction) == value))
            assert float(row["dice"]) == pytest.approx(overlap.GetDiceCoefficient(value) if found else 0.0, abs=1e-5)
            assert row["outcome"] == ("found" if found else "missed")


def test_evaluation_writes_the_label_maps_that_it_measures(sample: Path, evaluated: Path, segmented: Path) -> None:
    names = sorted(file.name for file in (evaluated.parent / "measured").iterdir())
    assert names == sorted(
        f"{Path(item['image']).name.removesuffix('.nii.gz')}_seg.nii.gz" for item in fold_cases(sample)
    )
    for name in names:
        measured, inferred = (nib.load(folder / name) for folder in (evaluated.parent / "measured", segmented))
        assert np.array_equal(np.asanyarray(measured.dataobj), np.asanyarray(inferred.dataobj))
        assert np.array_equal(measured.affine, inferred.affine)


def test_evaluation_summary_is_the_mean_of_its_rows(evaluated: Path) -> None:
    rows = read_rows(evaluated / "cases.csv")
    summary = json.loads((evaluated / "summary.json").read_text())
    for label in LABELS:
        dice = [float(row["dice"]) for row in rows if row["label"] == label]
        assert summary["labels"][label]["dice"]["mean"] == pytest.approx(np.mean(dice), abs=1e-5)


def test_label_maps_lie_in_their_scans_grid(sample: Path, segmented: Path) -> None:
    for item in fold_cases(sample):
        scan = nib.load(sample / item["image"])
        name = Path(item["image"]).name.removesuffix(".nii.gz")
        label_map = nib.load(segmented / f"{name}_seg.nii.gz")
        assert label_map.shape == scan.shape
        np.testing.assert_array_equal(label_map.affine, scan.affine)
        assert label_map.get_data_dtype() == np.uint8
        for field in ("sform_code", "qform_code", "xyzt_units", "pixdim"):
            np.testing.assert_array_equal(label_map.header[field], scan.header[field])
        probabilities = nib.load(segmented / f"{name}_prob.nii.gz").get_fdata()
        assert probabilities.shape == (*scan.shape, len(LABELS) + 1)
        np.testing.assert_allclose(probabilities.sum(axis=-1), 1.0, atol=1e-3)
        np.testing.assert_array_equal(probabilities.argmax(axis=-1), np.asanyarray(label_map.dataobj))


@pytest.mark.slow
def test_a_folder_of_scans_is_segmented_whole(run: Run, sample: Path, trained: Path) -> None:
    words = ["--checkpoint", trained / "model.pt", "--output_dir", "folder"]
    run(trained.parent, "--config_file", INFERENCE, "--dataset_dir", sample / "imagesTs", *words)
    written = sorted(path.name for path in (trained.parent / "folder").iterdir())
    assert written == ["scan_000_seg.nii.gz", "scan_001_seg.nii.gz"]
