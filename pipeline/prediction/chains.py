"""The transforms of a bundle's inference config, as prediction runs them: what reads, what prepares, what cleans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.transforms import Activationsd, AsDiscreted, Compose, Invertd, LoadImaged, SaveImaged

from ..data.errors import InputError
from ..labelmaps.save import SaveLabelMapd, SaveProbabilitiesd

__all__ = ["REMEDY", "cleaning", "reading"]

REMEDY = "run it with `python -m monai.bundle run --config_file …/configs/inference.json`"


def reading(parser: Any) -> tuple[LoadImaged, Compose]:
    """Return the transform that reads a scan, and those that prepare it.

    Raises:
        InputError: another one comes first.
    """
    transforms = parser.get_parsed_content("preprocessing").transforms
    if not transforms or not isinstance(transforms[0], LoadImaged):
        raise InputError(
            "preprocessing of the inference config",
            found=f"{type(transforms[0]).__name__ if transforms else 'nothing'} at its beginning",
            expected="LoadImaged",
            remedy=REMEDY,
        )
    return transforms[0], Compose(transforms[1:])


def cleaning(parser: Any, bundle: Path) -> Compose:
    """Return the transforms between argmax and saving, after making sure that those before are the ones known here.

    Raises:
        InputError: they are others.
    """
    transforms = parser.get_parsed_content("postprocessing").transforms
    kinds = [type(transform) for transform in transforms]
    before = kinds[: kinds.index(AsDiscreted)] if AsDiscreted in kinds else []
    known = [kind for kind in before if kind is not SaveProbabilitiesd]
    if known != [Activationsd, Invertd]:
        raise InputError(
            bundle / "configs" / "inference.json",
            found=f"post-processing by {', '.join(kind.__name__ for kind in kinds) or 'nothing'}",
            expected="softmax, the inverse of the pre-processing, argmax, then what changes label maps",
            remedy=REMEDY,
        )
    after = transforms[len(before) + 1 :]
    return Compose([transform for transform in after if not isinstance(transform, SaveLabelMapd | SaveImaged)])
