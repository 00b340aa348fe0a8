"""Exported bundles in use: LightSkip is not installed, and the working directory has no bundle."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
import yaml
from monai.bundle import ConfigParser
from PIL import Image

from pipeline.bundle.render import write_rendered
from pipeline.export.export import ExportResult, export_bundle
from pipeline.prediction import predict

pytestmark = pytest.mark.export
Alone = Callable[..., "subprocess.CompletedProcess[str]"]
_CONSUMERS = Path(__file__).with_name("consumers.py")
_FEW = "$[{{'image': i, 'label': l}} for i, l in list(zip(@images, @labels))[{}:{}]]"


@pytest.fixture(scope="module")
def landed(hippocampus: ExportResult, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    """A copy: MONAI makes folders in a bundle as soon as its handlers are made."""
    folder = shutil.copytree(hippocampus.folder, tmp_path_factory.mktemp("landed") / hippocampus.folder.name)
    return replace(hippocampus, folder=folder)


@pytest.fixture(scope="module")
def landed_shapes(shapes: ExportResult, landed: ExportResult) -> ExportResult:
    """A copy of the other bundle, next to the first one."""
    return replace(shapes, folder=shutil.copytree(shapes.folder, landed.folder.with_name(shapes.folder.name)))


def runner(alone: Alone, *words: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    return alone("-m", "monai.bundle", *words, check=check)


def consumer(alone: Alone, *words: object) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(alone(_CONSUMERS, *words).stdout.strip().splitlines()[-1])
    return result


def configs(made: ExportResult, *names: str) -> str:
    files = [str(made.folder / "configs" / f"{name}.json") for name in names]
    return str(files) if len(files) > 1 else files[0]


def test_lightskip_is_not_installed_there(alone):
    done = alone("-c", "import pipeline.networks", check=False)
    assert "No module named 'pipeline" in done.stderr


def test_trains_and_its_training_is_evaluated(alone, landed_shapes, scans, tmp_path):
    cases = {"train": _FEW.format(0, 4), "val": _FEW.format(4, 6)}
    done = runner(
        alone, "run", "training", "--config_file", configs(landed_shapes, "train"), "--dataset_dir", scans,
        "--epochs", 2, "--ckpt_dir", tmp_path / "run", "--train_cases", cases["train"], "--val_cases", cases["val"],
    )  # fmt: skip
    assert "train_loss" in done.stdout + done.stderr
    trained = torch.load(tmp_path / "run" / "model.pt", weights_only=True)
    shipped = torch.load(landed_shapes.folder / "models" / "model.pt", weights_only=True)
    assert trained.keys() == shipped.keys()
    assert not torch.equal(trained["head.weight"], shipped["head.weight"])
    runner(
        alone, "run", "evaluating", "--config_file", configs(landed_shapes, "train", "evaluate"),
        "--dataset_dir", scans, "--checkpoint", tmp_path / "run" / "model.pt",
        "--output_dir", tmp_path / "eval", "--val_cases", cases["val"],
    )  # fmt: skip
    with (tmp_path / "eval" / "val_mean_dice_raw.csv").open() as file:
        rows = list(csv.reader(file))
    # Two cases, three structures and their mean.
    assert [len(row) for row in rows] == [5, 5, 5]


def test_segments_the_voxels_that_predict_segments(alone, landed_shapes, scans, tmp_path):
    runner(
        alone, "run", "--config_file", configs(landed_shapes, "inference"), "--dataset_dir", scans / "imagesTs",
        "--output_dir", tmp_path,
    )  # fmt: skip
    bundle = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes"
    for scan in sorted((scans / "imagesTs").glob("*.nii.gz")):
        ours = predict(
            bundle,
            scan,
            checkpoint=landed_shapes.folder / "models" / "model.pt",
            settings={"precision": "float32"},
            runtime="pytorch",
        )
        saved = nibabel.load(tmp_path / scan.name.replace(".nii.gz", "_seg.nii.gz"))
        assert saved.get_data_dtype() == np.uint8
        np.testing.assert_allclose(saved.affine, nibabel.load(scan).affine, atol=1e-5)
        np.testing.assert_array_equal(np.asarray(saved.dataobj), np.asarray(ours.labels))


def test_predict_takes_an_exported_bundle(landed, scans, tmp_path):
    bundle = Path(__file__).resolve().parents[2] / "bundles" / "hippocampus_mri"
    scan = next(iter(sorted((scans / "imagesTs").glob("*.nii.gz"))))
    theirs = predict(landed.folder, scan, runtime="pytorch")
    ours = predict(bundle, scan, settings={"precision": "float32"}, runtime="pytorch")
    np.testing.assert_array_equal(theirs.labels, ours.labels)
    assert not (landed.folder / "eval").exists()


def test_regions_are_those_that_predict_finds(alone, scans, tmp_path):
    bundle = tmp_path / "regions"
    bundle.mkdir()
    plan = yaml.safe_load((Path(__file__).resolve().parents[2] / "bundles/synthetic_shapes/plan.yaml").read_text())
    first, second, *rest = [name for name, value in plan["labels"].items() if value]
    plan["regions"] = {"all": [first, second, *rest], "some": [first, second], "one": [second]}
    plan["region_order"] = {"all": first, "some": first, "one": second}
    (bundle / "plan.yaml").write_text(yaml.safe_dump(plan, sort_keys=False))
    write_rendered(bundle)
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "inference.json"))
    (bundle / "models").mkdir()
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        torch.save(parser.get_parsed_content("network_def").state_dict(), bundle / "models" / "model.pt")
    made = export_bundle(bundle, tmp_path / "exported", without=["ts", "pt2", "zip"])
    scan = next(iter(sorted((scans / "imagesTs").glob("*.nii.gz"))))
    runner(
        alone, "run", "--config_file", configs(made, "inference"), "--datalist", f"['{scan}']",
        "--output_dir", tmp_path / "out",
    )  # fmt: skip
    ours = predict(bundle, scan, settings={"precision": "float32"}, runtime="pytorch")
    saved = nibabel.load(tmp_path / "out" / scan.name.replace(".nii.gz", "_seg.nii.gz"))
    np.testing.assert_array_equal(np.asarray(saved.dataobj), ours.labels)
    assert len(np.unique(ours.patterns)) > 2
    theirs = predict(made.folder, scan, runtime="pytorch")
    assert theirs.regions.keys() == ours.regions.keys() == {"all", "some", "one"}
    np.testing.assert_array_equal(theirs.patterns, ours.patterns)
    assert theirs.table == ours.table
    assert json.loads((made.folder / "docs" / "formats.json").read_text())["largest_logit_difference_at_most"]


def test_python_gets_parts_of_a_workflow(alone, landed):
    config = landed.folder / "configs" / "inference.json"
    code = (
        "from monai.bundle import create_workflow\n"
        f"workflow = create_workflow(config_file={str(config)!r}, workflow_type='infer')\n"
        "print(type(workflow.parser.get_parsed_content('network')).__module__)"
    )
    assert alone("-c", code).stdout.split()[-1].startswith("hippocampus_mri_")


def test_a_folder_without_scans_is_told(alone, landed_shapes, tmp_path):
    done = runner(
        alone, "run", "--config_file", configs(landed_shapes, "inference"), "--dataset_dir", tmp_path, check=False
    )
    assert done.returncode == 1
    assert "found no scans: set --dataset_dir" in done.stderr


@pytest.mark.parametrize("what", ["train", "evaluate"])
def test_a_dataset_that_is_not_there_is_told(alone, landed_shapes, tmp_path, what):
    names = ["train"] if what == "train" else ["train", "evaluate"]
    done = runner(
        alone,
        "run",
        "--config_file",
        configs(landed_shapes, *names),
        "--dataset_dir",
        tmp_path / "nowhere",
        check=False,
    )
    assert done.returncode == 1
    assert "no training cases: set --dataset_dir" in done.stderr or "no cases to evaluate: set" in done.stderr


def test_a_fold_without_cases_is_told(alone, landed_shapes, scans, tmp_path):
    done = runner(
        alone, "run", "training", "--config_file", configs(landed_shapes, "train"), "--dataset_dir", scans,
        "--fold", 77, "--epochs", 1, "--ckpt_dir", tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "no cases for validation: set another --fold" in done.stderr


def test_pictures_and_channels_go_through(alone, tmp_path):
    """A 2D bundle of pictures, and one of two channels: the label maps equal LightSkip's."""
    for name in ("em_membrane", "left_right"):
        bundle = Path(__file__).resolve().parents[2] / "bundles" / name
        parser = ConfigParser()
        parser.read_config(str(bundle / "configs" / "inference.json"))
        weights = tmp_path / f"{name}.pt"
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(0)
            torch.save(parser.get_parsed_content("network_def").state_dict(), weights)
        made = export_bundle(bundle, tmp_path, checkpoint=weights, without=["ts", "pt2", "onnx", "zip"])
        folder = tmp_path / f"{name}_scans"
        scan = _draw(folder, name)
        runner(
            alone, "run", "--config_file", configs(made, "inference"), "--dataset_dir", folder,
            "--output_dir", tmp_path / f"{name}_maps",
        )  # fmt: skip
        ours = predict(bundle, scan, checkpoint=weights, settings={"precision": "float32"}, runtime="pytorch")
        theirs = np.asarray(nibabel.load(tmp_path / f"{name}_maps" / "a_seg.nii.gz").dataobj)
        np.testing.assert_array_equal(theirs.squeeze(), np.asarray(ours.labels).squeeze())


def _draw(folder: Path, name: str) -> Path | tuple[Path, ...]:
    """One scan of random numbers, as the bundle's scans are."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    if name == "em_membrane":
        Image.fromarray(generator.integers(0, 255, (80, 96), dtype=np.uint8)).save(folder / "a.png")
        return folder / "a.png"
    files = tuple(folder / f"a_000{channel}.nii.gz" for channel in range(2))
    for file in files:
        nibabel.save(nibabel.Nifti1Image(generator.normal(size=(40, 40, 12)).astype(np.float32), np.eye(4)), file)
    return files


def test_metadata_fit_the_zoos_schema(alone, landed, metadata_schema, tmp_path):
    # Where a file is, MONAI does not download.
    shutil.copy(metadata_schema, tmp_path / "schema.json")
    meta = landed.folder / "configs" / "metadata.json"
    done = runner(alone, "verify_metadata", "--meta_file", meta, "--filepath", tmp_path / "schema.json")
    assert "metadata is verified with no error" in done.stdout + done.stderr


def test_the_network_fits_its_metadata(alone, landed):
    done = runner(
        alone, "verify_net_in_out", "network_def", "--meta_file", landed.folder / "configs" / "metadata.json",
        "--config_file", configs(landed, "inference"),
    )  # fmt: skip
    assert "data shape of network is verified with no error" in done.stdout + done.stderr


@pytest.mark.parametrize(("verb", "ending"), [("ckpt_export", ".ts"), ("onnx_export", ".onnx")])
def test_monai_exports_it_once_more(alone, landed, tmp_path, verb, ending):
    file = tmp_path / f"model{ending}"
    runner(
        alone, verb, "network_def", "--filepath", file, "--ckpt_file", landed.folder / "models" / "model.pt",
        "--meta_file", landed.folder / "configs" / "metadata.json",
        "--config_file", configs(landed, "inference"),
    )  # fmt: skip
    assert file.stat().st_size > 6_000_000


def test_two_bundles_in_one_process_run_their_own_code(alone, landed, landed_shapes):
    folder = landed.folder.parent
    found = consumer(alone, "two_bundles", folder, "hippocampus_mri", "synthetic_shapes")
    first, second = found["hippocampus_mri"], found["synthetic_shapes"]
    for made, network in ((landed, first), (landed_shapes, second)):
        assert Path(network["file"]).is_relative_to(made.folder)
        assert network["properties"] == {"train": [], "evaluate": [], "infer": []}
    assert first["module"] != second["module"]
    assert (first["widths"], second["widths"]) == ([32, 64, 128], [32, 64])
    assert first["weights"] == 1_592_559


def test_a_client_of_federated_learning_trains_it(alone, landed_shapes, scans):
    found = consumer(alone, "federated", landed_shapes.folder, scans)
    assert set(found["before"]) == set(found["after"]) == {"val_mean_dice"}
    # All but what a mean of 0 leaves alone.
    assert found["changed"] > 0.9 * found["names"]


def test_passes_the_zoos_unit_test(alone, landed_shapes, tmp_path):
    bundle = shutil.copytree(landed_shapes.folder, tmp_path / "models" / landed_shapes.folder.name)
    found = consumer(alone, "zoo_unit_test", bundle, tmp_path / "data")
    assert [found[kind] for kind in ("train", "evaluate", "infer")] == [[], [], []]
    assert found["written"] == [f"image_{number}_seg.nii.gz" for number in range(10)]


@pytest.mark.long
def test_the_shipped_bundle_passes_the_zoos_unit_test(alone, landed, tmp_path):
    bundle = shutil.copytree(landed.folder, tmp_path / "models" / landed.folder.name)
    found = consumer(alone, "zoo_unit_test", bundle, tmp_path / "data")
    assert [found[kind] for kind in ("train", "evaluate", "infer")] == [[], [], []]


def test_several_processes_evaluate_as_one(alone, landed_shapes, scans, tmp_path):
    dice = {}
    for name, start, files in (
        ("one", ["-m", "monai.bundle"], ["train", "evaluate"]),
        ("two", ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "monai.bundle"],
         ["train", "evaluate", "multi_gpu_evaluate"]),
    ):  # fmt: skip
        alone(
            *start, "run", "evaluating", "--config_file", configs(landed_shapes, *files), "--dataset_dir", scans,
            "--output_dir", tmp_path / name, "--val_cases", _FEW.format(0, 3),
        )  # fmt: skip
        dice[name] = (tmp_path / name / "metrics.csv").read_text().split()
    assert dice["one"][0].startswith("val_mean_dice")
    one, two = (float(text[0].partition(",")[2]) for text in dice.values())
    assert one == pytest.approx(two, abs=1e-6)


def test_two_processes_train(alone, landed_shapes, scans, tmp_path):
    alone(
        "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", 2, "-m", "monai.bundle", "run", "training",
        "--config_file", configs(landed_shapes, "train", "multi_gpu_train"), "--dataset_dir", scans, "--epochs", 1,
        "--ckpt_dir", tmp_path, "--train_cases", _FEW.format(0, 4), "--val_cases", _FEW.format(4, 6),
    )  # fmt: skip
    assert (tmp_path / "model.pt").is_file()
