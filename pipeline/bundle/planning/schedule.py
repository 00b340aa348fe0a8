"""How long to train: as many epochs as the hours allow."""

from __future__ import annotations

from typing import Any

import numpy as np

from .choice import Choice
from .fingerprint import Fingerprint
from .geometry import shape_at, windows_of
from .resources import Resources
from .size import PATCHES, TIME_SHARE, Size

__all__ = ["cases_per_step", "choose_schedule"]

_VALIDATIONS = 18
# Of the hours, for all validations.
_VALIDATING = 1 / 3
# A patch costs this share of a training step's time when it is only looked at.
_FORWARD_SHARE = 0.35
_WARM_UP = 0.045
_MOST_EPOCHS = 2000
_FEWEST_CASES = 2
# For counting a validation's windows; the plan's own may be less.
_OVERLAP = 0.5


def cases_per_step(fingerprint: Fingerprint, size: Size, resources: Resources) -> int:
    """Choose how many cases the patches of a step come from: fewer than patches where a case has room for several."""
    room = float(np.prod(shape_at(fingerprint, resources.spacing))) / size.voxels
    samples = next(
        count for count in (4, 2, 1) if size.batch // count >= _FEWEST_CASES and (room >= count or count == 1)
    )
    # With fewer cases than that, each gives more patches.
    while size.batch // samples > _training_cases(fingerprint):
        samples *= 2
    return size.batch // samples


def _training_cases(fingerprint: Fingerprint) -> int:
    return fingerprint.cases - fingerprint.largest_fold


def choose_schedule(fingerprint: Fingerprint, size: Size, resources: Resources) -> tuple[dict[str, Any], float]:
    """Choose epochs and what goes with them.

    Returns:
        The plan's ``training``, and the hours that it is estimated to take.
    """
    cases = _training_cases(fingerprint)
    batch = cases_per_step(fingerprint, size, resources)
    samples = size.batch // batch
    # What fills no step is left out of an epoch.
    patches = cases // batch * batch * samples
    per_patch = resources.seconds_of(size)
    per_epoch = patches * per_patch
    seconds = resources.hours * 3600 * TIME_SHARE
    validation = fingerprint.largest_fold * _looks(fingerprint, size, resources) * per_patch * _FORWARD_SHARE
    validations = int(np.clip(seconds * _VALIDATING / validation, 1, _VALIDATIONS))
    fitting = int((seconds - validations * validation) / per_epoch)
    # Few cases make short epochs.
    epochs = int(np.clip(fitting, 2, max(_MOST_EPOCHS, -(-PATCHES // patches))))
    interval = max(1, round(epochs / validations))
    together = f"{cases} case{'s' * (cases > 1)}"
    times = -(-epochs // interval)
    hours = (epochs * per_epoch + validations * validation) / 3600
    source = resources.pace_source()
    return {
        "epochs": Choice(
            epochs,
            f"{epochs * patches:,} patches of {together}; about {hours:.2g} h at {per_patch:.2g} s each, {source}",
        ),
        "minutes": Choice(
            max(round(resources.hours * 60, 2), 0.01),
            "an end to it, should a machine be slower: with fewer epochs, schedule and all",
        ),
        "val_interval": Choice(interval, f"epochs; {times} validation{'s' * (times > 1)}"),
        "learning_rate": Choice(5.0e-3, "of Muon, whose steps do not depend on the size of gradients"),
        "weight_decay": Choice(1.0e-2, "of kernels alone; norms, biases and selection weights do not decay"),
        "warmup_epochs": Choice(
            max(1, min(round(epochs * _WARM_UP), epochs)), f"to the full learning rate: {_WARM_UP:.1%} of the epochs"
        ),
        "average_momentum": Choice(
            0.01, "of a step in the weights that are validated and kept: some hundred steps' mean"
        ),
        "samples_per_case": Choice(
            samples,
            "patch of a case in one step: others show more that is new"
            if samples == 1
            else "patches of a case in one step, which is read once for them",
        ),
        "cache_rate": resources.cache_rate(size),
        "early_stop_patience": Choice(epochs, "never: it gets best at the schedule's end, at small learning rates"),
        "seed": Choice(0, "of weights, order, places and augmentation; with another one results differ by chance"),
    }, hours


def _looks(fingerprint: Fingerprint, size: Size, resources: Resources) -> int:
    """Count what a validated scan costs, in patches looked at: its windows, and what goes by its size alone."""
    shape, patch = shape_at(fingerprint, resources.spacing), size.levels.patch
    return windows_of(shape.tolist(), patch, _OVERLAP) + windows_of(shape.tolist(), patch, 0.0)
