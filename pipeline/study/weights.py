"""The weights of a training's last epoch, out of its ``last.pt``, as a file that every verb reads.

The best epoch would be chosen on the cases that it is measured on, so that its Dice is too high.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ..data.errors import InputError
from ..data.weights import require_weights
from ..leftovers import temporary_folder
from ..networks.spec_file import save_weights

__all__ = ["LAST", "Weights", "is_state_file", "plain_weights", "save_last_epoch"]

LAST = "last.pt"
_EXPECTED = f"weights, or a training's {LAST}"

# A file that `lightskip evaluate` reads, and the fold of its training, if the file says so.
Weights = tuple[Path, int | None]


def save_last_epoch(training: Path) -> Path:
    """Write the weights of a training's last epoch, and return their file: ``last_epoch/model.pt``.

    Args:
        training: the folder of the training, with ``last.pt``.

    Raises:
        InputError: there is no ``last.pt``, or it cannot be loaded as the state of a training.
    """
    state = _load(training / LAST)
    if not _is_state(state):
        raise InputError(
            training / LAST,
            found="no state of a training",
            expected=f"the {LAST} that a training writes",
            remedy="delete the folder of the training, so that it starts again",
        )
    file = training / "last_epoch" / "model.pt"
    file.parent.mkdir(exist_ok=True)
    _write(state, file)
    return file


@contextmanager
def plain_weights(path: str | Path) -> Iterator[Weights]:
    """Yield a file of weights that ``lightskip evaluate --checkpoint`` reads, and the fold of their training.

    From a training's state, ``last.pt``, the weights of the last epoch are taken. They are in a temporary file within
    the block, with the spec of their network next to it.

    Args:
        path: a file of weights, a ``last.pt``, or the folder of a training, whose ``last.pt`` is used.

    Raises:
        InputError: there is no such file, or it cannot be loaded.
    """
    path = Path(path).expanduser()
    file = path / LAST if path.is_dir() else path
    state = _load(file)
    if not _is_state(state):
        yield file, None
        return
    fold = (state.get("identity") or {}).get("fold")
    with temporary_folder() as folder:
        copy = folder / "model.pt"
        _write(state, copy)
        yield copy, fold


def is_state_file(file: Path) -> bool:
    """Return whether a file is the state of a training, whole enough to be loaded."""
    try:
        return _is_state(_load(file))
    except InputError:
        return False


def _load(file: Path) -> Any:
    require_weights(file)
    try:
        return torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        raise InputError(
            file,
            found=f"a file that PyTorch cannot load ({type(error).__name__})",
            expected=_EXPECTED,
            remedy="check that the file is complete, or copy it again",
        ) from error


def _is_state(content: Any) -> bool:
    return isinstance(content, dict) and {"network", "optimizer"} <= content.keys()


def _write(state: Mapping[str, Any], file: Path) -> None:
    """Write the averaged weights, which a training validates and saves, or those of the network without an average."""
    save_weights(dict(state.get("average", state["network"])), file, state.get("network_spec"))
