"""Weights know their network: what a training was told about it need not be said again, and cannot be contradicted."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import monai
import nibabel as nib
import pytest
import torch

from pipeline.cli import main

REPOSITORY = Path(__file__).resolve().parents[2]
TRAINED = ["--skip", "concat", "--network_def#channels", "[4,8]", "--network_def#convs_per_level", "[1,1]"]
TRAINED += ["--network_def#decoder_convs_per_level", "[1]"]
SHARED = ["--fold", "1", "--device", "cpu", "--precision", "float32", "--logging_file", "False"]
WINDOW = ["--window", "[32,32,16]"]
QUICK = [*SHARED, *WINDOW, "--patch", "[16,16,16]", "--val_interval", "1", "--num_workers", "0"]

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def folder(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory: the bundle ``shapes``, trained for an epoch with another skip and other widths."""
    folder = tmp_path_factory.mktemp("weights_know")
    shutil.copytree(REPOSITORY / "bundles" / "synthetic_shapes", folder / "shapes")
    (folder / "data").symlink_to(sample)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "excepthook", sys.excepthook)
        patch.setattr(sys, "path", list(sys.path))
        assert main(["train", "shapes", "--dataset_dir", "data", *QUICK, "--epochs", "1", *TRAINED]) == 0
        yield folder
    monai.utils.set_determinism(seed=None)


def spec_of(training: Path) -> dict[str, object]:
    content: dict[str, dict[str, object]] = json.loads((training / "model.json").read_text())
    return content["network"]


def error_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line


def test_training_writes_what_built_its_network(folder: Path) -> None:
    training = folder / "shapes" / "runs" / "fold_1"
    spec = spec_of(training)
    assert (spec["name"], spec["skip"], spec["channels"]) == ("vnet", "concat", [4, 8])
    assert torch.load(training / "last.pt", weights_only=True)["network_spec"] == spec


@pytest.mark.slow
def test_evaluation_measures_that_network(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate = ["evaluate", "shapes", "--dataset_dir", "data", *SHARED, *WINDOW]
    assert main(evaluate) == 0
    summary = json.loads((folder / "shapes" / "evaluation" / "fold_1" / "summary.json").read_text())
    assert summary["provenance"]["skip"] == "concat"
    capsys.readouterr()
    told = error_of([*evaluate, "--skip", "sum"], capsys)
    assert "runs/fold_1/model.pt: found weights of a network with skip 'concat'; expected skip 'sum'" in told
    told = error_of([*evaluate, "--network_def#residual", "merged"], capsys)
    assert "found weights of a network with residual 'decoder'; expected residual 'merged'" in told
    # Said as the training was told it, in another form.
    assert main([*evaluate, "--skip", "['concat', {}]", "--output_dir", "again"]) == 0


@pytest.mark.slow
def test_monais_own_runner_evaluates_that_network(
    folder: Path, warm_start: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    files = "['shapes/configs/train.json','shapes/configs/evaluate.json']"
    command = ["-W", "ignore", "-m", "monai.bundle", "run", "evaluating", "--config_file", files]
    weights = ["--checkpoint", "shapes/runs/fold_1/model.pt", "--output_dir", "by_monai"]
    settings = ["--dataset_dir", "data", *SHARED, *WINDOW]
    done = warm_start(*command, *weights, *settings)
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "by_monai" / "summary.json").read_text())["provenance"]["skip"] == "concat"


@pytest.mark.slow
def test_prediction_runs_that_network(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan = str(folder / "data" / "imagesTs" / "scan_000.nii.gz")
    predict = [
        "predict",
        "shapes",
        scan,
        "--device",
        "cpu",
        "--set",
        "precision=float32",
        "inferer#roi_size=[32,32,16]",
    ]
    assert main([*predict, "-o", "out"]) == 0
    assert nib.load(folder / "out" / "scan_000_seg.nii.gz").shape == nib.load(scan).shape
    capsys.readouterr()
    told = error_of([*predict, "skip=sum", "-o", "other"], capsys)
    assert "found weights of a network with skip 'concat'; expected skip 'sum'" in told


@pytest.mark.slow
def test_resumed_training_goes_on_with_that_network(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(folder / "shapes" / "runs" / "fold_1", folder / "resumed")
    train = ["train", "shapes", "--dataset_dir", "data", *QUICK, "--epochs", "2", "--resume", "--ckpt_dir", "resumed"]
    train += ["--longer", "stretch"]
    told = error_of([*train, "--skip", "sum"], capsys)
    assert "resumed/last.pt: found weights of a network with skip 'concat'; expected skip 'sum'" in told
    assert main(train) == 0
    assert torch.load(folder / "resumed" / "last.pt", weights_only=True)["epoch"] == 2
    assert spec_of(folder / "resumed") == spec_of(folder / "shapes" / "runs" / "fold_1")
    assert "next:         lightskip evaluate shapes --dataset_dir data --fold 1" in capsys.readouterr().out


@pytest.mark.slow
def test_weights_without_it_are_of_the_configs_network(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copyfile(folder / "shapes" / "runs" / "fold_1" / "model.pt", folder / "alone.pt")
    evaluate = ["evaluate", "shapes", "--dataset_dir", "data", *SHARED, *WINDOW, "--checkpoint", "alone.pt"]
    assert "alone.pt: found " in error_of(evaluate, capsys)
    assert main([*evaluate, *TRAINED, "--output_dir", "told"]) == 0


@pytest.mark.slow
def test_export_is_of_that_network(folder: Path) -> None:
    weights = folder / "shapes" / "runs" / "fold_1" / "model.pt"
    export = [
        "export",
        "shapes",
        "--checkpoint",
        str(weights),
        "-o",
        "exported",
        "--without",
        "ts",
        "pt2",
        "onnx",
        "zip",
    ]
    assert main(export) == 0
    exported = folder / "exported" / "synthetic_shapes"
    config = json.loads((exported / "configs" / "inference.json").read_text())
    assert (config["skip"], config["network_def"]["channels"]) == ("concat", [4, 8])
    assert spec_of(exported / "models") == spec_of(weights.parent)
    scan = str(folder / "data" / "imagesTs" / "scan_000.nii.gz")
    both = [
        ["predict", bundle, scan, "--device", "cpu", "--runtime", "pytorch", "-o", bundle.replace("/", "_")]
        for bundle in ("shapes", "exported/synthetic_shapes")
    ]
    assert [main(words) for words in both] == [0, 0]
    maps = [nib.load(folder / words[-1] / "scan_000_seg.nii.gz").get_fdata() for words in both]
    # What precision rounds may differ: none of the config's exported with it.
    assert (maps[0] == maps[1]).mean() > 0.99
