"""Write random scans with labels, one window large, for a bundle whose dataset is not available."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monai.bundle import ConfigParser
from numpy.random import default_rng

from ..data.errors import InputError
from ..data.make_datalist import write_json

__all__ = ["make_random_dataset"]

_REQUIRED_KEYS = ("patch", "window", "labels", "in_channels", "fold")
_MAX_DIFFERENT_SCANS = 4
_BLOCK = 8  # voxels: every patch contains structures of this size
_CONTRAST = 2.0  # between neighbouring labels, in standard deviations of the noise


def make_random_dataset(
    config: Path,
    overrides: Mapping[str, Any],
    folder: Path,
    *,
    training: int,
    validation: int,
    different: int = _MAX_DIFFERENT_SCANS,
) -> Path:
    """Write scans of noise with blocks of every label, on the grid that the bundle resamples to, and their datalist.

    Args:
        config: the bundle's ``configs/train.json``.
        overrides: values that replace those of the config.
        folder: where to write; it is created.
        training: number of cases outside the validated fold.
        validation: number of cases in the validated fold.
        different: number of different cases; further ones are copies, which a training's check of the data refuses
            across folds.

    Returns:
        The datalist. Along each axis scans are as large as the larger of patch and window.

    Raises:
        InputError: the config lacks a key that sets the scans' size or labels.
    """
    parser = ConfigParser()
    parser.read_config(str(config))
    parser.update(pairs=dict(overrides))
    missing = [key for key in _REQUIRED_KEYS if key not in parser]
    if missing:
        raise InputError(
            config,
            found=f"no {', '.join(missing)}",
            expected="the keys that random scans need, as in a config written by `lightskip render`",
            remedy="measure with real scans: --dataset_dir DIR",
        )
    patch, window, labels, channels, fold = (parser.get_parsed_content(key) for key in _REQUIRED_KEYS)
    # Not those of `labels`, which the config's transforms make of them.
    in_files = parser.get_parsed_content("label_values") if "label_values" in parser else labels
    values = sorted(in_files.values())
    shape = tuple(max(sizes) for sizes in zip(patch, window, strict=True))
    affine = np.eye(4)
    spacing = next(_find_lists(parser.get(), "pixdim"), [1.0] * len(shape))
    affine[range(len(shape)), range(len(shape))] = spacing[: len(shape)]
    folder.mkdir(parents=True)
    items = []
    for number in range(training + validation):
        images = [folder / f"scan_{number:03d}_{channel}.nii.gz" for channel in range(channels)]
        label = folder / f"label_{number:03d}.nii.gz"
        if number < different:
            _write_case(images, label, shape, affine, values, seed=number)
        else:
            for path in (*images, label):
                original = path.name.replace(f"{number:03d}", f"{number % different:03d}")
                shutil.copyfile(path.with_name(original), path)
        names = [path.name for path in images]
        image = names if len(names) > 1 else names[0]
        items.append({"image": image, "label": label.name, "fold": fold if number < validation else fold + 1})
    datalist = folder / "dataset.json"
    write_json({"name": "Random", "training": items}, datalist)
    return datalist


def _write_case(
    images: list[Path], label: Path, shape: tuple[int, ...], affine: Any, values: list[int], *, seed: int
) -> None:
    rng = default_rng(seed)
    blocks = rng.choice(len(values), size=[-(-n // _BLOCK) for n in shape])
    # Every label occurs, even with few blocks.
    blocks.flat[: len(values)] = range(min(len(values), blocks.size))
    for axis in range(len(shape)):
        blocks = blocks.repeat(_BLOCK, axis=axis)
    places = blocks[tuple(slice(n) for n in shape)]
    kind = np.uint8 if values[0] >= 0 and values[-1] < 256 else np.int32
    nib.save(nib.Nifti1Image(np.array(values, kind)[places], affine), label)
    for path in images:
        voxels = rng.normal(size=shape) + _CONTRAST * places
        nib.save(nib.Nifti1Image(voxels.astype(np.float32), affine), path)


def _find_lists(config: Any, name: str) -> Iterator[Any]:
    """Yield every list that is the value of a key of that name, at any depth."""
    children = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    for key, value in children:
        if key == name and isinstance(value, list):
            yield value
        yield from _find_lists(value, name)
