"""The whole measurement, on the bundle of the sample dataset with small patches. No number of seconds is asserted."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import monai
import pytest

from pipeline.bench import format_bench, inference, training
from pipeline.cli import main

BUNDLE = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes"
SMALL = ["--set", "patch=[16,16,16]", "window=[16,16,32]", "skip=concat"]


@pytest.fixture(scope="module", autouse=True)
def own_process() -> Iterator[None]:
    """Restore what a run changes in its process."""
    hook, path = sys.excepthook, list(sys.path)
    yield
    sys.excepthook, sys.path[:] = hook, path
    monai.utils.set_determinism(seed=None)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "shapes"
    shutil.copytree(BUNDLE, folder)
    return folder


@pytest.fixture(scope="module")
def measured(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    before = contents(bundle)
    output = tmp_path_factory.mktemp("output") / "bench.json"
    words = ["bench", str(bundle), "--steps", "2", "--warmup", "0", "--cases", "2", "--device", "cpu", *SMALL]
    assert main([*words, "-o", str(output)]) == 0
    assert contents(bundle) == before
    loaded: dict[str, Any] = json.loads(output.read_text())
    return loaded


def contents(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.slow
def test_it_counts_what_went_through_the_network(measured: dict[str, Any]) -> None:
    config = json.loads((BUNDLE / "configs" / "train.json").read_text())
    samples = config["batch"] * config["samples_per_case"]
    assert measured["training_step_samples"] == samples
    assert measured["training_step_voxels"] == samples * 16**3
    assert (measured["training_steps"], measured["inference_scans"]) == (2, 2)
    assert measured["inference_window_voxels"] == measured["inference_scan_voxels"] == 16 * 16 * 32
    assert measured["inference_scan_windows"] == 1
    # A convolutional network's products go with the voxels.
    per_voxel = measured["inference_window_multiply_adds"] / (16 * 16 * 32)
    assert measured["training_forward_multiply_adds"] == pytest.approx(per_voxel * samples * 16**3)
    # Two gradients, but for the input of the first layer.
    ratio = measured["training_backward_multiply_adds"] / measured["training_forward_multiply_adds"]
    assert 1.8 < ratio < 2
    assert (
        measured["training_step_multiply_adds"]
        == measured["training_forward_multiply_adds"] + measured["training_backward_multiply_adds"]
    )


@pytest.mark.parametrize(("prefix", "phases"), [("training", training.PHASES), ("inference", inference.PHASES)])
def test_the_shares_are_of_one_whole(measured: dict[str, Any], prefix: str, phases: tuple[str, ...]) -> None:
    shares = [measured[f"{prefix}_share_{phase}"] for phase in phases]
    assert sum(shares) == pytest.approx(1)
    assert all(0 <= share < 1 for share in shares)
    assert 0 < measured[f"{prefix}_share_matrix_kernels"] < 1
    assert len(measured[f"{prefix}_operators"]) == 10


def test_what_a_training_does_has_its_phase(measured: dict[str, Any]) -> None:
    for phase in ("data", "forward", "loss", "backward", "optimiser"):
        assert measured[f"training_share_{phase}"] > 0, phase
    for phase in ("network", "windows", "postprocessing", "metrics"):
        assert measured[f"inference_share_{phase}"] > 0, phase


def test_rates_follow_from_counts_and_seconds(measured: dict[str, Any]) -> None:
    rate = 2e-9 * measured["training_step_multiply_adds"] / measured["training_step_seconds_mean"]
    assert measured["training_gflops_per_second"] == pytest.approx(rate)
    assert measured["training_machine_share"] == pytest.approx(rate / measured["machine_gflops_per_second"])
    network = measured["training_share_forward"] + measured["training_share_backward"]
    assert measured["training_network_gflops_per_second"] == pytest.approx(rate / network)
    scan = measured["inference_scan_multiply_adds"] / measured["inference_scan_seconds_mean"]
    assert measured["inference_gflops_per_second"] == pytest.approx(2e-9 * scan)


def test_the_table_has_the_numbers_with_units(measured: dict[str, Any]) -> None:
    fixed = {
        **measured,
        "training_step_multiply_adds": 9_123_456_789,
        "training_step_seconds_median": 0.15,
        "training_peak_memory_bytes": 3 * 2**20,
        "training_machine_share": 0.256,
        "inference_voxels_per_second": 999.7,
    }
    table = format_bench(fixed)
    for text in ("9.12 G a step", "150 ms a step", "3 MiB", "25.6% of the limit over whole steps", "1 kvoxel/s"):
        assert text in table
    assert "skip=concat" in table
    assert "not reported" in format_bench({**fixed, "training_peak_memory_bytes": None})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("{tmp}/absent", "absent: found no such folder"),
        ("{tmp}", "found no configs/train.json in it"),
        ("{bundle} --dataset_dir {tmp}/absent", "absent: found no such folder"),
        ("{bundle} --dataset_dir {bundle}", "dataset.json: found no readable file"),
        ("{bundle} --set skipp=sat", "found unknown override: --skipp"),
        ("{bundle} --set skip=None", "found --skip None"),
        ("{bundle} --device gpu", "device"),
        ("{bundle} --steps 0", "steps: found 0; expected 1 or more"),
        ("{bundle} --cases 0", "cases: found 0; expected 1 or more"),
    ],
)
def test_mistakes_are_explained(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    assert main(["bench", *words.format(bundle=bundle, tmp=tmp_path).split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
