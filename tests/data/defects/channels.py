"""Datasets of two channels: a file for each, or both in one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from .builder import Builder
from .content import as_stored, content_is
from .expected import Seeded
from .files import Change, Defect
from .places import axis_flipped, form_only, in_mm, in_voxels, shift
from .voxels import one_voxel, voxels_changed


def _channel_defects() -> dict[str, Defect]:
    """Defects of the second channel's file, where each channel has its own."""
    second = ("second",)
    place = frozenset({"origin-differs", "spacing-differs", "direction-differs"})
    return {
        "constant": Defect(("constant",), second, voxels_changed(np.zeros_like)),
        "missing": Defect(("missing",), second, content_is(None)),
        "truncated": Defect(("truncated",), second, as_stored(lambda data: data[:-30])),
        "NaN": Defect(("nan",), second, one_voxel(np.nan)),
        "infinite": Defect(("infinite",), second, one_voxel(-np.inf)),
        "fill value": Defect(("range",), second, one_voxel(-3e38)),
        "one slice less": Defect(("shape-differs",), second, voxels_changed(lambda voxels: voxels[..., :-1])),
        "spacing": Defect(("spacing-differs",), second, in_voxels(np.diag([1, 1.02, 1, 1]))),
        "place": Defect(("origin-differs",), second, in_mm(shift(2, 0, 0))),
        "direction": Defect(("direction-differs",), second, axis_flipped, place),
        "rounded place": Defect(("grid-rounding",), second, in_voxels(shift(0, 0, 0.01))),
        "forms": Defect(("form-conflict",), second, form_only("qform", shift(0, 0, 4))),
        "4D": Defect(("dimensions", "channels"), second, voxels_changed(lambda voxels: np.stack([voxels] * 2, -1))),
    }


def seed_channel_defects(source: Path, target: Path, *, seed: int = 0) -> Seeded:
    """Make a dataset of two channels, a file each, with defects in the second; arguments as for `seed_defects`."""
    builder = Builder(source, target, seed, {"0": "T1", "1": "T2"})
    for _ in range(4):
        builder.seeded.clean |= dict.fromkeys(_add_two_channels(builder, None), "untouched")
    for what, defect in _channel_defects().items():
        _, second, _ = files = _add_two_channels(builder, defect.change)
        builder.expect(f"second channel: {what}", defect.kinds, (second,))
        builder.allow(files, {*defect.also_allowed})
    paths = builder.add_case({})
    builder.expect("one channel instead of two", ("channels", "dimensions"), (paths["image"], None))
    for _ in range(2):
        first, *_ = _add_two_channels(builder, None)
        builder.items["training"][-1]["image"] = [f"./{first}"] * 2
        builder.expect("one file for two channels", ("same-file",), (first,))
    first, second, _ = files = _add_two_channels(builder, None)
    third = builder.write(file := builder.case().files["image"], file, "imagesTr", "third")
    builder.items["training"][-1]["image"].append(f"./{third}")
    builder.expect("three channels instead of two", ("channels",), (first, second, third, None))
    builder.allow((third,), {"shape-differs", "origin-differs", "spacing-differs", "direction-differs"})
    return builder.finish()


def seed_stacked_defects(source: Path, target: Path, *, seed: int = 0) -> Seeded:
    """Make a dataset of two channels along the last axis of one file; arguments as for `seed_defects`."""
    builder = Builder(source, target, seed, {"0": "T1", "1": "T2"})
    for _ in range(4):
        builder.seeded.clean |= dict.fromkeys(builder.add_case({"image": _stacked()}).values(), "untouched")
    changes: dict[tuple[str, ...], list[Change]] = {
        ("constant",): [_stacked(lambda voxels: voxels * 0 + 5)],
        ("nan",): [_stacked(lambda voxels: np.where(voxels > voxels.mean(), np.nan, voxels))],
        ("infinite",): [_stacked(lambda voxels: np.where(voxels == voxels.max(), np.inf, voxels))],
        ("range",): [_stacked(lambda voxels: np.where(voxels == voxels.min(), -3e38, voxels))],
        ("channels", "dimensions"): [
            lambda file, _rng: file,
            voxels_changed(lambda voxels: np.stack([voxels, voxels[::-1], voxels[:, ::-1]], -1)),
            voxels_changed(lambda voxels: np.stack([voxels, voxels[::-1]], -1)[..., None, :]),
        ],
    }
    for kinds, several in changes.items():
        for change in several:
            paths = builder.add_case({"image": change})
            builder.expect(f"stacked: {kinds[0]}", kinds, (paths["image"],))
    paths = builder.add_case({"image": _stacked(), "label": in_voxels(shift(0, 2, 0))})
    builder.expect("stacked: label off", ("origin-differs",), (paths["label"],))
    return builder.finish()


def _stacked(change: Callable[[np.ndarray], np.ndarray] = np.asarray) -> Change:
    """Put a second channel behind the first, and change it."""
    return voxels_changed(lambda voxels: np.stack([voxels, change(voxels.max() - voxels)], -1))


def _add_two_channels(builder: Builder, change: Change | None) -> tuple[str, str, str]:
    case = builder.case()
    second = case.files["image"].with_voxels(case.files["image"].voxels.max() - case.files["image"].voxels)
    content = second if change is None else change(second, builder.rng)
    images = [
        builder.write(case.files["image"], case.files["image"], "imagesTr", f"{case.name}_0000"),
        builder.write(second, content, "imagesTr", f"{case.name}_0001"),
    ]
    label = builder.write(case.files["label"], case.files["label"], "labelsTr", case.name)
    builder.add(case.name, images, label)
    return images[0], images[1], label
