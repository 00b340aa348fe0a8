"""The weights whose robustness is measured: a file of weights, or those of a training's last epoch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from ...data.errors import InputError
from ...data.weights import require_weights
from ...networks.spec_file import save_weights

__all__ = ["Weights", "plain_weights"]

_LAST = "last.pt"

# A file that `lightskip evaluate` reads, and the fold of its training, if the file says so.
Weights = tuple[Path, int | None]


@contextmanager
def plain_weights(path: str | Path) -> Iterator[Weights]:
    """Yield a file of weights that ``lightskip evaluate --checkpoint`` reads, and the fold of their training.

    From a training's state, ``last.pt``, the weights of the last epoch are taken: the averaged ones, which a training
    validates and saves, or those of the network if it has no average. They are in a temporary file within the block,
    with the spec of their network next to it.

    Args:
        path: a file of weights, a ``last.pt``, or the folder of a training, whose ``last.pt`` is used.

    Raises:
        InputError: there is no such file, or it cannot be loaded.
    """
    path = Path(path).expanduser()
    file = path / _LAST if path.is_dir() else path
    require_weights(file)
    try:
        state: Any = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        raise InputError(
            file,
            found=f"a file that PyTorch cannot load ({type(error).__name__})",
            expected=f"weights, or a training's {_LAST}",
            remedy="check that the file is complete, or copy it again",
        ) from error
    if not (isinstance(state, dict) and {"network", "optimizer"} <= state.keys()):
        yield file, None
        return
    fold = (state.get("identity") or {}).get("fold")
    with TemporaryDirectory(prefix="lightskip_") as folder:
        copy = Path(folder) / "model.pt"
        weights = state["average"] if "average" in state else state["network"]
        save_weights(dict(weights), copy, state.get("network_spec"))
        yield copy, fold
