"""The segmentation losses that a plan or ``lightskip train --loss NAME`` can name, as components of MONAI.

Needs neither torch nor MONAI.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from difflib import get_close_matches
from typing import Any, Literal, get_args

from ..data.errors import InputError

__all__ = ["NEEDS_ALL_VOXELS", "LossName", "loss_component", "replace_loss_name"]

LossName = Literal[
    "dice_ce",
    "dice",
    "cross_entropy",
    "focal",
    "dice_focal",
    "tversky",
    "tversky_ce",
    "focal_tversky",
    "generalised_dice",
    "generalised_dice_focal",
    "cldice",
    "boundary",
    "hausdorff",
]

NEEDS_ALL_VOXELS: dict[str, str] = {
    "cldice": "the skeleton",
    "boundary": "the distance to the boundary",
    "hausdorff": "the distance to the boundary",
}
"""Losses that need what only a label map without unknown voxels has."""

_ONE_HOT = {"softmax": True, "to_onehot_y": True}
# Dice over the batch, so that a patch without a structure hardly changes the loss.
_BATCH = {**_ONE_HOT, "batch": True}
# For label maps with all voxels and labels.
_PLAIN: dict[str, dict[str, Any]] = {
    "dice_ce": {"_target_": "DiceCELoss", **_BATCH, "smooth_nr": 1e-5, "smooth_dr": 1e-5},
    # One more than the loss of Drozdzal et al. (arXiv 1608.04117), -(2 sum(y p) + 1) / (sum(y) + sum(p) + 1), for one
    # label; for several, their mean.
    "dice": {"_target_": "DiceLoss", "include_background": False, **_BATCH, "smooth_nr": 1.0, "smooth_dr": 1.0},
    # PyTorch's CrossEntropyLoss takes label maps without their channel.
    "cross_entropy": {"_target_": "DiceCELoss", **_ONE_HOT, "lambda_dice": 0.0},
}
_DICE = {"_target_": "DiceLoss", "batch": True, "smooth_nr": 1e-5, "smooth_dr": 1e-5}
_SMOOTH_DICE = {**_DICE, "smooth_nr": 1.0, "smooth_dr": 1.0}
# alpha weighs false positives, beta false negatives: the best of Salehi et al.
_TVERSKY = {
    "_target_": "TverskyLoss",
    "alpha": 0.3,
    "beta": 0.7,
    "batch": True,
    "smooth_nr": 1.0,
    "smooth_dr": 1.0,
}
_GENERALISED = {"_target_": "GeneralizedDiceLoss", "batch": True}
_CLDICE = {"_target_": "pipeline.training.BatchClDiceLoss"}
_FOREGROUND = {"background": False}
# Arguments of SegmentationLoss, for all others.
_PARTS: dict[str, dict[str, Any]] = {
    "dice_ce": {"overlap": [_DICE], "voxels": "cross_entropy"},
    "dice": {"overlap": [_SMOOTH_DICE], **_FOREGROUND},
    "cross_entropy": {"voxels": "cross_entropy"},
    "focal": {"voxels": "focal"},
    "dice_focal": {"overlap": [_DICE], "voxels": "focal"},
    "tversky": {"overlap": [_TVERSKY], **_FOREGROUND},
    "tversky_ce": {"overlap": [_TVERSKY], "voxels": "cross_entropy", **_FOREGROUND},
    "focal_tversky": {"overlap": [{"_target_": "pipeline.training.FocalTverskyLoss"}], **_FOREGROUND},
    "generalised_dice": {"overlap": [_GENERALISED]},
    "generalised_dice_focal": {"overlap": [_GENERALISED], "voxels": "focal"},
    # The distances of a boundary loss give no gradient where a structure is absent, so a loss of regions goes with it.
    "cldice": {"overlap": [_SMOOTH_DICE, _CLDICE], "weights": [0.5, 0.5], **_FOREGROUND},
    "boundary": {
        "overlap": [_DICE, {"_target_": "BoundaryLoss"}],
        "weights": [1.0, 0.01],
        "voxels": "cross_entropy",
        **_FOREGROUND,
    },
    "hausdorff": {
        "overlap": [_DICE, {"_target_": "LogHausdorffDTLoss", "include_background": True}],
        "weights": [1.0, 1.0],
        "voxels": "cross_entropy",
        **_FOREGROUND,
    },
}
_IN_CONFIG = "loss#loss"  # inside SparseSkipLoss, which adds the sparsity term
_TARGETS = "targets"  # the key of a config whose label maps have more than labels


def loss_component(name: LossName, *, regions: bool = False, targets: bool = False) -> dict[str, Any]:
    """Return a loss as a component of a MONAI config, called with logits (N, K, *spatial) and labels (N, 1, *spatial).

    Sums are over the voxels of a batch; means are over classes.

    - ``dice_ce``: 1 - Dice, of all classes, plus cross-entropy.
    - ``dice``: 1 - (2 sum(y p) + 1) / (sum(y) + sum(p) + 1), of labels without the background.
    - ``cross_entropy``: the mean over voxels.
    - ``focal``: cross-entropy times (1 - p)**2, the mean over voxels.
    - ``dice_focal``: 1 - Dice, of all classes, plus ``focal``.
    - ``tversky``: 1 - (sum(y p) + 1) / (sum(y p) + 0.3 sum((1 - y) p) + 0.7 sum(y (1 - p)) + 1), of labels.
    - ``tversky_ce``: ``tversky`` plus cross-entropy.
    - ``focal_tversky``: ``tversky``'s value of each label to the power of 0.75.
    - ``generalised_dice``: 1 - Dice of all classes together, each weighted by 1 / volume**2.
    - ``generalised_dice_focal``: ``generalised_dice`` plus ``focal``.
    - ``cldice``: half of 1 - Dice plus half of 1 - clDice, of labels.
    - ``boundary``: 1 - Dice of labels, plus cross-entropy, plus 0.01 times the mean over voxels of p times the signed
      distance to the label's boundary (voxels). It can be negative.
    - ``hausdorff``: 1 - Dice of labels, plus cross-entropy, plus log(1 + the mean over voxels of the squared error
      times the squared distances to both boundaries (voxels)).

    Args:
        name: of the loss.
        regions: whether the network predicts regions, each with a sigmoid; cross-entropy is then binary.
        targets: whether the config has a target table: with regions, ignored values or partly annotated cases.
    """
    if name in _PLAIN and not targets:
        return deepcopy(_PLAIN[name])
    parts = {key: value for key, value in _PARTS[name].items() if not (regions and key == "background")}
    table = {"targets": "@targets"} if targets else {}
    return deepcopy({"_target_": "pipeline.training.SegmentationLoss", **parts, **table})


def replace_loss_name(settings: Mapping[str, str], config: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Return the overrides of a training, with the loss that ``--loss NAME`` names in its place in the config.

    Any other value is kept: a component, or an expression.

    Args:
        settings: the overrides.
        config: the training's config.

    Raises:
        InputError: there is no loss of that name, or it needs all voxels and the config has partly annotated ones.
    """
    name: Any = settings.get("loss", "")
    known = get_args(LossName)
    if name in known:
        table = (config or {}).get(_TARGETS)
        _check_voxels(name, config or {})
        component = loss_component(name, regions=bool((table or {}).get("regions")), targets=table is not None)
        others = {key: text for key, text in settings.items() if key != "loss"}
        # First, so that an override inside the loss changes this one.
        return {_IN_CONFIG: repr(component), **others}
    if name.replace("_", "").isalnum():
        close = get_close_matches(name.lower(), known, n=1)
        raise InputError(
            f"--loss {name}",
            found="no loss of this name",
            expected=f"one of {', '.join(known)}",
            remedy=f"did you mean {close[0]}?" if close else f"choose one, or set a class: --{_IN_CONFIG} {{...}}",
        )
    return dict(settings)


def _check_voxels(name: str, config: Mapping[str, Any]) -> None:
    partial = "annotated_sets" in config
    if name in NEEDS_ALL_VOXELS and (partial or config.get("ignored_values")):
        raise InputError(
            f"--loss {name}",
            found="a bundle with " + ("partly annotated cases" if partial else "ignored values"),
            expected=f"annotated voxels only: {NEEDS_ALL_VOXELS[name]} of a partly annotated structure is unknown",
            remedy="choose another loss, such as dice_ce or tversky",
        )
