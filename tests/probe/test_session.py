"""Regions, ignored voxels and partial labels: evaluate, compare, probe and the robustness's session count the same."""

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pipeline.bundle.launch import prepare
from pipeline.bundle.render import write_rendered
from pipeline.cli import main
from pipeline.data.errors import InputError
from pipeline.evaluation.metrics import measure_case
from pipeline.probe import probe_bundle
from pipeline.study.membranes import score_membranes

from .conftest import make_bundle

SETTINGS = {
    "regions": {"whole": ["core", "rim"], "inner": ["core"]},
    "region_order": {"whole": "rim", "inner": "core"},
    "ignored_values": [255, -1],
    "partial_labels": True,
}
LABELS = {"background": 0, "core": 1, "rim": 2}
REGIONS = {"whole": [1, 2], "inner": [1]}
# Half of the first case is ignored; of the last one nobody annotated the whole.
ROWS = {"case_0": ["whole", "inner"], "case_1": ["whole", "inner"], "case_2": ["inner"]}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_bundle(tmp_path_factory.mktemp("regions") / "small", spatial_dims=3, settings=SETTINGS)
    for number, value in enumerate((255, -1)):
        file = folder / "data" / f"case_{number}_label.nii.gz"
        image = nib.load(file)
        voxels = np.asarray(image.dataobj).astype(np.int16)
        voxels[: voxels.shape[0] // 2] = value
        nib.save(nib.Nifti1Image(voxels, image.affine), file)
    file = folder / "data" / "dataset.json"
    content = json.loads(file.read_text())
    content |= {"labels": LABELS, "regions": SETTINGS["regions"], "ignore": [255, -1]}
    content["training"][2]["annotated"] = ["core"]
    file.write_text(json.dumps(content))
    write_rendered(folder)
    config = folder / "configs" / "train.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"precision": "float32"}, indent=4))
    return folder


@pytest.fixture(scope="module")
def evaluated(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluated")
    words = ["--output_dir", str(out), "--predictions_dir", str(out / "maps"), "--runtime", "pytorch"]
    assert prepare("evaluate", bundle, [*words, "--logging_file", "False"]).run() == 0
    return out


def read_rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_evaluate_counts_what_was_annotated(bundle: Path, evaluated: Path) -> None:
    rows = read_rows(evaluated / "cases.csv")
    assert [(row["case"].removesuffix("_image"), row["label"]) for row in rows] == [
        (case, name) for case, names in ROWS.items() for name in names
    ]
    found = {(row["case"].removesuffix("_image"), row["label"]): row for row in rows}
    for case, names in ROWS.items():
        reference = np.asarray(nib.load(bundle / "data" / f"{case}_label.nii.gz").dataobj).astype(int)
        prediction = np.asarray(nib.load(evaluated / "maps" / f"{case}_image_seg.nii.gz").dataobj).astype(int)
        ignored = (reference == 255) | (reference == -1)
        prediction[ignored] = reference[ignored] = 0
        for want in measure_case(prediction, reference, spacing=(1, 1, 1), labels=LABELS, regions=REGIONS):
            if want["label"] in names:
                assert found[case, want["label"]]["dice"] == f"{want['dice']:.6f}"
                assert found[case, want["label"]]["reference_size"] == f"{want['reference_size']:.6f}"


def test_compare_has_the_rows_of_evaluate(bundle: Path, evaluated: Path, tmp_path: Path) -> None:
    words = [str(bundle), str(evaluated / "maps"), "-o", str(tmp_path / "out"), "--jobs", "1", "--resamples", "200"]
    assert main(["compare", *words]) == 0
    wanted = read_rows(evaluated / "cases.csv")
    found = read_rows(tmp_path / "out" / "cases.csv")
    assert [{key: row[key] for key in want} for row, want in zip(found, wanted, strict=True)] == wanted


@pytest.mark.slow
def test_the_probe_has_the_dice_of_evaluate(bundle: Path, evaluated: Path, tmp_path: Path) -> None:
    probe_bundle(bundle, tmp_path / "out", probes=["off"])
    rows = [row for row in read_rows(tmp_path / "out" / "cases.csv") if row["probe"] == "untouched"]
    wanted = {(row["case"], row["label"]): row["dice"] for row in read_rows(evaluated / "cases.csv")}
    found = {(row["case"], row["label"]): row["dice"] for row in rows}
    assert {key: found.pop(key) for key in wanted} == wanted
    assert set(found.values()) <= {"nan", ""}


def test_membranes_of_regions_are_refused(tmp_path: Path) -> None:
    flat = make_bundle(tmp_path / "flat", spatial_dims=2, settings=SETTINGS)
    with pytest.raises(InputError, match="flat: found regions; expected labels, of which every pixel is annotated"):
        score_membranes(flat, checkpoint=flat / "models" / "model.pt")
