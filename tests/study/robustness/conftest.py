"""What tests of robustness share: bundles with a random network, and a smooth scan."""

import sys
from collections.abc import Iterator
from pathlib import Path

import monai
import numpy as np
import pytest
from numpy.typing import NDArray

from ...probe.conftest import make_bundle, make_scan


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of one-channel 3D scans with labels core and rim; its fold 0 has three validation cases."""
    return make_bundle(tmp_path_factory.mktemp("robustness") / "small", spatial_dims=3)


@pytest.fixture(scope="session")
def picture_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in 2D with PNG files."""
    return make_bundle(tmp_path_factory.mktemp("robustness") / "pictures", spatial_dims=2, ending=".png")


@pytest.fixture(autouse=True)
def own_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a run changes in its process is put back: the excepthook, the module path, the fixed seeds."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    monai.utils.set_determinism(seed=None)


@pytest.fixture(params=[(17, 24, 21), (24, 21)], ids=["3D", "2D"])
def scan(request: pytest.FixtureRequest) -> NDArray[np.float32]:
    """A scan (1, *spatial) of smooth blobs and a little noise, positive."""
    voxels: NDArray[np.float32] = (100 + 40 * make_scan(request.param, seed=3)[None]).astype(np.float32)
    return voxels
