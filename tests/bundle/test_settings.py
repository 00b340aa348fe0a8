"""`check_settings` alone; `tests/bundles/test_bad_input.py` shows it in real runs."""

import json
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
CONFIG: dict[str, Any] = {
    "imports": ["$from pipeline.bundle import check_settings"],
    "epochs": 3,
    "learning_rate": 0.1,
    "labels": {"background": 0, "organ": 1},
    "spatial_dims": 3,
    "out_channels": 2,
    "device": "cpu",
    "patch": [8, 12, 16],
    "skip": "sat",
    "network_def": NETWORK,
    "initialize": ["$check_settings()"],
}


def initialize(folder: Path, **changes: Any) -> None:
    config = folder / "train.json"
    config.write_text(json.dumps({**CONFIG, **changes}))
    ConfigWorkflow(config_file=str(config), meta_file=None, logging_file=False, workflow_type=None).initialize()


def test_settings_that_work_pass(tmp_path: Path) -> None:
    initialize(tmp_path, ckpt_dir=str(tmp_path / "not" / "yet"))


def test_without_a_workflow_nothing_is_checked() -> None:
    check_settings()


@pytest.mark.parametrize(
    ("changes", "found", "expected"),
    [
        ({"epochs": 0}, "epochs 0", "a whole number, 1 or more"),
        ({"learning_rate": -1.0}, "learning_rate -1.0", "a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate nan", "a number above 0"),
        ({"labels": {"background": 0, "organ": 2}}, "'organ': 2", "from 0 to 1"),
        ({"device": "cuda:99"}, "device 'cuda:99'", "a device of this machine"),
        # Levels 3: sizes must be multiples of 4.
        ({"patch": [10, 12, 16]}, "patch [10, 12, 16]", "[8, 12, 16] or [12, 12, 16]"),
        ({"patch": [8, 12]}, "patch [8, 12]", "3 whole numbers"),
        ({"skip": "satt"}, "did you mean 'SAT'", "settings that the network takes"),
        ({"network_def": {**NETWORK, "widht": 3}}, "widht", "settings that the network takes"),
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
    assert "which is a file" in str(caught.value.__cause__)
