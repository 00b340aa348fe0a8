"""An evaluation through CUDA graphs, which a stand-in replays on the CPU, by MONAI's evaluator and inferer."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from monai.bundle import run
from torch import nn

from pipeline.inference import evaluation_runtime, gpu_ways
from pipeline.inference.choose_runtime import RuntimeChoice

from ..inference.fake_gpu import FakeGpu

CONFIGS = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes" / "configs"


@pytest.mark.slow
@pytest.mark.usefixtures("own_process")
@pytest.mark.filterwarnings("ignore")
def test_an_evaluation_through_graphs_scores_the_same(
    sample: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = FakeGpu()
    ways: list[str] = []
    # Of plain PyTorch, channels last, a graph, and both.
    seconds = iter((8.0, 4.0, 2.0, 1.0))
    monkeypatch.setenv("LIGHTSKIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(gpu_ways, "time_call", lambda *_, **__: next(seconds))

    def choose(network: nn.Module, **options: Any) -> RuntimeChoice:
        options |= {"windows": None, "batch": 2}
        choice = gpu_ways.choose_gpu_way(network, gpu=gpu, **options)  # type: ignore[arg-type]
        ways.append(choice.way)
        return choice

    monkeypatch.setattr(evaluation_runtime, "choose_runtime", choose)
    scores = []
    for runtime in ("pytorch", "auto"):
        run(
            "evaluating",
            config_file=[str(CONFIGS / "train.json"), str(CONFIGS / "evaluate.json")],
            dataset_dir=str(sample),
            output_dir=str(tmp_path / runtime),
            checkpoint=str(weights),
            runtime=runtime,
            device="cpu",
            precision="float32",
            logging_file=False,
        )
        with (tmp_path / runtime / "cases.csv").open() as file:
            scores.append([float(row["dice"]) for row in csv.DictReader(file) if row["dice"]])
    assert ways == [gpu_ways.BOTH]
    assert gpu.replays > 4
    np.testing.assert_allclose(*scores, atol=1e-3)
