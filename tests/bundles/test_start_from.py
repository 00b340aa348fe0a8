"""Trainings that start from other weights, as a user starts them: frozen epochs, resuming, several processes."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import monai
import pytest
import torch
from monai.bundle import create_workflow

from pipeline.cli import main

REPOSITORY = Path(__file__).resolve().parents[2]
NETWORK = ["--network_def#channels", "[4,8]", "--network_def#convs_per_level", "[1,1]"]
NETWORK += ["--network_def#decoder_convs_per_level", "[1]"]
QUICK = ["--fold", "1", "--device", "cpu", "--precision", "float32", "--logging_file", "False", "--tracking", "none"]
QUICK += ["--window", "[32,32,16]", "--patch", "[16,16,16]", "--num_workers", "0", "--dataset_dir", "data", *NETWORK]

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def folder(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory: the bundle ``shapes`` with a training of an epoch, ``source``."""
    folder = tmp_path_factory.mktemp("start_from")
    shutil.copytree(REPOSITORY / "bundles" / "synthetic_shapes", folder / "shapes")
    (folder / "data").symlink_to(sample)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "excepthook", sys.excepthook)
        patch.setattr(sys, "path", list(sys.path))
        assert main(["train", "shapes", *QUICK, "--epochs", "1", "--ckpt_dir", "shapes/runs/source"]) == 0
        yield folder
    monai.utils.set_determinism(seed=None)


def encoder(file: Path, part: str | None = None) -> dict[str, torch.Tensor]:
    content: Any = torch.load(file, weights_only=True)
    content = content if part is None else content[part]
    return {name: value for name, value in content.items() if name.startswith("encoder.")}


def is_same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def test_frozen_epochs_then_resumed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "shapes", *QUICK, "--ckpt_dir", "tuned", "--skip", "concat", "--seed", "5"]
    tuned = ["--frozen_epochs", "1", "--epochs", "1", "--learning_rate", "0.002"]
    assert main([*words, "--from", "shapes/runs/source", *tuned]) == 0
    assert "from: shapes/runs/source/model.pt; learning_rate 0.002" in capsys.readouterr().out
    source = encoder(folder / "shapes" / "runs" / "source" / "model.pt")
    for part in ("network", "average"):
        assert is_same(source, encoder(folder / "tuned" / "last.pt", part))
    assert is_same(source, encoder(folder / "tuned" / "model.pt"))
    record = json.loads((folder / "tuned" / "started_from.json").read_text())
    assert record["bundle"] == "shapes"
    assert record["by_rule"]
    assert record["settings"]["frozen_epochs"] == 1
    assert main([*words, "--resume", "--epochs", "2", "--longer", "stretch"]) == 0
    assert "not loaded again; learning_rate 0.002, as at its start" in capsys.readouterr().out
    assert not is_same(source, encoder(folder / "tuned" / "last.pt", "network"))
    assert json.loads((folder / "tuned" / "training.json").read_text())["started_from"] == "shapes"


def test_several_processes_keep_the_encoder_frozen(folder: Path) -> None:
    words = ["train", "shapes", *QUICK, "--ckpt_dir", "two", "--from", "shapes/runs/source", "--processes", "2"]
    assert main([*words, "--frozen_epochs", "1", "--epochs", "1"]) == 0
    source = encoder(folder / "shapes" / "runs" / "source" / "model.pt")
    assert is_same(source, encoder(folder / "two" / "last.pt", "network"))
    assert main([*words, "--frozen_epochs", "1", "--epochs", "2"]) == 0
    assert not is_same(source, encoder(folder / "two" / "last.pt", "network"))


def test_weights_that_fit_nowhere_end_before_the_training(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"a": torch.zeros(3)}, folder / "other.pt")
    assert main(["train", "shapes", *QUICK, "--from", "other.pt", "--ckpt_dir", "nothing"]) == 2
    assert "1 tensor that fits 0 % of the network's parameters" in capsys.readouterr().err
    assert not (folder / "nothing").exists()


def test_the_key_alone_is_enough_for_monais_runner(folder: Path) -> None:
    overrides: dict[str, Any] = {"dataset_dir": "data", "start_from": "shapes/runs/source/model.pt", "ckpt_dir": "key"}
    overrides |= {"network_def#channels": [4, 8], "network_def#convs_per_level": [1, 1]}
    overrides |= {"network_def#decoder_convs_per_level": [1], "check_data": False, "device": "cpu", "fold": 1}
    overrides |= {"used_tracking": "none", "patch": [16, 16, 16], "window": [32, 32, 16]}
    workflow = create_workflow(
        config_file="shapes/configs/train.json", run_id="training", logging_file=False, **overrides
    )
    network = workflow.parser.get_parsed_content("network")
    average = workflow.parser.get_parsed_content("average_network")
    source = torch.load(folder / "shapes" / "runs" / "source" / "model.pt", weights_only=True)
    for state in (network.state_dict(), average.state_dict()):
        assert all(torch.equal(state[name], source[name]) for name in source)
