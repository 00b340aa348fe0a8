"""Helpers of the prediction benchmarks: commands, the cases of a fold, bundles with random weights, CT scans."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import nibabel as nib
import numpy as np
import torch
import yaml
from monai.bundle import ConfigParser
from numpy.typing import NDArray
from processes import VERB

from pipeline.bundle.render import write_rendered
from pipeline.evaluation.metrics import measure_case

__all__ = ["case_dice", "compare_label_maps", "fold_cases", "make_bundle", "make_ct", "monai_runner", "predict_verb"]

PLAN = Path(__file__).resolve().parents[1] / "bundles" / "hippocampus_mri" / "plan.yaml"
_AIR, _BODY = (-1000, 15), (40, 30)  # HU: mean and standard deviation
_ORGANS = 12
_LABELLED_NOISE = 8  # HU: standard deviation in the body, so that a network learns its ellipsoids in minutes
# Of ellipsoids with labels: below and above the body, in an order that puts unlike ones next to each other.
_LABELLED_HU = tuple(_BODY[0] + 19 * (7 * number % 20 - 9) for number in range(20) if 7 * number % 20 != 9)
_STEP = 8  # slices computed at a time


def predict_verb(bundle: Path, scans: Path, output: Path, *options: str, threads: int = 1) -> list[str]:
    """Return the command of ``lightskip predict``."""
    words = ["predict", str(bundle), str(scans), "-o", str(output), "--threads", str(threads), "--device", "cpu"]
    return [*VERB, *words, *options]


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
    """Make a bundle of another size than the published one, with random weights.

    Args:
        folder: the bundle's new folder.
        classes: number of the network's classes, background included.
        spacing: spacing of the network's grid, mm.
        window: side of the window, voxels.
        channels: widths of the network's levels.
        normalisation: normalisation in the plan.
        inputs: number of a scan's channels.
        seed: seed of the weights.

    Returns:
        The folder.
    """
    plan: dict[str, Any] = yaml.safe_load(PLAN.read_text(encoding="utf-8"))
    data = plan["data"] | {
        "manifest": None,
        "scans": None,
        "modality": "CT",
        "channels": [f"channel {i}" for i in range(inputs)],
    }
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
    truth: Path | None = None,
) -> Path:
    """Write a scan that resembles a CT: an elliptic body in noisy air, with ellipsoids of other densities.

    With a label map there are 19 ellipsoids instead of 12, with densities 19 HU apart and less noise.

    Args:
        file: a NIfTI file (int16, Hounsfield units).
        shape: voxels along the three axes.
        spacing: mm, along these axes.
        axes: world axis (right, anterior, superior) of each of them.
        seed: seed of the noise and the ellipsoids.
        truth: a NIfTI file for the label map (uint8): each ellipsoid has its own value from 1 on, the rest 0. None: no
            label map.

    Returns:
        The file.
    """
    random = np.random.default_rng(seed)
    x, y, z = (np.linspace(-1, 1, length, dtype=np.float32) for length in shape)
    body = (x[:, None] / 0.8) ** 2 + (y[None] / 0.6) ** 2 < 1
    organs = [
        (random.uniform(-0.45, 0.45, 3), random.uniform(0.05, 0.3, 3), random.uniform(-120, 260))
        for _ in range(_ORGANS if truth is None else len(_LABELLED_HU))
    ]
    if truth is not None:
        organs = [(*organ[:2], density) for organ, density in zip(organs, _LABELLED_HU, strict=True)]
    voxels = np.empty(shape, np.int16)
    labels = np.zeros(shape if truth is not None else (0, 0, 0), np.uint8)
    for first in range(0, shape[2], _STEP):
        place = (x[:, None, None], y[None, :, None], z[None, None, first : first + _STEP])
        size = (shape[0], shape[1], place[2].shape[2])
        part = np.where(body[..., None], np.float32(_BODY[0]), np.float32(_AIR[0])) * np.ones(size, np.float32)
        for value, (centre, radii, density) in enumerate(organs, start=1):
            inside = sum(((p - c) / r) ** 2 for p, c, r in zip(place, centre, radii, strict=True)) < 1
            part[inside] = density
            if truth is not None:
                labels[..., first : first + _STEP][inside] = value
        noise = random.standard_normal(size, dtype=np.float32)
        spread = _BODY[1] if truth is None else _LABELLED_NOISE
        voxels[..., first : first + _STEP] = part + noise * np.where(body[..., None], spread, _AIR[1])
    affine = np.zeros((4, 4))
    affine[list(axes), range(3)] = spacing
    affine[3, 3] = 1
    nib.save(nib.Nifti1Image(voxels, affine), file)
    if truth is not None:
        nib.save(nib.Nifti1Image(labels, affine), truth)
    return file


def compare_label_maps(first: Path, second: Path) -> dict[str, Any]:
    """Compare the label maps of two files.

    Returns:
        ``voxels``: number of different voxels. ``of``: number of all voxels. ``bytes_equal``: whether the files are
        equal.

    Raises:
        RuntimeError: their grids differ.
    """
    one, other = nib.load(first), nib.load(second)
    if one.shape != other.shape or not np.array_equal(one.affine, other.affine):
        msg = f"{first.name} and {second.name} have different grids; expected label maps of one scan"
        raise RuntimeError(msg)
    differ = int(np.count_nonzero(np.asarray(one.dataobj) != np.asarray(other.dataobj)))
    return {"voxels": differ, "of": int(np.prod(one.shape)), "bytes_equal": first.read_bytes() == second.read_bytes()}


def fold_cases(datalist: Path, dataset_dir: Path, fold: int) -> list[dict[str, Path]]:
    """Return the files of a fold's cases, each with the keys ``image`` and ``label``."""
    listed = json.loads(datalist.read_text(encoding="utf-8"))["training"]
    return [{key: dataset_dir / case[key] for key in ("image", "label")} for case in listed if case["fold"] == fold]


def case_dice(labels: NDArray[Any], file: Path, names: Mapping[str, int]) -> dict[str, float]:
    """Return the Dice of each label against the reference in a file, and their mean under ``mean``."""
    reference = nib.load(file)
    rows = measure_case(
        labels,
        np.rint(reference.get_fdata()).astype(int),
        spacing=[float(size) for size in reference.header.get_zooms()],
        labels=names,
    )
    dice = {row["label"]: row["dice"] for row in rows}
    return dice | {"mean": fmean(dice.values())}
