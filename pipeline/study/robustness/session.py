"""A bundle's evaluation whose scans are changed between resampling and normalisation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.data.utils import list_data_collate
from monai.transforms import Compose, NormalizeIntensityd, Spacingd
from numpy.typing import NDArray
from torch import Tensor

from ...bundle.launch import Launch
from ...data.errors import InputError
from ...probe.session import Case, Session

__all__ = ["GridCase", "RobustnessSession"]


@dataclass(frozen=True)
class GridCase:
    """A validation case in the network's grid, before normalisation.

    Attributes:
        index: its place among the validation cases.
        name: its name.
        scan: intensities, (C, *spatial).
        spacing: voxel size in mm.
        items: what the first half of the pre-processing made.
    """

    index: int
    name: str
    scan: NDArray[np.float32]
    spacing: tuple[float, ...]
    items: dict[str, Any]


class RobustnessSession(Session):
    """A bundle's evaluation in two halves: up to the network's grid, and from the normalisation on.

    A perturbation belongs to the scan, so the normalisation has to see it, as it would in practice. It is made in the
    network's grid and not in the file's: its levels then mean the same voxels for every case, and a case is read,
    turned and resampled once for all perturbations. The reference label map stays as it is.

    Args:
        launch: the checked evaluation, from `pipeline.bundle.launch.prepare`.

    Attributes:
        runtime: what computes the network: ``pytorch`` or ``openvino``.
        keeps_zeros: whether the normalisation takes voxels of exactly 0 for background that was cut away.

    Raises:
        InputError: as `Session`; or the pre-processing has no ``Spacingd``.
    """

    def __init__(self, launch: Launch) -> None:
        super().__init__(launch)
        steps = list(self._dataset.transform.transforms)
        places = [place for place, step in enumerate(steps) if isinstance(step, Spacingd)]
        if not places:
            raise InputError(
                launch.files[-1],
                found="no Spacingd in validate#preprocessing",
                expected="one, after which the scan is in the network's grid",
                remedy="write the configs again with `lightskip render`",
            )
        self._to_grid = Compose(steps[: places[-1] + 1])
        self._normalise = Compose(steps[places[-1] + 1 :])
        self.keeps_zeros = any(
            isinstance(step, NormalizeIntensityd) and step.normalizer.nonzero for step in self._normalise.transforms
        )
        choice = self._get("runtime_choice")
        self.runtime: str = choice.runtime
        self._fast_network = choice.network

    def read_in_grid(self, index: int) -> GridCase:
        """Return a case, read and resampled."""
        items: dict[str, Any] = self._to_grid(dict(self._dataset.data[index]))
        image = items["image"]
        spacing = tuple(float(side) for side in image.pixdim[: self.spatial_dims])
        return GridCase(index, self.names[index], image.numpy().astype(np.float32), spacing, items)

    def finish_case(self, case: GridCase, scan: NDArray[np.float32] | None = None) -> Case:
        """Return the case, ready for the network.

        Args:
            case: the case.
            scan: other intensities, of the same shape; None: its own.
        """
        items = dict(case.items)
        if scan is not None:
            own = items["image"]
            items["image"] = MetaTensor(
                torch.from_numpy(scan).to(own.dtype), meta=own.meta, applied_operations=own.applied_operations
            )
        batch = list_data_collate([self._normalise(items)])
        return Case(case.name, self.sources[case.index], batch["image"].to(self.device), batch["label"])

    @torch.no_grad()
    def measure_each(self, cases: Sequence[Case]) -> Iterator[dict[str, float]]:
        """Yield the Dice by label of each case; their images have one shape and go through the network together."""
        images = torch.cat([case.image.as_tensor() for case in cases])
        logits = self.inferer(images, self._fast_network)
        for number, case in enumerate(cases):
            own = logits[number : number + 1]

            def infer(_: Tensor, own: Tensor = own) -> Tensor:
                return own

            yield self.measure(case, self.segment(case, infer))
