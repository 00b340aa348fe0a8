"""Clean label maps: remove small components or all but the largest, and fill holes."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type, convert_to_numpy
from numpy.typing import NDArray
from scipy import ndimage

from ..data.voxel_size import MM3_PER_ML, voxel_size

__all__ = ["CleanLabelMapd", "clean_label_map"]

# Relative tolerance: a component of exactly the minimum size stays, in spite of rounding errors.
_ROUNDING = 1e-6


class CleanLabelMapd(MapTransform):
    """Clean label maps in the scan's grid, before they are saved or measured: see :func:`clean_label_map`.

    Type, device, affine and meta data of a map stay the same.

    Args:
        keys: keys of the label maps, (1, X, Y, Z) or (1, X, Y).
        largest_component: values of the labels that keep only their largest component.
        fill_holes: values of the labels whose holes are filled.
        minimum_ml: minimum volume of a component in ml, by label value, for 3D maps. Smaller components are removed.
        minimum_mm2: minimum area of a component in mm2, by label value, for 2D maps.
        allow_missing_keys: whether a case may lack a key.

    Raises:
        ValueError: If a value cannot be a label, or a minimum is not above 0.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        largest_component: Iterable[int] = (),
        fill_holes: Iterable[int] = (),
        minimum_ml: Mapping[int, float] | Mapping[str, float] | None = None,
        minimum_mm2: Mapping[int, float] | Mapping[str, float] | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.largest_component = tuple(largest_component)
        self.fill_holes = tuple(fill_holes)
        # Keys in JSON configs are always text.
        self.minimum_ml = {int(value): float(size) for value, size in (minimum_ml or {}).items()}
        self.minimum_mm2 = {int(value): float(size) for value, size in (minimum_mm2 or {}).items()}
        _check_steps(self.largest_component, self.fill_holes, self.minimum_ml)
        _check_steps((), (), self.minimum_mm2)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Clean the label maps of one case.

        Raises:
            ValueError: If a map has more than one channel or values that are no labels. With a minimum, also if the map
                has another number of axes than the minimum is for, or no affine, so that the voxel size is unknown.
        """
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self._clean(result[key])
        return result

    def _clean(self, label_map: Any) -> Any:
        labels = _copy_labels(label_map)
        minimum, other = (self.minimum_ml, self.minimum_mm2)[:: 1 if labels.ndim == 3 else -1]
        if other:
            msg = f"label map has {labels.ndim} axes: expected minimum_ml for three axes, and minimum_mm2 for two"
            raise ValueError(msg)
        size = _size_of_voxel(label_map, labels.ndim) if minimum else 1.0
        _clean_in_place(labels, size, set(self.largest_component), set(self.fill_holes), minimum)
        return convert_to_dst_type(labels[None], dst=label_map)[0]


def clean_label_map(
    label_map: NDArray[np.integer],
    *,
    voxel_size: float,
    largest_component: Iterable[int] = (),
    fill_holes: Iterable[int] = (),
    minimum: Mapping[int, float] | None = None,
) -> NDArray[np.integer]:
    """Return the label map without false components, and with holes filled.

    A component is a set of voxels of one label that touch at faces, edges or corners. First, components below the
    minimum and all but the largest become background. Each label is cleaned by itself, so the order of labels does not
    matter. Then holes are filled. This is last, because removing a component of one label may leave a hole in another,
    such as a false lesion in its organ.

    A hole is a region that a label encloses, without a connection to the outside across a face, an edge or a corner. A
    region that touches the border of the volume is no hole. Only background in a hole is filled; other labels stay. If
    one label is inside another, the inner one's holes are filled first.

    Memory: a copy of the label map, and about five bytes per voxel of the largest label's bounding box.

    Args:
        label_map: integers from 0, (X, Y, Z) or (X, Y). It is not changed.
        voxel_size: size of a voxel in the unit of `minimum`, such as ml or mm2.
        largest_component: values of the labels that keep only their largest component; of equal ones, the first in the
            array.
        fill_holes: values of the labels whose holes are filled.
        minimum: minimum size by label value. Smaller components are removed, even a label's last one.

    Returns:
        The cleaned label map, same shape and type.

    Raises:
        ValueError: If a value cannot be a label, or a minimum or the voxel size is not above 0.
    """
    single, filled, minimum = set(largest_component), set(fill_holes), dict(minimum or {})
    _check_steps(single, filled, minimum)
    if not (math.isfinite(voxel_size) and voxel_size > 0):
        msg = f"voxel_size is {voxel_size}: expected a size above 0"
        raise ValueError(msg)
    cleaned = label_map.copy()
    _clean_in_place(cleaned, voxel_size, single, filled, minimum)
    return cleaned


def _clean_in_place(
    labels: NDArray[np.integer], voxel_size: float, single: set[int], filled: set[int], minimum: Mapping[int, float]
) -> None:
    boxes = ndimage.find_objects(labels)
    for value in sorted(single | minimum.keys()):
        if _count_box_voxels(boxes, value):
            smallest = minimum.get(value, 0.0) / voxel_size * (1 - _ROUNDING)
            _remove_components(labels[boxes[value - 1]], value, smallest=smallest, single=value in single)
    boxes = ndimage.find_objects(labels)
    # A label inside another has the smaller box, so inner labels come first.
    for value in sorted(filled, key=lambda value: (_count_box_voxels(boxes, value), value)):
        if _count_box_voxels(boxes, value):
            _fill_holes(labels[boxes[value - 1]], value)


def _remove_components(crop: NDArray[np.integer], value: int, *, smallest: float, single: bool) -> None:
    """Remove in place the components of fewer voxels than `smallest`, and all but the largest if `single`."""
    # MONAI's and scikit-image's functions choose randomly among equals, and need a pass each.
    components, number = ndimage.label(crop == value, structure=_full_connectivity(crop.ndim))
    sizes = np.zeros(number + 1, dtype=np.int64)
    # Slice by slice, because bincount converts its input to 64-bit integers.
    for part in components:
        sizes += np.bincount(part.ravel(), minlength=number + 1)
    sizes[0] = 0
    keep = sizes >= smallest
    if single:
        keep[np.arange(number + 1) != sizes.argmax()] = False
    keep[0] = True
    if not keep.all():
        for plane, part in zip(crop, components, strict=True):
            plane[~keep[part]] = 0


def _fill_holes(crop: NDArray[np.integer], value: int) -> None:
    """Fill in place the background that a label encloses."""
    # MONAI's function needs 26 bytes per voxel, and also overwrites other labels inside a hole.
    components, number = ndimage.label(crop != value, structure=_full_connectivity(crop.ndim))
    enclosed = np.ones(number + 1, dtype=bool)
    enclosed[0] = False
    for axis in range(crop.ndim):
        for end in (0, -1):
            enclosed[components.take(end, axis)] = False
    if enclosed.any():
        for plane, part in zip(crop, components, strict=True):
            plane[enclosed[part] & (plane == 0)] = value


def _full_connectivity(axes: int) -> NDArray[np.bool_]:
    """Return the structure that connects voxels across faces, edges and corners."""
    return np.ones((3,) * axes, dtype=bool)


def _count_box_voxels(boxes: list[tuple[slice, ...] | None], value: int) -> int:
    """Return the number of voxels in a label's bounding box, 0 if the map does not have the label."""
    box = boxes[value - 1] if value <= len(boxes) else None
    return 0 if box is None else math.prod(side.stop - side.start for side in box)


def _copy_labels(label_map: Any) -> NDArray[np.integer]:
    """Copy a (1, X, Y[, Z]) label map into small integers of shape (X, Y[, Z])."""
    array = np.asarray(convert_to_numpy(label_map))
    if array.ndim not in (3, 4) or array.shape[0] != 1:
        msg = f"label map has shape {array.shape}: expected (1, X, Y, Z) or (1, X, Y), after argmax"
        raise ValueError(msg)
    low, high = array.min(), array.max()
    if low >= 0 and high < np.iinfo(np.uint32).max:
        labels: NDArray[np.integer] = array[0].astype(np.min_scalar_type(int(high)))
        # Plane by plane, because a comparison needs a byte per voxel.
        if all(np.array_equal(copied, given) for copied, given in zip(labels, array[0], strict=True)):
            return labels
    msg = f"label map has values from {low} to {high}: expected integers from 0, after argmax"
    raise ValueError(msg)


def _size_of_voxel(label_map: Any, axes: int) -> float:
    """Return the volume of a voxel in ml, in 2D its area in mm2."""
    if not isinstance(label_map, MetaTensor):
        msg = "the label map has no affine, so its voxel size is unknown: expected a MetaTensor, or no minimum"
        raise ValueError(msg)
    size = voxel_size(convert_to_numpy(label_map.affine), axes)
    return size / MM3_PER_ML if axes == 3 else size


def _check_steps(single: Iterable[int], filled: Iterable[int], minimum: Mapping[int, float]) -> None:
    wrong = [value for value in (*single, *filled, *minimum) if type(value) is not int or value < 1]
    if wrong:
        msg = f"labels to clean are {wrong}: expected label values, whole numbers from 1"
        raise ValueError(msg)
    sizes = {value: size for value, size in minimum.items() if not (math.isfinite(size) and size > 0)}
    if sizes:
        msg = f"minimum is {sizes}: expected a size above 0 for each"
        raise ValueError(msg)
