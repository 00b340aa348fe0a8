"""What the shipped bundles have learned, and that a bundle learns."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.sample import make_sample

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"


def run(*words: str | Path) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "monai.bundle", "run", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def evaluate(bundle: str, dataset: Path, output: Path, *words: str | Path) -> dict[str, Any]:
    configs = BUNDLES / bundle / "configs"
    files = f"['{configs / 'train.json'}','{configs / 'evaluate.json'}']"
    run("evaluating", "--config_file", files, "--dataset_dir", dataset, "--output_dir", output, *words)
    summary: dict[str, Any] = json.loads((output / "summary.json").read_text())
    return summary


@pytest.mark.real
def test_the_shipped_hippocampus_weights_score_what_their_document_says(real_data: Path, tmp_path: Path) -> None:
    measured = evaluate("hippocampus_mri", real_data / "hippocampus", tmp_path)
    stated = json.loads((BUNDLES / "hippocampus_mri" / "docs" / "results" / "summary.json").read_text())
    assert measured["cases"] == stated["cases"] == 42
    for label in ("anterior", "posterior"):
        # Another CPU rounds otherwise, above all where it has no bfloat16.
        assert measured["labels"][label]["dice"]["mean"] == pytest.approx(
            stated["labels"][label]["dice"]["mean"], abs=0.002
        )
        assert measured["labels"][label]["missed"] == stated["labels"][label]["missed"]
    assert measured["overall"]["dice"]["mean"] >= 0.86


@pytest.mark.long
def test_the_demonstration_bundle_learns_the_sample(tmp_path: Path) -> None:
    dataset = make_sample(tmp_path / "data").parent
    config = BUNDLES / "synthetic_shapes" / "configs" / "train.json"
    run("training", "--config_file", config, "--dataset_dir", dataset, "--ckpt_dir", tmp_path / "run")
    summary = evaluate("synthetic_shapes", dataset, tmp_path, "--checkpoint", tmp_path / "run" / "model.pt")
    assert summary["labels"]["ellipsoid"]["dice"]["mean"] > 0.7
    assert summary["labels"]["shell"]["dice"]["mean"] > 0.7
    # The tube is small and weak; a network that calls everything background has 0 here.
    assert summary["labels"]["tube"]["dice"]["mean"] > 0.15
