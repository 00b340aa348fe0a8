"""One odd file: how to make it, and what every command must do with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np


@dataclass(frozen=True, eq=False)
class Made:
    """A file that was made, and the truth.

    Args:
        path: the file, or the folder of a series.
        voxels: (x, y, z) or (x, y), as the maker meant them; None if the file is refused.
        affine: voxel to world, 4x4 (mm, RAS); None if the file is refused, or has no place.
    """

    path: Path
    voxels: np.ndarray | None = None
    affine: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Odd:
    """An odd file and the expected outcome.

    Args:
        name: test id, such as "nrrd-space-units-um".
        make: writes the file into an empty folder.
        outcome: "right": read with the true voxels and place, and nothing said. "note": the same, and a finding of
            `kind` is said. "refused": an error of `kind`, by every command.
        kind: a key of `findings.SEVERITIES`; "" for "right".
        words: a part of what is said; it names what the user must know.
        role: what the file is in a dataset.
    """

    name: str
    make: Callable[[Path], Made]
    outcome: Literal["right", "note", "refused"]
    kind: str = ""
    words: str = ""
    role: Literal["image", "label"] = "image"

    def __repr__(self) -> str:
        return self.name
