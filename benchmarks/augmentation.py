"""Compare augmenting a batch on the training device with MONAI's transforms, sample by sample.

    python benchmarks/augmentation.py

The patches have a bundle's size and batch. "The same changes" are those in MONAI's list, with its probabilities: flips,
rotation and scale, noise, brightness, shift, gamma. The recipe has more kinds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from measure import Spread, add_options, header, paired_ratio, rounds_in_time, say, seconds, table, write_json
from monai import transforms

from pipeline.bundle.plan import load_plan
from pipeline.data.errors import InputError
from pipeline.training import AugmentBatch

__all__ = ["main"]

SAME = "the same changes, as a batch"
MONAI = "MONAI, sample by sample"


def main() -> int:
    """Measure, print and write the results. Return 0, or 2 for a mistake of the user's."""
    options = _options()
    try:
        plan = load_plan(options.bundle)
    except InputError as error:
        say(f"error: {error}")
        return 2
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    patch = [16] * len(plan.patch) if options.quick else plan.patch
    batch = {
        "image": torch.randn(plan.batch, len(plan.data.channels), *patch),
        "label": torch.randint(len(plan.labels), (plan.batch, 1, *patch), dtype=torch.uint8),
    }
    repeats = 3 if options.quick else 50
    calls = {
        name: partial(_seconds, augment, batch, repeats=repeats, options=options)
        for name, augment in _ways(plan, options.device).items()
    }
    minutes = 0.0 if options.quick else options.minutes
    rounds = list(rounds_in_time(calls, minutes=minutes, at_least=3, seed=options.seed))
    times = {name: [one[name] for one in rounds] for name in calls}
    found = {
        name: {"seconds": Spread.of(values), "ratio": paired_ratio(values, times[MONAI])}
        for name, values in times.items()
    }
    write_json(options.output, header("augmentation", options) | {"batch": plan.batch, "patch": patch, "ways": found})
    rows = [[name, one["seconds"].text(1e3), one["ratio"].text()] for name, one in found.items()]
    say(table(["augmenting a batch", "ms", "ratio"], rows))
    say(f"\n{len(rounds)} rounds; {options.output}")
    return 0


def _seconds(
    augment: Callable[[dict[str, Any]], object], batch: dict[str, Any], *, repeats: int, options: argparse.Namespace
) -> float:
    """Return the mean time (s) of a batch. Batches draw different changes, and a median would ignore the rare ones."""
    keys = iter(range(10**9))

    def work() -> None:
        for _ in range(repeats):
            augment({**batch, "key": torch.tensor([next(keys) for _ in range(len(batch["image"]))])})

    return seconds(work, options.device, repeats=1, clock=options.clock) / repeats


def _ways(plan: Any, device: str) -> dict[str, Callable[[dict[str, Any]], object]]:
    dims = len(plan.patch)
    where = {"spatial_dims": dims, "spacing": plan.spacing, "mirror_axes": plan.mirror_axes}
    same: dict[str, Any] = {"elastic_prob": 0.0, "blur_prob": 0.0, "contrast_prob": 0.0, "low_resolution_prob": 0.0}
    same |= {"noise_prob": 0.2, "brightness_prob": 0.3, "shift_prob": 0.3, "gamma_prob": 0.2}
    keys = ["image", "label"]
    one_by_one = transforms.Compose(
        [
            *(transforms.RandFlipd(keys, prob=0.5, spatial_axis=axis) for axis in plan.mirror_axes),
            transforms.RandAffined(
                keys,
                prob=0.5,
                rotate_range=[0.35] * (3 if dims == 3 else 1),
                scale_range=[0.2] * dims,
                mode=["bilinear", "nearest"],
                padding_mode="zeros",
            ),
            transforms.RandGaussianNoised("image", prob=0.2, std=0.15),
            transforms.RandScaleIntensityd("image", prob=0.3, factors=0.25),
            transforms.RandShiftIntensityd("image", prob=0.3, offsets=0.25),
            transforms.RandAdjustContrastd("image", prob=0.2, gamma=(0.7, 1.5), retain_stats=True),
        ]
    )
    one_by_one.set_random_state(0)

    def monai(batch: dict[str, Any]) -> object:
        samples = [one_by_one({key: batch[key][i] for key in keys}) for i in range(len(batch["image"]))]
        return [torch.stack([sample[key] for sample in samples]).to(device) for key in keys]

    def whole(augment: AugmentBatch) -> Callable[[dict[str, Any]], object]:
        return lambda batch: augment(batch, device)

    return {
        MONAI: monai,
        SAME: whole(AugmentBatch(**where, **same)),
        "the recipe's, as a batch": whole(AugmentBatch(**where)),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, "augmentation", minutes=0.5)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
