"""Choose the length of the training, which is the given time, and what it does in that time."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...data.errors import InputError
from .choice import Choice
from .fingerprint import Fingerprint
from .geometry import count_windows, shape_at
from .resources import Resources
from .size import Size

__all__ = ["choose_cases_per_step", "choose_schedule"]

# Time of a patch in a validation, as a share of its time in a training step.
_FORWARD_SHARE = 0.35
# The training spreads at most this number of validations, and takes fewer cases for those in between where all cases
# would take more than this share of the time: see pipeline.training.time_plan.
_MAX_VALIDATIONS, _VALIDATION_SHARE, _MIN_BETWEEN = 18, 0.15, 0.05
_MIN_CASES = 2


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


def choose_schedule(
    fingerprint: Fingerprint, size: Size, resources: Resources, *, overlap: float = 0.5
) -> dict[str, Any]:
    """Choose the time, what is expected of it, and the other settings of the schedule.

    Args:
        fingerprint: the dataset.
        size: width, patch and batch.
        resources: hours, and the speed of a training with that size.
        overlap: of the windows of a validation.

    Returns:
        The plan's ``training``.

    Raises:
        InputError: the hours are too few for a step and a validation.
    """
    cases = _count_training_cases(fingerprint)
    batch = choose_cases_per_step(fingerprint, size, resources)
    samples = size.batch // batch
    # The number that the reasons show, so that they multiply out.
    per_patch = float(f"{resources.seconds_of(size):.2g}")
    windows = _count_patches_per_scan(fingerprint, size, resources, overlap)
    validation = fingerprint.largest_fold * windows * per_patch * _FORWARD_SHARE
    seconds = resources.hours * 3600
    _require_enough(seconds, step=size.batch * per_patch, validation=validation, cases=fingerprint.largest_fold)
    validations = min(
        _MAX_VALIDATIONS * validation, max(_VALIDATION_SHARE * seconds, validation + _MIN_BETWEEN * seconds)
    )
    patches = int(max(seconds - validations, size.batch * per_patch) / per_patch)
    # An incomplete step is left out of an epoch.
    epochs = patches / (cases // batch * batch * samples)
    return {
        "epochs": Choice(
            None,
            f"as many as the minutes allow: about {_format(epochs)}, or {patches:,} patches of {cases} "
            f"case{'s' * (cases > 1)}. At {per_patch:.2g} s per patch these take "
            f"{_format(patches * per_patch / 60)} minutes; the rest is for validations. "
            f"{_capitalise(resources.pace_source())}",
        ),
        "minutes": Choice(
            max(round(resources.hours * 60, 2), 0.01),
            f"{resources.hours:g} h: learning rate, validations and the end follow the clock, on a faster or slower "
            "machine, too",
        ),
        "val_interval": Choice(
            None,
            "10 to 18 validations at equal distances in time; where all cases take too long, those before the last are "
            "on some of the cases",
        ),
        "loss": Choice("dice_ce", "Dice, which small labels count in as much as large ones, and cross-entropy"),
        "learning_rate": Choice(5.0e-3, "for Muon, whose step size does not depend on the gradients' size"),
        "weight_decay": Choice(1.0e-2, "kernels only; norms, biases and selection weights do not decay"),
        "warmup_epochs": Choice(None, "4.5 % of the training, until the full learning rate"),
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
        "early_stop_patience": Choice(None, "no early stop: the best epochs come last, at small learning rates"),
        "threads": Choice(
            resources.threads,
            "of the CPU that timed the patches; training reports another number"
            if resources.threads
            else "of no importance on a GPU",
        ),
        "seed": Choice(0, "of weights, order, crops and augmentation; another seed changes results by chance"),
    }


def _require_enough(seconds: float, *, step: float, validation: float, cases: int) -> None:
    if seconds < step + validation:
        raise InputError(
            "--hours",
            found=f"{seconds / 3600:.2g}, which is {_format(seconds)} s",
            expected=f"at least {(step + validation) / 3600:.2g}: one step of training takes about {_format(step)} s, "
            f"and a validation of {cases} case{'s' * (cases > 1)} about {_format(validation)} s",
            remedy="allow more hours, or choose a coarser --spacing",
        )


def _format(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _capitalise(text: str) -> str:
    return text[:1].upper() + text[1:]


def _count_patches_per_scan(fingerprint: Fingerprint, size: Size, resources: Resources, overlap: float) -> int:
    """Return the cost of validating a scan, in patches: its windows, plus work that depends on its size alone."""
    shape, patch = shape_at(fingerprint, resources.spacing), size.levels.patch
    return count_windows(shape.tolist(), patch, overlap) + count_windows(shape.tolist(), patch, 0.0)
