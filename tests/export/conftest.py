"""Exports, made once, and an environment in which LightSkip is not installed."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser

from pipeline.data.sample import make_sample
from pipeline.export.export import ExportResult, export_bundle

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"
_HIDE = """
import sys
from importlib.abc import MetaPathFinder

class Hidden(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] == 'pipeline':
            raise ModuleNotFoundError(f'No module named {name!r}: it is not installed here', name=name)

sys.meta_path.insert(0, Hidden())
"""


@pytest.fixture(scope="session")
def hippocampus(tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    """The shipped bundle with everything."""
    return export_bundle(BUNDLES / "hippocampus_mri", tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory, hippocampus: ExportResult) -> ExportResult:
    """Another network with random weights, next to the first one, without the other formats."""
    checkpoint = tmp_path_factory.mktemp("weights") / "model.pt"
    parser = ConfigParser()
    parser.read_config(str(BUNDLES / "synthetic_shapes" / "configs" / "inference.json"))
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        torch.save(parser.get_parsed_content("network_def").state_dict(), checkpoint)
    return export_bundle(
        BUNDLES / "synthetic_shapes",
        hippocampus.folder.parent,
        checkpoint=checkpoint,
        without=["ts", "pt2", "onnx", "zip"],
    )


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset: imagesTr, labelsTr, imagesTs, dataset.json."""
    folder = tmp_path_factory.mktemp("scans") / "shapes"
    make_sample(folder, cases=6, scans=2)
    return folder


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Python where LightSkip cannot be imported, in another folder than any bundle's."""
    folder = tmp_path_factory.mktemp("elsewhere")
    hidden = tmp_path_factory.mktemp("hidden")
    (hidden / "sitecustomize.py").write_text(_HIDE)
    path = os.pathsep.join([str(hidden), sysconfig.get_paths()["purelib"]])
    environment = os.environ | {"PYTHONPATH": path, "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "2"}

    def run(*words: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        # The interpreter behind the virtual environment: it reads no .pth file of it.
        python = Path(sys.executable).resolve()
        done = subprocess.run(
            [python, *map(str, words)], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    return run
