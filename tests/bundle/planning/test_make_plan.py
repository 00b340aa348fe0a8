"""Plans of hand-made datasets: an expert's expectations, and their form."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from monai.bundle import ConfigParser

from pipeline.bundle.plan import load_plan
from pipeline.bundle.planning.choice import Choice
from pipeline.bundle.planning.make_plan import PlannedBundle, make_plan
from pipeline.bundle.planning.new_bundle import write_bundle
from pipeline.bundle.planning.resources import Resources
from pipeline.bundle.planning.write import plan_text
from pipeline.bundle.schema import Plan
from pipeline.data.dataset import Dataset, read_dataset
from pipeline.data.errors import InputError

GB = 10**9
CT = {"shape": (512, 512, 300), "spacing": (0.8, 0.8, 1.5), "channels": ["CT"], "lowest": -1024.0, "share": 0.002}
ORGANS = {"background": 0} | {f"organ_{number}": number for number in range(1, 21)}
# Words, which are no choices.
WORDS = {"name", "title", "version", "changelog", "task", "description", "intended_use", "authors", "copyright"}
WORDS |= {"references", "manifest", "source"}


@pytest.fixture
def planned(
    tmp_path: Path,
    make_report: Callable[..., dict[str, Any]],
    make_dataset: Callable[..., Dataset],
    steady: Callable[..., Resources],
) -> Callable[..., PlannedBundle]:
    def make(
        *, memory: float = 8, device: str = "cpu", hours: float = 1, entries: Any = None, options: Any = None, **of: Any
    ) -> PlannedBundle:
        report = make_report(**of)
        resources = steady(memory=int(memory * GB), device=device, hours=hours)
        dataset = make_dataset(tmp_path, report, **(entries or {}))
        return make_plan(dataset, report, "odd", tmp_path / "bundles" / "odd", resources=resources, **(options or {}))

    return make


def values(content: Any) -> Any:
    if isinstance(content, Choice):
        return content.value
    return {key: values(item) for key, item in content.items()} if isinstance(content, dict) else content


def choices(content: dict[str, Any]) -> list[tuple[str, Choice]]:
    nested = [pair for item in content.values() if isinstance(item, dict) for pair in choices(item)]
    return [(key, item) for key, item in content.items() if isinstance(item, Choice)] + nested


HARD = {
    "hippocampus": {"cases": 208, "shape": (35, 50, 36), "hours": 0.75},
    "thick MR": {"shape": (320, 320, 12), "spacing": (0.6, 0.6, 6.0), "hours": 2},
    "thick MR, GPU": {
        "shape": (320, 320, 12),
        "spacing": (0.6, 0.6, 6.0),
        "hours": 24,
        "device": "cuda",
        "memory": 24,
    },
    "BraTS": {"shape": (240, 240, 155), "channels": ["FLAIR", "T1w", "t1gd", "T2w"], "zeros": 0.8, "memory": 16},
    "CT, GPU": {**CT, "labels": ORGANS, "cases": 100, "device": "cuda", "memory": 24, "hours": 24},
    "CT, too little memory": {**CT, "labels": ORGANS, "hours": 12},
    "two cases": {"cases": 2, "folds": 2},
    "tiny pictures": {"shape": (64, 64), "spacing": (1.0, 1.0), "channels": ["US"]},
    "one voxel thick": {"shape": (256, 256, 1), "spacing": (1.0, 1.0, 5.0)},
    "a gigabyte": {"memory": 1},
    "36 seconds": {"hours": 0.01},
    "other values": {"labels": {"background": 255, "membrane": 0}, "shape": (512, 512), "spacing": (1.0, 1.0)},
}


# That plan takes 10 seconds: no network fits before the scans are coarser.
CASES = [pytest.param(case, marks=pytest.mark.slow if case == "CT, too little memory" else ()) for case in HARD]
_made: dict[str, PlannedBundle] = {}


@pytest.fixture
def hard(planned: Callable[..., PlannedBundle]) -> Callable[[str], PlannedBundle]:
    """Plans of `HARD`, each made once for all tests: they only look at it."""

    def make(case: str) -> PlannedBundle:
        if case not in _made:
            _made[case] = planned(**HARD[case])
        return _made[case]

    return make


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_plans_are_read_back_as_they_were_meant(case: str, hard: Callable[[str], PlannedBundle]) -> None:
    made = hard(case)
    text = plan_text(made.content, heading="A plan.")
    content = yaml.safe_load(text)
    assert content == values(made.content)
    Plan.model_validate(content)
    # Every reason stands in a comment of its own.
    comments = " ".join(line.partition("#")[2].strip() for line in text.splitlines())
    for key, choice in choices(made.content):
        assert choice.reason
        assert choice.reason in comments, key
    assert all(len(line) <= 120 for line in text.splitlines() if not line.startswith("- "))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_every_choice_has_a_reason(case: str, hard: Callable[[str], PlannedBundle]) -> None:
    def without(content: dict[str, Any]) -> list[str]:
        chosen = {key: item for key, item in content.items() if key not in WORDS}
        below = [key for item in chosen.values() if isinstance(item, dict) for key in without(item)]
        return [key for key, item in chosen.items() if not isinstance(item, Choice | dict)] + below

    assert without(hard(case).content) == []


@pytest.mark.parametrize("case", CASES)
def test_plans_keep_memory_and_hours(case: str, hard: Callable[[str], PlannedBundle]) -> None:
    assert hard(case).memory <= HARD[case].get("memory", 8) * GB
    assert hard(case).content["training"]["minutes"].value == 60 * HARD[case].get("hours", 1)


@pytest.mark.parametrize("case", CASES)
def test_a_window_has_the_size_of_a_patch(case: str, hard: Callable[[str], PlannedBundle]) -> None:
    # A squeeze (cse, scse, project_excite) is a mean over the one in training, and over the other in inference.
    content = values(hard(case).content)
    assert content["window"] == content["patch"]


def test_configs_train_validate_and_predict_with_the_size_of_the_plan(
    planned: Callable[..., PlannedBundle], tmp_path: Path
) -> None:
    made = planned()
    bundle = tmp_path / "bundles" / "odd"
    write_bundle(bundle, made)
    train, inference = ConfigParser(), ConfigParser()
    train.read_config([str(bundle / "configs" / name) for name in ("train.json", "evaluate.json")])
    inference.read_config(str(bundle / "configs" / "inference.json"))
    keys = ("train#random_transforms#0#spatial_size", "validate#inferer#roi_size")
    sizes = [train.get_parsed_content(key) for key in keys] + [inference.get_parsed_content("inferer").roi_size]
    assert [list(size) for size in sizes] == [values(made.content)["patch"]] * 3


def test_hippocampus_is_planned_as_its_bundle_was(hard: Callable[[str], PlannedBundle]) -> None:
    content = values(hard("hippocampus").content)
    assert content["patch"] == content["window"] == [40, 56, 40]
    assert content["network"]["channels"] == [16, 32, 64, 128]
    assert content["network"]["convs_per_level"] == [1, 2, 2, 2]
    assert content["network"]["kernel_size"] == 3
    assert "strides" not in content["network"]
    assert (content["batch"], content["training"]["samples_per_case"]) == (2, 1)
    assert content["mirror_axes"] == [0, 1, 2]
    assert content["normalisation"] == "zscore"
    assert content["skip"] == "sat4"
    assert content["window_overlap"] == 0.5
    assert content["class_ratios"] == [1, 1]


def test_a_short_training_is_planned_for_its_time(planned: Callable[..., PlannedBundle]) -> None:
    assert values(planned(cases=208, shape=(35, 50, 36), hours=0.1).content)["mirror_axes"] == []
    assert values(planned(cases=208, shape=(35, 50, 36), hours=1).content)["mirror_axes"] == [0, 1, 2]


def test_thick_slices_stay_whole_and_unmixed(hard: Callable[[str], PlannedBundle]) -> None:
    for case in ("thick MR", "thick MR, GPU"):
        content = values(hard(case).content)
        assert content["spacing"] == [0.6, 0.6, 6]
        assert content["patch"][2] == 12
        assert content["network"]["kernel_size"][0] == [3, 3, 1]
        assert content["network"]["strides"][0] == [2, 2, 1]
        assert content["evaluation"]["tolerance_mm"] == 1
    assert content["patch"] == [320, 320, 12]


def test_brains_without_skulls_are_normalised_by_what_is_left(hard: Callable[[str], PlannedBundle]) -> None:
    content = values(hard("BraTS").content)
    assert content["normalisation"] == "zscore_nonzero"
    assert content["data"]["modality"] == "MRI"
    assert content["data"]["channels"] == ["FLAIR", "T1w", "t1gd", "T2w"]


def test_a_ct_on_a_gpu_is_worked_at_its_own_spacing(hard: Callable[[str], PlannedBundle]) -> None:
    content = values(hard("CT, GPU").content)
    assert content["spacing"] == [0.8, 0.8, 1.5]
    assert content["normalisation"] == "ct"
    assert content["network"]["channels"] == [32, 64, 128, 256, 320]
    # At least what nnU-Net takes, 128 cubed.
    assert content["patch"][0] * content["patch"][1] * content["patch"][2] >= 128**3
    assert len(content["class_ratios"]) == 21


@pytest.mark.slow
def test_a_ct_that_does_not_fit_is_worked_a_little_coarser(hard: Callable[[str], PlannedBundle]) -> None:
    made = hard("CT, too little memory")
    spacing = made.content["spacing"]
    # As coarse as has to be: logits of 21 classes are what takes memory, not ten times coarser than the scans.
    assert 0.8 < spacing.value[0] <= 1.6
    assert spacing.value[2] / spacing.value[0] == pytest.approx(1.5 / 0.8, rel=0.01)
    assert "no network fits in 7.45 GiB" in spacing.reason


@pytest.mark.slow
def test_a_scan_of_too_many_patches_is_worked_coarser(planned: Callable[..., PlannedBundle]) -> None:
    made = planned(**CT, memory=64, hours=1)
    spacing = made.content["spacing"]
    assert spacing.value[0] > 0.8
    assert "patches" in spacing.reason
    shape = [side * mm / new for side, mm, new in zip(CT["shape"], CT["spacing"], spacing.value, strict=True)]
    patch = made.size.levels.patch
    assert shape[0] * shape[1] * shape[2] / (patch[0] * patch[1] * patch[2]) <= 64 * 1.3


@pytest.mark.slow
def test_what_cannot_fit_at_any_spacing_is_an_error(planned: Callable[..., PlannedBundle]) -> None:
    with pytest.raises(InputError, match="--memory"):
        planned(memory=0.1)


def test_what_is_given_is_taken(planned: Callable[..., PlannedBundle]) -> None:
    options = {"spacing": [2.0, 2.0, 3.0], "modality": "CT", "skip": "concat"}
    content = planned(options=options, **CT, memory=64).content
    assert content["spacing"] == Choice([2.0, 2.0, 3.0], "mm; set by --spacing")
    assert content["data"]["modality"] == Choice("CT", "set by --modality")
    assert content["skip"] == Choice("concat", "set by --skip")
    with pytest.raises(InputError, match="nonesuch"):
        planned(options={"skip": "nonesuch"})


def test_a_list_of_skips_stands_in_the_plan_with_its_sparsity(planned: Callable[..., PlannedBundle]) -> None:
    content = planned(options={"skip": "['none', 'sat', 'sat']"}).content
    assert content["skip"].value == {"skip": ["none", "sat", "sat"], "sparsity": 1e-4}
    assert content["skip"].reason == "none, sat, sat, finest level first; set by --skip"
    assert "the skip connections none, sat, sat, finest level first that segments" in content["description"]
    assert "1804.05181" in content["references"][0]


def test_concatenation_is_not_called_light(planned: Callable[..., PlannedBundle]) -> None:
    content = planned(options={"skip": "concat"}).content
    assert "A 3D V-Net with the skip connection concat that segments" in content["description"]
    assert not any("1804.05181" in reference for reference in content["references"])


def test_skips_for_another_number_of_levels_are_an_error(planned: Callable[..., PlannedBundle]) -> None:
    # 40 x 50 x 36 voxels have four levels, and so three skips.
    with pytest.raises(InputError, match="skip has 4 entries; expected 3") as raised:
        planned(options={"skip": "['none', 'sat', 'sat', 'sat']"})
    assert raised.value.where == "--network vnet, --skip ['none', 'sat', 'sat', 'sat']"


def test_values_in_the_files_are_kept_apart_from_the_networks(planned: Callable[..., PlannedBundle]) -> None:
    content = values(planned(labels={"background": 0, "liver": 3, "tumour": 7}).content)
    assert content["labels"] == {"background": 0, "liver": 1, "tumour": 2}
    assert content["label_values"] == {"background": 0, "liver": 3, "tumour": 7}
    assert "label_values" not in planned(labels={"background": 0, "liver": 1}).content


def test_sided_labels_are_not_mirrored_and_not_cut(planned: Callable[..., PlannedBundle]) -> None:
    content = values(
        planned(labels={"background": 0, "left_lung": 1, "right_lung": 2}, shape=(160, 160, 160), hours=4).content
    )
    assert content["mirror_axes"] == [1, 2]
    assert content["patch"][0] == 160
    assert content["patch"][1] < 160


def test_mostly_labelled_scans_give_every_label_its_turn(planned: Callable[..., PlannedBundle]) -> None:
    labels = {"background": 0, "a": 1, "b": 2, "c": 3}
    assert values(planned(labels=labels, share=0.2).content)["class_ratios"] == [1, 1, 1, 1]
    assert values(planned(labels=labels, share=0.01).content)["class_ratios"] == [3, 1, 1, 1]


def test_a_label_that_no_case_has_is_not_named_the_smallest(
    tmp_path: Path,
    make_report: Callable[..., dict[str, Any]],
    make_dataset: Callable[..., Dataset],
    steady: Callable[..., Resources],
) -> None:
    report = make_report(labels={"background": 0, "organ": 1, "absent": 2})
    for case in report["cases"]:
        del case["classes"]["absent"]
    resources = steady(memory=8 * GB, device="cpu")
    made = make_plan(make_dataset(tmp_path, report), report, "odd", tmp_path / "b" / "odd", resources=resources)
    assert "the smallest, organ, is 3.00%" in made.content["class_ratios"].reason


def test_paths_are_those_from_the_bundle(planned: Callable[..., PlannedBundle], tmp_path: Path) -> None:
    data = values(planned().content)["data"]
    assert data["manifest"] == "../../list.json"
    assert data["folder"] == "../../scans"
    assert "folder" not in values(planned(entries={"folder": None}).content)["data"]


def test_a_folder_given_by_hand_goes_before_the_datalists(
    tmp_path: Path,
    make_report: Callable[..., dict[str, Any]],
    make_dataset: Callable[..., Dataset],
    steady: Callable[..., Resources],
) -> None:
    report = make_report()
    file = make_dataset(tmp_path, report).file
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "scan").touch()
    dataset = read_dataset(file, tmp_path / "elsewhere")
    resources = steady(memory=8 * GB, device="cpu")
    made = make_plan(dataset, report, "odd", tmp_path / "b" / "odd", resources=resources)
    assert values(made.content)["data"]["folder"] == "../../elsewhere"


def test_paths_lead_through_a_linked_folder_of_bundles(
    tmp_path: Path,
    make_report: Callable[..., dict[str, Any]],
    make_dataset: Callable[..., Dataset],
    steady: Callable[..., Resources],
) -> None:
    (tmp_path / "deep" / "down" / "store").mkdir(parents=True)
    (tmp_path / "bundles").symlink_to(tmp_path / "deep" / "down" / "store")
    report = make_report()
    dataset = make_dataset(tmp_path, report)
    bundle = tmp_path / "bundles" / "odd"
    write_bundle(bundle, make_plan(dataset, report, "odd", bundle, resources=steady(memory=8 * GB, device="cpu")))
    data = load_plan(bundle).data
    assert data.manifest is not None
    assert data.folder is not None
    assert (bundle / data.manifest).samefile(dataset.file)
    assert (bundle / data.folder).samefile(dataset.folder)
    assert os.path.relpath(dataset.file, bundle) != data.manifest


NAMES = [
    "TO FILL IN: x",
    "{x}",
    "yes",
    "1",
    "#",
    "a#b",
    "a::b",
    "a: b",
    'it\'s "so"',
    "器官 ü 😀",
    "two\nlines",
    "o" * 300,
]


def test_odd_names_break_neither_plan_nor_configs_nor_documents(
    planned: Callable[..., PlannedBundle], tmp_path: Path
) -> None:
    labels = {name: value for value, name in enumerate(["background", *NAMES])}
    entries = {key: " ".join(NAMES) for key in ("name", "licence", "reference")}
    made = planned(labels=labels, channels=NAMES[:3], entries=entries)
    bundle = tmp_path / "bundles" / "odd"
    write_bundle(bundle, made)
    plan = load_plan(bundle)
    assert plan.labels == labels
    assert plan.data.channels == NAMES[:3]
    assert plan.data.licence == plan.data.source == " ".join(" ".join(NAMES).split())
    parser = ConfigParser()
    parser.read_config([str(bundle / "configs" / "train.json")])
    assert parser.get_parsed_content("labels") == labels
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    outputs = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
    assert list(outputs.values()) == ["background", *NAMES]
    readme = (bundle / "docs" / "README.md").read_text(encoding="utf-8")
    for name, value in list(labels.items())[1:]:
        assert f"| {' '.join(name.split())} | {value} | 10 of 10 |" in readme
    # A name with these words is not one that is left to fill in.
    assert made.to_fill_in == ["authors", "copyright", "intended_use"]
