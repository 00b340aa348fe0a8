"""Fields of a NIfTI header that tools read differently: a useless sform, and a scaling by 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from .header import Header

__all__ = ["SINGULAR", "check_scaling", "check_sform", "find_scaling_note", "is_placing"]

SINGULAR = "sform-singular"  # a kind of finding
_MIN_VOLUME_SHARE = 1e-6  # of a voxel's volume over the product of its edges, as in `check_header.check_affine`


def is_placing(form: np.ndarray | None) -> bool:
    """Return whether a form, 4x4 (mm), gives every voxel a place of its own."""
    if form is None or not np.isfinite(form).all():
        return False
    edges = float(np.prod(np.linalg.norm(form[:3, :3], axis=0)))
    return edges > 0 and abs(float(np.linalg.det(form[:3, :3]))) >= _MIN_VOLUME_SHARE * edges


def check_sform(header: Header) -> None:
    """Refuse an sform that maps the volume to a plane or is not finite.

    With a sound qform, nibabel, and so MONAI, use the sform, ITK and TorchIO the qform. Without one, nothing says where
    the voxels are.
    """
    forms = header.forms
    if forms is None or forms.sform is None or is_placing(forms.sform):
        return
    what = "zero" if not forms.sform[:3, :3].any() else "not finite or maps the volume to a plane"
    if not is_placing(forms.qform):
        raise InputError(
            header.path,
            found=f"an sform that is {what}, with sform_code above 0, and no sound qform",
            expected="an sform or a qform with three independent axes",
            remedy="correct the file's header from the original scan, or convert that scan again",
            kind="affine",
        )
    raise InputError(
        header.path,
        found=f"an sform that is {what}, with sform_code above 0, and a sound qform",
        expected="the same place in both, or sform_code 0: nibabel and MONAI use the sform, ITK the qform",
        remedy="run `lightskip check --fix FOLDER`, which writes a copy with the qform as sform",
        kind=SINGULAR,
    )


def check_scaling(path: str, fields: Any) -> None:
    """Refuse a scaling whose intercept is no number; nibabel's header, unchecked."""
    slope, intercept = float(fields["scl_slope"]), float(fields["scl_inter"])
    if slope != 0 and np.isfinite(slope) and not np.isfinite(intercept):
        raise InputError(
            path,
            found=f"values scaled by scl_slope {slope:g} and scl_inter {intercept:g}",
            expected="two finite numbers: nibabel refuses such a file, ITK ignores the intercept",
            remedy="correct the header from the original scan",
            kind="scaling",
        )


def find_scaling_note(path: str, fields: Any) -> InputError | None:
    """Return a note if an intercept has a slope that stands for no scaling; nibabel's header, unchecked.

    NIfTI says that a slope of 0 means no scaling, and nibabel ignores the intercept. ITK, and TorchIO with it, add it.
    """
    slope, intercept = float(fields["scl_slope"]), float(fields["scl_inter"])
    if (slope != 0 and np.isfinite(slope)) or intercept == 0 or not np.isfinite(intercept):
        return None
    return InputError(
        path,
        found=f"scl_slope {slope:g} with scl_inter {intercept:g}: here and in nibabel the values are as stored, "
        f"in ITK {abs(intercept):g} {'larger' if intercept > 0 else 'smaller'}",
        expected="a slope of 1 with an intercept, or 0 in both: NIfTI takes a slope of 0 as no scaling",
        remedy="find out which values are correct, and set scl_slope to 1 or scl_inter to 0",
        kind="scaling-ignored",
    )
