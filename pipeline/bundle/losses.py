"""The segmentation losses that a plan or ``lightskip train --loss NAME`` can name, as components of MONAI.

Needs neither torch nor MONAI.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from difflib import get_close_matches
from typing import Any, Literal, get_args

from ..data.errors import InputError

__all__ = ["LossName", "loss_component", "replace_loss_name"]

LossName = Literal["dice_ce", "dice", "cross_entropy"]

_ONE_HOT = {"softmax": True, "to_onehot_y": True}
# Dice over the batch, so that a patch without a structure hardly changes the loss.
_BATCH = {**_ONE_HOT, "batch": True}
_COMPONENTS: dict[str, dict[str, Any]] = {
    "dice_ce": {"_target_": "DiceCELoss", **_BATCH, "smooth_nr": 1e-5, "smooth_dr": 1e-5},
    # One more than the loss of Drozdzal et al. (arXiv 1608.04117), -(2 sum(y p) + 1) / (sum(y) + sum(p) + 1), for one
    # label; for several, their mean.
    "dice": {"_target_": "DiceLoss", "include_background": False, **_BATCH, "smooth_nr": 1.0, "smooth_dr": 1.0},
    # PyTorch's CrossEntropyLoss takes label maps without their channel.
    "cross_entropy": {"_target_": "DiceCELoss", **_ONE_HOT, "lambda_dice": 0.0},
}
_IN_CONFIG = "loss#loss"  # inside SparseSkipLoss, which adds the sparsity term


def loss_component(name: LossName) -> dict[str, Any]:
    """Return a loss as a component of a MONAI config, called with logits (N, K, *spatial) and labels (N, 1, *spatial).

    - ``dice_ce``: 1 - Dice, the mean over all classes, plus cross-entropy.
    - ``dice``: 1 - (2 sum(y p) + 1) / (sum(y) + sum(p) + 1), the mean over labels; sums are over the voxels of a batch.
    - ``cross_entropy``: the mean over voxels.
    """
    return deepcopy(_COMPONENTS[name])


def replace_loss_name(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the overrides of a training, with the loss that ``--loss NAME`` names in its place in the config.

    Any other value is kept: a component, or an expression.

    Raises:
        InputError: there is no loss of that name.
    """
    name = settings.get("loss", "")
    if name in _COMPONENTS:
        others = {key: text for key, text in settings.items() if key != "loss"}
        # First, so that an override inside the loss changes this one.
        return {_IN_CONFIG: repr(_COMPONENTS[name]), **others}
    if name.replace("_", "").isalnum():
        known = get_args(LossName)
        close = get_close_matches(name.lower(), known, n=1)
        raise InputError(
            f"--loss {name}",
            found="no loss of this name",
            expected=f"one of {', '.join(known)}",
            remedy=f"did you mean {close[0]}?" if close else f"choose one, or set a class: --{_IN_CONFIG} {{...}}",
        )
    return dict(settings)
