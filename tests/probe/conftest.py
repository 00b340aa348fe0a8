"""What tests of probes share: small bundles in 3D and 2D with three validation cases of different sizes."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import monai
import nibabel as nib
import numpy as np
import pytest
import torch
import yaml
from monai.bundle import ConfigParser
from PIL import Image

from pipeline.bundle.render import write_rendered

PLAN = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes" / "plan.yaml"
WINDOW = 16  # voxels of 1 mm
# Smaller than a window along one axis, larger along another; the last case is of another fold.
SIZES = ((20, 12, 16), (16, 18, 24), (16, 16, 16), (16, 16, 16))
SKIPS = [["sat", {"maps": 3, "gate": "linear", "merge": "sum"}], "concat"]


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of one-channel 3D scans with labels core and rim, a network with two skips, and its dataset in `data`.

    For reading only. Its weights are random, but every label covers a part of each scan.
    """
    return make_bundle(tmp_path_factory.mktemp("probe") / "small", spatial_dims=3)


@pytest.fixture(scope="session")
def flat_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in 2D."""
    return make_bundle(tmp_path_factory.mktemp("probe") / "flat", spatial_dims=2)


@pytest.fixture(autouse=True)
def own_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a run changes in its process is put back: the excepthook, the module path, the fixed seeds."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    monai.utils.set_determinism(seed=None)


@pytest.fixture(scope="session")
def picture_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in 2D with PNG files, and a network whose skips are an attention gate and one number."""
    skip = ["attention_gate", "scalar"]
    return make_bundle(tmp_path_factory.mktemp("probe") / "pictures", spatial_dims=2, ending=".png", skip=skip)


def make_bundle(
    folder: Path,
    *,
    spatial_dims: int,
    ending: str = ".nii.gz",
    skip: Any = None,
    settings: Mapping[str, Any] | None = None,
    **network: Any,
) -> Path:
    folder.mkdir(parents=True)
    write_dataset(folder / "data", spatial_dims, ending)
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
        "skip": {"skip": skip or SKIPS},
    }
    plan["data"] |= {"manifest": "data/dataset.json"}
    plan["network"] |= {
        "channels": [4, 8, 8],
        "convs_per_level": [1, 1, 1],
        "decoder_convs_per_level": [1, 1],
        **network,
    }
    plan |= settings or {}
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan, sort_keys=False))
    write_rendered(folder)
    config = folder / "configs" / "train.json"
    # The same numbers on every machine.
    config.write_text(json.dumps(json.loads(config.read_text()) | {"precision": "float32"}, indent=4))
    (folder / "models").mkdir()
    torch.save(make_weights(config, spatial_dims), folder / "models" / "model.pt")
    return folder


def write_dataset(folder: Path, spatial_dims: int, ending: str) -> None:
    folder.mkdir()
    items = []
    for number, size in enumerate(SIZES):
        image = make_scan(size[:spatial_dims], seed=number)
        label = (image > 0.4).astype(np.uint8) + (image > 1.0)
        voxels = {"image": image.astype(np.float32), "label": label.astype(np.uint8)}
        for kind, array in voxels.items():
            file = folder / f"case_{number}_{kind}{ending}"
            if ending == ".png":
                grey = array if kind == "label" else np.clip(100 + 60 * array, 0, 255).astype(np.uint8)
                # A picture's rows are the second axis.
                Image.fromarray(grey.T).save(file)
            else:
                nib.save(make_nifti(array, number), file)
        fold = 0 if number < 3 else 1
        items.append({kind: f"case_{number}_{kind}{ending}" for kind in voxels} | {"fold": fold})
    (folder / "dataset.json").write_text(json.dumps({"training": items}))


def make_nifti(voxels: np.ndarray, number: int) -> nib.Nifti1Image:
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = 3 * number, -5, 7
    nifti = nib.Nifti1Image(voxels, affine)
    nifti.set_qform(affine, code=1)
    nifti.set_sform(affine, code=2)
    return nifti


def make_scan(size: tuple[int, ...], *, seed: int) -> np.ndarray:
    """A few smooth blobs of different height, with a little noise."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1)
    scan = 0.05 * rng.standard_normal(size)
    for height in (1.5, 1.0, -1.0):
        centre = rng.uniform(0.2, 0.8, len(size)) * size
        scan += height * np.exp(-((places - centre) ** 2).sum(axis=-1) / 18)
    return scan


def make_weights(config: Path, spatial_dims: int) -> dict[str, torch.Tensor]:
    """Random weights whose logits have a mean of 0 and a deviation of 2 for every label."""
    parser = ConfigParser()
    parser.read_config(str(config))
    with torch.random.fork_rng(devices=()), torch.no_grad():
        torch.manual_seed(1)
        network = parser.get_parsed_content("network_def").eval()
        image = torch.as_tensor(make_scan((WINDOW,) * spatial_dims, seed=9), dtype=torch.float32)
        logits = network(((image - image.mean()) / image.std())[None, None])[0].flatten(1)
        head = [layer for layer in network.modules() if getattr(layer, "out_channels", 0) == len(logits)][-1]
        scale = 2 / logits.std(dim=1)
        head.weight.mul_(scale.view(-1, *[1] * (head.weight.ndim - 1)))
        head.bias.copy_((head.bias - logits.mean(dim=1)) * scale)
    return network.state_dict()
