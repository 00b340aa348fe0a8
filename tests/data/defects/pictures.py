"""A dataset of slices as PNG pictures."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .builder import Builder
from .content import flipped
from .expected import Seeded


def _png(voxels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(voxels).save(stream, "PNG")
    return stream.getvalue()


def _with_corner(voxels: np.ndarray) -> np.ndarray:
    changed = voxels.copy()
    changed[0, 0] = 1
    return changed


def _picture_defects() -> dict[str, tuple[tuple[str, ...], str, Callable[[np.ndarray], bytes | None]]]:
    """Kinds, the file that is bad, and the bytes it gets."""
    return {
        "missing": (("missing",), "image", lambda _: None),
        "0 bytes": (("empty-file",), "label", lambda _: b""),
        "cut": (("truncated",), "image", lambda voxels: _png(voxels)[:-400]),
        "cut label": (("truncated",), "label", lambda voxels: _png(voxels)[:-30]),
        "a byte flipped": (("truncated", "not-an-image"), "image", lambda voxels: flipped(_png(voxels), 500)),
        "text": (("not-an-image",), "image", lambda _: b"no picture\n" * 9),
        "RGB": (
            ("channels", "voxel-type", "dimensions"),
            "image",
            lambda voxels: _png(np.stack([voxels, voxels, 255 - voxels], -1)),
        ),
        "constant": (("constant",), "image", lambda voxels: _png(np.full_like(voxels, 9))),
        "label cropped": (("shape-differs",), "label", lambda voxels: _png(voxels[:-1])),
        "label value": (("label-undeclared",), "label", lambda voxels: _png(voxels * 51)),
        "label empty": (("label-empty",), "label", lambda voxels: _png(voxels * 0)),
        "speck": (("label-islands",), "label", lambda voxels: _png(_with_corner(voxels))),
    }


def seed_picture_defects(source: Path, target: Path, *, seed: int = 0) -> Seeded:
    """Make a dataset of slices as PNG pictures; arguments as for `seed_defects`."""
    builder = Builder(source, target, seed, {"0": "picture"})
    plans: list[tuple[str, Any]] = [("untouched", None)] * 8 + list(_picture_defects().items())
    for what, defect in plans:
        case = builder.case()
        label = case.files["label"].voxels
        slice_ = int((label > 0).sum(axis=(0, 1)).argmax())
        voxels = case.files["image"].voxels[..., slice_].astype(np.float64)
        grey = np.rint(255 * (voxels - voxels.min()) / np.ptp(voxels)).astype(np.uint8)
        paths = {}
        for role, pixels in (("image", grey), ("label", label[..., slice_].astype(np.uint8))):
            changed = defect is not None and defect[1] == role
            content = defect[2](pixels) if changed else _png(pixels)
            case.files[role].suffix = ".png"
            paths[role] = builder.write(case.files[role], content, f"{role}sTr", case.name)
        builder.add(case.name, paths["image"], paths["label"])
        # What is small in a slice may be large in a volume.
        builder.allow(tuple(paths.values()), {"label-volume"})
        if defect is None:
            builder.seeded.clean |= dict.fromkeys(paths.values(), what)
        else:
            builder.expect(f"picture: {what}", defect[0], (paths[defect[1]],))
    return builder.finish()
