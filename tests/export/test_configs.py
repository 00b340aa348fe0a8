"""The configs of exported bundles, read as MONAI reads them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from ignite.engine import Engine
from monai.bundle import ConfigParser, ReferenceResolver
from monai.transforms import Compose, MapLabelValued
from torch import nn

from pipeline.bundle.plan import Plan, load_plan
from pipeline.bundle.recipe import fill_recipe
from pipeline.bundle.schema import Postprocessing
from pipeline.data.errors import InputError
from pipeline.export.configs import CONFIGS, export_configs
from pipeline.export.layout import Layout
from pipeline.export.scripts import carry_code
from pipeline.export.targets import list_targets, retarget

REPOSITORY = Path(__file__).resolve().parents[2]
RECIPES = REPOSITORY / "configs"
BUNDLES = sorted(path.parent for path in (REPOSITORY / "bundles").glob("*/plan.yaml"))
# What runs together: each overlays those before it.
RUNS = [
    ("train",),
    ("train", "evaluate"),
    ("train", "multi_gpu_train"),
    ("train", "evaluate", "multi_gpu_evaluate"),
    ("inference",),
    ("inference", "inference_trt"),
]
# What the model zoo's own test of a segmentation bundle overrides.
OF_THE_ZOO = {
    ("train",): [
        "dataset_dir", "images", "labels", "epochs", "train#dataset#cache_rate", "validate#dataset#cache_rate",
        "train#dataloader#num_workers", "validate#dataloader#num_workers", "train#random_transforms#0#spatial_size",
    ],
    ("inference",): ["datalist", "handlers#0", "inferer#roi_size"],
}  # fmt: skip
LAYOUT = Layout()
Read = Callable[..., ConfigParser]


def changed(plan: Plan, **changes: Any) -> Plan:
    return plan.model_copy(update=changes)


def exported(
    bundle: Path,
    plan: Plan | None = None,
    *,
    skip: Any = "sat",
    layout: Layout = LAYOUT,
    listed: bool = True,
) -> dict[str, dict[str, Any]]:
    """The exported configs of a bundle, with the names that parts have in the carried package."""
    plan = load_plan(bundle) if plan is None else plan
    network = {"target": plan.network.target, "spec": {**plan.network.settings(), "skip": skip}}
    configs = export_configs(plan, bundle / "plan.yaml", RECIPES, **network, layout=layout, with_datalist=listed)
    named = {module for config in configs.values() for module, _ in list_targets(config)}
    names = carry_code(plan.name, named, []).names
    return {name: retarget(config, names) for name, config in configs.items()}


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads configs as MONAI's runner does, with overrides."""

    def merged(configs: dict[str, dict[str, Any]], *names: str, **overrides: Any) -> ConfigParser:
        files = []
        for name in names:
            files.append(tmp_path / f"{name}.json")
            files[-1].write_text(json.dumps(configs[name]), encoding="utf-8")
        parser = ConfigParser()
        parser.read_config([str(file) for file in files])
        parser.update({"bundle_root": str(tmp_path), **{key: value for key, value in overrides.items() if value}})
        parser.get_parsed_content("imports")
        return parser

    return merged


def strings(config: Any) -> Iterator[str]:
    if isinstance(config, str):
        yield config
    elif isinstance(config, dict | list):
        for value in config.values() if isinstance(config, dict) else config:
            yield from strings(value)


@pytest.mark.slow
@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.name)
@pytest.mark.parametrize("listed", [True, False], ids=["datalist", "folders"])
def test_whatever_a_config_refers_to_is_there(bundle, listed, read):
    configs = exported(bundle, listed=listed)
    assert tuple(configs) == CONFIGS
    for names in RUNS:
        parser = read(configs, *names)
        texts = list(strings(parser.config))
        # As MONAI finds references and macros.
        ids = {id_ for text in texts for id_ in ReferenceResolver.match_refs_pattern(text)}
        ids |= {text.removeprefix("%") for text in texts if text.startswith("%")}
        assert {id_ for id_ in ids if id_ not in parser} == set(), names
        assert not [text for text in texts if "pipeline." in text or "import pipeline" in text]


class _AnyTag(yaml.SafeLoader):
    """Reads a recipe without its tags, which are of no interest here."""


_AnyTag.add_multi_constructor("!", lambda *_: None)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train", "evaluate", "inference", "multi_gpu_train"])
def test_what_is_dropped_is_gone(name, read):
    with (RECIPES / "export" / f"{name}.yaml").open(encoding="utf-8") as file:
        changes = yaml.load(file, Loader=_AnyTag)
    # `labels` are names with values in the recipe, and files here.
    dropped = set(changes["drop"]) - changes.keys()
    configs = exported(BUNDLES[0])
    assert dropped
    assert not dropped & configs[name].keys()
    if name in ("train", "inference"):
        parser = read(configs, name)
        assert [id_ for id_ in dropped if id_ in parser] == []


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.name)
def test_the_model_zoos_test_finds_what_it_overrides(bundle, read):
    configs = exported(bundle)
    for names, ids in OF_THE_ZOO.items():
        parser = read(configs, *names)
        assert [id_ for id_ in ids if id_ not in parser] == []
    # Its order counts: the zoo's test takes the first transform for the one that crops.
    assert "RandCrop" in read(configs, "train")["train#random_transforms#0#_target_"]
    assert read(configs, "inference")["handlers#0#_target_"] == "CheckpointLoader"


def test_every_config_has_the_exported_networks_skip():
    skip = [["at", {"channels": [0, 2]}], "none"]
    configs = exported(BUNDLES[0], skip=skip)
    assert configs["train"]["skip"] == configs["inference"]["skip"] == skip


def test_ones_own_modules_are_imported_by_the_carried_package_alone():
    plan = changed(load_plan(BUNDLES[0]), imports=["my_skips"])
    assert "my_skips" not in json.dumps(exported(BUNDLES[0], plan))


def test_the_recipes_keys_stay_in_their_order():
    bundle = REPOSITORY / "bundles" / "hippocampus_mri"
    recipe = list(json.loads((bundle / "configs" / "train.json").read_text()))
    # Those are names with values in the recipe, and files here.
    recipe.remove("labels")
    config = list(exported(bundle)["train"])
    assert [key for key in config if key in recipe] == [key for key in recipe if key in config]
    # A new key follows the one before it in configs/export/train.yaml.
    assert config[config.index("bundle_root") + 1] == "scripts"
    assert config[config.index("datalist") + 1 : config.index("fold") + 1] == [
        "cases", "images", "labels", "folds", "fold",
    ]  # fmt: skip


def test_label_values_of_the_files_are_mapped(read):
    bundle = REPOSITORY / "bundles" / "em_membrane"
    configs = exported(bundle, layout=Layout("images", ".png", "labels", ".png"))
    for names, id_ in [
        (("train",), "train#deterministic_transforms"),
        (("train",), "validate#preprocessing#transforms"),
        (("train", "evaluate"), "validate#preprocessing#transforms"),
    ]:
        steps = [step for step in read(configs, *names)[id_] if step["_target_"] == "MapLabelValued"]
        mapping = MapLabelValued(**{key: value for key, value in steps[0].items() if key != "_target_"})
        # The plan: background is 255 in the files and 0 for the network, membrane 0 and 1.
        assert mapping({"label": torch.tensor([[0.0, 255.0]])})["label"].tolist() == [[1.0, 0.0]]
        assert len(steps) == 1


def test_cleaning_is_carried_and_comes_before_saving(read):
    bundle = REPOSITORY / "bundles" / "hippocampus_mri"
    cleaning = Postprocessing(largest_component=["posterior"], minimum_ml={"anterior": 0.1})
    configs = exported(bundle, changed(load_plan(bundle), postprocessing=cleaning))
    steps = [step["_target_"].rpartition(".")[2] for step in configs["inference"]["postprocessing"]["transforms"]]
    assert steps[-3:] == ["AsDiscreted", "CleanLabelMapd", "SaveImaged"]
    clean = configs["inference"]["postprocessing"]["transforms"][-2]
    assert (clean["largest_component"], clean["minimum_ml"]) == ([2], {"1": 0.1})
    assert clean["_target_"].startswith("hippocampus_mri_")
    parser = read(configs, "train", "evaluate")
    assert parser["validate#postprocessing#transforms"][-1] == clean


def test_regions_are_decoded_by_carried_code(read):
    bundle = REPOSITORY / "bundles" / "hippocampus_mri"
    regions = {"whole": ["anterior", "posterior"], "front": ["anterior"]}
    plan = changed(load_plan(bundle), regions=regions, region_order={"whole": "posterior", "front": "anterior"})
    configs = exported(bundle, plan)
    steps = configs["inference"]["postprocessing"]["transforms"]
    assert steps[0] == {"_target_": "Activationsd", "keys": "pred", "sigmoid": True}
    assert steps[2]["_target_"].startswith("hippocampus_mri_")
    assert steps[2]["_target_"].endswith(".labelmaps.regions.DecodeRegionsd")
    assert (steps[2]["regions"], steps[2]["order"]) == ([[1, 2], [1]], [[0, 2], [1, 1]])
    parser = read(configs, "train", "evaluate")
    assert parser["validate#postprocessing#transforms"][2] == steps[2]


def test_intensities_are_clipped_as_planned(read):
    bundle = REPOSITORY / "bundles" / "hippocampus_mri"
    ct = {"normalisation": "ct", "intensity_range": [-100.0, 300.0], "intensity_mean": 100.0, "intensity_std": 50.0}
    configs = exported(bundle, changed(load_plan(bundle), **ct))
    for names, id_ in [(("inference",), "preprocessing"), (("train", "evaluate"), "validate#preprocessing")]:
        parser = read(configs, *names)
        steps = [step for step in parser[f"{id_}#transforms"] if step["_target_"] == "ScaleIntensityRanged"]
        parser["step"] = steps[0]
        scaled = Compose([parser.get_parsed_content("step")])({"image": torch.tensor([[-500.0, 0.0, 100.0, 900.0]])})
        # (x - 100) / 50 of -100, 0, 100, 300.
        assert scaled["image"][0].tolist() == pytest.approx([-4.0, -2.0, 0.0, 4.0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("epochs", "val_interval", "expected"), [(90, 5, 5), (90, 4, 3), (7, 5, 1), (2, 5, 2), (1, 5, 1), (12, 12, 12)]
)
def test_last_epoch_is_validated(epochs, val_interval, expected, read):
    plan = load_plan(BUNDLES[0])
    training = plan.training.model_copy(update={"val_interval": val_interval})
    parser = read(exported(BUNDLES[0], changed(plan, training=training)), "train", epochs=epochs)
    assert parser.get_parsed_content("val_interval") == expected


def test_a_time_limit_becomes_a_number_of_epochs(read):
    plan = load_plan(BUNDLES[0])
    lengths = {"epochs": None, "minutes": 5.0, "val_interval": None, "warmup_epochs": None}
    training = plan.training.model_copy(update=lengths)
    parser = read(exported(BUNDLES[0], changed(plan, training=training)), "train")
    assert [parser.get_parsed_content(key) for key in ("epochs", "val_interval", "warmup_epochs")] == [100, 5, 4]
    assert "minutes" not in parser


def files(folder: Path, *names: str) -> list[str]:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()
    return [str(folder / name) for name in names]


def test_datalist_gives_cases_and_folds(tmp_path, read):
    names = [f"case_{i}.nii.gz" for i in range(5)]
    dataset = tmp_path / "dataset"
    images, labels = files(dataset / "imagesTr", *names), files(dataset / "labelsTr", *names)
    folds = [1, 0, 0, 1, None]
    training = [
        {"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"} | ({} if fold is None else {"fold": fold})
        for name, fold in zip(names, folds, strict=True)
    ]
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "datalist.json").write_text(json.dumps({"training": training}))
    configs = exported(REPOSITORY / "bundles" / "hippocampus_mri")
    parser = read(configs, "train", dataset_dir=str(dataset))
    # The last one has no fold, and gets that of its place: 4 modulo 5.
    assert parser.get_parsed_content("folds") == [1, 0, 0, 1, 4]
    pairs = [{"image": image, "label": label} for image, label in zip(images, labels, strict=True)]
    assert parser.get_parsed_content("val_cases") == pairs[1:3]
    assert parser.get_parsed_content("train_cases") == [pairs[0], *pairs[3:]]
    # Other files, as the model zoo's test gives them, are in the fold of their place.
    parser = read(configs, "train", dataset_dir=str(dataset), images=["x"] * 7, labels=["y"] * 7)
    assert parser.get_parsed_content("folds") == [0, 1, 2, 3, 4, 0, 1]
    assert len(parser.get_parsed_content("val_cases")) == 2


def test_without_a_dataset_there_are_no_cases(read):
    for listed in (True, False):
        parser = read(exported(BUNDLES[0], listed=listed), "train", dataset_dir="nowhere")
        assert parser.get_parsed_content("train_cases") == parser.get_parsed_content("val_cases") == []


def test_labels_of_a_folder_are_found_by_name(tmp_path, read):
    # A name with what glob takes for a pattern.
    dataset = tmp_path / "set [1]"
    images = files(dataset / "imagesTr", "a.nii.gz", "a-1.nii.gz", "b.nii.gz", "note.txt")[:3]
    files(dataset / "labelsTr", "a.nii.gz", "b.nii.gz")
    parser = read(exported(BUNDLES[1], listed=False), "train", dataset_dir=str(dataset))
    assert parser.get_parsed_content("images") == sorted(images)
    found = parser.get_parsed_content("labels")
    # That of a-1 is missing: reading it fails, and the others are not shifted.
    assert [Path(label).name for label in found] == [Path(image).name for image in sorted(images)]
    assert [Path(label).is_file() for label in found].count(False) == 1


def test_endings_of_pictures(tmp_path, read):
    dataset = tmp_path / "pictures"
    images = files(dataset / "pictures", "a.tif", "b.tif", "b.png")
    labels = files(dataset / "masks", "a.png", "b.png")
    configs = exported(
        REPOSITORY / "bundles" / "em_membrane", layout=Layout("pictures", ".tif", "masks", ".png"), listed=False
    )
    parser = read(configs, "train", dataset_dir=str(dataset))
    assert parser.get_parsed_content("images") == images[:2]
    assert parser.get_parsed_content("labels") == labels
    scans = read(configs, "inference", dataset_dir=str(dataset / "pictures"))
    assert scans.get_parsed_content("datalist") == images[:2]


def test_what_an_earlier_run_wrote_is_no_scan(tmp_path, read):
    scans = files(tmp_path / "scans", "a.nii.gz", "a_seg.nii.gz", "segment.nii.gz")
    parser = read(exported(BUNDLES[0]), "inference", dataset_dir=str(tmp_path / "scans"))
    assert parser.get_parsed_content("datalist") == [scans[0], scans[2]]


def test_a_missing_channel_is_told(tmp_path, read):
    files(tmp_path / "scans", "a_0000.nii.gz", "a_0001.nii.gz", "b_0000.nii.gz")
    configs = exported(REPOSITORY / "bundles" / "left_right")
    parser = read(configs, "inference", dataset_dir=str(tmp_path / "scans"))
    checks = [expression for expression in parser["run"] if "expected 2 files" in expression]
    assert len(checks) == 1
    parser["checks"] = checks
    with pytest.raises((SystemExit, RuntimeError), match="b_0000"):
        parser.get_parsed_content("checks")


def test_label_maps_of_several_channels_have_the_scans_name(read):
    parser = read(exported(REPOSITORY / "bundles" / "left_right"), "inference")
    saver = parser["postprocessing"]["transforms"][-1]
    assert saver["_target_"] == "SaveImaged"
    parser["name"] = saver["output_name_formatter"]
    name = parser.get_parsed_content("name")
    assert name({"filename_or_obj": "in/a_b_0000.nii.gz"}, None) == {"subject": "in/a_b.nii.gz", "idx": None}
    assert name({"filename_or_obj": "in/whole.nii.gz"}, None)["subject"] == "in/whole.nii.gz"
    assert "output_name_formatter" not in exported(BUNDLES[0])["inference"]["postprocessing"]["transforms"][-1]


def test_channels_of_a_scan_belong_together(tmp_path, read):
    dataset = tmp_path / "two_channels"
    # Sorted by their whole names, those of a_00001 lie between those of a.
    names = ["a-1_0000", "a-1_0001", "a_0000", "a_0001", "a_00001_0000", "a_00001_0001"]
    images = files(dataset / "imagesTr", *(f"{name}.nii.gz" for name in names))
    labels = files(dataset / "labelsTr", "a-1.nii.gz", "a.nii.gz", "a_00001.nii.gz")
    configs = exported(REPOSITORY / "bundles" / "left_right", listed=False)
    parser = read(configs, "train", dataset_dir=str(dataset))
    pairs = {
        tuple(image): label for image, label in zip(*map(parser.get_parsed_content, ("images", "labels")), strict=True)
    }
    assert pairs == {tuple(images[2 * i : 2 * i + 2]): labels[i] for i in range(3)}
    scans = read(configs, "inference", dataset_dir=str(dataset / "imagesTr")).get_parsed_content("datalist")
    assert {tuple(scan) for scan in scans} == set(pairs)


def test_one_file_may_have_all_channels(tmp_path, read):
    dataset = tmp_path / "two_channels"
    images = files(dataset / "imagesTr", "scan_001.nii.gz", "scan_002.nii.gz")
    labels = files(dataset / "labelsTr", "scan_001.nii.gz", "scan_002.nii.gz")
    parser = read(exported(REPOSITORY / "bundles" / "left_right", listed=False), "train", dataset_dir=str(dataset))
    assert parser.get_parsed_content("images") == images
    assert parser.get_parsed_content("labels") == labels


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RECIPES, tmp_path / "recipes"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("drop: [tolerance]\n", "drop: found the key tolerance, which evaluate.yaml does not have"),
        ("drop: ['validate#dataset#nothing']\n", "found the key validate#dataset#nothing"),
        ("validate#dataset#x: 1\n", ""),
        ("checkpoint#file#name: 1\n", "checkpoint#file#name: found a key whose parent does not exist"),
        ("output_dir: !plan nothing\n", "!plan nothing"),
    ],
)
def test_a_wrong_recipe_is_told(text, found, recipes):
    (recipes / "export" / "evaluate.yaml").write_text(text)
    plan = load_plan(BUNDLES[0])
    options = {"target": "a.B", "spec": {"skip": "sat"}, "layout": LAYOUT, "with_datalist": True}
    if not found:
        configs = export_configs(plan, BUNDLES[0] / "plan.yaml", recipes, **options)
        assert configs["evaluate"]["validate#dataset#x"] == 1 or configs["evaluate"]["validate#dataset"]["x"] == 1
        return
    with pytest.raises(InputError) as error:
        export_configs(plan, BUNDLES[0] / "plan.yaml", recipes, **options)
    assert found in str(error.value)


def test_recipe_of_a_recipe_is_for_exports_alone(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("root: !recipe bundle_root\n")
    assert fill_recipe(file, {"recipe": {"bundle_root": "here"}}) == {"root": "here"}
    with pytest.raises(InputError, match="there is no bundle_root"):
        fill_recipe(file, {"plan": {"bundle_root": "here"}})


@pytest.mark.slow
@pytest.mark.parametrize("listed", [True, False], ids=["datalist", "folders"])
def test_regions_and_partly_annotated_cases_train_as_in_the_bundle(listed, read, tmp_path):
    [bundle] = [bundle for bundle in BUNDLES if bundle.name == "synthetic_shapes"]
    regions = {"body": ["ellipsoid", "shell"], "core": ["shell"], "line": ["tube"]}
    order = {"body": "ellipsoid", "core": "shell", "line": "tube"}
    partial = {"regions": regions, "region_order": order, "ignored_values": [9], "partial_labels": True}
    plan = load_plan(bundle)
    data = plan.data.model_copy(update={"manifest": "dataset.json"})
    configs = exported(bundle, changed(plan, data=data, **partial), listed=listed)
    items = [{"image": f"{name}.nii", "label": f"{name}_l.nii", "fold": fold} for fold, name in enumerate("abc")]
    items[1]["annotated"] = ["core"]
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "datalist.json").write_text(json.dumps({"training": items}))
    parser = read(configs, "train", dataset_dir=str(tmp_path))
    texts = list(strings(parser.config))
    ids = {id_ for text in texts for id_ in ReferenceResolver.match_refs_pattern(text)}
    assert {id_ for id_ in ids if id_ not in parser} == set()
    assert not [text for text in texts if "pipeline." in text]
    cases = parser.get_parsed_content("train_cases")
    assert [case.get("annotated") for case in cases] == ([["core"], None] if listed else [])
    # The evaluation, too, leaves out what was not annotated in a case.
    parser = read(configs, "train", "evaluate", dataset_dir=str(tmp_path), fold=1)
    data = parser["validate"]["dataset"]["data"]
    assert data["_target_"].endswith("number_annotated")
    assert data["cases"] == "@val_cases"
    mapped, _, marking = parser["validate"]["preprocessing"]["transforms"][-3:]
    assert mapped["target_labels"] == [0, 1, 2, 3, 4]
    assert marking["_target_"].endswith("MarkAnnotatedd")


@pytest.mark.parametrize(
    ("names", "engine"),
    [(("inference",), "evaluator"), (("train", "evaluate"), "validate#evaluator")],
    ids=["inference", "evaluate"],
)
def test_weights_that_are_not_finite_end_a_run(names, engine, read):
    line = exported(BUNDLES[0])[names[-1]]["run"][-2]
    network, steps = nn.Linear(2, 2), Engine(lambda *_: None)
    parser = read(exported(BUNDLES[0]), *names)
    parser.update({"network": network, engine: steps, "check": line})
    parser.get_parsed_content("check")
    steps.run([1])
    with torch.no_grad():
        network.bias[0] = torch.nan
    with pytest.raises(SystemExit, match="found weights that are not finite"):
        steps.run([1])
