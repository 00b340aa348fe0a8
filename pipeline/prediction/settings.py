"""What a user says about weights, memory and threads, as prediction takes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..bundle.planning.resources import parse_memory
from ..data.errors import InputError
from ..memory import free_bytes

__all__ = ["budget", "checkpoints", "thread_count"]

_OF_FREE = 0.8


def budget(text: str | None) -> int | None:
    """Return the memory (bytes) that ``--memory`` allows; without it most of what is free, None where that is unknown.

    Raises:
        InputError: the text is no size.
    """
    if text is not None:
        return parse_memory(text)
    free = free_bytes()
    return None if free is None else int(_OF_FREE * free)


def checkpoints(bundle: Path, files: Sequence[str], folds: Sequence[int] | None) -> list[str]:
    """Return the files of weights: those named, or those of the folds' trainings; none for the bundle's own.

    Raises:
        InputError: both are named, or a fold was not trained.
    """
    if not folds:
        return list(files)
    if files:
        raise InputError("--folds", found="--checkpoint, too", expected="one of them", remedy="leave one out")
    trained = [bundle / "runs" / f"fold_{fold}" / "model.pt" for fold in folds]
    for fold, file in zip(folds, trained, strict=True):
        if not file.is_file():
            raise InputError(
                file,
                found="no such file",
                expected=f"the weights of fold {fold}",
                remedy=f"train it (lightskip train {bundle} --fold {fold}), or name weights: --checkpoint FILE ...",
            )
    return [str(file) for file in trained]


def thread_count(count: int | None) -> int | None:
    """Return the number of threads, after making sure that it is one.

    Raises:
        InputError: it is less than 1.
    """
    if count is not None and count < 1:
        raise InputError("--threads", found=str(count), expected="1 or more", remedy="leave it out, or give another")
    return count
