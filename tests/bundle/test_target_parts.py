"""The parts of a training's config that depend on its labels: as before without regions, ignored and partial labels."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.bundle.render import write_rendered

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"
PLAIN = sorted(file.parents[1].name for file in BUNDLES.glob("*/configs/train.json"))
# Synthetic shapes: ellipsoid 1, shell 2, tube 3.
REGIONS = {
    "regions": {"body": ["ellipsoid", "shell"], "shell_only": ["shell"], "tube_only": ["tube"]},
    "region_order": {"body": "ellipsoid", "shell_only": "shell", "tube_only": "tube"},
}


def render(folder: Path, **keys: Any) -> Any:
    plan = yaml.safe_load((BUNDLES / "synthetic_shapes" / "plan.yaml").read_text())
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan | keys, sort_keys=False))
    write_rendered(folder)
    return json.loads((folder / "configs" / "train.json").read_text())


@pytest.mark.parametrize("name", PLAIN)
def test_a_plan_without_them_has_monais_parts(name: str) -> None:
    text = (BUNDLES / name / "configs" / "train.json").read_text()
    for part in ("SegmentationLoss", "target_table", "KnownDice", "CodeLabelsd", "LabelPositionsd", "annotated"):
        assert part not in text
    config = json.loads(text)
    transforms = {part.get("_target_"): part for part in config["train"]["deterministic_transforms"]}
    assert transforms["SpatialPadd"] == {
        "_target_": "SpatialPadd",
        "keys": ["image", "label"],
        "spatial_size": "@patch",
    }
    assert transforms["ClassesToIndicesd"]["num_classes"] == "@num_labels"
    assert transforms["EnsureTyped"]["dtype"] == ["$torch.float32", "$torch.uint8"]
    metric = config["validate"]["key_metric"]["val_mean_dice"]["metric_fn"]
    assert metric == {"_target_": "pipeline.evaluation.PresentDice", "num_classes": "@out_channels"}
    identity = next(part for part in config["train"]["handlers"] if "identity" in part)["identity"]
    assert {"regions", "ignored_values", "partial_labels"}.isdisjoint(identity)
    assert "label_outside" not in config["train"]["prepare_batch"]


def test_regions(tmp_path: Path) -> None:
    config = render(tmp_path, **REGIONS)
    assert (config["out_channels"], config["num_labels"]) == (3, 4)
    regions = {"body": [1, 2], "shell_only": [2], "tube_only": [3]}
    assert config["targets"]["regions"] == regions
    assert "annotated_sets" not in config
    assert config["loss"]["loss"]["targets"] == "@targets"
    progress = next(part for part in config["train"]["handlers"] if part["_target_"].endswith("Progress"))
    assert progress["labels"] == {"body": 1, "shell_only": 2, "tube_only": 3}
    identity = next(part for part in config["train"]["handlers"] if "identity" in part)["identity"]
    # A list, since mappings are equal whatever their order, which is that of the channels.
    assert identity["regions"] == ["body: ellipsoid, shell", "shell_only: shell", "tube_only: tube"]
    kinds = [part.get("_target_") for part in config["validate"]["postprocessing"]["transforms"]]
    assert kinds == ["Activationsd", "pipeline.labelmaps.regions.DecodeRegionsd"]


def test_ignored_values(tmp_path: Path) -> None:
    values = {"background": 10, "ellipsoid": 7, "shell": 8, "tube": 9}
    config = render(tmp_path, ignored_values=[255, 0], label_values=values)
    transforms = config["train"]["deterministic_transforms"]
    coding = next(part for part in transforms if part["_target_"].endswith("CodeLabelsd"))
    assert (coding["values"], coding["ignored"]) == ([10, 7, 8, 9], [255, 0])
    padding = [part for part in transforms if part["_target_"] == "SpatialPadd"]
    assert [(part["keys"], part.get("value", 0)) for part in padding] == [(["image"], 0), (["label"], 4)]
    assert config["train"]["prepare_batch"]["label_outside"] == 4
    positions = next(part for part in transforms if part["_target_"].endswith("LabelPositionsd"))
    assert (positions["num_classes"], positions["ratios"]) == ("@num_labels", "@class_ratios")
    assert config["ignored_values"] == [255, 0]


def test_partial_labels(tmp_path: Path) -> None:
    config = render(tmp_path, partial_labels=True)
    assert config["targets"]["annotated"] == "@annotated_sets"
    assert config["train"]["dataset"]["data"]["cases"] == "@train_cases"
    assert config["validate"]["dataset"]["data"]["cases"] == "@val_cases"
    for part in (config["train"]["deterministic_transforms"], config["validate"]["preprocessing"]["transforms"]):
        assert part[-1]["_target_"] == "pipeline.training.MarkAnnotatedd"


@pytest.mark.parametrize(("number", "kind"), [(255, "$torch.uint8"), (256, "$torch.int32")])
def test_the_value_of_ignored_voxels_fits_into_the_label_maps_type(number: int, kind: str, tmp_path: Path) -> None:
    render(tmp_path, labels={"background": 0, **{f"s{n}": n for n in range(1, number)}}, ignored_values=[-1])
    for name in ("train", "evaluate"):
        config = json.loads((tmp_path / "configs" / f"{name}.json").read_text())
        preprocessing = config.get("validate#preprocessing") or config["validate"]["preprocessing"]
        [typed] = [part for part in preprocessing["transforms"] if part["_target_"] == "EnsureTyped"]
        assert typed["dtype"] == ["$torch.float32", kind]


def test_one_process_and_several_check_the_same(tmp_path: Path) -> None:
    one = render(tmp_path, ignored_values=[255])
    several = json.loads((tmp_path / "configs" / "multi_gpu_train.json").read_text())
    checks = [next(line for line in each["initialize"] if "check_cases" in line) for each in (one, several)]
    assert checks[0].partition(" if ")[0] == checks[1].partition(" if ")[0]
    assert "ignored=@ignored_values" in checks[0]
