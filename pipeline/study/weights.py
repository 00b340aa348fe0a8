"""The weights of a training's last epoch, as a file that every verb reads."""

from __future__ import annotations

from pathlib import Path

import torch

from ..networks.spec_file import save_weights

__all__ = ["save_last_epoch"]


def save_last_epoch(training: Path) -> Path:
    """Write the averaged weights of a training's last epoch, and return their file: ``last_epoch/model.pt``.

    The best epoch would be chosen on the cases that it is measured on, so that its Dice is too high.

    Args:
        training: the folder of the training, with ``last.pt``.
    """
    state = torch.load(training / "last.pt", map_location="cpu", weights_only=True)
    file = training / "last_epoch" / "model.pt"
    file.parent.mkdir(exist_ok=True)
    save_weights(state.get("average", state["network"]), file, state.get("network_spec"))
    return file
