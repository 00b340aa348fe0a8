"""Turn a file's label map into the target of a training with ignored values or partly annotated cases."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import ClassesToIndicesd, MapTransform
from monai.utils import convert_to_dst_type

from ..data.annotated import ANNOTATED_SET
from ..data.errors import InputError
from ..data.target_table import mark_set

__all__ = ["CodeLabelsd", "LabelPositionsd", "MarkAnnotatedd"]

_MAX_SHOWN = 5


class CodeLabelsd(MapTransform):
    """Replace the values of a file by those of a training: its labels by 0 to K-1, ignored values by K.

    Args:
        keys: keys of the label maps.
        values: the labels' values in the file, in the order of the labels, background first.
        ignored: values in the file of voxels without annotation.
    """

    def __init__(self, keys: KeysCollection, *, values: Sequence[int], ignored: Sequence[int] = ()) -> None:
        super().__init__(keys)
        self.values = dict(zip(values, range(len(values)), strict=True)) | dict.fromkeys(ignored, len(values))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace the values of one case.

        Raises:
            InputError: a voxel has another value.
        """
        result = dict(data)
        for key in self.keys:
            label_map = torch.as_tensor(result[key])
            found, place = torch.unique(label_map, return_inverse=True)
            unknown = [value for value in found.tolist() if value not in self.values]
            if unknown:
                shown = ", ".join(f"{value:g}" for value in unknown[:_MAX_SHOWN])
                raise InputError(
                    getattr(label_map, "meta", {}).get("filename_or_obj", key),
                    found=f"the label value{'s' * (len(unknown) > 1)} {shown}",
                    expected=f"one of {', '.join(map(str, self.values))}",
                    remedy="correct the label map, or declare the value as a label or as ignored and plan again",
                )
            coded = torch.tensor([self.values[value] for value in found.tolist()])[place]
            result[key] = convert_to_dst_type(coded, dst=result[key], dtype=label_map.dtype)[0]
        return result


class LabelPositionsd(ClassesToIndicesd):
    """MONAI's ``ClassesToIndicesd`` for label maps with ignored voxels, at which no patch is centred.

    A case without any voxel to centre on, such as one that is ignored as a whole, gets patches from anywhere.

    Args:
        ratios: the relative numbers of patches centred on each label.
        **options: arguments of ``ClassesToIndicesd``: keys, num_classes, max_samples_per_class.
    """

    def __init__(self, *, ratios: Sequence[float], **options: Any) -> None:
        super().__init__(**options)
        self.ratios = list(ratios)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add the positions of one case, a list of flat indices per label."""
        result: dict[Hashable, Any] = super().__call__(data)
        for key in self.key_iterator(result):
            positions = result[f"{key}{self.indices_postfix}"]
            if any(len(each) and ratio for each, ratio in zip(positions, self.ratios, strict=True)):
                continue
            voxels = int(np.prod(result[key].shape[1:]))
            number = min(voxels, self.converter.max_samples_per_class or voxels)
            anywhere = torch.linspace(0, voxels - 1, number, dtype=torch.float64).round().long()
            first = next(place for place, ratio in enumerate(self.ratios) if ratio)
            positions[first] = anywhere if isinstance(positions[first], torch.Tensor) else anywhere.numpy()
        return result


class MarkAnnotatedd(MapTransform):
    """Mark the voxels of a partly annotated case with its annotated set: see :mod:`pipeline.data.target_table`.

    The number of the set is the item's ``annotated_set``; a case without it is annotated as a whole and stays as it is.

    Args:
        keys: keys of the label maps, with values 0 to K-1 and K for ignored voxels; they become uint8 if all values
            fit, and int32 otherwise.
        num_labels: K, the number of labels, background included.
        sets: number of annotated sets; None if it is not known, for int32.
    """

    def __init__(self, keys: KeysCollection, *, num_labels: int, sets: int | None = None) -> None:
        super().__init__(keys)
        self.num_labels = num_labels
        # Not int16, which NCCL and Gloo do not exchange.
        fits = sets is not None and mark_set(sets, num_labels) - 1 <= torch.iinfo(torch.uint8).max
        self.type = torch.uint8 if fits else torch.int32

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Mark the label maps of one case."""
        result = dict(data)
        number = result.pop(ANNOTATED_SET, None)
        for key in self.keys:
            label_map = result[key].to(self.type)
            if number is not None:
                offset = mark_set(int(number), self.num_labels)
                label_map = torch.where(label_map < self.num_labels, label_map + offset, label_map)
            result[key] = label_map
        return result
