"""The same recipes in 2D with one foreground label: a plan written by a user, rendered, trained and evaluated."""

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml

from pipeline.bundle.render import write_rendered

Start = Callable[..., "subprocess.CompletedProcess[str]"]
PLAN = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes" / "plan.yaml"


@pytest.mark.slow
def test_a_two_dimensional_bundle_with_one_label_trains_and_evaluates(warm_start: Start, tmp_path: Path) -> None:
    def run(*words: str) -> None:
        done = warm_start("-W", "ignore", "-m", "monai.bundle", "run", *words)
        assert done.returncode == 0, done.stdout + done.stderr

    make_discs(tmp_path / "data")
    bundle = make_bundle(tmp_path / "discs")
    configs = bundle / "configs"
    data = ["--dataset_dir", str(tmp_path / "data")]
    run("training", "--config_file", str(configs / "train.json"), *data, "--ckpt_dir", str(tmp_path / "run"))
    files = f"['{configs / 'train.json'}','{configs / 'evaluate.json'}']"
    weights = ["--checkpoint", str(tmp_path / "run" / "model.pt"), "--output_dir", str(tmp_path / "evaluation")]
    run("evaluating", "--config_file", files, *data, *weights)
    with (tmp_path / "evaluation" / "cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["case"], row["label"], row["size_unit"]) for row in rows] == [
        ("disc_0", "disc", "mm2"),
        ("disc_3", "disc", "mm2"),
    ]
    # Bright discs on a dark ground: anything that learns at all finds them.
    assert np.mean([float(row["dice"]) for row in rows]) > 0.7


def make_discs(folder: Path) -> None:
    rng = np.random.default_rng(0)
    affine = np.diag([0.8, 0.9, 1.0, 1.0])
    items = []
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    for i in range(6):
        x, y = np.mgrid[:70, :60]
        disc = ((x - rng.integers(27, 43)) ** 2 + (y - 30) ** 2 < rng.integers(80, 200)).astype(np.uint8)
        image = (100 * disc + rng.normal(0, 30, disc.shape)).astype(np.float32)
        item = {"image": f"./imagesTr/disc_{i}.nii.gz", "label": f"./labelsTr/disc_{i}.nii.gz"}
        nib.save(nib.Nifti1Image(image, affine), folder / item["image"])
        nib.save(nib.Nifti1Image(disc, affine), folder / item["label"])
        items.append({**item, "fold": i % 3})
    (folder / "dataset.json").write_text(json.dumps({"training": items}))


def make_bundle(folder: Path) -> Path:
    plan = yaml.safe_load(PLAN.read_text())
    plan |= {
        "name": "discs",
        "labels": {"background": 0, "disc": 1},
        "spacing": [1.0, 1.0],
        "patch": [48, 48],
        "window": [48, 48],
        "mirror_axes": [0, 1],
    }
    plan["training"] |= {"epochs": 10, "val_interval": 5, "warmup_epochs": 1, "learning_rate": 0.003}
    folder.mkdir()
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    write_rendered(folder)
    return folder
