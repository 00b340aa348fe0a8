"""Plans of datasets with regions, ignored voxels and partly annotated cases."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from pipeline.bundle.plan import load_plan
from pipeline.bundle.planning import plan_bundle
from pipeline.bundle.planning.fingerprint import make_fingerprint
from pipeline.bundle.planning.regions import choose_annotation, choose_regions
from pipeline.bundle.planning.sides import choose_mirror_axes
from pipeline.bundle.render import check_rendered
from pipeline.data.dataset import Dataset
from pipeline.data.errors import InputError
from pipeline.data.sample_nested import make_nested_sample

LABELS = {"background": 0, "edema": 1, "core": 2, "enhancing": 4}
NESTED = {"whole": [1, 2, 4], "tumour_core": [2, 4], "enhancing": [4]}
CROSSED = {"vessel": [1, 2], "liver": [2, 4]}
Make = Callable[..., Any]


@pytest.fixture
def dataset(tmp_path: Path, make_report: Make, make_dataset: Make) -> Callable[..., Dataset]:
    return lambda **entries: make_dataset(tmp_path, make_report(labels=LABELS), **entries)


@pytest.mark.parametrize(
    ("entries", "order", "reason"),
    [
        (
            {"regions": NESTED},
            {"whole": "edema", "tumour_core": "core", "enhancing": "enhancing"},
            "larger regions first, each with its label that no other has",
        ),
        (
            {"regions": CROSSED, "region_order": {"liver": 4, "vessel": "core"}},
            {"liver": "enhancing", "vessel": "core"},
            "the datalist's",
        ),
    ],
)
def test_regions_have_names_of_labels_and_an_order(
    dataset: Make, entries: dict[str, Any], order: dict[str, str], reason: str
) -> None:
    chosen = choose_regions(dataset(**entries))
    names = {value: name for name, value in LABELS.items()}
    assert chosen["regions"].value == {
        region: [names[value] for value in values] for region, values in entries["regions"].items()
    }
    assert list(chosen["region_order"].value.items()) == list(order.items())
    assert chosen["region_order"].reason.endswith(f": {reason}")


def test_without_regions_the_plan_has_none(dataset: Make) -> None:
    assert choose_regions(dataset()) == {}


def test_regions_without_an_order_are_refused(dataset: Make) -> None:
    with pytest.raises(InputError) as error:
        choose_regions(dataset(regions=CROSSED))
    assert 'such as "region_order": {"vessel": 1, "liver": 2}, the first one first' in str(error.value)


def test_ignored_voxels_are_no_part_of_a_scan(make_report: Make, dataset: Make) -> None:
    """A tenth of 72 000 voxels is annotated, with all of the labelled ones in it."""
    report = make_report(labels=LABELS, share=0.03)
    for case in report["cases"][:6]:
        case["ignored"] = 64_800
        for each in case["classes"].values():
            each["voxels"] = 216
    for case in report["cases"][6:]:
        for each in case["classes"].values():
            each["voxels"] = 2160
    fingerprint = make_fingerprint(report)
    assert fingerprint.ignored == 0.9
    assert fingerprint.foreground == pytest.approx(0.09)
    assert [each.share for each in fingerprint.structures] == pytest.approx([0.03] * 3)
    chosen = choose_annotation(dataset(ignore=255), fingerprint)
    assert chosen["ignored_values"].value == [255]
    assert "90% of a scan" in chosen["ignored_values"].reason
    assert "partial_labels" not in chosen


def test_labels_count_in_the_cases_that_annotate_them(make_report: Make, dataset: Make) -> None:
    """A kidney that is in no map of the cases that do not annotate it would be in half of the cases."""
    report = make_report(labels=LABELS)
    for case in report["cases"][:5]:
        case["annotated"] = ["edema", "enhancing"]
        case["classes"]["core"]["voxels"] = 1
    fingerprint = make_fingerprint(report)
    cases = {each.name: each.cases for each in fingerprint.structures}
    assert cases == {"edema": 10, "core": 5, "enhancing": 10}
    # Of whole cases.
    assert fingerprint.foreground == pytest.approx(0.09)
    assert fingerprint.partial_cases == 5
    assert choose_annotation(dataset(), fingerprint)["partial_labels"].value is True


def test_naming_all_labels_annotates_the_case_as_a_whole(make_report: Make) -> None:
    report = make_report(labels=LABELS)
    report["regions"] = {"e": [4]}
    for case in report["cases"]:
        case["annotated"] = ["edema", "core", "e"]
    assert make_fingerprint(report).partial_cases == 0


def test_cases_that_annotate_regions_alone_have_structures_too(make_report: Make) -> None:
    report = make_report(labels=LABELS)
    report["regions"] = NESTED
    for case in report["cases"]:
        case["annotated"] = ["whole"]
    fingerprint = make_fingerprint(report)
    assert [each.cases for each in fingerprint.structures] == [10, 10, 10]
    assert (fingerprint.outputs, fingerprint.partial_cases) == (3, 10)


def test_regions_with_a_side_are_not_mirrored(make_report: Make) -> None:
    report = make_report(labels={"background": 0, "a": 1, "b": 2})
    report["regions"] = {"left_lung": [1, 2], "b": [2]}
    assert 0 not in choose_mirror_axes(make_fingerprint(report)).value


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four cases of nested regions; every second slice ignored, in two cases only the outer part annotated."""
    file = make_nested_sample(tmp_path_factory.mktemp("nested") / "data", cases=4, scans=0, folds=2)
    content = json.loads(file.read_text())
    content["ignore"] = 255
    for number, item in enumerate(content["training"]):
        image = nib.load(file.parent / item["label"])
        voxels = np.array(image.dataobj)
        voxels[..., ::2] = 255
        if number < 2:
            item["annotated"] = ["outer"]
            voxels[(voxels == 2) | (voxels == 3)] = 0
        nib.save(nib.Nifti1Image(voxels, image.affine), file.parent / item["label"])
    file.write_text(json.dumps(content))
    return file


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("steady")
def test_a_planned_bundle_has_them_all(sample: Path, tmp_path: Path) -> None:
    plan_bundle(sample, "nested", tmp_path, memory="4GB", hours=0.1, device="cpu")
    bundle = tmp_path / "nested"
    plan = load_plan(bundle)
    assert plan.outputs == ["whole", "core", "inner"]
    assert plan.region_order == {"whole": "outer", "core": "middle", "inner": "inner"}
    assert (plan.ignored_values, plan.partial_labels) == ([255], True)
    assert plan.class_ratios == [3, 1, 1, 1]
    check_rendered(bundle)
    datalist = json.loads((bundle / "configs" / "datalist.json").read_text())
    assert (datalist["ignore"], datalist["regions"]["core"]) == (255, [2, 3])
    assert [item.get("annotated") for item in datalist["training"]] == [["outer"], ["outer"], None, None]
    documents = (bundle / "docs" / "README.md").read_text()
    assert "predicted as regions: whole (outer, middle, inner), core (middle, inner), inner (inner)" in documents
    assert "ignored in the dataset's files: 255" in documents


@pytest.mark.usefixtures("steady")
def test_regions_without_an_order_leave_no_bundle_and_read_no_scan(sample: Path, tmp_path: Path) -> None:
    content = json.loads(sample.read_text()) | {"regions": {"a": [1, 2], "b": [2, 3]}}
    shutil.copytree(sample.parent, tmp_path / "data")
    (tmp_path / "data" / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="and no order"):
        plan_bundle(tmp_path / "data" / "dataset.json", "x", tmp_path / "bundles", check=tmp_path / "check")
    assert not (tmp_path / "bundles").exists()
    assert not (tmp_path / "check").exists()
