"""A bundle trains, resumes, evaluates and segments on a GPU. Run by `make test-gpu`."""

import csv
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import run

from pipeline.inference import gpu_ways
from pipeline.inference.graph_network import GraphNetwork

if not torch.cuda.is_available():
    pytest.skip("this machine has no GPU", allow_module_level=True)

CONFIGS = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes" / "configs"
TRAIN, EVALUATE, INFERENCE = (str(CONFIGS / f"{name}.json") for name in ("train", "evaluate", "inference"))
SETTINGS: dict[str, Any] = {"logging_file": False, "epochs": 4, "device": "cuda:0"}

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.usefixtures("own_process"),
    pytest.mark.filterwarnings("ignore"),
]


def train(sample: Path, folder: Path, **settings: Any) -> list[dict[str, str]]:
    """Train, and return the rows of the curve."""
    run(
        "training",
        config_file=TRAIN,
        dataset_dir=str(sample),
        ckpt_dir=str(folder),
        **{**SETTINGS, **settings},
    )
    with (folder / "history.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_it_trains_in_every_format(sample: Path, tmp_path: Path, precision: str) -> None:
    rows = train(sample, tmp_path / "run", precision=precision)
    losses = [float(row["train_loss"]) for row in rows]
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    weights = torch.load(tmp_path / "run" / "model.pt", weights_only=True)
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())


def test_a_training_goes_on_on_another_device(sample: Path, tmp_path: Path) -> None:
    train(sample, tmp_path / "run", epochs=2)
    rows = train(sample, tmp_path / "run", epochs=3, resume=True, longer="stretch", device="cpu")
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]


def test_both_devices_segment_and_measure_the_same(sample: Path, tmp_path: Path) -> None:
    train(sample, tmp_path / "run", precision="float32")
    checkpoint = str(tmp_path / "run" / "model.pt")
    maps, scores = [], []
    for device in ("cpu", "cuda:0"):
        folder = tmp_path / device[:3]
        common = {"checkpoint": checkpoint, "device": device, "precision": "float32", "logging_file": False}
        run("run", config_file=INFERENCE, dataset_dir=str(sample / "imagesTs"), output_dir=str(folder), **common)
        run(
            "evaluating",
            config_file=[TRAIN, EVALUATE],
            dataset_dir=str(sample),
            output_dir=str(folder / "evaluation"),
            **common,
        )
        files = sorted(folder.glob("*.nii.gz"))
        assert files
        maps.append([np.asarray(nib.load(file).dataobj) for file in files])
        with (folder / "evaluation" / "cases.csv").open() as file:
            scores.append([float(row["dice"]) for row in csv.DictReader(file) if row["dice"]])
    # A voxel between two classes can change with the last digit.
    assert all(np.mean(one != other) < 1e-3 for one, other in zip(*maps, strict=True))
    np.testing.assert_allclose(*scores, atol=5e-3)


def test_an_evaluation_through_graphs_scores_the_same(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(sample, tmp_path / "run")
    monkeypatch.setenv("LIGHTSKIP_CACHE", str(tmp_path / "cache"))
    # The sample has too few windows, and which way is the fastest depends on the machine.
    monkeypatch.setattr(gpu_ways, "_MIN_START", 0)
    monkeypatch.setattr(gpu_ways, "_MEASURING", 0)
    monkeypatch.setattr(gpu_ways, "_START", dict.fromkeys(gpu_ways.WAYS, 0))
    seconds = iter((4.0, 3.0, 2.0, 1.0))
    monkeypatch.setattr(gpu_ways, "time_call", lambda *_, **__: next(seconds))
    batches: list[int] = []
    forward = GraphNetwork.forward

    def counted(self: GraphNetwork, x: torch.Tensor) -> torch.Tensor:
        batches.append(len(x))
        return forward(self, x)

    monkeypatch.setattr(GraphNetwork, "forward", counted)
    scores = []
    for runtime in ("pytorch", "auto"):
        run(
            "evaluating",
            config_file=[TRAIN, EVALUATE],
            dataset_dir=str(sample),
            output_dir=str(tmp_path / runtime),
            checkpoint=str(tmp_path / "run" / "model.pt"),
            runtime=runtime,
            device="cuda:0",
            logging_file=False,
        )
        assert bool(batches) is (runtime == "auto")
        with (tmp_path / runtime / "cases.csv").open() as file:
            scores.append([float(row["dice"]) for row in csv.DictReader(file) if row["dice"]])
    np.testing.assert_allclose(*scores, atol=5e-3)
