"""What takes bundles in Python, called where LightSkip is not installed: ``python consumers.py WHAT …``.

Each function prints what it found as JSON, on the last line. Imports MONAI and PyTorch alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from monai.bundle import ConfigWorkflow, create_workflow, load
from monai.fl.client import MonaiAlgo
from monai.fl.utils.constants import ExtraItems, WeightType
from monai.fl.utils.exchange_object import ExchangeObject

CONFIGS = {"train": ["train"], "evaluate": ["train", "evaluate"], "infer": ["inference"]}


def two_bundles(folder: str, first: str, second: str) -> dict[str, Any]:
    """Load two networks into one process, and make every workflow of both."""
    found: dict[str, Any] = {}
    for name in (first, second):
        network = load(name, bundle_dir=folder, device="cpu")
        found[name] = {
            "module": type(network).__module__,
            "file": sys.modules[type(network).__module__].__file__,
            "widths": [stage.convs[-1][0].out_channels for stage in network.encoder[1:]],
            "weights": sum(parameter.numel() for parameter in network.parameters()),
            "properties": {},
        }
        for kind, configs in CONFIGS.items():
            workflow = create_workflow(
                config_file=[str(Path(folder, name, "configs", f"{config}.json")) for config in configs],
                workflow_type="infer" if kind == "infer" else "train",
            )
            found[name]["properties"][kind] = workflow.check_properties()
            assert type(workflow.network_def).__module__ == type(network).__module__
    return found


def federated(bundle: str, dataset: str) -> dict[str, Any]:
    """Be a client of federated learning for one round."""
    few = "$[{'image': image, 'label': label} for image, label in zip(@images[:2], @labels[:2])]"
    settings = {"dataset_dir": dataset, "train_cases": few, "val_cases": few}
    client = MonaiAlgo(
        bundle_root=bundle,
        local_epochs=1,
        train_kwargs=dict(settings),
        eval_kwargs=dict(settings),
        send_weight_diff=False,
    )
    client.initialize(extra={ExtraItems.CLIENT_NAME: "site"})
    weights = torch.load(Path(bundle, "models", "model.pt"), weights_only=True)
    # Those of the server, which are others than the bundle's.
    server = {name: value * 1.01 for name, value in weights.items()}
    sent = ExchangeObject(weights=server, weight_type=WeightType.WEIGHTS)
    before = client.evaluate(sent).metrics
    client.train(sent)
    got = client.get_weights()
    after = client.evaluate(got).metrics
    client.finalize()
    changed = [name for name, value in got.weights.items() if not np.array_equal(value, server[name].numpy())]
    return {"before": before, "after": after, "names": len(got.weights), "changed": len(changed)}


def zoo_unit_test(bundle: str, dataset: str) -> dict[str, Any]:
    """The checks of the model zoo's unit tests of segmentation bundles, with their overrides, data and sizes."""
    generator = np.random.default_rng(0)
    Path(dataset).mkdir()
    for number in range(10):
        for kind in ("image", "label"):
            voxels = generator.integers(0, 2, (64, 64, 64)).astype(np.int8)
            nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), Path(dataset, f"{kind}_{number}.nii.gz"))
    configs = Path(bundle, "configs")
    common = {
        "logging_file": str(configs / "logging.conf"),
        "meta_file": str(configs / "metadata.json"),
        "bundle_root": bundle,
        "dataset_dir": dataset,
    }
    trained = {
        "images": "$list(sorted(glob.glob(@dataset_dir + '/image_*.nii.gz')))",
        "labels": "$list(sorted(glob.glob(@dataset_dir + '/label_*.nii.gz')))",
        "epochs": 1,
        "train#dataset#cache_rate": 0.0,
        "validate#dataset#cache_rate": 0.0,
        "train#dataloader#num_workers": 1,
        "validate#dataloader#num_workers": 1,
        "train#random_transforms#0#spatial_size": [32, 32, 32],
    }
    inferred = {
        "datalist": "$list(sorted(glob.glob(@dataset_dir + '/image_*.nii.gz')))",
        "handlers#0#_disabled_": True,
        "inferer#roi_size": [32, 32, 32],
    }
    found = {}
    for kind, names in CONFIGS.items():
        workflow = ConfigWorkflow(
            workflow_type="infer" if kind == "infer" else "train",
            config_file=[str(configs / f"{name}.json") for name in names],
            **common,
            **(inferred if kind == "infer" else trained),
        )
        workflow.initialize()
        found[kind] = workflow.check_properties()
        workflow.run()
        workflow.finalize()
    found["written"] = sorted(path.name for path in Path(bundle, "eval").glob("image_*"))
    return found


if __name__ == "__main__":
    result = globals()[sys.argv[1]](*sys.argv[2:])
    assert not [name for name in sys.modules if name.partition(".")[0] == "pipeline"]
    sys.stdout.write("\n" + json.dumps(result) + "\n")
