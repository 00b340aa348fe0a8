"""Turn predicted regions, which may overlap, into a label map."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type, convert_to_numpy
from numpy.typing import NDArray

from ..data.region_table import make_region_table

__all__ = ["DecodeRegionsd", "find_patterns"]


class DecodeRegionsd(MapTransform):
    """Turn the probabilities of regions into a label map: see `make_region_table`.

    A voxel is in a region whose probability is above 0.5. Type, device, affine and meta data are those of the
    probabilities.

    Args:
        keys: keys of the probabilities, (regions, X, Y, Z) or (regions, X, Y); they become (1, X, Y[, Z]).
        regions: the labels' values of each region.
        order: pairs of a region's place and the label that it writes, in the order of writing.
        allow_missing_keys: whether a case may lack a key.

    Attributes:
        regions: the labels' values of each region.
        table: the label of each pattern, see `find_patterns`.

    Raises:
        ValueError: the regions or their order are wrong, or a case has another number of channels.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        regions: Sequence[Sequence[int]],
        order: Sequence[Sequence[int]],
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.regions = [tuple(labels) for labels in regions]
        self.table = make_region_table(regions, [(place, label) for place, label in order])

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Turn the probabilities of one case into its label map."""
        result = dict(data)
        for key in self.key_iterator(result):
            probabilities = convert_to_numpy(result[key])
            if len(probabilities) != len(self.regions):
                msg = f"{key} has {len(probabilities)} channels: expected {len(self.regions)}, one per region"
                raise ValueError(msg)
            label_map = self.table[find_patterns(probabilities)][None]
            result[key] = convert_to_dst_type(label_map, dst=result[key])[0]
        return result


def find_patterns(probabilities: NDArray[np.floating[Any]]) -> NDArray[np.uint16]:
    """Return which regions each voxel is in: the sum of 2**k over the regions k with a probability above 0.5.

    Args:
        probabilities: (regions, X, Y, Z) or (regions, X, Y), from 0 to 1.

    Returns:
        Patterns, of the shape of one region.
    """
    patterns = np.zeros(probabilities.shape[1:], np.uint16)
    for place, region in enumerate(probabilities):
        patterns |= (region > 0.5).astype(np.uint16) << place
    return patterns
