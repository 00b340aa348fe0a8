"""Write what the skips transfer for a scan: a map per level in the scan's own grid, and a picture of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from ..files import whole_file
from ..labelmaps.nifti import read_scan_grid, to_affine_3d
from ..labelmaps.save import save_volume
from ..report.map_picture import MapRow, draw_maps
from .gates import watch_gates
from .levels import Level
from .session import Case, Session
from .transfers import Transfer, replace_transfer

__all__ = ["MAX_MAPS", "find_maps", "write_maps"]

MAX_MAPS = 8
"""A level with more maps is shown as one: the mean over its channels of their absolute values."""

_FOLDER = "maps"


@dataclass(frozen=True)
class LevelMaps:
    """The maps of one level.

    Attributes:
        level: the level.
        content: what they are, such as ``4 maps``.
        voxels: (*spatial, M), in the grid of the tensor that they were taken from.
    """

    level: Level
    content: str
    voxels: Any


def write_maps(session: Session, levels: Sequence[Level], cases: Sequence[int], folder: Path) -> list[Path]:
    """Write the maps of cases: ``maps/CASE_levelN.nii.gz`` per level, and ``maps/CASE.png``.

    A NIfTI file has the shape, affine and codes of the case's scan; with several maps they are its fourth axis.

    Args:
        session: the opened evaluation.
        levels: levels to show.
        cases: indices of the cases.
        folder: folder to write to.

    Returns:
        The files.
    """
    written: list[Path] = []
    for index in tqdm(cases, desc="maps", disable=None):
        case = session.read_case(index)
        found = find_maps(session, levels, case)
        for one in found:
            file = folder / _FOLDER / f"{case.name}_level{one.level.number}.nii.gz"
            _save(one.voxels, file, case, session.spatial_dims)
            written.append(file)
        picture = folder / _FOLDER / f"{case.name}.png"
        with whole_file(picture) as temporary:
            temporary.write_bytes(
                draw_maps(
                    session.read_scan(index),
                    {
                        "reference": np.asarray(case.label[0, 0]).astype(np.int64),
                        "prediction": np.asarray(session.segment(case)[0].cpu()).astype(np.int64),
                    },
                    [MapRow(f"level {one.level.number}, {one.level.kind}: {one.content}", one.voxels) for one in found],
                    to_affine_3d(case.label.affine[0] if case.label.affine.ndim == 3 else case.label.affine),
                    names={value: name for name, value in session.labels.items() if value},
                    title=case.name,
                )
            )
        written.append(picture)
    return written


def find_maps(session: Session, levels: Sequence[Level], case: Case) -> list[LevelMaps]:
    """Return the maps of a case in its scan's grid.

    The maps of each window are enlarged to the window by linear interpolation, joined over windows with the inferer's
    weights, and resampled to the scan's grid as probabilities are.
    """
    network = _MapsNetwork(session.network, levels)
    together = session.inferer(case.image, network)
    restored = session.restore_volume(case, together).float().numpy()
    parts = np.split(restored, np.cumsum([number for number, _ in network.shown])[:-1])
    return [
        LevelMaps(level, content, np.moveaxis(part, 0, -1))
        for level, part, (_, content) in zip(levels, parts, network.shown, strict=True)
    ]


class _MapsNetwork:
    """A network that returns its levels' maps (N, maps, *window) instead of logits.

    Attributes:
        shown: number and content of each level's maps, after the first window.
    """

    def __init__(self, network: nn.Module, levels: Sequence[Level]) -> None:
        self._network, self._levels = network, levels
        self.shown: list[tuple[int, str]] = []

    def __call__(self, x: Tensor) -> Tensor:
        seen: dict[int, _Seen] = {level.number: _Seen() for level in self._levels}
        with ExitStack() as stack:
            for level in self._levels:
                stack.enter_context(replace_transfer(level.skip, seen[level.number].record))
                stack.enter_context(watch_gates(level.skip, seen[level.number].see))
            self._network(x)
        chosen = [seen[level.number].choose() for level in self._levels]
        self.shown = [(maps.shape[1], content) for maps, content in chosen]
        mode = "bilinear" if x.dim() == 4 else "trilinear"
        size = tuple(x.shape[2:])
        return torch.cat(
            [functional.interpolate(maps.float(), size, mode=mode, align_corners=False) for maps, _ in chosen], dim=1
        )


class _Seen:
    """What one skip kept, transferred and gated in a batch of windows."""

    def __init__(self) -> None:
        self.kept = self.transferred = torch.zeros(0)
        self.gates: list[Tensor] = []

    def record(self, own: Transfer) -> Transfer:
        def transfer(kept: Tensor, decoder: Tensor) -> Tensor:
            self.kept, self.transferred = kept, own(kept, decoder)
            return self.transferred

        return transfer

    def see(self, _name: str, gate: Tensor) -> None:
        self.gates.append(gate)

    def choose(self) -> tuple[Tensor, str]:
        """Return the maps to show (N, M, *spatial), and what they are.

        They are the gate of positions, if there is one; else the maps that the skip keeps, or transfers where it keeps
        no fewer channels; or, if these are more than `MAX_MAPS`, the mean absolute value of what it transfers.
        """
        places = self.transferred.shape[2:]
        for gate in self.gates:
            if gate.shape[1:] == (1, *places):
                return gate, "gate of positions"
        maps = self.kept if self.kept.shape[1] < self.transferred.shape[1] else self.transferred
        number = maps.shape[1]
        if number <= MAX_MAPS:
            return maps, f"{number} map{'s' if number > 1 else ''}"
        channels = self.transferred.shape[1]
        return self.transferred.abs().mean(dim=1, keepdim=True), f"mean absolute value of {channels} channels"


def _save(voxels: NDArray[Any], file: Path, case: Case, spatial_dims: int) -> None:
    """Write maps (*spatial, M) to a file in the scan's grid."""
    if voxels.shape[-1] == 1:
        voxels = voxels[..., 0]
    elif spatial_dims == 2:
        # The maps must not become the third axis in space.
        voxels = voxels[:, :, None]
    header, _, affine = read_scan_grid(case.source)
    if affine is None:
        affine = to_affine_3d(case.label.affine[0] if case.label.affine.ndim == 3 else case.label.affine)
    save_volume(voxels, file, scan=header or case.source, affine=affine)
