"""Random scans with labels, for a bundle whose dataset is not at hand: of one window's size, the shortest there is."""

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

_NEEDED = ("patch", "window", "labels", "in_channels", "fold")
_DIFFERENT = 4  # the other scans are copies
_BLOCK = 8  # voxels: structures of this size are met by every patch
_CONTRAST = 2.0  # of neighbouring labels, in standard deviations of the noise


def make_random_dataset(
    config: Path, overrides: Mapping[str, Any], folder: Path, *, training: int, validation: int
) -> Path:
    """Write noise with blocks of every label, on the grid that the bundle resamples to, and its datalist.

    Args:
        config: the bundle's ``configs/train.json``.
        overrides: values that go before those of the config.
        folder: where to write; made.
        training: cases outside the validated fold.
        validation: cases of the validated fold.

    Returns:
        The datalist. Scans are as large as the patch or the window, axis by axis the larger one.

    Raises:
        InputError: when the config does not say how large the scans shall be and which labels they have.
    """
    parser = ConfigParser()
    parser.read_config(str(config))
    parser.update(pairs=dict(overrides))
    missing = [key for key in _NEEDED if key not in parser]
    if missing:
        raise InputError(
            config,
            found=f"no {', '.join(missing)}",
            expected="the keys of a bundle that `lightskip render` wrote, to make random scans for it",
            remedy="measure with real scans: --dataset_dir DIR",
        )
    patch, window, labels, channels, fold = (parser.get_parsed_content(key) for key in _NEEDED)
    shape = tuple(max(sizes) for sizes in zip(patch, window, strict=True))
    affine = np.eye(4)
    spacing = next(_values(parser.get(), "pixdim"), [1.0] * len(shape))
    affine[range(len(shape)), range(len(shape))] = spacing[: len(shape)]
    folder.mkdir(parents=True)
    items = []
    for number in range(training + validation):
        images = [folder / f"scan_{number:03d}_{channel}.nii.gz" for channel in range(channels)]
        label = folder / f"label_{number:03d}.nii.gz"
        if number < _DIFFERENT:
            _write_case(images, label, shape, affine, sorted(labels.values()), seed=number)
        else:
            for path in (*images, label):
                shutil.copyfile(path.with_name(path.name.replace(f"{number:03d}", f"{number % _DIFFERENT:03d}")), path)
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
    blocks = rng.choice(values, size=[-(-n // _BLOCK) for n in shape])
    # Every label is somewhere, however few blocks there are.
    blocks.flat[: len(values)] = values[: blocks.size]
    for axis in range(len(shape)):
        blocks = blocks.repeat(_BLOCK, axis=axis)
    label_map = blocks[tuple(slice(n) for n in shape)].astype(np.uint8)
    nib.save(nib.Nifti1Image(label_map, affine), label)
    for path in images:
        voxels = rng.normal(size=shape) + _CONTRAST * label_map
        nib.save(nib.Nifti1Image(voxels.astype(np.float32), affine), path)


def _values(config: Any, name: str) -> Iterator[Any]:
    """Every value under a key of that name, however deep, that is a list."""
    children = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    for key, value in children:
        if key == name and isinstance(value, list):
            yield value
        yield from _values(value, name)
