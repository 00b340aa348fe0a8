"""Passes with dropout in an evaluation and an inference by MONAI's runner, and in LightSkip's prediction."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from monai.bundle import run

from pipeline.data.errors import InputError
from pipeline.prediction.predictor import Predictor

BUNDLE = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes"
DROPS = {"network_def#dropout": 0.3}


def read_maps(folder: Path) -> dict[str, np.ndarray]:
    return {file.name: np.asanyarray(nib.load(file).dataobj) for file in sorted(folder.glob("*_seg.nii.gz"))}


def differ(first: np.ndarray, second: np.ndarray) -> float:
    """The share of voxels with another label. Where two classes are equal but for rounding, it may be either."""
    return float((first != second).mean())


@pytest.mark.slow
@pytest.mark.usefixtures("own_process")
@pytest.mark.filterwarnings("ignore")
def test_all_ways_average_the_same_passes(sample: Path, weights: Path, tmp_path: Path) -> None:
    common = {"dataset_dir": str(sample), "checkpoint": str(weights), "device": "cpu", "precision": "float32"}

    def evaluate(name: str, **changed: Any) -> dict[str, np.ndarray]:
        files = [str(BUNDLE / "configs" / f"{one}.json") for one in ("train", "evaluate")]
        folders = {"output_dir": str(tmp_path / name), "predictions_dir": str(tmp_path / f"{name}_maps")}
        run("evaluating", config_file=files, logging_file=False, **{**common, **folders, **changed})
        return read_maps(tmp_path / f"{name}_maps")

    once = evaluate("once", **DROPS)
    averaged = evaluate("averaged", **DROPS, dropout_samples=3)
    again = evaluate("again", **DROPS, dropout_samples=3)
    assert averaged.keys() == once.keys()
    assert all(differ(voxels, again[name]) < 1e-3 for name, voxels in averaged.items())
    assert all(differ(voxels, once[name]) > 0.01 for name, voxels in averaged.items())
    summaries = [json.loads((tmp_path / name / "summary.json").read_text()) for name in ("once", "averaged")]
    assert [summary["provenance"]["dropout_samples"] for summary in summaries] == [1, 3]

    cases = json.loads((sample / "dataset.json").read_text())["training"]
    scans = [str(sample / case["image"]) for case in cases if case["fold"] == 0]
    config = str(BUNDLE / "configs" / "inference.json")
    inferred = {"datalist": scans, "output_dir": str(tmp_path / "inferred"), "dropout_samples": 3}
    run(config_file=config, logging_file=False, **common, **inferred, **DROPS)
    found = read_maps(tmp_path / "inferred")
    assert found.keys() == averaged.keys()
    assert all(differ(voxels, found[name]) < 1e-3 for name, voxels in averaged.items())
    predictor = Predictor(
        BUNDLE, checkpoint=weights, device="cpu", dropout_samples=3, settings={"precision": "float32", **DROPS}
    )
    for scan in scans:
        name = Path(scan).name.replace(".nii.gz", "_seg.nii.gz")
        assert differ(predictor(scan).labels, averaged[name]) < 1e-3

    with pytest.raises((InputError, RuntimeError)) as raised:
        evaluate("refused", dropout_samples=3)
    causes = [raised.value, raised.value.__cause__, getattr(raised.value.__cause__, "__cause__", None)]
    assert any("a network without dropout" in str(cause) for cause in causes)
    assert not (tmp_path / "refused").exists()
