"""Nested regions, ignored values and partly annotated cases through the rendered recipe: trainings of seconds."""

import csv
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import yaml
from monai.bundle import run

from pipeline.bundle.render import write_rendered
from pipeline.data.errors import InputError, input_error_behind

PLAN = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes" / "plan.yaml"
LABELS = {"background": 0, "rim": 1, "core": 2}
REGIONS = {"regions": {"whole": ["rim", "core"], "core": ["core"]}, "region_order": {"whole": "rim", "core": "core"}}
IGNORED = 255


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures of a bright disc with a brighter core; the folder of a dataset."""
    folder = tmp_path_factory.mktemp("discs")
    rng = np.random.default_rng(0)
    items = []
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir()
    for i in range(6):
        x, y = np.mgrid[:48, :48]
        distance = (x - rng.integers(20, 28)) ** 2 + (y - rng.integers(20, 28)) ** 2
        label = ((distance < 180).astype(np.uint8) + (distance < 60)).astype(np.uint8)
        image = (60 * label + rng.normal(0, 15, label.shape)).astype(np.float32)
        item = {"image": f"imagesTr/disc_{i}.nii.gz", "label": f"labelsTr/disc_{i}.nii.gz"}
        nib.save(nib.Nifti1Image(image, np.eye(4)), folder / item["image"])
        nib.save(nib.Nifti1Image(label, np.eye(4)), folder / item["label"])
        items.append({**item, "fold": i % 3})
    (folder / "dataset.json").write_text(json.dumps({"training": items}))
    return folder


def copy_discs(discs: Path, folder: Path, change: Any = None, annotated: Mapping[int, list[str]] | None = None) -> Path:
    """Copy the dataset with label maps changed by a function of their number and voxels."""
    (folder / "labelsTr").mkdir(parents=True)
    shutil.copytree(discs / "imagesTr", folder / "imagesTr")
    content = {**json.loads((discs / "dataset.json").read_text()), "labels": LABELS}
    for number, item in enumerate(content["training"]):
        label = np.asarray(nib.load(discs / item["label"]).dataobj)
        label = label if change is None else change(number, label.copy())
        nib.save(nib.Nifti1Image(label, np.eye(4)), folder / item["label"])
        if number in (annotated or {}):
            item["annotated"] = annotated[number]
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def make_bundle(folder: Path, **keys: Any) -> Path:
    plan = yaml.safe_load(PLAN.read_text())
    plan |= {
        "labels": LABELS,
        "spacing": [1.0, 1.0],
        "patch": [32, 32],
        "window": [32, 32],
        "mirror_axes": [0, 1],
        **{key: value for key, value in keys.items() if key != "loss"},
    }
    plan["network"] |= {"channels": [8, 16, 16]}
    plan["training"] |= {"epochs": 6, "val_interval": 3, "warmup_epochs": 0, "learning_rate": 0.01}
    plan["training"] |= {"loss": keys["loss"]} if "loss" in keys else {}
    folder.mkdir(parents=True)
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan, sort_keys=False))
    write_rendered(folder)
    return folder / "configs" / "train.json"


def train(config: Path, data: Path, **settings: Any) -> list[dict[str, str]]:
    """Run a training; return the rows of its history."""
    given = {"device": "cpu", "precision": "float32", "tracking": None, "used_tracking": "none", **settings}
    run("training", config_file=str(config), logging_file=False, dataset_dir=str(data), **given)
    with (config.parents[1] / "runs" / "fold_0" / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
@pytest.mark.usefixtures("own_process")
def test_nested_regions_train(discs: Path, tmp_path: Path) -> None:
    config = make_bundle(tmp_path / "bundle", **REGIONS)
    rows = train(config, discs)
    assert [name for name in rows[0] if name.startswith("val_")] == ["val_mean_dice", "val_dice_whole", "val_dice_core"]
    assert float(rows[-1]["val_dice_whole"]) > 0.5
    spec = json.loads((tmp_path / "bundle" / "runs" / "fold_0" / "model.json").read_text())
    assert spec["network"]["out_channels"] == 2
    # A resume is of the same regions.
    swapped = {"regions": {"core": ["core"], "whole": ["rim", "core"]}, "region_order": REGIONS["region_order"]}
    other = make_bundle(tmp_path / "other", **swapped)
    with pytest.raises(RuntimeError) as raised:
        train(other, discs, resume=True, epochs=7, ckpt_dir=str(tmp_path / "bundle" / "runs" / "fold_0"))
    assert "regions" in str(input_error_behind(raised.value))


@pytest.mark.slow
@pytest.mark.usefixtures("own_process")
def test_scribbles_train(discs: Path, tmp_path: Path) -> None:
    def scribble(number: int, label: np.ndarray) -> np.ndarray:
        chosen = np.random.default_rng(number).random(label.shape) < 0.03
        return np.where(chosen & (number != 1), label, IGNORED).astype(np.uint8)  # nothing of one case

    data = copy_discs(discs, tmp_path / "data", scribble)
    rows = train(make_bundle(tmp_path / "bundle", ignored_values=[IGNORED]), data)
    assert float(rows[-1]["val_dice_core"]) > 0.5
    assert all(np.isfinite(float(row["train_loss"])) for row in rows)


@pytest.mark.slow
@pytest.mark.usefixtures("own_process")
@pytest.mark.parametrize("regions", [False, True])
def test_partly_annotated_cases_train(discs: Path, tmp_path: Path, regions: bool) -> None:
    annotated = {1: ["core"], 2: ["rim"], 3: ["core"], 4: ["core"]}

    def leave_out(number: int, label: np.ndarray) -> np.ndarray:
        kept = [LABELS[name] for name in annotated.get(number, LABELS)]
        return np.where(np.isin(label, kept), label, 0).astype(np.uint8)

    data = copy_discs(discs, tmp_path / "data", leave_out, annotated)
    config = make_bundle(tmp_path / "bundle", partial_labels=True, **(REGIONS if regions else {}))
    rows = train(config, data)
    assert float(rows[-1]["val_dice_core"]) > 0.5


@pytest.mark.usefixtures("own_process")
def test_partly_annotated_cases_are_refused_without_a_plan_for_them(discs: Path, tmp_path: Path) -> None:
    data = copy_discs(discs, tmp_path / "data", annotated={1: ["core"]})
    with pytest.raises(RuntimeError) as raised:
        train(make_bundle(tmp_path / "bundle"), data)
    error = input_error_behind(raised.value)
    assert isinstance(error, InputError)
    assert "1 of 6 cases" in error.found
    assert "plan" in error.remedy
