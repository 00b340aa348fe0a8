"""Every defect of one case of a one-channel dataset, by what it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .content import HTML, LFS, a_jpeg, as_stored, content_is, flipped, renamed, rgb, unknown_type
from .files import Defect, pack
from .places import (
    axis_flipped,
    form_only,
    grown,
    header_fields,
    in_mm,
    in_voxels,
    no_column,
    no_origin,
    padded,
    pixdim_set,
    pixdim_times,
    shear,
    shift,
    singular,
    spacing_in_mm,
    srow_entry,
    turn,
    turned_about_centre,
)
from .voxels import border, one_hot, one_voxel, relabelled, scaled, shrunk, specks, transposed, voxels_changed


def case_defects() -> dict[str, Defect]:
    """Every defect of one case of a one-channel dataset, by what it is."""
    image, label, both = ("image",), ("label",), ("image", "label")
    # Structures in other places follow from a header that turns or stretches the label map.
    place = frozenset({"origin-differs", "spacing-differs", "direction-differs", "label-place"})
    axes = ("dimensions", "channels")
    return {
        "image missing": Defect(("missing",), image, content_is(None)),
        "label missing": Defect(("missing",), label, content_is(None)),
        "test image missing": Defect(("missing",), image, content_is(None), part="test"),
        "image of 0 bytes": Defect(("empty-file",), image, content_is(b"")),
        "label of 0 bytes": Defect(("empty-file",), label, content_is(b"")),
        "image is an LFS pointer": Defect(("lfs-pointer",), image, content_is(LFS)),
        "label is an LFS pointer": Defect(("lfs-pointer",), label, content_is(LFS)),
        "uncompressed image named .nii.gz": Defect(("misnamed",), image, lambda file, _rng: file.raw()),
        "gzip named .nii": Defect(("misnamed",), image, renamed(".nii")),
        "gzip label named .nii": Defect(("misnamed",), label, renamed(".nii")),
        "image cut within the header": Defect(("truncated",), image, as_stored(lambda data: data[:120])),
        "image cut at 90 %": Defect(("truncated",), image, as_stored(lambda data: data[: len(data) * 9 // 10])),
        "image without gzip trailer": Defect(("truncated",), image, as_stored(lambda data: data[:-8])),
        "label without its last byte": Defect(("truncated",), label, as_stored(lambda data: data[:-1])),
        "wrong CRC": Defect(("truncated",), image, as_stored(lambda data: flipped(data, -6))),
        "wrong length in the trailer": Defect(("truncated",), label, as_stored(lambda data: flipped(data, -2))),
        "a byte flipped midway": Defect(("truncated",), image, as_stored(lambda data: flipped(data, len(data) // 2))),
        "last slice not in the stream": Defect(("truncated",), image, lambda file, _rng: pack(file.raw()[:-999])),
        "uncompressed image cut": Defect(("truncated",), image, as_stored(lambda data: data[:-500], suffix=".nii")),
        "header promises more": Defect(
            ("truncated", "not-an-image"), image, lambda file, _rng: replace(file, dim=(3, 20000, 20000, 40))
        ),
        "test image cut at 50 %": Defect(
            ("truncated",), image, as_stored(lambda data: data[: len(data) // 2]), part="test"
        ),
        "text named .nii.gz": Defect(
            ("not-an-image",), image, content_is(b"see \\\\server\\scans for this one\n" * 20)
        ),
        "web page packed": Defect(("not-an-image",), image, content_is(pack(HTML))),
        "JPEG named .nii.gz": Defect(("not-an-image",), label, content_is(a_jpeg())),
        "file of zeros": Defect(("not-an-image", "truncated"), image, content_is(bytes(20000))),
        "unknown number type": Defect(("not-an-image", "voxel-type"), image, unknown_type),
        "RGB image": Defect(("voxel-type",), image, rgb),
        "RGB label": Defect(("voxel-type",), label, rgb),
        "complex image": Defect(("voxel-type",), image, voxels_changed(lambda voxels: voxels.astype(np.complex64))),
        "metres": Defect(("unit",), both, header_fields(xyzt_units=1)),
        "micrometres and seconds": Defect(("unit",), both, header_fields(xyzt_units=3 + 8)),
        "spacing 0 in pixdim": Defect(("spacing",), both, pixdim_set(0.0)),
        "spacing NaN in pixdim": Defect(("spacing",), both, pixdim_set(np.nan)),
        "spacing 1000 mm": Defect(("spacing",), both, spacing_in_mm(1.0, 1.0, 1000.0)),
        "spacing in metres said to be mm": Defect(("spacing",), both, spacing_in_mm(0.001, 0.001, 0.003)),
        "two axes alike": Defect(("affine",), both, singular, place | {"sheared"}),
        "sform offset NaN": Defect(("affine",), both, srow_entry("srow_z", _3=np.nan), place),
        "sform row infinite": Defect(("affine", "spacing"), both, srow_entry("srow_x", _0=np.inf), place),
        "sform column of zeros": Defect(("affine", "spacing"), both, no_column, place),
        "sheared by 5 %": Defect(("sheared",), both, in_voxels(shear(0.05), qform=0), place),
        "sheared by 0.5 %": Defect(("sheared",), both, in_voxels(shear(0.005), qform=0), place),
        "label sheared by 5 %": Defect(("sheared",), label, in_voxels(shear(0.05), qform=0), place),
        "sform sheared, qform not": Defect(
            ("form-conflict", "sheared"), image, form_only("sform", shear(0.05)), place | {"form-conflict", "sheared"}
        ),
        "one slice in 2D": Defect(
            axes, image, voxels_changed(lambda voxels: voxels[..., 0]), frozenset({"shape-differs"})
        ),
        "vectors": Defect(axes, image, voxels_changed(lambda voxels: np.stack([voxels] * 3, -1)[..., None, :])),
        "one-hot label": Defect(axes, label, one_hot, frozenset({"shape-differs"})),
        "two time points": Defect(axes, image, voxels_changed(lambda voxels: np.stack([voxels, voxels[::-1]], -1))),
        "two time points in the test": Defect(
            axes, image, voxels_changed(lambda voxels: np.stack([voxels, voxels[::-1]], -1)), part="test"
        ),
        "NaN in one voxel": Defect(("nan",), image, one_voxel(np.nan)),
        "NaN around the image": Defect(("nan",), image, border(np.nan, np.float32)),
        "NaN in the label": Defect(("nan",), label, one_voxel(np.nan)),
        "NaN in one voxel of a test image": Defect(("nan",), image, one_voxel(np.nan, np.float64), part="test"),
        "+Inf in one voxel": Defect(("infinite",), image, one_voxel(np.inf)),
        "-Inf around the image": Defect(("infinite",), image, border(-np.inf, np.float32)),
        "Inf in the label": Defect(("infinite",), label, one_voxel(np.inf)),
        "all 0": Defect(("constant",), image, voxels_changed(np.zeros_like)),
        "all 100": Defect(("constant",), image, voxels_changed(lambda voxels: np.full(voxels.shape, 100, np.int16))),
        "fill value 3e38": Defect(("range",), image, border(3e38, np.float32)),
        "lowest float32 in one voxel": Defect(("range",), image, one_voxel(np.finfo(np.float32).min)),
        "1e300 in one voxel": Defect(("range",), image, one_voxel(1e300, np.float64)),
        "label without the last slice": Defect(
            ("shape-differs",), label, voxels_changed(lambda voxels: voxels[..., :-1])
        ),
        "label transposed": Defect(("shape-differs",), label, transposed, frozenset({"label-place"})),
        "label at twice the resolution": Defect(("shape-differs",), label, grown, place),
        "label with a slice more below": Defect(("shape-differs",), label, padded, place),
        "label spacing 2 % off": Defect(("spacing-differs",), label, in_voxels(np.diag([1, 1, 1.02, 1]))),
        "label spacing twice": Defect(
            ("spacing-differs",), label, in_voxels(np.diag([2.0, 2, 2, 1])), frozenset({"label-volume"})
        ),
        "label 3 mm off": Defect(("origin-differs",), label, in_mm(shift(0, 3, 0))),
        "label one voxel off": Defect(("origin-differs",), label, in_voxels(shift(0, 0, 1))),
        "label a tenth of a voxel off": Defect(("origin-differs",), label, in_voxels(shift(0.1, 0, 0))),
        "label origin lost": Defect(("origin-differs",), label, no_origin),
        "label turned by 5 degrees": Defect(("direction-differs",), label, in_voxels(turn(np.deg2rad(5)))),
        "label turned about its centre": Defect(("direction-differs",), label, turned_about_centre, place),
        "label axis flipped": Defect(("direction-differs",), label, axis_flipped, place),
        "label in LPS": Defect(("direction-differs",), label, in_mm(np.diag([-1.0, -1, 1, 1])), place),
        "qform 5 mm off": Defect(("form-conflict",), image, form_only("qform", shift(0, 5, 0))),
        "qform turned": Defect(("form-conflict",), image, form_only("qform", turn(0.2))),
        "label's qform 5 mm off": Defect(("form-conflict",), label, form_only("qform", shift(5, 0, 0))),
        "pixdim twice the sform's": Defect(("form-conflict",), image, pixdim_times(2.0), place),
        "neither qform nor sform": Defect(("form-missing",), both, header_fields(qform_code=0, sform_code=0), place),
        "label 0.005 voxels off": Defect(("grid-rounding",), label, in_voxels(shift(0.005, 0, 0))),
        "label turned by a rounding": Defect(("grid-rounding",), label, in_voxels(turn(3e-4))),
        "label spacing rounded": Defect(("grid-rounding",), label, in_voxels(np.diag([1, 1.0004, 1, 1]))),
        "label interpolated": Defect(
            ("label-not-integer",),
            label,
            voxels_changed(lambda voxels: voxels * np.float32(0.5) + np.roll(voxels, 1, 0) / 2),
        ),
        "label with a slope of 0.5": Defect(("label-not-integer",), label, scaled(0.5, 1)),
        "one label voxel of 1.4": Defect(("label-not-integer",), label, one_voxel(1.4)),
        "label value 7": Defect(("label-undeclared",), label, relabelled(7, np.uint8, inside=True)),
        "label value -1": Defect(("label-undeclared",), label, relabelled(-1, np.int16, inside=False)),
        "label 0 and 255": Defect(
            ("label-undeclared",),
            label,
            voxels_changed(lambda voxels: np.uint8(255) * (voxels > 0)),
            frozenset({"label-empty"}),
        ),
        "label all 0": Defect(("label-empty",), label, voxels_changed(np.zeros_like), frozenset({"label-volume"})),
        "label all 0, 32 bit": Defect(
            ("label-empty",),
            label,
            voxels_changed(lambda voxels: np.zeros(voxels.shape, np.int32)),
            frozenset({"label-volume"}),
        ),
        "label 1 gone": Defect(("label-missing",), label, voxels_changed(lambda voxels: voxels * (voxels != 1))),
        "label 2 gone": Defect(("label-missing",), label, voxels_changed(lambda voxels: voxels * (voxels != 2))),
        "a twentieth of label 1": Defect(("label-volume",), label, shrunk(1)),
        "a twentieth of label 2": Defect(("label-volume",), label, shrunk(2)),
        "label 1 everywhere": Defect(
            ("label-volume",), label, voxels_changed(lambda voxels: np.where(voxels == 0, 1, voxels).astype(np.uint8))
        ),
        "five specks of label 1": Defect(("label-islands",), label, specks(1, count=5, size=1)),
        "three specks of label 2": Defect(("label-islands",), label, specks(2, count=3, size=2)),
        "one stray voxel of label 1": Defect(("label-islands",), label, specks(1, count=1, size=1)),
        "label 0.99999997": Defect(("label-rounding",), label, voxels_changed(lambda voxels: voxels * 0.99999997)),
        "label 1.99995": Defect(
            ("label-rounding",),
            label,
            voxels_changed(lambda voxels: np.where(voxels == 2, 1.99995, voxels).astype(np.float32)),
        ),
        "label with a slope of 1/85": Defect(("label-rounding",), label, scaled(1 / 85, 85)),
        "label as float32": Defect(("label-float",), label, voxels_changed(lambda voxels: voxels.astype(np.float32))),
        "label as float64": Defect(("label-float",), label, voxels_changed(lambda voxels: voxels.astype(np.float64))),
    }
