"""Check that a file of weights exists. Needs neither torch nor MONAI."""

from __future__ import annotations

from pathlib import Path

from .errors import InputError
from .images.file_start import is_lfs_pointer

__all__ = ["require_weights"]


def require_weights(path: Path) -> None:
    """Raise InputError if a file of weights does not exist, or is a Git LFS pointer."""
    if not path.is_file():
        raise InputError(
            path,
            found="no such file",
            expected="the weights of this bundle's network",
            remedy="train the bundle, then pass its best weights: --checkpoint RUN/model.pt",
        )
    if is_lfs_pointer(path):
        raise InputError(
            path, found="a Git-LFS pointer", expected="weights", remedy="fetch the real file with `git lfs pull`"
        )
