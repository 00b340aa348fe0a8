"""The transforms of a bundle's inference config: those that read, prepare and clean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monai.transforms import Activationsd, AsDiscreted, Compose, Invertd, LoadImaged, SaveImaged

from ..data.errors import InputError
from ..labelmaps.region_masks import Regions
from ..labelmaps.save import SaveLabelMapd, SaveProbabilitiesd
from .foreign import DECODER

__all__ = ["REMEDY", "cleaning_transforms", "find_regions", "split_preprocessing"]

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
    """Return the transforms between the decision (argmax, or that of regions) and saving.

    Prediction replaces the transforms before them, so they must be the expected ones.

    Raises:
        InputError: other transforms come before the decision.
    """
    transforms = parser.get_parsed_content("postprocessing").transforms
    kinds = [type(transform) for transform in transforms]
    decision = next((place for place, transform in enumerate(transforms) if _decides(transform)), 0)
    before = kinds[:decision]
    known = [kind for kind in before if kind is not SaveProbabilitiesd]
    if known != [Activationsd, Invertd]:
        raise InputError(
            bundle / "configs" / "inference.json",
            found=f"post-processing by {', '.join(kind.__name__ for kind in kinds) or 'nothing'}",
            expected="softmax, the inverse of the pre-processing, argmax, then transforms of label maps; of regions "
            "sigmoid and DecodeRegionsd",
            remedy=REMEDY,
        )
    after = transforms[len(before) + 1 :]
    return Compose([transform for transform in after if not isinstance(transform, SaveLabelMapd | SaveImaged)])


def find_regions(parser: Any, names: Sequence[str]) -> Regions | None:
    """Return the regions that the config's post-processing decodes; None if it chooses labels.

    Args:
        parser: the evaluated config.
        names: the regions' names, as many as there are.
    """
    transforms = parser.get_parsed_content("postprocessing").transforms
    decoding = next((transform for transform in transforms if _decodes(transform)), None)
    return None if decoding is None else Regions(tuple(names), tuple(decoding.regions), decoding.table)


def _decides(transform: Any) -> bool:
    return isinstance(transform, AsDiscreted) or _decodes(transform)


def _decodes(transform: Any) -> bool:
    # By name: an exported bundle has its own copy of the class.
    return type(transform).__name__ == DECODER
