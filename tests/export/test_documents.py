from __future__ import annotations

import json
import re
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pipeline.bundle.plan import Plan, load_plan
from pipeline.bundle.render import fill_metadata, recipe_sources
from pipeline.bundle.schema import Postprocessing
from pipeline.export.archive import file_sha256
from pipeline.export.documents import fill_readme, find_section, make_metadata, read_results
from pipeline.export.layout import Layout
from pipeline.export.network import ExportedNetwork
from pipeline.networks.prune import Pruned

REPOSITORY = Path(__file__).resolve().parents[2]
BUNDLES = sorted(path.parent for path in (REPOSITORY / "bundles").glob("*/plan.yaml"))
HIPPOCAMPUS = REPOSITORY / "bundles" / "hippocampus_mri"
TEMPLATE = (REPOSITORY / "configs" / "templates" / "model_zoo.md").read_text(encoding="utf-8")
# The headings of the model zoo's docs/readme_template.md, in its order; its section for commands has a name of its own.
OF_THE_ZOO = [
    "### **Authors**", "### **Tags**", "## **Model Description**", "## **Data**", "#### **Preprocessing**",
    "## **Performance**", "## **MONAI Bundle Commands**", "## **System Configuration**", "## **Limitations**",
    "## **References**", "# License",
]  # fmt: skip


def entry(dice: float | None, hd95: float | None, nsd: float | None) -> dict[str, Any]:
    return {"dice": {"mean": dice}, "hd95_mm": {"mean": hd95}, "nsd": {"mean": nsd}}


RESULTS = {
    "cases": 7,
    "labels": {"anterior": entry(0.91236, 1.5, 0.75), "posterior": entry(0.0, None, None)},
    "overall": entry(0.45618, 1.5, 0.75),
    "tolerance_mm": 1.5,
    "provenance": {"checkpoint_sha256": "abc", "precision": "bfloat16", "device": "cpu"},
}


PICTURES = Layout("images", ".png", "labels", ".png")


def rendered(bundle: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((bundle / "configs" / "metadata.json").read_text(encoding="utf-8"))
    return content


def metadata(bundle: Path = HIPPOCAMPUS, **options: Any) -> dict[str, Any]:
    return make_metadata(
        rendered(bundle), **{"scripts": ["import torch\n"], "layout": Layout(), "results": None, **options}
    )


def text(bundle: Path = HIPPOCAMPUS, plan: Plan | None = None, **options: Any) -> str:
    given = {
        "forms": ["model.ts"],
        "layout": Layout(),
        "listed": "`configs/datalist.json`",
        "results": None,
        **options,
    }
    network = ExportedNetwork(
        pruned=Pruned({"name": "vnet", "skip": given.pop("skip", "sat")}, {}, given.pop("left_out", {})),
        target="pipeline.networks.VNet",
        title="V-Net",
        publication="Milletari et al., arXiv 1606.04797",
        channels=(16, 32, 64, 128),
        parameters=given.pop("parameters", 1234567),
        skip_modules=[],
        user_modules=[],
        source=bundle / "models" / "model.pt",
    )
    plan = load_plan(bundle) if plan is None else plan
    return fill_readme(TEMPLATE, plan, metadata(bundle), bundle, network=network, **given)


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A bundle whose README is not filled in."""
    shutil.copytree(HIPPOCAMPUS / "configs", tmp_path / "bundle" / "configs")
    shutil.copyfile(HIPPOCAMPUS / "plan.yaml", tmp_path / "bundle" / "plan.yaml")
    (tmp_path / "bundle" / "docs").mkdir()
    (tmp_path / "bundle" / "docs" / "README.md").write_text(
        "# X\n\n## Performance\n\nTO FILL IN\n\n## Training\n\nNo.\n"
    )
    return tmp_path / "bundle"


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.name)
@pytest.mark.parametrize("results", [None, RESULTS], ids=["not measured", "measured"])
def test_metadata_follow_monais_schema(bundle, results, metadata_schema):
    content = metadata(bundle, results=results)
    jsonschema.validate(content, json.loads(metadata_schema.read_text()))
    assert content["version"] in content["changelog"]
    assert {"name", "authors", "data_source", "intended_use", "references", "label_classes"} <= content.keys()
    labels = load_plan(bundle).labels
    assert content["network_data_format"]["outputs"]["pred"]["channel_def"] == {
        str(value): name for name, value in labels.items()
    }


def test_documents_of_regions_name_regions_and_labels(metadata_schema, tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    lines = (HIPPOCAMPUS / "plan.yaml").read_text(encoding="utf-8")
    regions = "regions: {whole: [anterior, posterior], front: [anterior]}\n"
    (folder / "plan.yaml").write_text(f"{lines}\n{regions}region_order: {{whole: posterior, front: anterior}}\n")
    plan = load_plan(folder)
    content = fill_metadata(REPOSITORY / "configs", recipe_sources(plan, folder / "plan.yaml", REPOSITORY / "configs"))
    jsonschema.validate(content, json.loads(metadata_schema.read_text()))
    output = content["network_data_format"]["outputs"]["pred"]
    assert (output["num_channels"], output["channel_def"]) == (2, {"0": "whole", "1": "front"})
    assert content["labels"] == {"background": 0, "anterior": 1, "posterior": 2}
    assert content["pred_classes"] == "0 is background, 1 is anterior, 2 is posterior"
    readme = text(plan=plan)
    assert "2 regions, which may overlap (0 whole (anterior + posterior), 1 front (anterior))" in readme
    assert "as logits before the last sigmoid" in readme
    assert "its values are 0 background, 1 anterior, 2 posterior." in readme
    assert "labels" not in metadata()
    assert "as logits before the last softmax" in text()


def test_metadata_are_those_of_the_bundle_but_for_packages_and_results():
    content = metadata(results=RESULTS)
    before = rendered(HIPPOCAMPUS)
    assert {key for key in content if content[key] != before.get(key)} == {"required_packages_version", "eval_metrics"}
    assert content.keys() - before.keys() == {"eval_metrics"}
    assert content["eval_metrics"] == {
        "mean_dice": 0.4562, "mean_hd95_mm": 1.5, "mean_nsd": 0.75, "anterior_dice": 0.9124, "posterior_dice": 0.0,
    }  # fmt: skip
    assert "eval_metrics" not in metadata()


def test_what_is_undefined_is_no_metric():
    missed = RESULTS | {"labels": {"anterior": entry(None, None, None)}, "overall": entry(0.0, None, None)}
    assert metadata(results=missed)["eval_metrics"] == {"mean_dice": 0.0}


def test_packages_are_those_that_the_code_imports():
    always = {"fire", "nibabel", "pytorch-ignite", "tensorboard", "tqdm"}
    assert metadata()["required_packages_version"].keys() == always
    assert metadata(layout=PICTURES)["required_packages_version"].keys() == always | {"pillow"}
    code = "import os, monai\nfrom scipy import ndimage\nfrom .blocks import x\nfrom ignite.engine import Engine\n"
    packages = metadata(scripts=[code])["required_packages_version"]
    assert packages == metadata()["required_packages_version"] | {
        "scipy": rendered(HIPPOCAMPUS)["required_packages_version"]["scipy"]
    }


@pytest.mark.slow
def test_packages_of_ones_own_module_have_the_installed_version():
    code = "import yaml\nimport skimage.measure\nimport attr\nimport no_such_package_of_a_test\n"
    packages = metadata(scripts=[code])["required_packages_version"]
    assert packages["pyyaml"] == version("pyyaml")
    assert packages["scikit-image"] == version("scikit-image")
    # A module that is called otherwise than its package.
    assert packages["attrs"] == version("attrs")
    assert packages["no_such_package_of_a_test"] == "any"


def test_results_count_only_for_the_very_weights(tmp_path):
    weights = HIPPOCAMPUS / "models" / "model.pt"
    summary = read_results(HIPPOCAMPUS, file_sha256(weights))
    assert summary == json.loads((HIPPOCAMPUS / "docs" / "results" / "summary.json").read_text())
    assert read_results(HIPPOCAMPUS, "0" * 64) is None
    assert read_results(tmp_path, file_sha256(weights)) is None


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.name)
@pytest.mark.parametrize("results", [None, RESULTS], ids=["not measured", "measured"])
def test_readme_is_filled_in_and_in_the_zoos_order(bundle, results):
    words = text(bundle, results=results)
    assert re.findall(r"\{[a-z_:,]*\}", words) == []
    assert "TO FILL IN" not in words
    lines = words.splitlines()
    places = [lines.index(heading) for heading in OF_THE_ZOO]
    assert places == sorted(places)
    assert lines[0] == f"# {load_plan(bundle).title}"
    # Every block of code ends.
    assert sum(line.startswith("```") for line in lines) % 2 == 0
    assert not [line for line in lines if line != line.rstrip()]


def test_readme_has_the_numbers_of_the_very_weights():
    summary = read_results(HIPPOCAMPUS, file_sha256(HIPPOCAMPUS / "models" / "model.pt"))
    words = text(results=summary)
    for numbers in (*summary["labels"].values(), summary["overall"]):
        assert f"{numbers['dice']['mean']:.4f}" in words
        assert f"{numbers['nsd']['mean']:.4f}" in words
    assert "36 minutes on one core" in words


def test_readme_has_no_numbers_of_other_weights():
    words = text(results=None)
    assert "Not measured." in words
    assert "Not recorded." in words
    assert "0.90" not in words
    assert "36 minutes" not in words
    # What the data are does not depend on the weights.
    assert "the 208 training cases" in words


def test_table_stands_where_nobody_wrote(fresh):
    lines = text(fresh, results=RESULTS).splitlines()
    at = lines.index("| label | Dice | HD95 (mm) | NSD at 1.5 mm |")
    assert lines[at - 2] == "7 cases of the validation fold, in the scans' own grid (bfloat16, cpu):"
    assert lines[at + 2 : at + 5] == [
        "| anterior | 0.9124 | 1.5000 | 0.7500 |",
        "| posterior | 0.0000 | - | - |",
        "| mean of labels | 0.4562 | 1.5000 | 0.7500 |",
    ]
    assert "No." in lines
    lines = text(fresh, results=RESULTS | {"regions": {"anterior": ["a"], "posterior": ["b"]}}).splitlines()
    assert "| region | Dice | HD95 (mm) | NSD at 1.5 mm |" in lines
    assert "| mean of regions | 0.4562 | 1.5000 | 0.7500 |" in lines


def test_readme_tells_what_the_network_is():
    words = text(skip=["at", ["sat", {"maps": 4}]], left_out={1: (5, 32), 0: (16, 16)}, forms=[])
    assert "A 3D V-Net" in words
    assert "widths 16-32-64-128 and light skip connections after Select-Attend-Transfer" in words
    assert "1,234,567 parameters" in words
    assert (
        "the output is the same up to rounding: 16 of 16 at level 0, 5 of 32 at level 1 (level 0 is the finest)."
        in words
    )
    assert "`models/` has `model.pt` (weights)." in words
    assert "1 channel(s) (T1 MRI), windows of 40 x 56 x 40 voxels" in words
    assert "3 channels (0 background, 1 anterior, 2 posterior)" in words
    assert "No channel was pruned." in text()
    assert "`model.pt` (weights), `model.ts` (TorchScript), `model.onnx` (ONNX)." in text(
        forms=["model.ts", "model.onnx"]
    )
    pictures = text(layout=PICTURES, listed="")
    assert "every `*.png` in a folder" in pictures
    assert (
        "`DATASET` is the folder that has `images/` and `labels/`. A label map has the name of its image." in pictures
    )
    assert metadata(layout=PICTURES)["data_type"] == "png"
    assert metadata()["data_type"] == "nibabel"


@pytest.mark.parametrize(
    ("skip", "described"),
    [
        ("concat", "the skip connection `concat`"),
        (["concat", {"only": 0}], "the skip connection `concat` at level 0 only"),
        (["none", ["Attention_Gate", {}]], "the skip connections `none`, `attention_gate`, finest level first"),
        (["sat", "sum", "sum"], "the skip connections `sat`, `sum`, `sum`, finest level first"),
    ],
)
def test_other_skip_connections_are_not_called_light(skip, described):
    words = text(skip=skip)
    assert f"and {described}. 1,234,567" in words
    assert "widths 16-32-64-128 and light" not in words


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "Turned to RAS, resampled to 1 x 1 x 1 mm (linear), normalised: each channel of a scan by its own mean"),
        ({"normalisation": "zscore_nonzero"}, "deviation of the voxels that are not zero."),
        (
            {"intensity_range": [-100.0, 300.5], "intensity_mean": 80.25, "intensity_std": 40.0, "normalisation": "ct"},
            "clipped to [-100.0, 300.5], then the mean 80.25 and the standard deviation 40 of the dataset.",
        ),
        # After clipping, what is 0 is what was at the lower bound.
        (
            {"intensity_range": [5.0, 300.0], "normalisation": "zscore_nonzero"},
            "clipped to [5.0, 300.0], then each channel of a scan by its own mean and standard deviation of the voxels "
            "that are above 5.",
        ),
        ({"spacing": [0.5, 0.25], "orientation": "RAS"}, "Turned to RA, resampled to 0.5 x 0.25 mm"),
        ({"postprocessing": Postprocessing()}, "in the scan's own grid.\n"),
        (
            {"postprocessing": Postprocessing(largest_component=["anterior"], minimum_ml={"posterior": 0.1})},
            "Cleaning: only the largest component of anterior is kept, components of posterior below 0.1 ml are "
            "removed.\n",
        ),
    ],
)  # fmt: skip
def test_readme_tells_what_is_done_to_scans(changes, expected):
    assert expected in text(plan=load_plan(HIPPOCAMPUS).model_copy(update=changes))


def test_section_of_a_readme():
    code = "```sh\n## no heading\nls\n```"
    words = f"# T\n\n## Data\n\nfirst\n\n### Splits\n\n{code}\n\n## Data sheet\n\nother\n\n## Use\n\nTO FILL IN: x\n"
    assert find_section(words, "Data") == f"first\n\n### Splits\n\n{code}"
    assert find_section(words, "Data sheet") == "other"
    assert find_section(words, "Use") == find_section(words, "Training") == find_section("", "Data") == ""
