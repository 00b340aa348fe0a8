import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.bundle.at_hand.about import read_about

Make = Callable[..., Path]
BUNDLES = Path(__file__).resolve().parents[3] / "bundles"


@pytest.mark.parametrize("name", ["em_membrane", "hippocampus_mri", "left_right", "synthetic_shapes"])
def test_shipped_bundles_have_the_facts_of_their_plan(name: str) -> None:
    plan = yaml.safe_load((BUNDLES / name / "plan.yaml").read_text())
    about = read_about(BUNDLES / name)
    assert (about.title, about.version, about.task) == (plan["title"], plan["version"], plan["task"])
    assert (about.labels, list(about.channels)) == (plan["labels"], plan["data"]["channels"])
    assert (about.modality, about.licence) == (plan["data"]["modality"], plan["data"]["licence"])
    assert about.spacing == tuple(plan["spacing"])
    assert (about.weights is not None) == (BUNDLES / name / "models" / "model.pt").is_file()
    assert about.problem == ""


def test_the_dice_is_that_of_the_documents() -> None:
    dice = read_about(BUNDLES / "hippocampus_mri").dice
    summary = json.loads((BUNDLES / "hippocampus_mri" / "docs" / "results" / "summary.json").read_text())
    assert dice is not None
    assert dice.mean == summary["overall"]["dice"]["mean"] == pytest.approx(0.8949, abs=1e-4)
    assert dice.labels == {name: one["dice"]["mean"] for name, one in summary["labels"].items()}
    assert (dice.cases, dice.file) == (42, "docs/results/summary.json")


def summary_of(mean: Any) -> dict[str, Any]:
    return {"cases": 3, "labels": {"spleen": {"dice": {"mean": mean}}}, "overall": {"dice": {"mean": mean}}}


def test_without_documents_the_latest_evaluation_counts(tmp_path: Path, make_bundle: Make) -> None:
    files = {f"evaluation/fold_{fold}/summary.json": summary_of(0.5 + fold / 10) for fold in range(3)}
    bundle = make_bundle(tmp_path / "spleen", files)
    for seconds, fold in enumerate((2, 1, 0)):
        written = 1_700_000_000 + seconds
        os.utime(bundle / "evaluation" / f"fold_{fold}" / "summary.json", (written, written))
    dice = read_about(bundle).dice
    assert dice is not None
    assert (dice.mean, dice.cases, dice.file) == (0.5, 3, "evaluation/fold_0/summary.json")


def test_an_exported_bundle_has_its_dice_and_labels_in_the_metadata(tmp_path: Path, make_bundle: Make) -> None:
    metadata = {
        "eval_metrics": {"mean_dice": 0.8, "mean_hd95_mm": 2.0, "spleen_dice": 0.8},
        "network_data_format": {"outputs": {"pred": {"channel_def": {"0": "background", "1": "spleen"}}}},
    }
    about = read_about(make_bundle(tmp_path / "spleen", {"configs/metadata.json": metadata}))
    assert about.labels == {"background": 0, "spleen": 1}
    assert about.dice is not None
    assert (about.dice.mean, about.dice.labels, about.dice.cases) == (0.8, {"spleen": 0.8}, None)


ODD: list[Any] = [None, 3, "text", [1], {"a": [None]}, float("nan")]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_odd_values_leave_facts_out(tmp_path: Path, make_bundle: Make, odd: Any) -> None:
    keys = ("name", "version", "task", "data_source", "network_data_format", "eval_metrics")
    bundle = make_bundle(
        tmp_path / "odd",
        {
            "configs/metadata.json": dict.fromkeys(keys, odd) | {"name": "Odd"},
            "configs/inference.json": {"labels": odd, "preprocessing": {"transforms": [odd, {"_target_": odd}]}},
            "docs/results/summary.json": {"labels": odd, "overall": {"dice": {"mean": odd if odd != 3 else "3"}}},
        },
    )
    about = read_about(bundle)
    assert (about.title, about.labels, about.spacing, about.dice) == ("Odd", {}, None, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [("{", "metadata.json cannot be read"), ("[]", "is not a mapping"), ("[" * 100_000, "cannot be read")],
    ids=["cut off", "list", "deep"],
)
def test_damaged_files_are_named(tmp_path: Path, make_bundle: Make, text: str, problem: str) -> None:
    about = read_about(make_bundle(tmp_path / "bad", {"configs/metadata.json": text}))
    assert problem in about.problem
    assert about.task == ""


def test_configs_that_are_not_rendered_are_named(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("name: new\n")
    assert read_about(tmp_path).problem == "no configs/metadata.json"


@pytest.mark.parametrize("exported", [True, False])
def test_regions_are_listed_with_their_labels(tmp_path: Path, make_bundle: Make, exported: bool) -> None:
    labels = {"background": 0, "edema": 1, "core": 2}
    decision = {"_target_": "pipeline.labelmaps.regions.DecodeRegionsd", "regions": [[1, 2], [2]]}
    outputs = {"pred": {"channel_def": {"0": "whole", "1": "core"}}}
    metadata = {"network_data_format": {"outputs": outputs}} | ({"labels": labels} if exported else {})
    config = {"postprocessing": {"transforms": [{"_target_": "Activationsd"}, decision]}}
    config |= {} if exported else {"labels": labels}
    about = read_about(
        make_bundle(tmp_path / "b", {"configs/metadata.json": metadata, "configs/inference.json": config})
    )
    assert about.labels == labels
    assert about.regions == {"whole": ("edema", "core"), "core": ("core",)}


@pytest.mark.parametrize("decision", [{"regions": None}, {"regions": [1, [7]]}, {}])
def test_damaged_regions_leave_facts_out(tmp_path: Path, make_bundle: Make, decision: dict[str, Any]) -> None:
    step = {"_target_": "pipeline.labelmaps.regions.DecodeRegionsd", **decision}
    config = {"labels": {"background": 0, "a": 1}, "postprocessing": {"transforms": [step]}}
    assert not any(read_about(make_bundle(tmp_path / "b", {"configs/inference.json": config})).regions.values())
