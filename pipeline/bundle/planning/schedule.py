"""Choose the length of the training, as many epochs as the hours allow, its learning rate and its warm-up."""

from __future__ import annotations

from typing import Any

import numpy as np

from .choice import Choice
from .fingerprint import Fingerprint
from .geometry import count_windows, shape_at
from .resources import Resources
from .size import PATCHES, TIME_SHARE, Size

__all__ = ["choose_cases_per_step", "choose_schedule"]

_MAX_VALIDATIONS = 18
# Share of the hours for all validations.
_VALIDATION_SHARE = 1 / 3
# Time of a patch in a validation, as a share of its time in a training step.
_FORWARD_SHARE = 0.35
_WARM_UP = 0.045
_MAX_EPOCHS = 2000
_MIN_CASES = 2
# For counting a validation's windows; the plan's overlap may be smaller.
_OVERLAP = 0.5


def choose_cases_per_step(fingerprint: Fingerprint, size: Size, resources: Resources) -> int:
    """Choose the number of cases per step: fewer than the patches where a case has room for several."""
    room = float(np.prod(shape_at(fingerprint, resources.spacing))) / size.voxels
    samples = next(count for count in (4, 2, 1) if size.batch // count >= _MIN_CASES and (room >= count or count == 1))
    # With too few training cases, each contributes more patches.
    while size.batch // samples > _count_training_cases(fingerprint):
        samples *= 2
    return size.batch // samples


def _count_training_cases(fingerprint: Fingerprint) -> int:
    return fingerprint.cases - fingerprint.largest_fold


def choose_schedule(fingerprint: Fingerprint, size: Size, resources: Resources) -> tuple[dict[str, Any], float]:
    """Choose the epochs and the other settings of the schedule.

    Returns:
        The plan's ``training``, and the estimated hours.
    """
    cases = _count_training_cases(fingerprint)
    batch = choose_cases_per_step(fingerprint, size, resources)
    samples = size.batch // batch
    # An incomplete step is left out of an epoch.
    patches = cases // batch * batch * samples
    per_patch = resources.seconds_of(size)
    per_epoch = patches * per_patch
    seconds = resources.hours * 3600 * TIME_SHARE
    validation = (
        fingerprint.largest_fold * _count_patches_per_scan(fingerprint, size, resources) * per_patch * _FORWARD_SHARE
    )
    validations = int(np.clip(seconds * _VALIDATION_SHARE / validation, 1, _MAX_VALIDATIONS))
    fitting = int((seconds - validations * validation) / per_epoch)
    # With few cases epochs are short, so that more are allowed.
    epochs = int(np.clip(fitting, 2, max(_MAX_EPOCHS, -(-PATCHES // patches))))
    interval = max(1, round(epochs / validations))
    warmup = max(1, min(round(epochs * _WARM_UP), epochs))
    times = -(-epochs // interval)
    hours = (epochs * per_epoch + validations * validation) / 3600
    source = resources.pace_source()
    return {
        "epochs": Choice(
            epochs,
            f"{epochs * patches:,} patches of {cases} case{'s' * (cases > 1)}; about {hours:.2g} h at "
            f"{per_patch:.2g} s per patch, {source}",
        ),
        "minutes": Choice(
            max(round(resources.hours * 60, 2), 0.01),
            "limit for a slower machine: epochs and schedule are shortened to fit",
        ),
        "val_interval": Choice(interval, f"epochs; {times} validation{'s' * (times > 1)}"),
        "learning_rate": Choice(5.0e-3, "for Muon, whose step size does not depend on the gradients' size"),
        "weight_decay": Choice(1.0e-2, "kernels only; norms, biases and selection weights do not decay"),
        "warmup_epochs": Choice(warmup, f"{warmup / epochs:.1%} of the epochs, until the full learning rate"),
        "average_momentum": Choice(
            0.01,
            "share of each step in the averaged weights, a mean of some hundred steps; they are validated and saved",
        ),
        "samples_per_case": Choice(
            samples,
            "patch per case in a step: another case adds more than another patch"
            if samples == 1
            else "patches per case in a step, so that a case is read once for all of them",
        ),
        "cache_rate": resources.cache_rate(size),
        "early_stop_patience": Choice(epochs, "no early stop: the best epochs come last, at small learning rates"),
        "seed": Choice(0, "of weights, order, crops and augmentation; another seed changes results by chance"),
    }, hours


def _count_patches_per_scan(fingerprint: Fingerprint, size: Size, resources: Resources) -> int:
    """Return the cost of validating a scan, in patches: its windows, plus work that depends on its size alone."""
    shape, patch = shape_at(fingerprint, resources.spacing), size.levels.patch
    return count_windows(shape.tolist(), patch, _OVERLAP) + count_windows(shape.tolist(), patch, 0.0)
