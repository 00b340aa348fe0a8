"""Bundles of other projects: those that predict runs give MONAI's own label maps, the others get MONAI's command."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow
from monai.networks.nets import UNet

from pipeline.data.errors import InputError
from pipeline.prediction.bundle_files import read_bundle_files
from pipeline.prediction.foreign import monai_command, next_command, why_not
from pipeline.prediction.predictor import Predictor

NETWORK = {
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 3,
    "channels": [4, 8],
    "strides": [2],
    "num_res_units": 1,
    "norm": "batch",
}


def config() -> dict[str, Any]:
    """An inference config in the style of MONAI's model zoo."""
    return {
        "imports": ["$import glob"],
        "bundle_root": ".",
        "output_dir": "$@bundle_root + '/eval'",
        "dataset_dir": "/data/elsewhere",
        "datalist": "$list(sorted(glob.glob(@dataset_dir + '/*.nii.gz')))",
        "device": "$torch.device('cpu')",
        "network_def": {"_target_": "UNet", **NETWORK},
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image"},
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
                {"_target_": "Spacingd", "keys": "image", "pixdim": [1.5, 1.5, 2.0], "mode": "bilinear"},
                {
                    "_target_": "ScaleIntensityRanged",
                    "keys": "image",
                    "a_min": -50,
                    "a_max": 150,
                    "b_min": 0,
                    "b_max": 1,
                },
                {"_target_": "EnsureTyped", "keys": "image"},
            ],
        },
        "dataset": {"_target_": "Dataset", "data": "$[{'image': i} for i in @datalist]", "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 16], "sw_batch_size": 2, "overlap": 0.5},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "softmax": True},
                {
                    "_target_": "Invertd",
                    "keys": "pred",
                    "transform": "@preprocessing",
                    "orig_keys": "image",
                    "nearest_interp": False,
                    "to_tensor": True,
                },
                {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
                {
                    "_target_": "SaveImaged",
                    "keys": "pred",
                    "output_dir": "@output_dir",
                    "output_postfix": "m",
                    "separate_folder": False,
                    "output_ext": ".nii.gz",
                },
            ],
        },
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
        },
        "checkpointloader": {
            "_target_": "CheckpointLoader",
            "load_path": "$@bundle_root + '/models/model.pt'",
            "load_dict": {"model": "@network"},
        },
        "initialize": ["$monai.utils.set_determinism(seed=123)", "$@checkpointloader(@evaluator)"],
        "run": ["$@evaluator.run()"],
    }


METADATA = {
    "version": "0.1.0",
    "network_data_format": {
        "inputs": {"image": {"modality": "CT", "num_channels": 1, "spatial_shape": [16, 16, 16]}},
        "outputs": {"pred": {"num_channels": 3, "channel_def": {"0": "background", "1": "spleen", "2": "liver"}}},
    },
}


def write(folder: Path, content: dict[str, Any], *, wrapped: bool = False) -> Path:
    for part in ("configs", "models"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "configs" / "inference.json").write_text(json.dumps(content))
    (folder / "configs" / "metadata.json").write_text(json.dumps(METADATA))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UNet(**NETWORK)
    weights = network.state_dict()
    torch.save({"model": weights} if wrapped else weights, folder / "models" / "model.pt")
    return folder


@pytest.mark.parametrize("wrapped", [False, True])
def test_predict_gives_the_label_map_of_monais_own_run(tmp_path, monkeypatch, wrapped):
    bundle = write(tmp_path / "zoo", config(), wrapped=wrapped)
    voxels = np.random.default_rng(0).normal(50, 60, (30, 26, 12)).astype(np.float32)
    affine = np.array([[0, -1.2, 0, 5], [1.1, 0, 0, -7], [0, 0, 2.5, 3], [0, 0, 0, 1]])
    (tmp_path / "scans").mkdir()
    nib.save(nib.Nifti1Image(voxels, affine), tmp_path / "scans" / "scan.nii.gz")
    monkeypatch.chdir(bundle)
    workflow = ConfigWorkflow(
        *("configs/inference.json", "configs/metadata.json", None),
        workflow_type="infer",
        dataset_dir=str(tmp_path / "scans"),
    )
    workflow.initialize()
    workflow.run()
    expected = np.asarray(nib.load(bundle / "eval" / "scan_m.nii.gz").dataobj)
    monkeypatch.chdir(tmp_path)
    prediction = Predictor(bundle, device="cpu", runtime="pytorch")(tmp_path / "scans" / "scan.nii.gz")
    assert len(np.unique(expected)) == 3
    assert prediction.labels.shape == voxels.shape
    # Voxels on a border between two labels differ by rounding.
    assert np.mean(prediction.labels == expected) > 0.999
    assert [(label.value, label.name) for label in prediction.table] == [(1, "spleen"), (2, "liver")]


def test_the_files_say_what_the_config_does_not(tmp_path):
    files = read_bundle_files(write(tmp_path / "zoo", config()))
    assert (files.channels, files.labels) == (1, {"background": 0, "spleen": 1, "liver": 2})
    assert files.weights == (tmp_path / "zoo" / "models" / "model.pt",)


def change(part: str, number: int, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content[part]["transforms"][number].update(values)


def insert(part: str, number: int, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content[part]["transforms"].insert(number, values)


ODD = {
    "sigmoid": (change("postprocessing", 0, softmax=False, sigmoid=True), "another activation than softmax"),
    "threshold": (change("postprocessing", 2, argmax=False, threshold=0.5), "AsDiscreted without argmax"),
    "nearest": (change("postprocessing", 1, nearest_interp=True), "nearest voxel"),
    "crop": (
        insert("preprocessing", 3, _target_="CropForegroundd", keys="image", source_key="image"),
        "CropForegroundd",
    ),
    "two keys": (change("preprocessing", 2, keys=["image", "label"]), "more than the image"),
    "expression": (lambda content: content.update(inferer="$make()"), "an inferer that is an expression"),
    "simple": (lambda content: content.update(inferer={"_target_": "SimpleInferer"}), "SimpleInferer"),
    "lambda": (insert("postprocessing", 3, _target_="Lambdad", keys="pred", func="$abs"), "Lambdad"),
    "no network": (lambda content: content.pop("network_def"), "no key network_def"),
}


@pytest.mark.parametrize("name", ODD)
def test_other_bundles_get_monais_command(tmp_path, name):
    content = config()
    ODD[name][0](content)
    bundle = write(tmp_path / "zoo", content)
    command = monai_command(bundle, content)
    assert ODD[name][1] in why_not(content, METADATA)
    with pytest.raises(InputError, match="run it with MONAI") as raised:
        read_bundle_files(bundle)
    assert command in str(raised.value)
    assert next_command(bundle) == command
    assert command == (
        f"cd {bundle} && python -m monai.bundle run --config_file configs/inference.json --bundle_root . "
        "--dataset_dir DIR"
    )


@pytest.mark.parametrize("name", ["sigmoid", "threshold", "nearest"])
def test_lightskips_keys_do_not_hide_labels_that_overlap(tmp_path, name):
    content = config() | {"in_channels": 1, "spatial_dims": 3}
    ODD[name][0](content)
    bundle = write(tmp_path / "zoo", content)
    with pytest.raises(InputError, match=ODD[name][1]) as raised:
        read_bundle_files(bundle)
    assert monai_command(bundle, content) in str(raised.value)
    assert next_command(bundle) == monai_command(bundle, content)


def test_a_bundle_that_predict_runs_gets_its_command(tmp_path):
    bundle = write(tmp_path / "zoo", config())
    assert next_command(bundle) == f"lightskip predict {bundle} SCANS -o OUT"


def test_older_bundles_have_another_run(tmp_path):
    content = config()
    content["evaluating"] = content.pop("run")
    assert "monai.bundle run evaluating --config_file" in monai_command(tmp_path, content)


@pytest.mark.parametrize("text", ["", "[]", '{"inferer": 3}', '{"preprocessing": {}, "in_channels": 1}'])
def test_any_file_gets_a_command_and_no_traceback(tmp_path, text):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "inference.json").write_text(text)
    assert "monai.bundle run" in next_command(tmp_path)


def test_without_a_config_there_is_no_command(tmp_path):
    assert next_command(tmp_path) == ""
