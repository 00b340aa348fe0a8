"""`check_settings` alone; `tests/bundles/test_bad_input.py` shows it in real runs."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigWorkflow

from pipeline.bundle import check_settings
from pipeline.data.errors import InputError

NETWORK = {
    "_target_": "pipeline.networks.VNet",
    "spatial_dims": "@spatial_dims",
    "out_channels": "@out_channels",
    "channels": [4, 8, 16],
    "convs_per_level": [1, 1, 1],
    "decoder_convs_per_level": [1, 1],
    "skip": "@skip",
}
THICK = {**NETWORK, "kernel_size": [[3, 3, 1], 3, 3], "strides": [[2, 2, 1], 2]}
MY_SKIP = """
import torch
from pipeline.networks import Skip, SkipConnection

@Skip.register("mean")
class Mean(SkipConnection):
    '''The mean of the encoder channels.'''

    def __init__(self, spatial_dims, encoder_channels, decoder_channels):
        super().__init__(decoder_channels=decoder_channels, transferred_channels=1)

    def transfer(self, encoder: torch.Tensor, decoder: torch.Tensor) -> torch.Tensor:
        return encoder.mean(dim=1, keepdim=True)
"""
CONFIG: dict[str, Any] = {
    "imports": ["$from pipeline.bundle import check_settings"],
    "epochs": 3,
    "learning_rate": 0.1,
    "labels": {"background": 0, "organ": 1},
    "class_ratios": [0, 1.5],
    "spatial_dims": 3,
    "out_channels": 2,
    "device": "cpu",
    "patch": [8, 12, 16],
    "skip": "sat",
    "network_def": NETWORK,
    "initialize": ["$check_settings()"],
}


REGIONS = {
    "targets": {},
    "num_labels": 3,
    "labels": {"background": 0, "rim": 1, "core": 2},
    "class_ratios": [2, 1, 1],
}
CASES = {"train_cases": [{"image": "a.nii"}], "val_cases": [{"image": "b.nii"}]}


def initialize(folder: Path, **changes: Any) -> None:
    config = folder / "train.json"
    config.write_text(json.dumps({**CONFIG, **changes}))
    ConfigWorkflow(config_file=str(config), meta_file=None, logging_file=False, workflow_type=None).initialize()


def test_settings_that_work_pass(tmp_path: Path) -> None:
    initialize(tmp_path, ckpt_dir=str(tmp_path / "not" / "yet"))
    initialize(tmp_path, **REGIONS, loss={"loss": {"_target_": "my_losses.Mine"}})
    initialize(tmp_path, **CASES)


def test_an_evaluation_reads_no_training_cases(tmp_path: Path) -> None:
    """There may be none. `checkpoint` and `output_dir` are keys of an evaluation."""
    evaluation = {**CASES, "train_cases": "$1 / 0", "checkpoint": "model.pt", "output_dir": str(tmp_path / "out")}
    initialize(tmp_path, **evaluation)
    # A training reads them.
    with pytest.raises(RuntimeError):
        initialize(tmp_path, **{**CASES, "train_cases": "$1 / 0"})


@pytest.mark.parametrize(
    ("network", "patch"),
    [
        ({**NETWORK, "strides": None}, [8, 12, 16]),
        (THICK, [8, 12, 2]),
        # Not one of ours: it takes any size, or tells by itself.
        ({"_target_": "torch.nn.Conv3d", "in_channels": 1, "out_channels": 2, "kernel_size": 1}, [7, 5, 3]),
    ],
)
def test_sizes_that_the_network_takes_pass(tmp_path: Path, network: dict[str, Any], patch: list[int]) -> None:
    initialize(tmp_path, network_def=network, patch=patch)


def test_without_a_workflow_nothing_is_checked() -> None:
    check_settings()


@pytest.mark.parametrize(
    ("changes", "found", "expected"),
    [
        ({"epochs": 0}, "epochs 0", "a whole number, 1 or more"),
        ({"learning_rate": -1.0}, "learning_rate -1.0", "a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate nan", "a number above 0"),
        ({"labels": {"background": 0, "organ": 2}}, "'organ': 2", "from 0 to 1"),
        ({"class_ratios": [1, 1, 1]}, "class_ratios [1, 1, 1]", "2 numbers, 0 or more, one per label"),
        ({"class_ratios": [1, -1]}, "class_ratios [1, -1]", "0 or more"),
        ({"class_ratios": [0, 0]}, "class_ratios [0, 0]", "one of them above 0"),
        ({"class_ratios": 2}, "class_ratios 2", "2 numbers"),
        # With regions the network has other outputs than labels.
        ({**REGIONS, "class_ratios": [1, 1]}, "class_ratios [1, 1]", "3 numbers"),
        ({**REGIONS, "labels": {"background": 0, "organ": 3}}, "'organ': 3", "the bundle's 3 labels"),
        ({**REGIONS, "loss": {"loss": {"_target_": "DiceCELoss"}}}, "the loss DiceCELoss", "a loss that knows regions"),
        ({**CASES, "val_cases": [{"image": "b.nii", "annotated": ["organ"]}]}, "1 of 2 cases", "partial_labels: true"),
        ({"device": "cuda:99"}, "device 'cuda:99'", "a device of this machine"),
        # Levels 3: sizes must be multiples of 4.
        ({"patch": [10, 12, 16]}, "patch [10, 12, 16]", "[8, 12, 16] or [12, 12, 16]"),
        ({"patch": [8, 12]}, "patch [8, 12]", "3 whole numbers of voxels, one per axis, each a multiple of 4"),
        ({"network_def": THICK, "patch": [8, 12, 5]}, "patch [8, 12, 5]",
         "each a multiple of (4, 4, 2), such as [8, 12, 4] or [8, 12, 6]"),
        ({"network_def": {**NETWORK, "spatial_dims": 2}}, "patch [8, 12, 16]", "2 whole numbers"),
        ({"network_def": {**NETWORK, "strides": [2]}}, "strides has 1 entries; expected 2", "settings"),
        ({"skip": "satt"}, "did you mean 'sat'", "settings that the network accepts"),
        ({"network_def": {**NETWORK, "widht": 3}}, "widht", "settings that the network accepts"),
        ({"network_def": {**NETWORK, "convs_per_level": [1]}}, "convs_per_level has 1 entries", "settings"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_work_is_named(
    tmp_path: Path, changes: dict[str, Any], found: str, expected: str
) -> None:
    with pytest.raises(RuntimeError) as caught:
        initialize(tmp_path, **changes)
    cause = caught.value.__cause__
    assert isinstance(cause, InputError)
    assert found in str(cause)
    assert expected in str(cause)
    assert "train.json" in str(cause)


def test_a_file_in_place_of_the_output_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(RuntimeError) as caught:
        initialize(tmp_path, ckpt_dir=str(tmp_path / "taken" / "run"))
    assert "found a file among its parent folders" in str(caught.value.__cause__)


def test_a_skip_in_the_bundles_folder_is_found_from_anywhere(
    tmp_path: Path, warm_start: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    (tmp_path / "bundle" / "configs").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "bundle" / "mean_skip.py").write_text(MY_SKIP)
    config = {**CONFIG, "imports": [*CONFIG["imports"], "$import mean_skip"], "skip": "mean"}
    config["run"] = ["$print(type(@network_def.decoder[0].skip).__name__)"]
    (tmp_path / "bundle" / "configs" / "train.json").write_text(json.dumps(config))
    words = ["-m", "monai.bundle", "run", "--config_file", "../bundle/configs/train.json"]
    ended = warm_start(*words, cwd=tmp_path / "elsewhere")
    assert ended.returncode == 0, ended.stderr
    assert "Mean" in ended.stdout.splitlines()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "ModuleNotFoundError: No module named 'module_of_mine'"),
        ("import not_installed_here", "ModuleNotFoundError: No module named 'not_installed_here'"),
        ("def half(", "SyntaxError"),
        (MY_SKIP.replace('"mean"', '"sat"'), "the skip connection name 'sat' is taken by SelectAttendTransfer"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, reason: str
) -> None:
    bundle = tmp_path / "bundle"
    (bundle / "configs").mkdir(parents=True)
    if content is not None:
        (bundle / "module_of_mine.py").write_text(content)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(RuntimeError) as caught:
        initialize(bundle / "configs", imports=[*CONFIG["imports"], "$import module_of_mine as mine"])
    message = str(caught.value.__cause__)
    assert isinstance(caught.value.__cause__, InputError)
    assert "the module module_of_mine cannot be imported" in message
    assert reason in message
    assert f"PYTHONPATH, or the module into {bundle}" in message


def test_a_standard_module_and_its_parts_may_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    initialize(tmp_path, imports=[*CONFIG["imports"], "$import os.path", "$from os import no_such_thing"])
