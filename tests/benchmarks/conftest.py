"""Let tests import the scripts of benchmarks/, which import each other from their own folder."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))


@pytest.fixture
def run_script(
    warm_start: Callable[..., "subprocess.CompletedProcess[str]"],
) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run one of the scripts from the repository's root, on one thread."""

    def run(name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return warm_start("-W", "ignore", f"benchmarks/{name}.py", *arguments, cwd=ROOT)

    return run


@pytest.fixture
def task() -> Any:
    """A task of toy size: three levels, two patches of 8 x 8 x 12 voxels."""
    from arms import Task  # noqa: PLC0415

    return Task(
        network={
            "channels": [4, 8, 16],
            "convs_per_level": [1, 2, 2],
            "decoder_convs_per_level": [1, 2],
            "kernel_size": 3,
            "norm": ["instance", {"affine": True}],
            "act": ["leakyrelu", {"negative_slope": 0.01}],
            "residual": "decoder",
            "head": "pointwise",
        },
        in_channels=1,
        out_channels=3,
        patch=(8, 8, 12),
        window=(8, 8, 8),
        window_overlap=0.5,
        batch=2,
        device="cpu",
        precision="float32",
        threads=1,
        seed=0,
    )
