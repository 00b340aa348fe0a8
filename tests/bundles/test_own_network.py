"""A network of the user's own, one file next to the plan, goes all the way: plan, render, train, predict, export."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import monai
import nibabel as nib
import pytest
import yaml
from monai.bundle import ConfigParser

from pipeline.cli import main
from pipeline.networks import Networks

REPOSITORY = Path(__file__).resolve().parents[2]
TOY = REPOSITORY / "tests" / "networks" / "toy_network.py"

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def bundle(
    sample: Path,
    warm_start: Callable[..., "subprocess.CompletedProcess[str]"],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """A bundle whose plan names the network, trained for an epoch by MONAI's own runner."""
    folder = tmp_path_factory.mktemp("own_network")
    (folder / "data").symlink_to(sample)
    bundle = folder / "toy"
    shutil.copytree(REPOSITORY / "bundles" / "synthetic_shapes" / "docs", bundle / "docs")
    text = TOY.read_text().replace("dense_toy", "toy_of_a_user")
    (bundle / "toy_of_a_user.py").write_text(text)
    plan = yaml.safe_load((REPOSITORY / "bundles" / "synthetic_shapes" / "plan.yaml").read_text())
    plan["network"] = {"name": "toy_of_a_user.DenseToy", "growths": [3, 4, 5]}
    plan |= {"imports": ["toy_of_a_user"], "skip": "sat4"}
    (bundle / "plan.yaml").write_text(yaml.safe_dump(plan))
    components, modules = dict(Networks.components), set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "excepthook", sys.excepthook)
        patch.setattr(sys, "path", list(sys.path))
        assert main(["render", "toy"]) == 0
        words = "--config_file toy/configs/train.json --dataset_dir data --epochs 1 --val_interval 1 --skip sum"
        words += " --patch [16,16,16] --window [32,32,16]"
        done = warm_start("-W", "ignore", "-m", "monai.bundle", "run", "training", *words.split())
        assert done.returncode == 0, done.stdout + done.stderr
        yield bundle
    monai.utils.set_determinism(seed=None)
    Networks.components.clear()
    Networks.components.update(components)
    for name in set(sys.modules) - modules:
        if "toy_of_a_user" in name:
            del sys.modules[name]


@pytest.mark.slow
def test_configs_name_its_class_with_literal_arguments(bundle: Path) -> None:
    config = json.loads((bundle / "configs" / "inference.json").read_text())
    assert config["network_def"] == {
        "_target_": "toy_of_a_user.DenseToy",
        "spatial_dims": "@spatial_dims",
        "in_channels": "@in_channels",
        "out_channels": "@out_channels",
        "growths": [3, 4, 5],
        "skip": "@skip",
    }


def test_its_weights_know_it(bundle: Path) -> None:
    spec = json.loads((bundle / "runs" / "fold_0" / "model.json").read_text())["network"]
    assert (spec["name"], spec["growths"], spec["skip"]) == ("toy_of_a_user", [3, 4, 5], "sum")


@pytest.mark.slow
def test_it_segments_here_and_exported(bundle: Path) -> None:
    scan, weights = "data/imagesTs/scan_000.nii.gz", str(bundle / "runs" / "fold_0" / "model.pt")
    assert main(["predict", "toy", scan, "-o", "here", "--device", "cpu", "--runtime", "pytorch"]) == 0
    assert nib.load("here/scan_000_seg.nii.gz").shape == nib.load(scan).shape
    assert main(["export", "toy", "--checkpoint", weights, "-o", "out", "--without", "ts", "pt2", "onnx", "zip"]) == 0
    exported = Path("out/synthetic_shapes")
    carried = {file.name for file in exported.glob("scripts/*/networks/*.py")} | {"toy_of_a_user.py"}
    # None of LightSkip's own networks.
    assert "vnet.py" not in carried
    assert "dense toy" in (exported / "docs" / "README.md").read_text()
    parser = ConfigParser()
    parser.read_config(str(exported / "configs" / "inference.json"))
    parser["bundle_root"] = str(exported)
    network = parser.get_parsed_content("network_def")
    assert type(network).__module__.endswith(".toy_of_a_user")
    assert network.spec == json.loads((exported / "models" / "model.json").read_text())["network"]
    assert main(["predict", str(exported), scan, "-o", "there", "--device", "cpu", "--runtime", "pytorch"]) == 0
