"""The transforms of a bundle's inference config: those that read, prepare and clean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.transforms import Activationsd, AsDiscreted, Compose, Invertd, LoadImaged, SaveImaged

from ..data.errors import InputError
from ..labelmaps.save import SaveLabelMapd, SaveProbabilitiesd

__all__ = ["REMEDY", "cleaning_transforms", "split_preprocessing"]

REMEDY = "run it with `python -m monai.bundle run --config_file …/configs/inference.json`"


def split_preprocessing(parser: Any) -> tuple[LoadImaged, Compose]:
    """Return the transform that reads a scan, and the transforms that prepare it.

    Raises:
        InputError: the first transform is not LoadImaged.
    """
    transforms = parser.get_parsed_content("preprocessing").transforms
    if not transforms or not isinstance(transforms[0], LoadImaged):
        raise InputError(
            "preprocessing of the inference config",
            found=f"{type(transforms[0]).__name__ if transforms else 'no transform'} as the first transform",
            expected="LoadImaged",
            remedy=REMEDY,
        )
    return transforms[0], Compose(transforms[1:])


def cleaning_transforms(parser: Any, bundle: Path) -> Compose:
    """Return the transforms between argmax and saving.

    Prediction replaces the transforms before them, so they must be the expected ones.

    Raises:
        InputError: other transforms come before argmax.
    """
    transforms = parser.get_parsed_content("postprocessing").transforms
    kinds = [type(transform) for transform in transforms]
    before = kinds[: kinds.index(AsDiscreted)] if AsDiscreted in kinds else []
    known = [kind for kind in before if kind is not SaveProbabilitiesd]
    if known != [Activationsd, Invertd]:
        raise InputError(
            bundle / "configs" / "inference.json",
            found=f"post-processing by {', '.join(kind.__name__ for kind in kinds) or 'nothing'}",
            expected="softmax, the inverse of the pre-processing, argmax, then transforms of label maps",
            remedy=REMEDY,
        )
    after = transforms[len(before) + 1 :]
    return Compose([transform for transform in after if not isinstance(transform, SaveLabelMapd | SaveImaged)])
