"""What the parts of `predict.py` share: processes of their own, bundles with random weights, synthetic CT scans."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
import yaml
from monai.bundle import ConfigParser

from pipeline.bundle.render import write_rendered

__all__ = ["Alone", "differing", "make_bundle", "make_ct", "monai_runner", "predict_verb", "run_alone"]

PLAN = Path(__file__).resolve().parents[1] / "bundles" / "hippocampus_mri" / "plan.yaml"
_VERB = "import sys; from pipeline.cli import main; sys.exit(main())"
# A process that is started by a large one counts that one's memory as its own: a small one in between starts it.
_LAUNCHER = """
import json, os, subprocess, sys, time
with open(sys.argv[1], "w") as log:
    begun = time.perf_counter()
    child = subprocess.Popen(sys.argv[2:], stdout=log, stderr=log)
    _, status, usage = os.wait4(child.pid, 0)
    taken = time.perf_counter() - begun
child.returncode = os.waitstatus_to_exitcode(status)
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps([child.returncode, taken, usage.ru_maxrss * unit]))
"""
_AIR, _BODY = (-1000, 15), (40, 30)  # HU: mean and standard deviation
_ORGANS = 12
_STEP = 8  # slices that are made at a time


@dataclass(frozen=True)
class Alone:
    """What a process of its own took: seconds, and the peak of its resident memory in bytes."""

    seconds: float
    peak: int


def run_alone(words: Sequence[str | Path], log: Path, *, threads: int = 1) -> Alone:
    """Run a command in a fresh process.

    Args:
        words: the command.
        log: where its output goes.
        threads: that PyTorch starts with.

    Raises:
        RuntimeError: it failed.
    """
    command = [sys.executable, "-c", _LAUNCHER, str(log), *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    status, seconds, peak = json.loads(done.stdout)
    if status != 0:
        msg = f"{words[-1]}: exit status {status}\n{log.read_text(errors='replace')[-2000:]}"
        raise RuntimeError(msg)
    return Alone(seconds, peak)


def predict_verb(bundle: Path, scans: Path, output: Path, *options: str, threads: int = 1) -> list[str]:
    """Return the command of ``lightskip predict``."""
    words = ["predict", str(bundle), str(scans), "-o", str(output), "--threads", str(threads), "--device", "cpu"]
    return [sys.executable, "-W", "ignore", "-c", _VERB, *words, *options]


def monai_runner(bundle: Path, scans: Path, output: Path) -> list[str]:
    """Return the command of MONAI's runner for all scans of a folder."""
    config = bundle / "configs" / "inference.json"
    settings = {"config_file": config, "dataset_dir": scans, "output_dir": output}
    words = [str(word) for key, value in settings.items() for word in (f"--{key}", value)]
    return [sys.executable, "-W", "ignore", "-m", "monai.bundle", "run", *words]


def make_bundle(
    folder: Path,
    *,
    classes: int,
    spacing: Sequence[float],
    window: int = 96,
    channels: Sequence[int] = (8, 16, 32, 64),
    normalisation: str = "ct",
    inputs: int = 1,
    seed: int = 0,
) -> Path:
    """Make a bundle like a published one but for its size, with random weights.

    Args:
        folder: to make.
        classes: of the network, the background among them.
        spacing: of its grid, mm.
        window: its side, voxels.
        channels: of the network's levels.
        normalisation: of the plan.
        inputs: channels of a scan.
        seed: of the weights.

    Returns:
        The folder.
    """
    plan: dict[str, Any] = yaml.safe_load(PLAN.read_text(encoding="utf-8"))
    data = plan["data"] | {"manifest": None, "modality": "CT", "channels": [f"channel {i}" for i in range(inputs)]}
    ct = {"intensity_range": [-160.0, 240.0], "intensity_mean": 40.0, "intensity_std": 80.0}
    levels = len(channels)
    plan |= {
        "name": folder.name.replace(".", "_"),
        "data": data,
        "labels": {"background": 0, **{f"organ_{value}": value for value in range(1, classes)}},
        "class_ratios": None,
        "spacing": [float(size) for size in spacing],
        "patch": [window] * 3,
        "window": [window] * 3,
        "normalisation": normalisation,
        **(ct if normalisation == "ct" else {}),
    }
    plan["network"] |= {
        "channels": list(channels),
        "convs_per_level": [1] + [2] * (levels - 1),
        "decoder_convs_per_level": [1] * (levels - 1),
    }
    folder.mkdir(parents=True)
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan, sort_keys=False), encoding="utf-8")
    write_rendered(folder)
    parser = ConfigParser()
    parser.read_config(str(folder / "configs" / "inference.json"))
    parser.update({"bundle_root": str(folder), "device": "cpu"})
    torch.manual_seed(seed)
    network = parser.get_parsed_content("network_def")
    (folder / "models").mkdir()
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    return folder


def make_ct(
    file: Path,
    shape: Sequence[int],
    *,
    spacing: Sequence[float] = (0.8, 0.8, 1.0),
    axes: Sequence[int] = (0, 1, 2),
    seed: int = 0,
) -> Path:
    """Write a scan like a CT: noisy air, and in it an elliptic body with ellipsoids of other densities.

    Args:
        file: NIfTI (int16, Hounsfield units) or what else MONAI reads.
        shape: voxels along the three axes.
        spacing: mm, along these axes.
        axes: world axis (right, anterior, superior) along which each of them runs.
        seed: of the noise and the ellipsoids.

    Returns:
        The file.
    """
    random = np.random.default_rng(seed)
    x, y, z = (np.linspace(-1, 1, length, dtype=np.float32) for length in shape)
    body = (x[:, None] / 0.8) ** 2 + (y[None] / 0.6) ** 2 < 1
    organs = [
        (random.uniform(-0.45, 0.45, 3), random.uniform(0.05, 0.3, 3), random.uniform(-120, 260))
        for _ in range(_ORGANS)
    ]
    voxels = np.empty(shape, np.int16)
    for first in range(0, shape[2], _STEP):
        place = (x[:, None, None], y[None, :, None], z[None, None, first : first + _STEP])
        size = (shape[0], shape[1], place[2].shape[2])
        part = np.where(body[..., None], np.float32(_BODY[0]), np.float32(_AIR[0])) * np.ones(size, np.float32)
        for centre, radii, density in organs:
            part[sum(((p - c) / r) ** 2 for p, c, r in zip(place, centre, radii, strict=True)) < 1] = density
        noise = random.standard_normal(size, dtype=np.float32)
        voxels[..., first : first + _STEP] = part + noise * np.where(body[..., None], _BODY[1], _AIR[1])
    affine = np.zeros((4, 4))
    affine[list(axes), range(3)] = spacing
    affine[3, 3] = 1
    nib.save(nib.Nifti1Image(voxels, affine), file)
    return file


def differing(first: Path, second: Path) -> dict[str, Any]:
    """Compare the label maps of two files.

    Returns:
        ``voxels``: how many differ; ``of``: how many there are; ``bytes_equal``: whether the files are the same.

    Raises:
        RuntimeError: their grids differ.
    """
    one, other = nib.load(first), nib.load(second)
    if one.shape != other.shape or not np.array_equal(one.affine, other.affine):
        msg = f"{first.name} and {second.name}: different grids"
        raise RuntimeError(msg)
    differ = int(np.count_nonzero(np.asarray(one.dataobj) != np.asarray(other.dataobj)))
    return {"voxels": differ, "of": int(np.prod(one.shape)), "bytes_equal": first.read_bytes() == second.read_bytes()}
