"""What prediction takes from a bundle, and what it says of one that it cannot take."""

import hashlib
import json
import logging
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.data.errors import InputError
from pipeline.prediction.loaded_bundle import load_bundle


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def change(bundle: Path, **keys: Any) -> None:
    config = bundle / "configs" / "inference.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | keys))


def test_the_parts_are_the_plan_s(tiny_bundle: Path) -> None:
    bundle = load_bundle(tiny_bundle, device="cpu")
    assert (bundle.channels, bundle.spatial_dims, bundle.classes) == (1, 3, 3)
    assert bundle.labels == {"background": 0, "core": 1, "rim": 2}
    assert [(label.value, label.name) for label in bundle.table] == [(1, "core"), (2, "rim")]
    assert tuple(bundle.inferer.roi_size) == (16, 16, 16)
    assert bundle.inferer.overlap == 0.5
    assert bundle.device == torch.device("cpu")
    assert bundle.sha256 == (hashlib.sha256((tiny_bundle / "models" / "model.pt").read_bytes()).hexdigest(),)
    assert not bundle.network.training
    assert not any(parameter.requires_grad for parameter in bundle.network.parameters())


def test_the_grid_of_voxels_without_an_affine_is_the_bundle_s(bundle: Path) -> None:
    np.testing.assert_array_equal(load_bundle(bundle).own_affine, np.eye(4))
    config = bundle / "configs" / "inference.json"
    config.write_text(config.read_text().replace('"RAS"', '"LPS"'))
    content = json.loads(config.read_text())
    (resample,) = [one for one in content["preprocessing"]["transforms"] if one["_target_"] == "Spacingd"]
    resample["pixdim"] = [1.0, 2.0, 3.0]
    config.write_text(json.dumps(content))
    np.testing.assert_array_equal(load_bundle(bundle).own_affine, np.diag([-1.0, -2, 3, 1]))


def test_fast_lets_windows_overlap_by_a_quarter(tiny_bundle: Path) -> None:
    assert load_bundle(tiny_bundle, fast=True).inferer.overlap == 0.25


def test_settings_reach_the_config(tiny_bundle: Path) -> None:
    bundle = load_bundle(tiny_bundle, settings={"inferer#sw_batch_size": 7})
    assert bundle.inferer.sw_batch_size == 7


def test_logging_and_warnings_stay_as_they_were(tiny_bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    loggers = [logging.getLogger(name) for name in (None, "monai", "monai.bundle.workflows", "pipeline")]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    load_bundle(tiny_bundle)
    assert [(logger.level, logger.handlers) for logger in loggers] == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"settings": {"precisoin": "float32"}}, "precision"),
        ({"settings": {"inferer": 3}}, "inferer"),
        ({"checkpoints": ["nowhere.pt"]}, "nowhere.pt: found no such file"),
        ({"device": "cuda:99"}, "cuda:99"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(given: dict[str, Any], words: str, tiny_bundle: Path) -> None:
    with pytest.raises(InputError, match=words):
        load_bundle(tiny_bundle, **given)


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no configs/inference\.json"):
        load_bundle(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "inference.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read as a config"):
        load_bundle(tmp_path)
    (tmp_path / "configs" / "inference.json").write_text("{}")
    with pytest.raises(InputError, match="no key network_def"):
        load_bundle(tmp_path)


def spoil_state(bundle: Path) -> None:
    file = bundle / "models" / "model.pt"
    state = torch.load(file, weights_only=True)
    torch.save({f"module.{key}": value for key, value in state.items()}, file)


def cut(bundle: Path) -> None:
    file = bundle / "models" / "model.pt"
    file.write_bytes(file.read_bytes()[:1000])


def point(bundle: Path) -> None:
    (bundle / "models" / "model.pt").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")


def train_on(bundle: Path) -> None:
    file = bundle / "models" / "model.pt"
    torch.save({"network": torch.load(file, weights_only=True), "optimizer": {}, "epoch": 1}, file)


@pytest.mark.parametrize("spoil", [spoil_state, cut, point, train_on])
def test_weights_that_are_not_the_network_s_are_refused(spoil: Any, bundle: Path) -> None:
    spoil(bundle)
    with pytest.raises(InputError) as raised:
        load_bundle(bundle)
    assert str(raised.value.where).endswith("models/model.pt")


def test_post_processing_of_another_make_is_refused(bundle: Path) -> None:
    content = json.loads((bundle / "configs" / "inference.json").read_text())
    post = content["postprocessing"]
    change(bundle, postprocessing=post | {"transforms": post["transforms"][1:]})
    with pytest.raises(InputError, match="post-processing by") as raised:
        load_bundle(bundle)
    assert "monai.bundle run" in raised.value.remedy


def test_mirroring_without_axes_is_refused(bundle: Path) -> None:
    change(bundle, mirror_axes=[])
    load_bundle(bundle)
    with pytest.raises(InputError, match="--tta"):
        load_bundle(bundle, tta=True)


def test_passes_with_dropout_of_a_network_without_are_refused(tiny_bundle: Path) -> None:
    with pytest.raises(InputError, match="dropout_samples 8: found a network without dropout"):
        load_bundle(tiny_bundle, dropout_samples=8)


@pytest.mark.parametrize(
    ("key", "option"),
    [
        ("tta", "--tta"),
        ("dropout_samples", "--dropout-samples"),
        ("probabilities", "--probabilities"),
        ("output_dir", "-o"),
    ],
)
def test_keys_that_prediction_sets_itself_are_refused(key: str, option: str, tiny_bundle: Path) -> None:
    with pytest.raises(InputError, match=f"--set {key}: .*use {option}"):
        load_bundle(tiny_bundle, settings={key: True})


def test_a_misnamed_argument_is_told(tiny_bundle: Path) -> None:
    with pytest.raises(InputError, match="unexpected keyword argument 'sw_batchsize'"):
        load_bundle(tiny_bundle, settings={"inferer#sw_batchsize": 1})


def test_the_program_keeps_what_is_its_own(tiny_bundle: Path) -> None:
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = torch.rand(1).item(), np.random.rand()  # noqa: NPY002
    before = torch.backends.cudnn.deterministic, sys.excepthook
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    torch.backends.cudnn.deterministic = True
    try:
        load_bundle(tiny_bundle)
        assert (torch.rand(1).item(), np.random.rand()) == expected  # noqa: NPY002
        assert torch.backends.cudnn.deterministic
        assert sys.excepthook is before[1]
    finally:
        torch.backends.cudnn.deterministic = before[0]
