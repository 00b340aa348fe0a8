"""A scan predicted through CUDA graphs, which a stand-in replays on the CPU: its label map, the memory, the report."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import nn

from pipeline.cli import main
from pipeline.inference import gpu_ways
from pipeline.inference.choose_runtime import RuntimeChoice
from pipeline.inference.gpu_ways import BOTH, WAYS
from pipeline.inference.graph_network import count_graph_bytes
from pipeline.prediction import members, predictor
from pipeline.prediction.predictor import Predictor

from ..inference.fake_gpu import FakeGpu

Phantom = Callable[[np.ndarray], np.ndarray]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    """A GPU on the CPU, on which channels last in a graph is the fastest."""
    made = FakeGpu()

    def choose(network: nn.Module, *, only: str | None, **options: Any) -> RuntimeChoice:
        del only
        return gpu_ways.choose_gpu_way(network, gpu=made, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(members, "choose_runtime", choose)
    # Of plain PyTorch, channels last, a graph, and both.
    seconds = iter((8.0, 4.0, 2.0, 1.0))
    monkeypatch.setattr(gpu_ways, "time_call", lambda *_, **__: next(seconds))
    return made


@pytest.fixture
def voxels(phantom: Phantom) -> np.ndarray:
    """A scan with an odd number of windows for batches of two, padded along an axis."""
    axes = [np.arange(length) - (length - 1) / 2 for length in (30, 40, 13)]
    found: np.ndarray = phantom(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("tta", [False, True])
def test_the_label_map_is_that_without_graphs(
    tta: bool, tiny_bundle: Path, voxels: np.ndarray, gpu: FakeGpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTSKIP_CACHE", str(tmp_path))
    expected = Predictor(tiny_bundle, device="cpu", runtime="pytorch", tta=tta)(voxels, probabilities=True)
    there = Predictor(tiny_bundle, device="cpu", tta=tta)
    choice = there.bundle.runtime
    assert (choice.runtime, choice.way, there.bundle.network) == ("pytorch", BOTH, choice.network)
    assert choice.seconds.keys() == set(WAYS)
    before = gpu.replays
    found = there(voxels, probabilities=True)
    assert gpu.replays > before + 5
    assert len(np.unique(expected.labels)) == 3
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)
    # Where two labels are as likely as each other, rounding may decide.
    assert (found.labels != expected.labels).mean() < 0.001


@pytest.mark.slow
def test_the_report_has_the_way_its_times_and_the_reason(
    tiny_bundle: Path, voxels: np.ndarray, gpu: FakeGpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTSKIP_CACHE", str(tmp_path / "cache"))
    scan = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(np.tile(voxels, (1, 1, 8)).astype(np.float32), np.eye(4)), scan)
    for runtime in ("auto", "pytorch"):
        words = [str(scan), "-o", str(tmp_path / runtime), "--runtime", runtime, "--device", "cpu", "--threads", "1"]
        assert main(["predict", str(tiny_bundle), *words]) == 0
    found = json.loads((tmp_path / "auto" / "report.json").read_text())
    assert (found["runtime"], found["runtime_way"]) == ("pytorch", BOTH)
    assert found["runtime_reason"] == f"{BOTH} takes 0.12 of plain PyTorch's time for a window"
    assert list(found["seconds_per_window"]) == list(WAYS)
    assert found["conversion_seconds"] > 0
    plain = json.loads((tmp_path / "pytorch" / "report.json").read_text())
    assert (plain["runtime"], plain["runtime_way"], plain["seconds_per_window"]) == ("pytorch", None, {})
    maps = [np.asarray(nib.load(tmp_path / name / "scan_seg.nii.gz").dataobj) for name in ("auto", "pytorch")]
    assert (maps[0] != maps[1]).mean() < 0.001


def test_memory_of_graphs_counts_twice(
    tiny_bundle: Path, gpu: FakeGpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTSKIP_CACHE", str(tmp_path))
    there = Predictor(tiny_bundle, device="cpu")
    assert there.bundle.runtime.way == BOTH
    assert count_graph_bytes(there.bundle.network) == 1000
    for name, value in (("max_memory_allocated", 50), ("reset_peak_memory_stats", None)):
        monkeypatch.setattr(torch.cuda, name, lambda _, value=value: value)

    on_gpu = SimpleNamespace(
        network=there.bundle.network,
        inferer=there.bundle.inferer,
        spatial_dims=3,
        channels=1,
        classes=3,
        device=SimpleNamespace(type="cuda"),
    )
    monkeypatch.setattr(there, "bundle", on_gpu)
    monkeypatch.setattr(predictor, "Windows", lambda *_, **__: SimpleNamespace(rows=lambda _: ()))
    assert there._warm_up(None) == 50 + 2 * 1000
