"""MONAI's own checks of a bundle: metadata against the schema, the network against the metadata, the properties."""

import json
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow, verify_net_in_out

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"
Start = Callable[..., "subprocess.CompletedProcess[str]"]
NAMES = ["hippocampus_mri", "synthetic_shapes"]

# MONAI says at every start that a config is code, and speaks of its own deprecations.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def monai_bundle(warm_start: Start, tmp_path: Path) -> Start:
    """Function that starts ``python -m monai.bundle`` in another working directory, without the internet."""
    # A proxy that leads nowhere: what is verified must be here.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://localhost:9")
    return partial(warm_start, "-W", "ignore", "-m", "monai.bundle", cwd=tmp_path, **nowhere)


@pytest.fixture
def schema(metadata_schema: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(metadata_schema, tmp_path))


@pytest.mark.parametrize("name", NAMES)
def test_metadata_follows_the_schema(name: str, schema: Path, monai_bundle: Start) -> None:
    metadata = BUNDLES / name / "configs" / "metadata.json"
    # The schema that the metadata names is the one that MONAI then finds here and does not download.
    assert Path(json.loads(metadata.read_text())["schema"]).name == schema.name
    done = monai_bundle("verify_metadata", "--meta_file", metadata, "--filepath", schema)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_network_gives_what_the_metadata_says(name: str, monai_bundle: Start) -> None:
    configs = BUNDLES / name / "configs"
    files: list[str | Path] = ["--meta_file", configs / "metadata.json", "--config_file", configs / "inference.json"]
    done = monai_bundle("verify_net_in_out", "--net_id", "network_def", *files)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_trained_network_gives_what_the_metadata_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    configs = BUNDLES / name / "configs"
    files = {"meta_file": str(configs / "metadata.json"), "config_file": str(configs / "train.json")}
    verify_net_in_out("network_def", **files, device="cpu")
    with pytest.raises(ValueError, match="output channel number"):
        verify_net_in_out("network_def", **files, device="cpu", **{"network_def#out_channels": 9})


def initialised(files: list[Path], kind: str, **overrides: Any) -> ConfigWorkflow:
    workflow = ConfigWorkflow([str(file) for file in files], workflow_type=kind, logging_file=False, **overrides)
    workflow.initialize()
    return workflow


@pytest.fixture
def untrained(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Untrained weights of the network of the bundle that the test is about."""
    parser = ConfigParser()
    parser.read_config(str(BUNDLES / request.getfixturevalue("name") / "configs" / "inference.json"))
    torch.save(parser.get_parsed_content("network_def").state_dict(), tmp_path / "model.pt")
    return tmp_path / "model.pt"


# The sample's label maps are not those of every bundle, and here nothing is computed with them: check_data is off.
@pytest.mark.slow
@pytest.mark.usefixtures("own_process")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("files", [["train"], ["train", "evaluate"]], ids="+".join)
def test_training_has_the_properties_that_monai_knows(
    files: list[str], name: str, untrained: Path, sample: Path, tmp_path: Path
) -> None:
    overrides = {"dataset_dir": str(sample), "datalist": str(sample / "dataset.json"), "check_data": False}
    if "evaluate" in files:
        overrides |= {"checkpoint": str(untrained), "output_dir": str(tmp_path / "evaluation")}
    configs = [BUNDLES / name / "configs" / f"{file}.json" for file in files]
    workflow = initialised(configs, "train", ckpt_dir=str(tmp_path / "run"), **overrides)
    assert workflow.check_properties() == []


@pytest.mark.usefixtures("own_process")
@pytest.mark.parametrize("name", NAMES)
def test_inference_has_the_properties_that_monai_knows(
    name: str, untrained: Path, sample: Path, tmp_path: Path
) -> None:
    folders = {"dataset_dir": str(sample / "imagesTs"), "output_dir": str(tmp_path / "out")}
    config = BUNDLES / name / "configs" / "inference.json"
    assert initialised([config], "infer", checkpoint=str(untrained), **folders).check_properties() == []
