"""Check that a file of weights, or of a training's state, exists. Needs neither torch nor MONAI."""

from __future__ import annotations

from pathlib import Path

from .errors import InputError
from .images.file_start import is_lfs_pointer

__all__ = ["require_state", "require_weights"]


def require_weights(path: Path) -> None:
    """Raise InputError if a file of weights does not exist, or is a Git LFS pointer."""
    if not path.is_file():
        raise InputError(
            path,
            found="no such file",
            expected="the weights of this bundle's network",
            remedy="train the bundle first (lightskip train BUNDLE), or name its weights: --checkpoint FILE",
        )
    if is_lfs_pointer(path):
        raise InputError(
            path, found="a Git-LFS pointer", expected="weights", remedy="fetch the real file with `git lfs pull`"
        )


def require_state(path: Path) -> None:
    """Raise InputError if the state of a training to resume does not exist."""
    if not path.is_file():
        raise InputError(
            path,
            found="no checkpoint to resume from",
            expected=f"the {path.name} that a training writes to its ckpt_dir",
            remedy="correct --ckpt_dir, or leave out --resume to start a new training",
        )
