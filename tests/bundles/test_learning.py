"""What the shipped bundles have learned, and that a bundle learns."""

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.sample import make_sample

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"


Start = Callable[..., "subprocess.CompletedProcess[str]"]


def run(start: Start, *words: str | Path) -> None:
    done = start("-W", "ignore", "-m", "monai.bundle", "run", *words)
    assert done.returncode == 0, done.stdout + done.stderr


def evaluate(start: Start, bundle: str, dataset: Path, output: Path, *words: str | Path) -> dict[str, Any]:
    configs = BUNDLES / bundle / "configs"
    files = f"['{configs / 'train.json'}','{configs / 'evaluate.json'}']"
    run(start, "evaluating", "--config_file", files, "--dataset_dir", dataset, "--output_dir", output, *words)
    summary: dict[str, Any] = json.loads((output / "summary.json").read_text())
    return summary


def read_dice(table: Path) -> dict[tuple[str, str], float]:
    with table.open(newline="") as file:
        return {(row["case"], row["label"]): float(row["dice"]) for row in csv.DictReader(file)}


# Another CPU rounds otherwise, above all where it has no bfloat16.


@pytest.mark.slow
@pytest.mark.real
def test_the_shipped_hippocampus_weights_score_what_their_table_says(
    real_data: Path, warm_start: Start, tmp_path: Path
) -> None:
    configs = BUNDLES / "hippocampus_mri" / "configs"
    content = json.loads((configs / "datalist.json").read_text())
    content["training"] = [item for item in content["training"] if item["fold"] == 0][:5]
    (tmp_path / "few.json").write_text(json.dumps(content))
    folder = real_data / "hippocampus"
    measured = evaluate(warm_start, "hippocampus_mri", folder, tmp_path, "--datalist", tmp_path / "few.json")
    assert measured["cases"] == 5
    found, stated = (read_dice(file) for file in (tmp_path / "cases.csv", configs.parent / "docs/results/cases.csv"))
    assert len(found) == 10
    assert found == pytest.approx({key: stated[key] for key in found}, abs=0.01)


@pytest.mark.real
@pytest.mark.long
def test_the_shipped_hippocampus_weights_score_what_their_document_says(
    real_data: Path, warm_start: Start, tmp_path: Path
) -> None:
    measured = evaluate(warm_start, "hippocampus_mri", real_data / "hippocampus", tmp_path)
    stated = json.loads((BUNDLES / "hippocampus_mri" / "docs" / "results" / "summary.json").read_text())
    assert measured["cases"] == stated["cases"] == 42
    for label in ("anterior", "posterior"):
        assert measured["labels"][label]["dice"]["mean"] == pytest.approx(
            stated["labels"][label]["dice"]["mean"], abs=0.002
        )
        assert measured["labels"][label]["missed"] == stated["labels"][label]["missed"]
    assert measured["overall"]["dice"]["mean"] >= 0.86


@pytest.mark.long
def test_the_demonstration_bundle_learns_the_sample(warm_start: Start, tmp_path: Path) -> None:
    dataset = make_sample(tmp_path / "data").parent
    config = BUNDLES / "synthetic_shapes" / "configs" / "train.json"
    run(warm_start, "training", "--config_file", config, "--dataset_dir", dataset, "--ckpt_dir", tmp_path / "run")
    words = ["--checkpoint", tmp_path / "run" / "model.pt"]
    summary = evaluate(warm_start, "synthetic_shapes", dataset, tmp_path, *words)
    assert summary["labels"]["ellipsoid"]["dice"]["mean"] > 0.7
    assert summary["labels"]["shell"]["dice"]["mean"] > 0.7
    # The tube is small and weak; a network that calls everything background has 0 here.
    assert summary["labels"]["tube"]["dice"]["mean"] > 0.15
