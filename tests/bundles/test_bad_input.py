"""Bad input through MONAI's own runner: one clear message, before anything is computed, and nothing is written."""

import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import run

from pipeline.bundle import check_settings
from pipeline.data.errors import InputError

CONFIGS = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes" / "configs"
TRAIN, EVALUATE, INFERENCE = (str(CONFIGS / f"{name}.json") for name in ("train", "evaluate", "inference"))
IMAGE, LABEL, SCAN = "imagesTr/sample_001.nii.gz", "labelsTr/sample_001.nii.gz", "imagesTs/scan_000.nii.gz"
LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n"

Spoil = Callable[[Path], None]
Start = Callable[..., "subprocess.CompletedProcess[str]"]

# MONAI says at every start that a config is code, and speaks of its own deprecations.
pytestmark = [pytest.mark.usefixtures("own_process"), pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def dataset(sample: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sample, tmp_path / "data"))


def refusal(run_id: str, **arguments: Any) -> InputError:
    """The error that ends the run and that the runner would show: the outermost InputError among the causes."""
    with pytest.raises(Exception) as raised:  # noqa: PT011  the chain below it is what is checked
        run(run_id, logging_file=False, device=arguments.pop("device", "cpu"), **arguments)
    error: BaseException | None = raised.value
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__
    assert error is not None, f"no InputError behind {raised.value!r}"
    message = str(error)
    assert message.startswith(f"{error.where}: found ")
    assert all(part in message for part in (error.found, "; expected ", error.expected, " What to do: ", error.remedy))
    return error


def train(dataset: Path, ckpt_dir: Path, **arguments: Any) -> InputError:
    # One epoch: where a defect goes unnoticed, the test fails soon.
    given = {"dataset_dir": str(dataset), "ckpt_dir": str(ckpt_dir), "epochs": 1}
    return refusal("training", config_file=TRAIN, **{**given, **arguments})


def segment(scans: Path, output_dir: Path, weights: Path, **arguments: Any) -> InputError:
    given = {"dataset_dir": str(scans), "output_dir": str(output_dir), "checkpoint": str(weights)}
    return refusal("run", config_file=INFERENCE, **{**given, **arguments})


def evaluate(dataset: Path, output_dir: Path, weights: Path, **arguments: Any) -> InputError:
    given = {"dataset_dir": str(dataset), "output_dir": str(output_dir), "checkpoint": str(weights)}
    return refusal("evaluating", config_file=[TRAIN, EVALUATE], **{**given, **arguments})


# --- files ------------------------------------------------------------------------------------------------------------


def changed(name: str, change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> Spoil:
    """Rewrites a file with the voxels (float32, unscaled) and the affine (mm) that ``change`` makes of its own."""

    def spoil(folder: Path) -> None:
        image = nib.load(folder / name)
        voxels, affine = change(np.asarray(image.dataobj, dtype=np.float32), image.affine.copy())
        nib.save(nib.Nifti1Image(voxels, affine), folder / name)

    return spoil


def with_voxel(name: str, value: float) -> Spoil:
    def change(voxels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        voxels[3, 4, 5] = value
        return voxels, affine

    return changed(name, change)


def with_bytes(name: str, change: Callable[[bytes], bytes]) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return spoil


def truncated(name: str) -> Spoil:
    return with_bytes(name, lambda content: content[:-20])


def replaced(name: str, text: str) -> Spoil:
    return with_bytes(name, lambda _: text.encode())


def without(name: str) -> Spoil:
    return lambda folder: (folder / name).unlink()


def emptied(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        shutil.rmtree(folder / name)
        (folder / name).mkdir()

    return spoil


def renamed_to_text(folder: Path) -> None:
    for path in (folder / "imagesTs").iterdir():
        path.rename(path.with_name(path.name.replace(".nii.gz", ".txt")))


def moved_by(mm: float) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    def change(voxels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        affine[0, 3] += mm
        return voxels, affine

    return change


def four_axes(voxels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.stack([voxels, voxels], axis=-1), affine


def flat(voxels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return voxels[:, :, 0], affine


def constant(voxels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.full_like(voxels, 5), affine


def scaled_by(factor: float) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    def change(voxels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return voxels, affine @ np.diag([factor, factor, factor, 1])

    return change


def in_metres(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        image = nib.load(folder / name)
        image.header.set_xyzt_units("meter")
        image.to_filename(folder / name)

    return spoil


def listed_in_another_fold(folder: Path) -> None:
    """Lists the image of the first case, of fold 0, in the second, of fold 1, as well."""
    content = json.loads((folder / "dataset.json").read_text())
    content["training"][1]["image"] = content["training"][0]["image"]
    (folder / "dataset.json").write_text(json.dumps(content))


def one_slice_less(voxels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return voxels[:, :, :-1], affine


# What is done to the dataset, the file at fault ("" for the folder), and words of what is found, expected and to do.
DATASET_DEFECTS: dict[str, tuple[Spoil, str, str, str, str]] = {
    "no dataset_dir": (shutil.rmtree, "", "no such folder", "folder with scans", "set dataset_dir"),
    "empty dataset_dir": (emptied(""), "", "empty folder", "folder with scans", "set dataset_dir"),
    "no datalist": (without("dataset.json"), "dataset.json", "no readable file", "datalist", "path of a datalist"),
    "missing image": (without(IMAGE), IMAGE, "no such file", "dataset.json names", "copy the files there"),
    "missing label": (without(LABEL), LABEL, "no such file", "dataset.json names", "copy the files there"),
    "other shape": (changed(LABEL, one_slice_less), LABEL, "shape (53, 51, 28)", "shape (53, 51, 29)", "resample"),
    "other affine": (changed(LABEL, moved_by(5)), LABEL, "by up to 5 mm", "affine of", "copy the header"),
    "truncated": (truncated(IMAGE), IMAGE, "truncated", "read to its end", "download the file again"),
    "truncated label": (truncated(LABEL), LABEL, "truncated", "read to its end", "download the file again"),
    "0 bytes": (replaced(IMAGE, ""), IMAGE, "empty file", "image", "download the file again"),
    "LFS pointer": (replaced(IMAGE, LFS_POINTER), IMAGE, "Git LFS pointer", "image", "git lfs pull"),
    "4D": (changed(IMAGE, four_axes), IMAGE, "4 axes", "one volume (x, y, z)", "split or select"),
    "NaN": (with_voxel(IMAGE, np.nan), IMAGE, "1 of 78387 voxels NaN", "finite", "replace these voxels"),
    "2D": (changed(IMAGE, flat), IMAGE, "2 axes, shape (53, 51)", "one volume (x, y, z)", "bundle for files"),
    "two folds": (
        listed_in_another_fold,
        "imagesTr/sample_000.nii.gz",
        "this image in fold 0 and in fold 1 of",
        "every image in one fold",
        "remove one",
    ),
    "metres": (in_metres(IMAGE), IMAGE, "a spacing in metres", "mm", "xyzt_units"),
    "fine spacing": (changed(IMAGE, scaled_by(1e-3)), IMAGE, "a spacing of 0.00", "0.01 to 100 mm", "header"),
    "constant": (changed(IMAGE, constant), IMAGE, "the same value, 5, in every voxel", "contrast", "export"),
    "1e20": (with_voxel(IMAGE, 1e20), IMAGE, "to 1e+20", "between -1e+18 and 1e+18", "fill value"),
    "Inf": (with_voxel(IMAGE, -np.inf), IMAGE, "infinite", "finite", "replace these voxels"),
    "undeclared label": (with_voxel(LABEL, 7), LABEL, "values: 7", "3 (tube)", "declare"),
    "negative label": (with_voxel(LABEL, -1), LABEL, "values: -1", "3 (tube)", "declare"),
    "broken label": (with_voxel(LABEL, 1.5), LABEL, "1.5", "whole number", "nearest-neighbour"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DATASET_DEFECTS)
def test_training_refuses_a_dataset_with(name: str, dataset: Path, tmp_path: Path) -> None:
    spoil, file, found, expected, remedy = DATASET_DEFECTS[name]
    spoil(dataset)
    error = train(dataset, tmp_path / "run")
    assert str(error.where) == str(dataset / file)
    assert found in error.found
    assert expected in error.expected
    assert remedy in error.remedy
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_defect_in_the_validation_fold_is_found_before_training_too(dataset: Path, tmp_path: Path) -> None:
    with_voxel("imagesTr/sample_000.nii.gz", np.nan)(dataset)
    assert str(train(dataset, tmp_path / "run").where).endswith("sample_000.nii.gz")
    assert not (tmp_path / "run").exists()


def test_all_defects_are_told_at_once(dataset: Path, tmp_path: Path) -> None:
    truncated("imagesTr/sample_002.nii.gz")(dataset)
    with_voxel(LABEL, 9)(dataset)
    message = str(train(dataset, tmp_path / "run"))
    assert "undeclared label values: 9" in message
    assert "sample_002.nii.gz" in message


def test_an_earlier_training_is_left_as_it_was(dataset: Path, tmp_path: Path) -> None:
    earlier = tmp_path / "run"
    earlier.mkdir()
    for name in ("model.pt", "last.pt", "history.csv"):
        (earlier / name).write_text(f"{name} of yesterday")
    truncated(IMAGE)(dataset)
    train(dataset, earlier)
    assert {path.name: path.read_text() for path in earlier.iterdir()} == {
        name: f"{name} of yesterday" for name in ("model.pt", "last.pt", "history.csv")
    }


# --- overrides --------------------------------------------------------------------------------------------------------

# Overrides, and words of what is found and of what is expected.
TRAINING_OVERRIDES: dict[str, tuple[dict[str, Any], str, str]] = {
    "epoch": ({"epoch": 3}, "--epoch", "the nearest are epochs"),
    "max_epoch": ({"train#trainer#max_epoch": 3}, "--train#trainer#max_epoch", "train#trainer#max_epochs"),
    "skp": ({"network_def#skp": "sat"}, "--network_def#skp", "network_def#skip"),
    "epochs abc": ({"epochs": "abc"}, "--epochs 'abc'", "a number for epochs"),
    "epochs 0": ({"epochs": 0}, "epochs 0", "whole number, 1 or more"),
    "epochs 1.5": ({"epochs": 1.5}, "epochs 1.5", "whole number, 1 or more"),
    "epochs None": ({"epochs": "$None"}, "neither epochs nor minutes", "one of them, or both"),
    "epochs None with warm-up": ({"epochs": "$None", "minutes": 5}, "warmup_epochs 2", "no warmup_epochs"),
    "minutes 0": ({"minutes": 0}, "minutes 0", "a number above 0, at most 527040 (a year), or None for no limit"),
    "val_interval 0": ({"val_interval": 0}, "val_interval 0", "whole number, 1 or more"),
    "batch 0": ({"batch": 0}, "batch 0", "whole number, 1 or more"),
    "learning_rate -1": ({"learning_rate": -1}, "learning_rate -1", "above 0"),
    "learning_rate nan": ({"learning_rate": float("nan")}, "learning_rate nan", "above 0"),
    "num_workers -1": ({"num_workers": -1}, "num_workers -1", "whole number, 0 or more"),
    "resume false": ({"resume": "false"}, "--resume 'false'", "True or False (with a capital letter)"),
    "fold 9": ({"fold": 9}, "no case with fold 9", "0, 1, 2"),
    "labels 3": ({"labels": 3}, "--labels 3", "a mapping"),
    "class_ratios 2": ({"class_ratios": [1, 1]}, "class_ratios [1, 1]", "4 numbers, 0 or more, one per label"),
    "out_channels 2": ({"out_channels": 2}, "'tube': 3", "from 0 to 1"),
    "skip stat": ({"skip": "stat"}, "did you mean 'sat'", ""),
    "skip option": ({"skip": ["sat", {"treshold": 0.1}]}, "'treshold'", ""),
    "skip option's value": ({"skip": ["sat", {"select": "medium"}]}, "'soft' or 'hard'", ""),
    "skips of other levels": ({"skip": ["sat"] * 3}, "skip has 3 entries; expected 2", ""),
    "a level that is not there": ({"skip": ["concat", {"only": 7}]}, "a level of 0 (the finest) to 1", ""),
    "all but a level that is not there": ({"skip": ["sat", {"all_but": [0, 2]}]}, "a level of 0 (the finest) to 1", ""),
    "only per level": ({"skip": [["sat", {"only": 0}], "sat"]}, "'only' in a list with a skip per level", ""),
    "reduction": ({"skip": ["scse", {"reduction": 99}]}, "reduction", ""),
    "aggregation": ({"skip": ["scse", {"aggregation": "mean"}]}, "aggregation is 'mean'", ""),
    "recalibrate": ({"network_def#recalibrate": "scsee"}, "did you mean", ""),
    "recalibrate_at": ({"network_def#recalibrate": "cse", "network_def#recalibrate_at": ["skip"]}, "skip", ""),
    "one voxel": ({"patch": [4, 4, 4]}, "patch [4, 4, 4]", "more than one voxel at the deepest level"),
    "levels": ({"network_def#channels": [2] * 7}, "convs_per_level has 3 entries", ""),
    "no such device": ({"device": "gpu"}, "device 'gpu'", "a device of this machine"),
    "precision bf16": ({"precision": "bf16"}, "'bf16'", "bfloat16"),
    "patch": ({"patch": [30, 32, 32]}, "patch [30, 32, 32]", "multiple of 4, such as [28, 32, 32] or [32, 32, 32]"),
    "patch 2D": ({"patch": [32, 32]}, "patch [32, 32]", "3 whole numbers"),
    "window": ({"window": [30, 30, 30]}, "window [30, 30, 30]", "such as [28, 28, 28] or [32, 32, 32]"),
    "datalist": ({"datalist": "nowhere.json"}, "no readable file", "datalist"),
}


@pytest.mark.parametrize("name", TRAINING_OVERRIDES)
def test_training_refuses_the_override(name: str, sample: Path, tmp_path: Path) -> None:
    overrides, found, expected = TRAINING_OVERRIDES[name]
    error = train(sample, tmp_path / "run", **overrides)
    assert found in error.found
    assert expected in error.expected
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_training_refuses_a_gpu_that_is_not_there(sample: Path, tmp_path: Path) -> None:
    error = train(sample, tmp_path / "run", device="cuda:0")
    assert "device 'cuda:0'" in error.found
    assert "--device cpu" in error.remedy
    assert not (tmp_path / "run").exists()


def test_training_refuses_a_file_in_place_of_its_folder(sample: Path, tmp_path: Path) -> None:
    file = tmp_path / "run"
    file.write_text("mine")
    for folder in (file, file / "fold_0"):
        error = train(sample, folder)
        assert str(error.where) == str(folder)
        assert "a file" in error.found
    assert file.read_text() == "mine"


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        {"skip": ["none", "sat"]},
        {"skip": ["sat", {"threshold": 0.1}]},
        {"network_def#norm": ["group", {"num_groups": 4}]},
        {"resume": False, "seed": 3, "learning_rate": 1, "window": (32, 32, 32), "batch": "$1 + 1"},
        {"check_data": "true"},
    ],
    ids=str,
)
def test_training_takes_the_override(overrides: dict[str, Any], sample: Path, tmp_path: Path) -> None:
    # So far come only settings that are right: the last check of all is that of the data.
    folder = Path(shutil.copytree(sample, tmp_path / "data"))
    with_voxel(IMAGE, np.nan)(folder)
    assert str(train(folder, tmp_path / "run", **overrides).where) == str(folder / IMAGE)


def test_a_mistyped_key_above_the_last_ends_the_run(sample: Path) -> None:
    # MONAI itself refuses it while it applies overrides, before a config can say anything: a KeyError with the
    # nearest name.
    with pytest.raises(KeyError, match="traner") as raised:
        run("training", config_file=TRAIN, dataset_dir=str(sample), **{"train#traner#max_epochs": 3})
    assert "did you mean 'trainer'" in str(raised.value.__cause__)


@pytest.mark.slow
def test_training_refuses_to_resume_from_nothing(sample: Path, tmp_path: Path) -> None:
    error = train(sample, tmp_path / "run", resume=True)
    assert str(error.where) == str(tmp_path / "run" / "last.pt")
    assert "no checkpoint to resume from" in error.found
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["tensorboard"]


def test_an_error_in_the_middle_of_a_training_ends_the_run(sample: Path, tmp_path: Path) -> None:
    given = {"dataset_dir": str(sample), "ckpt_dir": str(tmp_path / "run"), "epochs": 1}
    broken = {"train#inferer": "$lambda *args, **kwargs: 1 / 0"}
    with pytest.raises(RuntimeError, match="trainer") as raised:
        run("training", config_file=TRAIN, logging_file=False, device="cpu", **given, **broken)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


def test_settings_are_not_checked_without_a_run() -> None:
    check_settings()


# --- inference and evaluation -----------------------------------------------------------------------------------------

# What is done to the dataset, what is at fault, and words of what is found.
SCAN_DEFECTS: dict[str, tuple[Spoil, str, str]] = {
    "no folder": (lambda folder: shutil.rmtree(folder / "imagesTs"), "imagesTs", "no such folder"),
    "empty folder": (emptied("imagesTs"), "imagesTs", "empty folder"),
    "no scan": (renamed_to_text, "imagesTs", "no scan; the folder contains scan_000.txt, scan_001.txt"),
    "truncated": (truncated(SCAN), SCAN, "truncated"),
    "4D": (changed(SCAN, four_axes), SCAN, "4 axes"),
    "NaN": (with_voxel(SCAN, np.nan), SCAN, "NaN"),
    "LFS pointer": (replaced(SCAN, LFS_POINTER), SCAN, "Git LFS pointer"),
    "not compressed": (with_bytes(SCAN, gzip.decompress), SCAN, "not gzip-compressed"),
    "metres": (in_metres(SCAN), SCAN, "a spacing in metres"),
    "coarse spacing": (changed(SCAN, scaled_by(1e3)), SCAN, "a spacing of 1"),
    "constant": (changed(SCAN, constant), SCAN, "the same value, 5, in every voxel"),
    "2D": (changed(SCAN, flat), SCAN, "2 axes"),
}


@pytest.mark.parametrize("name", SCAN_DEFECTS)
def test_inference_refuses(name: str, dataset: Path, weights: Path, tmp_path: Path) -> None:
    spoil, where, found = SCAN_DEFECTS[name]
    spoil(dataset)
    error = segment(dataset / "imagesTs", tmp_path / "out", weights)
    assert str(error.where) == str(dataset / where)
    assert found in error.found
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("as_file", [False, True])
def test_inference_refuses_a_datalist_that_names_a_missing_file(
    as_file: bool, dataset: Path, weights: Path, tmp_path: Path
) -> None:
    datalist: Any = [SCAN, "imagesTs/scan_007.nii.gz"]
    if as_file:
        (tmp_path / "scans.json").write_text(json.dumps(datalist))
        datalist = str(tmp_path / "scans.json")
    error = segment(dataset, tmp_path / "out", weights, datalist=datalist)
    assert str(error.where) == str(dataset / "imagesTs/scan_007.nii.gz")
    assert "datalist" in error.remedy
    assert not (tmp_path / "out").exists()


def test_inference_refuses_scans_that_would_share_an_output(dataset: Path, weights: Path, tmp_path: Path) -> None:
    (dataset / "imagesTs" / "scan_000.nrrd").touch()
    error = segment(dataset / "imagesTs", tmp_path / "out", weights, datalist=["scan_000.nii.gz", "scan_000.nrrd"])
    assert str(error.where) == str(dataset / "imagesTs/scan_000.nrrd")
    assert f"the same name as {dataset / SCAN}" in error.found
    assert not (tmp_path / "out").exists()


def test_inference_says_how_to_name_one_scan(dataset: Path, weights: Path, tmp_path: Path) -> None:
    error = segment(dataset / SCAN, tmp_path / "out", weights)
    assert f"--dataset_dir {dataset / 'imagesTs'} --datalist \"['scan_000.nii.gz']\"" in error.remedy
    # And one scan's name alone is a list of one: what is said then is said of the scan.
    with_voxel(SCAN, np.nan)(dataset)
    assert str(segment(dataset / "imagesTs", tmp_path / "out", weights, datalist="scan_000.nii.gz").where) == str(
        dataset / SCAN
    )


def test_inference_refuses_the_last_state_of_a_training(sample: Path, weights: Path, tmp_path: Path) -> None:
    state = {"network": torch.load(weights, weights_only=True), "optimizer": {}, "epoch": 3}
    torch.save(state, tmp_path / "last.pt")
    error = segment(sample / "imagesTs", tmp_path / "out", tmp_path / "last.pt")
    assert str(error.where) == str(tmp_path / "last.pt")
    assert str(tmp_path / "model.pt") in error.remedy


@pytest.mark.parametrize(
    ("overrides", "found", "expected"),
    [
        ({"checkpoint": "missing.pt"}, "no such file", "weights"),
        ({"skip": "concat"}, "tensors that differ", "decoder"),
        ({"inferer#roi_size": [30, 32, 32]}, "inferer#roi_size [30, 32, 32]", "[28, 32, 32] or [32, 32, 32]"),
        ({"precision": "bf16"}, "'bf16'", "bfloat16"),
        ({"probabilities": "false"}, "--probabilities 'false'", "True or False"),
        ({"output": "x"}, "--output", "output_dir"),
    ],
)
def test_inference_refuses_the_override(
    overrides: dict[str, Any], found: str, expected: str, sample: Path, weights: Path, tmp_path: Path
) -> None:
    error = segment(sample / "imagesTs", tmp_path / "out", weights, **overrides)
    assert found in error.found
    assert expected in error.expected
    assert not (tmp_path / "out").exists()


def test_inference_refuses_a_file_in_place_of_its_folder(sample: Path, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    assert "--output_dir" in segment(sample / "imagesTs", tmp_path / "out", weights).remedy
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_inference_refuses_a_folder_that_it_may_not_write_to(sample: Path, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o555)
    assert "no permission" in segment(sample / "imagesTs", tmp_path / "closed" / "out", weights).found


def test_evaluation_refuses_a_label_map_on_another_grid(dataset: Path, weights: Path, tmp_path: Path) -> None:
    label = "labelsTr/sample_000.nii.gz"
    changed(label, moved_by(2))(dataset)
    error = evaluate(dataset, tmp_path / "out", weights)
    assert str(error.where) == str(dataset / label)
    assert "by up to 2 mm" in error.found
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        ({"checkpoint": "missing.pt"}, "no such file"),
        ({"tolerance_mm": -1}, "tolerance_mm -1"),
        ({"fold": 5}, "fold 5"),
        ({"skip": ["concat", {"only": 7}]}, "a level of 0 (the finest) to 1"),
        ({"skip": ["sat", {"map": 2}]}, "does not take the option 'map'"),
    ],
)
def test_evaluation_refuses_the_override(
    overrides: dict[str, Any], found: str, sample: Path, weights: Path, tmp_path: Path
) -> None:
    assert found in evaluate(sample, tmp_path / "out", weights, **overrides).found
    assert not (tmp_path / "out").exists()


# --- as a user sees it ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["training", "--config_file", TRAIN, "--dataset_dir", "data", "--ckpt_dir", "out"],
            "sample_001.nii.gz: found",
        ),
        (
            ["training", "--config_file", TRAIN, "--dataset_dir", "data", "--ckpt_dir", "out", "--epoch", "3"],
            "unknown override: --epoch",
        ),
        (["--config_file", INFERENCE, "--dataset_dir", "scans", "--output_dir", "out"], "scans: found no such folder"),
    ],
    ids=["truncated", "mistyped", "no scans"],
)
def test_the_command_ends_with_one_message(
    words: list[str], message: str, dataset: Path, weights: Path, tmp_path: Path, warm_start: Start
) -> None:
    truncated(IMAGE)(dataset)
    if "training" not in words:
        words = [*words, "--checkpoint", str(weights)]
    done = warm_start("-W", "ignore", "-m", "monai.bundle", "run", *words, cwd=tmp_path)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    (line,) = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("error:")]
    assert done.stderr.strip().endswith(line)
    assert message in line
    assert not (tmp_path / "out").exists()
