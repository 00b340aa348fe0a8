"""Bundles of other networks than V-Net, exported whole: forms, MONAI's checks, prediction without LightSkip."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
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
from pipeline.export.compare import MAX_DIFFERENCE
from pipeline.export.export import ExportResult, export_bundle
from pipeline.export.formats import FORMATS
from pipeline.prediction import predict

pytestmark = pytest.mark.export
BUNDLES = Path(__file__).resolve().parents[2] / "bundles"
# By form: the bundle whose task it gets, what it has of its own, and the pruned channels by level.
CASES: dict[str, tuple[str, dict[str, Any], dict[int, tuple[int, int]]]] = {
    # A squeeze over a window of realistic size, in skips and stages.
    "unet": (
        "synthetic_shapes",
        {
            "window": [40, 56, 40],
            "skip": {"skip": "project_excite"},
            "network": {
                "name": "unet",
                "channels": [8, 12, 16],
                "encoder": "residual",
                "blocks_per_level": [1, 1, 2],
                "kernel_size": 3,
                "norm": ["instance", {"affine": True}],
                "act": ["leakyrelu", {"negative_slope": 0.01}],
                "recalibrate": "scse",
            },
        },
        {},
    ),
    # Half of the channels that a level transfers: 8 + 2 * 4, then 16 + 2 * 4. The window has one voxel at the deepest
    # level along an axis.
    "tiramisu": (
        "synthetic_shapes",
        {
            "window": [32, 16, 4],
            "skip": "sat_hard",
            "network": {"name": "tiramisu", "layers_per_block": [2, 2, 2], "growth": 4, "first_channels": 8},
        },
        {0: (8, 16), 1: (12, 24)},
    ),
    "residual_fcn": (
        "em_membrane",
        {
            "patch": [64, 64],
            "window": [64, 64],
            "skip": {"skip": "attention_gate"},
            "network": {
                "name": "residual_fcn",
                "channels": [8, 8, 8, 16],
                "block": ["simple", "basic", "bottleneck"],
                "blocks_per_level": [1, 2, 1],
                "kernel_size": 3,
                "norm": "batch",
                "act": "relu",
            },
        },
        {},
    ),
}


@dataclass(frozen=True)
class Exported:
    """A bundle with random weights, and its export."""

    bundle: Path
    weights: Path
    made: ExportResult
    left_out: dict[int, tuple[int, int]]

    @property
    def config(self) -> Path:
        """The exported configuration of inference."""
        return self.made.folder / "configs" / "inference.json"


@pytest.fixture(scope="module", params=CASES)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A bundle of each case, exported with all forms."""
    task, own, left_out = CASES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    # Which the plan of the pictures names.
    shutil.copytree(BUNDLES.parent / "data_manifests", folder / "data_manifests")
    bundle = folder / "bundles" / task
    bundle.mkdir(parents=True)
    plan = yaml.safe_load((BUNDLES / task / "plan.yaml").read_text(encoding="utf-8"))
    (bundle / "plan.yaml").write_text(yaml.safe_dump(plan | own), encoding="utf-8")
    write_rendered(bundle)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        torch.save(_draw_weights(_build(bundle / "configs" / "inference.json")), folder / "weights.pt")
    made = export_bundle(bundle, folder, checkpoint=folder / "weights.pt", without=["zip"])
    return Exported(bundle, folder / "weights.pt", made, left_out)


def _build(config: Path) -> Any:
    parser = ConfigParser()
    parser.read_config(str(config))
    parser.config["bundle_root"] = str(config.parents[1])
    return parser.get_parsed_content("network_def")


def _draw_weights(network: Any) -> dict[str, torch.Tensor]:
    """Return weights with running statistics, and with every other channel below the threshold of hard selection."""
    network.train()
    with torch.no_grad():
        network(torch.randn(2, 1, *(4 * divisor for divisor in network.size_divisor)))
    weights: dict[str, torch.Tensor] = network.state_dict()
    for name, weight in weights.items():
        if name.endswith("select.weight"):
            weight[1::2] = 0.01
    return weights


def _make_scan(exported: Exported, folder: Path) -> Path:
    folder.mkdir()
    generator = np.random.default_rng(0)
    if exported.bundle.name == "em_membrane":
        Image.fromarray(generator.integers(0, 255, (80, 96), dtype=np.uint8)).save(folder / "a.png")
        return folder / "a.png"
    voxels = generator.normal(size=(48, 40, 20)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([1.5, 1.5, 1.5, 1.0])), folder / "a.nii.gz")
    return folder / "a.nii.gz"


def test_all_forms_give_the_same_logits(exported):
    assert set(exported.made.differences) == set(FORMATS)
    assert max(exported.made.differences.values()) < MAX_DIFFERENCE


def test_the_configs_name_the_exported_network_without_its_pruned_channels(exported):
    network = _build(exported.config).eval()
    file = sys.modules[type(network).__module__].__file__
    assert file is not None
    assert Path(file).is_relative_to(exported.made.folder)
    network.load_state_dict(torch.load(exported.made.folder / "models" / "model.pt", weights_only=True))
    assert exported.made.left_out == exported.left_out
    assert json.loads((exported.made.folder / "models" / "model.json").read_text())["network"] == network.spec
    whole = _build(exported.bundle / "configs" / "inference.json").eval()
    whole.load_state_dict(torch.load(exported.weights, weights_only=True))
    window = torch.randn(1, 1, *(3 * divisor for divisor in network.size_divisor))
    with torch.inference_mode():
        torch.testing.assert_close(network(window), whole(window), rtol=0, atol=1e-5)


def test_it_passes_monais_check_where_lightskip_is_not_installed(exported: Exported, alone: Callable[..., Any]) -> None:
    meta = exported.made.folder / "configs" / "metadata.json"
    done = alone(
        "-m", "monai.bundle", "verify_net_in_out", "network_def", "--meta_file", meta, "--config_file", exported.config
    )
    assert "data shape of network is verified with no error" in done.stdout + done.stderr


def test_it_segments_as_its_source_does(exported: Exported, alone: Callable[..., Any], tmp_path: Path) -> None:
    scan = _make_scan(exported, tmp_path / "scans")
    alone(
        "-m", "monai.bundle", "run", "--config_file", exported.config, "--dataset_dir", scan.parent,
        "--output_dir", tmp_path / "maps",
    )  # fmt: skip
    ours = predict(
        exported.bundle, scan, checkpoint=exported.weights, settings={"precision": "float32"}, runtime="pytorch"
    )
    theirs = np.asarray(nibabel.load(tmp_path / "maps" / "a_seg.nii.gz").dataobj)  # type: ignore[attr-defined]
    labels = np.asarray(ours.labels)
    # Pruning changes rounding, and random weights leave some voxels undecided.
    assert (theirs.squeeze() == labels.squeeze()).mean() > (0.999 if exported.left_out else 1 - 1e-12)
    np.testing.assert_array_equal(
        np.asarray(predict(exported.made.folder, scan, runtime="pytorch").labels).squeeze(), theirs.squeeze()
    )
    assert len(np.unique(labels)) > 1
