"""A scan predicted through CUDA graphs on a GPU has the label map of plain PyTorch. Run by `make test-gpu`."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from pipeline.cli import main
from pipeline.inference import gpu_ways
from pipeline.inference.gpu_ways import BOTH, GRAPH, PLAIN, WAYS, choose_gpu_way
from pipeline.inference.graph_network import count_graph_bytes
from pipeline.prediction import members
from pipeline.prediction.predictor import Predictor

if not torch.cuda.is_available():
    pytest.skip("this machine has no GPU", allow_module_level=True)

pytestmark = pytest.mark.gpu

# Voxels of the scan's 96,000 that may have another label: of the same kernels, and of those for another memory format.
FEW = {GRAPH: 10, BOTH: 100}


@pytest.fixture
def voxels(phantom: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """A scan with an odd number of windows for batches of two."""
    axes = [np.arange(length) - (length - 1) / 2 for length in (60, 40, 40)]
    found: np.ndarray = phantom(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
    return found


@pytest.fixture(autouse=True)
def really_choose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Choose among all ways, with times of this test alone."""
    monkeypatch.setenv("LIGHTSKIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(members, "choose_gpu_way", choose_gpu_way)


@pytest.mark.parametrize("tta", [False, True])
@pytest.mark.parametrize("way", [GRAPH, BOTH])
def test_the_label_map_is_that_of_plain_pytorch(
    way: str, tta: bool, tiny_bundle: Path, voxels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([1.0 if one == way else 2.0 for one in WAYS])
    monkeypatch.setattr(gpu_ways, "time_call", lambda *_, **__: next(seconds))
    expected = Predictor(tiny_bundle, device="cuda:0", runtime="pytorch", tta=tta)(voxels).labels
    there = Predictor(tiny_bundle, device="cuda:0", tta=tta)
    assert there.bundle.runtime.way == way, there.bundle.runtime.reason
    assert there.budget.window >= 2 * count_graph_bytes(there.bundle.network) > 0
    for _ in range(2):
        labels = there(voxels).labels
        assert len(np.unique(labels)) == 3
        assert int((labels != expected).sum()) <= FEW[way]


def test_the_report_has_the_times(tiny_bundle: Path, voxels: np.ndarray, tmp_path: Path) -> None:
    scan = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(voxels.astype(np.float32), np.eye(4)), scan)
    for runtime in ("auto", "pytorch"):
        words = [str(scan), "-o", str(tmp_path / runtime), "--runtime", runtime, "--device", "cuda:0"]
        assert main(["predict", str(tiny_bundle), *words]) == 0
    found = json.loads((tmp_path / "auto" / "report.json").read_text())
    assert (found["runtime"], found["device"]) == ("pytorch", "cuda:0")
    assert found["runtime_way"] in WAYS
    assert found["seconds_per_window"].keys() == set(WAYS)
    assert "of plain PyTorch's time for a window" in found["runtime_reason"]
    plain = json.loads((tmp_path / "pytorch" / "report.json").read_text())
    assert (plain["runtime_way"], plain["runtime_reason"]) == (None, "as requested")
    maps = [np.asarray(nib.load(tmp_path / name / "scan_seg.nii.gz").dataobj) for name in ("auto", "pytorch")]
    assert int((maps[0] != maps[1]).sum()) <= FEW[BOTH]


def test_one_window_is_plain(tiny_bundle: Path, voxels: np.ndarray) -> None:
    there = Predictor(tiny_bundle, device="cuda:0", windows=1)
    assert (there.bundle.runtime.way, there.bundle.runtime.seconds) == (PLAIN, {})
    assert there(voxels).labels.shape == voxels.shape
