"""A bundle's training in a real MLflow: by LightSkip's command, MONAI's runner, and in two processes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import main

from .conftest import BUNDLES

mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: make test-mlflow has it")
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_process")]
SMALL = ["--epochs", "1", "--patch", "[16,16,16]", "--window", "[32,32,32]", "--network_def#channels", "[2,4]"]
SMALL += ["--network_def#convs_per_level", "[1,1]", "--network_def#decoder_convs_per_level", "[1]", "--device", "cpu"]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BUNDLES / "synthetic_shapes", tmp_path / "shapes"))


def runs_of(bundle: Path) -> list:
    client = mlflow.MlflowClient(f"sqlite:///{bundle}/runs/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("synthetic_shapes")
    assert experiment.artifact_location.startswith("file://")
    return client.search_runs(experiment.experiment_id)


def files_of(bundle: Path, run) -> set[str]:
    client = mlflow.MlflowClient(f"sqlite:///{bundle}/runs/mlflow/mlflow.db")
    return {file.path for file in client.list_artifacts(run.info.run_id)}


def test_train(bundle: Path, sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(bundle), "--dataset_dir", str(sample), *SMALL, "--tracking", "mlflow"]) == 0
    [run] = runs_of(bundle)
    assert (run.info.run_name, run.info.status) == ("fold_0", "FINISHED")
    plan = {"bundle": "synthetic_shapes", "spacing": "[1.5, 1.5, 1.5]", "network.channels": "[2, 4]", "minutes": "None"}
    assert plan.items() <= run.data.params.items()
    assert {"train_loss", "val_mean_dice", "val_dice_shell", "learning_rate"} <= set(run.data.metrics)
    assert {"history.csv", "plan.yaml", "curve.png", "report.html"} <= files_of(bundle, run)
    assert not (bundle / "runs" / "fold_0" / "tensorboard").exists()
    assert "mlflow ui --backend-store-uri sqlite:///" in capsys.readouterr().out


def start(bundle: Path, sample: Path, *words: str, module: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", *module, "-m", "monai.bundle", "run", "training"]
    config = str(bundle / "configs" / "train.json")
    return subprocess.run(
        [*command, "--config_file", config, "--dataset_dir", str(sample), *SMALL, *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_monais_runner(bundle: Path, sample: Path) -> None:
    ended = start(bundle, sample, "--tracking", "mlflow", "--run_name", "mine", module=[])
    assert ended.returncode == 0, ended.stderr
    # One run: MONAI's own handlers do nothing.
    [run] = runs_of(bundle)
    assert run.info.run_name == "mine"
    assert "plan.yaml" in files_of(bundle, run)
    assert not (bundle / "eval").exists()


def test_two_processes_write_one_run(bundle: Path, sample: Path) -> None:
    words = ["train", str(bundle), "--dataset_dir", str(sample), *SMALL, "--tracking", "mlflow", "--processes", "2"]
    ended = subprocess.run(
        [sys.executable, "-m", "pipeline", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    [run] = runs_of(bundle)
    assert run.data.params["processes"] == "2"
    assert set(run.data.metrics) >= {"train_loss", "val_mean_dice"}
