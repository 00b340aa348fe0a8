"""What tests of prediction share: small bundles with fixed random weights, and an anatomy to segment.

The weights are random, but the networks are smooth and their output is centred, so that every label covers a part of
the phantom with borders that bend in all directions. What is predicted depends on every voxel around a place: a flip,
a shift or a swap of axes anywhere on a scan's way gives another label map.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import monai
import numpy as np
import pytest
import torch
import yaml
from monai.bundle import ConfigParser, ConfigWorkflow
from torch import nn

from pipeline.bundle.render import write_rendered
from pipeline.inference.choose_runtime import RuntimeChoice, choose_runtime
from pipeline.inference.gpu_ways import choose_gpu_way
from pipeline.prediction import members
from pipeline.prediction.predictor import Predictor

PLAN = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes" / "plan.yaml"
WINDOW = 16  # voxels of 1 mm
REGIONS = {
    "regions": {"whole": ["core", "rim"], "inner": ["core"], "outer edge": ["rim"]},
    "region_order": {"whole": "rim", "inner": "core", "outer edge": "rim"},
    # A file's value that is no label.
    "ignored_values": [255],
}
# Centre (mm), width (mm) and height: no plane or axis of symmetry.
BLOBS = (((4.0, 2.0, -3.0), 5.0, 1.0), ((-5.0, 4.0, 3.0), 3.5, -0.8), ((1.0, -6.0, 5.0), 3.0, 0.7))


@pytest.fixture(scope="session", autouse=True)
def auto_is_pytorch() -> Iterator[None]:
    """The runtime `auto` is PyTorch, unless a folder was begun with another one: times differ between machines."""

    def choose(network: nn.Module, *, only: str | None, **options: Any) -> RuntimeChoice:
        return choose_runtime(network, only=only or "pytorch", **options)

    def choose_way(network: nn.Module, **options: Any) -> RuntimeChoice:
        return choose_gpu_way(network, **{**options, "windows": 1})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(members, "choose_runtime", choose)
        patch.setattr(members, "choose_gpu_way", choose_way)
        yield


@pytest.fixture(scope="session")
def phantom() -> Callable[[np.ndarray], np.ndarray]:
    """The intensity, about 0 to 300, at points in the world: (..., 3) in mm to (...). The middle is the origin."""
    return intensity


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that takes milliseconds: 3D, one channel, labels core 1 and rim 2, 1 mm, windows of 16 voxels, float32.

    For reading only; copy it before changing anything in it.
    """
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny", spatial_dims=3)


@pytest.fixture(scope="session")
def tiny_flat_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in 2D."""
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny_flat", spatial_dims=2)


@pytest.fixture(scope="session")
def tiny_region_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in 3D with the regions whole (core and rim), inner (core) and edge (rim), which do overlap."""
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny_regions", spatial_dims=3, **REGIONS)


@pytest.fixture(scope="session")
def region_predictor(tiny_region_bundle: Path) -> Predictor:
    """The predictor of `tiny_region_bundle`."""
    return Predictor(tiny_region_bundle, device="cpu")


@pytest.fixture(scope="session")
def predictor(tiny_bundle: Path) -> Predictor:
    """The predictor of `tiny_bundle` on the CPU, in memory without bound."""
    return Predictor(tiny_bundle, device="cpu")


@pytest.fixture(scope="session")
def flat_predictor(tiny_flat_bundle: Path) -> Predictor:
    """The predictor of `tiny_flat_bundle`."""
    return Predictor(tiny_flat_bundle, device="cpu")


@pytest.fixture(scope="session")
def run_by_monai() -> Callable[..., None]:
    """Run a bundle's inference config on scans with MONAI's runner; it also writes probabilities."""

    def run(bundle: Path, scans: list[Path], output: Path, **settings: Any) -> None:
        kept = sys.excepthook, list(sys.path)
        try:
            workflow = ConfigWorkflow(
                config_file=str(bundle / "configs" / "inference.json"),
                workflow_type="infer",
                datalist=[str(scan) for scan in scans],
                output_dir=str(output),
                probabilities=True,
                device="$torch.device('cpu')",
                **settings,
            )
            workflow.initialize()
            workflow.run()
            workflow.finalize()
        finally:
            sys.excepthook, sys.path = kept[0], kept[1]
            monai.utils.set_determinism(seed=None)

    return run


def intensity(points: np.ndarray) -> np.ndarray:
    points = np.asarray(points)
    total = points @ [0.01, -0.02, 0.015]
    for centre, width, height in BLOBS:
        total = total + height * np.exp(-((points - centre) ** 2).sum(axis=-1) / (2 * width**2))
    return 100 * (total + 1)


def make_bundle(folder: Path, *, spatial_dims: int, **keys: Any) -> Path:
    """Make a bundle; `keys` are further keys of its plan."""
    plan = yaml.safe_load(PLAN.read_text())
    plan |= {
        "name": folder.name,
        "labels": {"background": 0, "core": 1, "rim": 2},
        "class_ratios": None,
        "orientation": "RAS",
        "spacing": [1.0] * spatial_dims,
        "normalisation": "zscore",
        "patch": [WINDOW] * spatial_dims,
        "window": [WINDOW] * spatial_dims,
        "window_overlap": 0.5,
        "mirror_axes": list(range(spatial_dims)),
        **keys,
    }
    # Phantoms of any size and contrast are segmented: `test_compare_scan.py` compares.
    plan["data"].pop("scans", None)
    plan["network"] |= {"channels": [4, 8], "convs_per_level": [1, 1], "decoder_convs_per_level": [1]}
    folder.mkdir()
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan, sort_keys=False))
    write_rendered(folder)
    config = folder / "configs" / "inference.json"
    content = json.loads(config.read_text())
    # The same numbers on every machine.
    config.write_text(json.dumps(content | {"precision": "float32"}, indent=4))
    (folder / "models").mkdir()
    torch.save(weights(config, spatial_dims), folder / "models" / "model.pt")
    return folder


def weights(config: Path, spatial_dims: int) -> dict[str, torch.Tensor]:
    """Random weights whose logits, over the phantom, have a mean of 0 and a deviation of 2 for every label."""
    parser = ConfigParser()
    parser.read_config(str(config))
    with torch.random.fork_rng(devices=()), torch.no_grad():
        torch.manual_seed(1)
        network = parser.get_parsed_content("network_def").eval()
        place = np.stack(np.meshgrid(*[np.arange(WINDOW) - WINDOW / 2] * spatial_dims, indexing="ij"), axis=-1)
        image = intensity(np.pad(place, [(0, 0)] * spatial_dims + [(0, 3 - spatial_dims)]))
        image = (image - image.mean()) / image.std()
        logits = network(torch.as_tensor(image, dtype=torch.float32)[None, None])[0].flatten(1)
        head = [layer for layer in network.modules() if getattr(layer, "out_channels", 0) == len(logits)][-1]
        scale = 2 / logits.std(dim=1)
        head.weight.mul_(scale.view(-1, *[1] * (head.weight.ndim - 1)))
        head.bias.copy_((head.bias - logits.mean(dim=1)) * scale)
    return network.state_dict()
