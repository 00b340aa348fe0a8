import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from pipeline.bundle.render import check_rendered, render, write_rendered
from pipeline.data.errors import InputError

REPOSITORY = Path(__file__).parents[2]

PLAN = """\
name: phantom
title: Spheres
version: 0.1.0
changelog: {0.1.0: first version}
task: Segmentation of spheres
description: A V-Net.
intended_use: Tests.
authors: Someone
copyright: Copyright (c) Someone
references: ["A. Uthor: Spheres (2024)"]
data: {manifest: ../list.json, source: drawn, licence: CC0-1.0, modality: CT, channels: [intensity]}
labels: {background: 0, cyst: 2, ball: 1}
orientation: RAS
spacing: [1, 1, 1.5]
intensity_range: [-100, 250.5]
normalisation: ct
network:
  channels: [8, 16, 32]
  convs_per_level: [1, 1, 1]
  decoder_convs_per_level: [1, 1]
  kernel_size: 3
  norm: [instance, {affine: true}]
  act: prelu
patch: [32, 32, 16]
window: [32, 32, 16]
batch: 2
mirror_axes: [0]
skip: light
imports: [my_skips, my.other]
training:
  {epochs: 3, val_interval: 1, learning_rate: 1e-3, weight_decay: 0, warmup_epochs: 0, early_stop_patience: 2, seed: 0}
"""

TRAIN = """\
imports:
- $import torch
- !splice {derived: imports}
epochs: !plan training.epochs
network_def:
  _target_: VNet
  spatial_dims: !derived spatial_dims
  norm: !plan network.norm
  skip: !skip skip
device: "$torch.device('cpu')"
train:
  lr: &lr 2e-3
  again: *lr
  loader: "@train#dataset"
  transforms:
  - _target_: LoadImaged
  - !splice {derived: normalisation}
  - {_target_: Flipd, spatial_axis: !plan mirror_axes}
run: "%training"
"""

DERIVED = """\
spatial_dims: !derived spatial_dims
in_channels: !derived in_channels
out_channels: !derived out_channels
datalist: !derived datalist
image_format: !derived image_format
image_text: !derived image_text
label_text: !derived label_text
input_channel_def: !derived input_channel_def
output_channel_def: !derived output_channel_def
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "phantom"
    folder.mkdir()
    (folder / "plan.yaml").write_text(PLAN)
    case = {"image": "a.nii.gz", "label": "b.nii.gz", "fold": 0, "sha256": "ab"}
    manifest = {"licence": "CC0-1.0", "name": "Spheres", "url": "x", "labels": {"0": "background"}, "training": [case]}
    (tmp_path / "list.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    folder = tmp_path / "recipes"
    (folder / "skips").mkdir(parents=True)
    (folder / "train.yaml").write_text(TRAIN)
    (folder / "multi_gpu_train.yaml").write_text("device: $local_device()\n")
    (folder / "evaluate.yaml").write_text("sparsity: !skip sparsity\nspacing: [!plan spacing]\n")
    (folder / "inference.yaml").write_text(DERIVED)
    (folder / "metadata.yaml").write_text("version: !plan version\n")
    (folder / "logging.conf").write_text("[loggers]\nkeys = root\n")
    (folder / "skips" / "light.yaml").write_text("skip: [at, {mode: hard}]\nsparsity: 0.1\nabout: one map\n")
    (folder / "skips" / "none.yaml").write_text("skip: none\nsparsity: 0\nabout: nothing\n")
    return folder


def rendered_json(bundle: Path, recipes: Path, name: str) -> Any:
    return json.loads(render(bundle, recipes=recipes)[f"configs/{name}.json"])


@pytest.mark.parametrize(
    ("choice", "skip", "sparsity"),
    [
        ("none", "none", 0),
        ("{skip: mean}", "mean", 0.0),
        ("{skip: [mean, {factor: 2}], sparsity: 0.5}", ["mean", {"factor": 2}], 0.5),
        ("{skip: [none, sat]}", ["none", "sat"], 0.0),
    ],
)
def test_a_skip_is_a_file_of_recipes_or_stands_in_the_plan(
    bundle: Path, recipes: Path, choice: str, skip: Any, sparsity: float
) -> None:
    (bundle / "plan.yaml").write_text(PLAN.replace("skip: light", f"skip: {choice}"))
    assert rendered_json(bundle, recipes, "train")["network_def"]["skip"] == skip
    assert rendered_json(bundle, recipes, "evaluate")["sparsity"] == sparsity


def test_fills_the_tags_in_and_leaves_monais_words_alone(bundle: Path, recipes: Path) -> None:
    train = rendered_json(bundle, recipes, "train")
    assert list(train) == ["imports", "epochs", "network_def", "device", "train", "run"]
    assert train["imports"] == ["$import torch", "$import my_skips", "$import my.other"]
    assert train["epochs"] == 3
    assert train["network_def"] == {
        "_target_": "VNet",
        "spatial_dims": 3,
        "norm": ["instance", {"affine": True}],
        "skip": ["at", {"mode": "hard"}],
    }
    assert train["device"] == "$torch.device('cpu')"
    assert (train["train"]["lr"], train["train"]["again"], train["train"]["loader"]) == (0.002, 0.002, "@train#dataset")
    assert [transform["_target_"] for transform in train["train"]["transforms"]] == [
        "LoadImaged",
        "ScaleIntensityRanged",
        "NormalizeIntensityd",
        "Flipd",
    ]
    assert train["train"]["transforms"][3]["spatial_axis"] == [0]
    assert train["run"] == "%training"
    # A list without !splice stays a list in the list.
    assert rendered_json(bundle, recipes, "evaluate") == {"sparsity": 0.1, "spacing": [[1.0, 1.0, 1.5]]}


def test_derives_from_the_plan(bundle: Path, recipes: Path) -> None:
    assert rendered_json(bundle, recipes, "inference") == {
        "spatial_dims": 3,
        "in_channels": 1,
        "out_channels": 3,
        "datalist": "$@bundle_root + '/configs/datalist.json'",
        "image_format": "hounsfield",
        "image_text": "CT, channels: intensity; RAS, 1 x 1 x 1.5 mm",
        "label_text": "0 is background, 1 is ball, 2 is cyst",
        "input_channel_def": {"0": "intensity"},
        "output_channel_def": {"0": "background", "1": "ball", "2": "cyst"},
    }


def test_normalisation_does_what_its_name_says(bundle: Path, recipes: Path) -> None:
    scan = torch.tensor([[[-1000.0, -100.0, 75.25, 250.5, 3000.0]]])
    ct = ConfigParser({"all": rendered_json(bundle, recipes, "train")["train"]["transforms"][1:3]})
    for transform in ct.get_parsed_content("all"):
        scan = transform({"image": scan})["image"]
    # Clipped and scaled 0, 0, .5, 1, 1: mean .5, variance .2.
    assert scan.flatten().tolist() == pytest.approx([x / 0.2**0.5 for x in (-0.5, -0.5, 0, 0.5, 0.5)], abs=1e-5)

    zscore = PLAN.replace("normalisation: ct", "normalisation: zscore").replace("intensity_range: [-100, 250.5]\n", "")
    (bundle / "plan.yaml").write_text(zscore)
    assert rendered_json(bundle, recipes, "train")["train"]["transforms"][1:-1] == [
        {"_target_": "NormalizeIntensityd", "keys": ["image"], "channel_wise": True}
    ]


CT = """\
intensity_range: [-100, 250.5]
normalisation: ct
"""


def normalised(bundle: Path, recipes: Path, scan: torch.Tensor) -> torch.Tensor:
    chain = ConfigParser({"all": rendered_json(bundle, recipes, "train")["train"]["transforms"][1:-1]})
    for transform in chain.get_parsed_content("all"):
        scan = transform({"image": scan})["image"]
    return scan


def test_hounsfield_units_are_scaled_by_the_datasets_own_numbers(bundle: Path, recipes: Path) -> None:
    (bundle / "plan.yaml").write_text(PLAN.replace(CT, CT + "intensity_mean: 37.3\nintensity_std: 81.9\n"))
    scan = np.random.default_rng(0).uniform(-1000, 3000, (2, 7, 6, 5)).astype(np.float32)
    expected = (np.clip(scan, -100, 250.5) - 37.3) / 81.9
    np.testing.assert_allclose(normalised(bundle, recipes, torch.from_numpy(scan)), expected, atol=1e-5)


def test_zeros_do_not_count_where_a_scan_is_cut_out(bundle: Path, recipes: Path) -> None:
    (bundle / "plan.yaml").write_text(PLAN.replace(CT, "normalisation: zscore_nonzero\n"))
    scan = np.random.default_rng(0).uniform(1, 9, (2, 7, 6, 5)).astype(np.float32)
    scan[:, :4] = 0
    scan[1] *= 1000
    expected = np.zeros_like(scan)
    for channel in (0, 1):
        inside = scan[channel][scan[channel] != 0]
        expected[channel][scan[channel] != 0] = (inside - inside.mean()) / inside.std()
    np.testing.assert_allclose(normalised(bundle, recipes, torch.from_numpy(scan)), expected, atol=1e-4)


VALUES = """\
values: !derived label_values
mapping:
- !splice {derived: label_mapping}
ratios: !derived class_ratios
folder: !derived dataset_dir
minutes: !plan training.minutes
cache_rate: !plan training.cache_rate
orientation: !derived orientation
reference: !derived reference_text
prediction: !derived label_text
"""


def test_values_in_the_files_are_mapped_where_they_are_others(bundle: Path, recipes: Path) -> None:
    (recipes / "evaluate.yaml").write_text(VALUES)
    plain = rendered_json(bundle, recipes, "evaluate")
    assert (plain["values"], plain["mapping"]) == ({"background": 0, "cyst": 2, "ball": 1}, [])
    assert plain["reference"] == plain["prediction"] == "0 is background, 1 is ball, 2 is cyst"
    for values in ("{background: 0, ball: 1, cyst: 2}", "{background: 255, ball: 0, cyst: 1000}"):
        (bundle / "plan.yaml").write_text(PLAN.replace("orientation", f"label_values: {values}\norientation"))
        mapped = rendered_json(bundle, recipes, "evaluate")
        if "255" not in values:
            assert mapped == plain
    assert mapped["values"] == {"background": 255, "ball": 0, "cyst": 1000}
    assert mapped["reference"] == "255 is background, 0 is ball, 1000 is cyst"
    assert mapped["prediction"] == "0 is background, 1 is ball, 2 is cyst"
    (transform,) = ConfigParser(mapped).get_parsed_content("mapping")
    label = torch.tensor([[[255.0, 0.0, 1000.0], [0.0, 0.0, 255.0]]])
    assert transform({"label": label})["label"].tolist() == [[[0, 1, 2], [1, 1, 0]]]


def test_what_a_plan_leaves_out_is_rendered_as_its_default(bundle: Path, recipes: Path) -> None:
    (recipes / "evaluate.yaml").write_text(VALUES)
    plain = rendered_json(bundle, recipes, "evaluate")
    # Half of the patches on the background, the others on the two labels in turn.
    assert plain["ratios"] == [2, 1, 1]
    assert (plain["minutes"], plain["cache_rate"], plain["orientation"]) == (None, 1.0, "RAS")
    assert plain["folder"] == "$@bundle_root + '/data'"
    text = PLAN.replace("skip: light", "class_ratios: [0, 1, 2.5]\nskip: light")
    text = text.replace("seed: 0", "seed: 0, minutes: 12.5, cache_rate: 0.25")
    (bundle / "plan.yaml").write_text(text)
    given = rendered_json(bundle, recipes, "evaluate")
    assert (given["ratios"], given["minutes"], given["cache_rate"]) == ([0, 1, 2.5], 12.5, 0.25)


def test_a_label_map_is_cleaned_only_where_the_plan_says_so(bundle: Path, recipes: Path) -> None:
    (recipes / "inference.yaml").write_text("steps:\n- first\n- !splice {derived: cleaning}\n- last\n")
    plain = rendered_json(bundle, recipes, "inference")
    assert plain == {"steps": ["first", "last"]}
    for nothing in ("{}", "{fill_holes: [], minimum_ml: {}}"):
        (bundle / "plan.yaml").write_text(PLAN + f"postprocessing: {nothing}\n")
        assert rendered_json(bundle, recipes, "inference") == plain
    steps = "{largest_component: [cyst, ball], fill_holes: [ball], minimum_ml: {cyst: 0.25}}"
    (bundle / "plan.yaml").write_text(PLAN + f"postprocessing: {steps}\n")
    assert rendered_json(bundle, recipes, "inference")["steps"][1] == {
        "_target_": "pipeline.labelmaps.clean.CleanLabelMapd",
        "keys": "pred",
        "largest_component": [1, 2],
        "fill_holes": [1],
        "minimum_ml": {"2": 0.25},
    }


def test_a_cleaned_label_map_is_what_is_saved_and_what_is_measured(bundle: Path) -> None:
    recipes = REPOSITORY / "configs"
    order = ["Activationsd", "Invertd", "SaveProbabilitiesd", "AsDiscreted", "CleanLabelMapd", "SaveLabelMapd"]
    for text, kept in ((PLAN, set()), (PLAN + "postprocessing: {fill_holes: [ball]}\n", {"CleanLabelMapd"})):
        (bundle / "plan.yaml").write_text(text.replace("skip: light", "skip: concat"))
        inference = rendered_json(bundle, recipes, "inference")["postprocessing"]["transforms"]
        evaluate = rendered_json(bundle, recipes, "evaluate")["validate#postprocessing"]["transforms"]
        names = [[step["_target_"].rsplit(".")[-1] for step in steps] for steps in (inference, evaluate)]
        expected = [name for name in order if name != "CleanLabelMapd" or name in kept]
        assert names == [expected, [name for name in expected if name != "SaveProbabilitiesd"]]


def test_a_plan_of_two_axes_has_an_orientation_of_two(bundle: Path, recipes: Path) -> None:
    (recipes / "evaluate.yaml").write_text(VALUES)
    text = PLAN.replace("[1, 1, 1.5]", "[1, 1.5]").replace("[32, 32, 16]", "[32, 16]").replace("RAS", "LPS")
    (bundle / "plan.yaml").write_text(text)
    assert rendered_json(bundle, recipes, "evaluate")["orientation"] == "LP"
    assert rendered_json(bundle, recipes, "inference")["image_text"] == "CT, channels: intensity; LP, 1 x 1.5 mm"


@pytest.mark.parametrize(
    ("folder", "found"),
    [
        ("../../scans", "/a/scans"),
        ("scans", "/a/b/c/scans"),
        ("/else/where", "/else/where"),
        ("it's here", "/a/b/c/it's here"),
    ],
)
def test_the_folder_of_scans_is_found_from_the_bundle(bundle: Path, recipes: Path, folder: str, found: str) -> None:
    (recipes / "evaluate.yaml").write_text(
        "imports: [$import pathlib]\nbundle_root: /a/b/c\nhere: !derived dataset_dir\n"
    )
    (bundle / "plan.yaml").write_text(PLAN.replace("source: drawn", f"source: drawn, folder: {json.dumps(folder)}"))
    parser = ConfigParser(rendered_json(bundle, recipes, "evaluate"))
    assert parser.get_parsed_content("here") == str(Path(found).resolve())


def test_text_is_deterministic_indented_and_ends_with_a_newline(bundle: Path, recipes: Path) -> None:
    first = render(bundle, recipes=recipes)
    assert first == render(bundle, recipes=recipes)
    assert first["configs/metadata.json"] == '{\n  "version": "0.1.0"\n}\n'
    recipes_json = {f"configs/{file.stem}.json" for file in recipes.glob("*.yaml")}
    assert set(first) == recipes_json | {"configs/datalist.json", "configs/logging.conf"}


def test_datalist_keeps_what_training_reads(bundle: Path, recipes: Path) -> None:
    assert rendered_json(bundle, recipes, "datalist") == {
        "name": "Spheres",
        "licence": "CC0-1.0",
        "labels": {"0": "background"},
        "training": [{"image": "a.nii.gz", "label": "b.nii.gz", "fold": 0}],
    }
    (bundle / "plan.yaml").write_text(PLAN.replace("manifest: ../list.json, ", ""))
    assert "configs/datalist.json" not in render(bundle, recipes=recipes)
    assert rendered_json(bundle, recipes, "inference")["datalist"] == "$@dataset_dir + '/dataset.json'"


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("recipes/train.yaml", "a: 1\nb: !plan training.epoch\n", r"train\.yaml, line 2: .*no epoch;.*mean epochs"),
        ("recipes/train.yaml", "b: !plan skip.deeper\n", r"line 1: .*no deeper; expected a shorter name"),
        ("recipes/train.yaml", "b: !skip sparsty\n", r"line 1: found !skip sparsty.*did you mean sparsity"),
        ("recipes/train.yaml", "b: !derived in_chanels\n", r"line 1: .*did you mean in_channels"),
        ("recipes/train.yaml", "b: [!splice {derived: in_channels}]\n", r"in_channels, which is 1; expected a list"),
        ("recipes/train.yaml", "b:\n- !splice {drived: x}\n", r"line 2, column 3: .*!splice needs one of plan, skip"),
        ("recipes/train.yaml", "b: !plann x\n", r"line 1, column 4: .*no such tag: !plann"),
        ("recipes/train.yaml", "b: 1\nb: 2\n", r"train\.yaml: found b twice, on lines 1 and 2"),
        ("phantom/plan.yaml", PLAN.replace("light", "ligth"), r"skip: found ligth.*light, none.*did you mean light"),
        ("phantom/plan.yaml", PLAN.replace("list.json", "no.json"), r"no\.json: found no readable file"),
        ("list.json", "{", r"list\.json: found invalid JSON at line 1, column 2"),
        ("list.json", "{}", r"list\.json: found KeyError: 'training'"),
    ],
)
def test_errors_name_file_line_and_nearest_word(
    bundle: Path, recipes: Path, file: str, text: str, message: str
) -> None:
    (bundle.parent / file).write_text(text)
    with pytest.raises(InputError) as raised:
        write_rendered(bundle, recipes=recipes)
    assert re.search(message, str(raised.value))
    assert not (bundle / "configs").exists()


def test_check_tells_what_differs_from_what_was_written(bundle: Path, recipes: Path) -> None:
    assert set(check_rendered(bundle, recipes=recipes)) == set(render(bundle, recipes=recipes))
    files = write_rendered(bundle, recipes=recipes)
    assert check_rendered(bundle, recipes=recipes) == {}
    assert sorted((bundle / "configs").iterdir()) == sorted(files)  # and nothing temporary
    (bundle / "configs" / "evaluate.json").write_text('{\n  "sparsity": 0.2\n}\n')
    differences = check_rendered(bundle, recipes=recipes)
    assert list(differences) == ["configs/evaluate.json"]
    assert '-  "sparsity": 0.2\n' in differences["configs/evaluate.json"]
    assert '+  "sparsity": 0.1,\n' in differences["configs/evaluate.json"]


def test_plan_file_stands_for_its_bundle(bundle: Path, recipes: Path) -> None:
    assert render(bundle / "plan.yaml", recipes=recipes) == render(bundle, recipes=recipes)
    assert write_rendered(bundle / "plan.yaml", recipes=recipes)[0] == bundle / "configs" / "train.json"


@pytest.mark.parametrize("home", ["root/pipeline/configs", "root/configs"], ids=["wheel", "checkout"])
def test_finds_the_recipes_that_come_with_the_package(
    bundle: Path, recipes: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    expected = render(bundle, recipes=recipes)
    shutil.copytree(recipes, bundle.parent / home)
    monkeypatch.setattr("pipeline.bundle.render.__file__", str(bundle.parent / "root/pipeline/bundle/render.py"))
    assert render(bundle) == expected


@pytest.fixture
def own_recipes(recipes: Path) -> Path:
    """The fixture's recipes with the repository's own metadata and logging in their place."""
    for name in ("metadata.yaml", "logging.conf"):
        shutil.copy(REPOSITORY / "configs" / name, recipes)
    return recipes


@pytest.mark.parametrize("modality", ["CT", "MRI"])
def test_metadata_follows_monais_schema(bundle: Path, own_recipes: Path, metadata_schema: Path, modality: str) -> None:
    (bundle / "plan.yaml").write_text(PLAN.replace("modality: CT", f"modality: {modality}"))
    metadata = rendered_json(bundle, own_recipes, "metadata")
    jsonschema.validate(metadata, json.loads(metadata_schema.read_text()))
    assert metadata["version"] in metadata["changelog"]
    assert {"name", "data_source", "intended_use", "references"} <= set(metadata)
    image, pred = metadata["network_data_format"]["inputs"]["image"], metadata["network_data_format"]["outputs"]["pred"]
    assert image["format"] == {"CT": "hounsfield", "MRI": "magnitude"}[modality]
    assert (image["num_channels"], pred["num_channels"], image["spatial_shape"]) == (1, 3, [32, 32, 16])
    assert len(pred["channel_def"]) == pred["num_channels"]


def test_monai_accepts_the_logging_file_and_progress_is_one_short_line(
    bundle: Path, own_recipes: Path, tmp_path: Path, warm_start: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    (own_recipes / "inference.yaml").write_text("run: $None\n")
    write_rendered(bundle, recipes=own_recipes)
    script = tmp_path / "script.py"
    script.write_text(
        "import logging, sys\n"
        "from monai.bundle import ConfigWorkflow\n"
        "ConfigWorkflow(sys.argv[1], workflow_type='infer').initialize()\n"
        "logging.getLogger('pipeline.training.progress').info('epoch 1')\n"
        "logging.getLogger('ignite.engine.engine.Trainer').info('Engine run starting')\n"
        "logging.getLogger('monai.bundle.scripts').info('config_file: x')\n"
        "logging.getLogger('ignite.engine.engine.Trainer').warning('told')\n"
    )
    done = warm_start(script, bundle / "configs" / "inference.json")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in lines] == ["INFO epoch 1", "WARNING told"]


@pytest.mark.parametrize("name", ["hippocampus_mri", "em_membrane"])
def test_nothing_that_an_evaluation_runs_refers_to_training_cases(name: str) -> None:
    configs = REPOSITORY / "bundles" / name / "configs"
    parser = ConfigParser()
    parser.read_config([configs / "train.json", configs / "evaluate.json"])

    def reach(*starts: str) -> set[str]:
        reached: set[str] = set()
        waiting = list(starts)
        while waiting:
            key = waiting.pop()
            if key not in reached:
                reached.add(key)
                waiting += re.findall(r"[@%]([A-Za-z_][\w#]*)", json.dumps(parser[key]))
        return reached

    evaluation = reach("initialize", "run")
    assert {"val_cases", "network", "validate#dataset"} <= evaluation
    assert {"train_cases", "train#dataset"}.isdisjoint(evaluation)
    assert "train_cases" in reach("train#trainer")
