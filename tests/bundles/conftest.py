"""What tests of the bundles share: the sample dataset, untrained weights, and a process that a run leaves unchanged."""

import sys
from collections.abc import Iterator
from pathlib import Path

import monai
import pytest
import torch
from monai.bundle import ConfigParser

from pipeline.data.sample import make_sample

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small sample dataset; copy it before changing anything in it."""
    return make_sample(tmp_path_factory.mktemp("sample") / "data", cases=6, scans=2, folds=3).parent


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained weights of the synthetic_shapes bundle's network."""
    parser = ConfigParser()
    parser.read_config(str(BUNDLES / "synthetic_shapes" / "configs" / "inference.json"))
    file = tmp_path_factory.mktemp("weights") / "model.pt"
    torch.save(parser.get_parsed_content("network_def").state_dict(), file)
    return file


@pytest.fixture
def own_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a run changes in its process is put back: the excepthook, the module path, the fixed seeds."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    monai.utils.set_determinism(seed=None)
