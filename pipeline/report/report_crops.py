"""Pack the volumes of a case for the page's 3D viewer: quantised, small enough, gzipped, as text."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from ..labelmaps.palette import UNDECLARED_COLOUR, hex_colour
from ..labelmaps.views import PLANES, find_grey_window, find_plane, make_slice_view, to_grey_pixels
from .report_slices import choose_slices
from .report_volumes import REFERENCE, CaseVolumes, list_values

__all__ = ["Pack", "pack_volumes"]

_LEVELS = (256, 64, 32)  # of grey, from best to smallest
_FACTORS = (1, 2, 3, 4, 6, 8, 12, 16)  # voxels that become one, along each axis
_MAX_VOXELS = 6_000_000  # of a packed grid: a phone's memory
_MAX_VALUES = 255
_GZIP = 31  # zlib's number for gzip with its largest window
_GUESS = 0.7  # share of the entropy that gzip may need: an attempt that would not fit even so is not made


@dataclass(frozen=True)
class Pack:
    """The volumes of a case as text.

    Attributes:
        text: base64 of gzip of the blocks, one after the other. A block is a NIfTI header (352 bytes) and its voxels
            (uint8). The first is a label map; then every other label map, as its difference (by exclusive or) from the
            first, which is small; then the uncertainty; then the scan.
        blocks: for each block its title, its kind (``scan``, ``labels``, ``entropy``), its number of bytes, and the
            number of its set (-1 for the reference, -2 for none).
        colours: colour of each label, in the order of their numbers from 1 in the packed label maps.
        values: value of each label in the files.
        middle: where the viewer starts, in mm (RAS): in the slices of the pictures.
        note: what was made coarser; empty if nothing was.
    """

    text: str
    blocks: Sequence[tuple[str, str, int, int]]
    colours: Sequence[str]
    values: Sequence[int]
    middle: Sequence[float]
    note: str = ""


def pack_volumes(found: CaseVolumes, sets: Sequence[str], *, max_bytes: int) -> Pack | None:
    """Return the volumes of a case for the viewer; None in 2D, without label maps, or if they do not fit.

    The scan gets fewer levels of grey and larger voxels until everything fits; label maps get larger voxels only if
    that is not enough.

    Args:
        found: the volumes.
        sets: names of the sets of predictions, in their order.
        max_bytes: of the text.
    """
    keys = [key for key in (REFERENCE, *sets) if key in found.maps]
    values = list_values(found.maps)
    if len(found.shape) != 3 or not keys or len(values) > _MAX_VALUES:
        return None
    room = max_bytes * 3 // 4
    shape = found.maps[keys[0]].shape
    fitting = [factor for factor in _FACTORS if factor == 1 or factor <= min(shape)]
    factors = [factor for factor in fitting if np.prod(shape) / factor**3 <= _MAX_VOXELS]
    for coarse in factors:
        first = [*_pack_maps(found, keys, values, coarse), *_pack_entropy(found, coarse)]
        # The label maps are compressed once for all attempts with the scan.
        begun = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
        start = begun.compress(b"".join(first))
        if (used := len(start + begun.copy().flush())) >= room:
            continue
        for factor, levels in ((factor, levels) for factor in factors for levels in _LEVELS):
            scan = _pack_scan(found, factor, levels)
            if used + _GUESS * _count_bits(scan) / 8 > room:
                continue
            attempt = begun.copy()
            packed = start + attempt.compress(scan) + attempt.flush()
            if len(packed) <= room:
                return Pack(
                    text=base64.b64encode(packed).decode(),
                    blocks=_list_blocks([*first, scan], keys, sets, found),
                    colours=[hex_colour(value) if value > 0 else UNDECLARED_COLOUR for value in values],
                    values=values,
                    middle=_find_middle(found, shape),
                    note=_describe(factor, coarse, levels),
                )
    return None


def _count_bits(block: bytes) -> float:
    """Return the bits that a code without context needs for a block: the entropy of its bytes, times their number."""
    counts = np.bincount(np.frombuffer(block, np.uint8))
    used = counts[counts > 0].astype(np.float64)
    return float((used * np.log2(len(block) / used)).sum())


def _find_middle(found: CaseVolumes, shape: Sequence[int]) -> list[float]:
    """Return the point in the slices that the pictures show."""
    voxel = [(size - 1) // 2 for size in shape]
    for _, index, plane in choose_slices(found, shape):
        voxel[plane.through] = int(index or 0)
    return [round(float(mm), 3) for mm in (found.affine @ [*voxel, 1])[:3]]


def _list_blocks(
    parts: Sequence[bytes], keys: Sequence[str], sets: Sequence[str], found: CaseVolumes
) -> list[tuple[str, str, int, int]]:
    numbers: Mapping[str, int] = {name: number for number, name in enumerate(sets)}
    titles = [(key or "reference", "labels", numbers.get(key, -1)) for key in keys]
    titles += [("uncertainty", "entropy", -2)] * (found.entropy is not None)
    titles += [("scan", "scan", -2)]
    return [(title, kind, len(part), number) for (title, kind, number), part in zip(titles, parts, strict=True)]


def _describe(factor: int, coarse: int, levels: int) -> str:
    parts = [f"the scan has voxels {factor} times as large along each axis"] * (factor > 1)
    parts += [f"the label maps have voxels {coarse} times as large along each axis"] * (coarse > 1)
    parts += [f"the scan has {levels} levels of grey"] * (levels < _LEVELS[0])
    return f"To keep the page small, {' and '.join(parts)} in the 3D viewer." if parts else ""


def _pack_scan(found: CaseVolumes, factor: int, levels: int) -> bytes:
    """Return the block of the scan; a dark one of one level without a scan."""
    if found.scan is None:
        shape = next(iter(found.maps.values())).shape
        return _block(np.zeros([-(-size // 16) for size in shape], np.uint8), found.affine, 16)
    grey = to_grey_pixels(_average(found.scan, factor), _find_window(found))
    if levels < 256:
        step = 256 // levels
        grey = np.minimum(grey // step * step + step // 2, 255).astype(np.uint8)
    return _block(grey, found.affine, factor)


def _find_window(found: CaseVolumes) -> tuple[float, float]:
    """Return the window of the middle slices along the three axes."""
    assert found.scan is not None
    views = []
    for normal in PLANES.values():
        plane = find_plane(found.affine, normal)
        views.append(make_slice_view(plane, found.scan.shape[plane.through] // 2, found.scan, None, found.spacing))
    return find_grey_window(views)


def _pack_maps(found: CaseVolumes, keys: Sequence[str], values: Sequence[int], factor: int) -> list[bytes]:
    """Return the blocks of the label maps, whose labels are numbered from 1 in the order of `values`."""
    first: NDArray[np.uint8] | None = None
    blocks = []
    for key in keys:
        labels = found.maps[key][tuple(slice(factor // 2, None, factor) for _ in range(3))]
        numbers = np.zeros(labels.shape, dtype=np.uint8)
        for number, value in enumerate(values, start=1):
            numbers[labels == value] = number
        blocks.append(_block(numbers if first is None else numbers ^ first, found.affine, factor, centred=False))
        first = numbers if first is None else first
    return blocks


def _pack_entropy(found: CaseVolumes, factor: int) -> list[bytes]:
    if found.entropy is None:
        return []
    shown = np.nan_to_num(_average(found.entropy, factor)).clip(0, 1)
    # Of 17 levels, which compress well.
    return [_block((np.rint(shown * 16) * 15).astype(np.uint8), found.affine, factor)]


def _average(volume: NDArray[Any], factor: int) -> NDArray[Any]:
    """Return the means of blocks of voxels; blocks at the end may be smaller."""
    if factor == 1:
        return volume
    result = volume.astype(np.float32)
    for axis in range(3):
        starts = np.arange(0, result.shape[axis], factor)
        counts = np.diff(np.append(starts, result.shape[axis])).astype(np.float32)
        result = np.add.reduceat(result, starts, axis=axis)
        result /= counts.reshape([-1 if one == axis else 1 for one in range(3)])
    return result


def _block(voxels: NDArray[np.uint8], affine: NDArray[Any], factor: int, *, centred: bool = True) -> bytes:
    """Return a NIfTI file without compression.

    Args:
        voxels: (x, y, z).
        affine: of the cut's own voxels.
        factor: voxels of the cut that became one, along each axis.
        centred: whether a voxel is the mean of its block; otherwise it is the voxel at index ``factor // 2`` of it.
    """
    placed = affine.copy()
    placed[:3, :3] *= factor
    placed[:3, 3] += affine[:3, :3] @ np.full(3, (factor - 1) / 2 if centred else factor // 2)
    header = nibabel.Nifti1Header()
    header.set_data_shape(voxels.shape)
    header.set_data_dtype(np.uint8)
    header.set_sform(placed, code=1)
    header.set_xyzt_units("mm")
    header.set_zooms(np.linalg.norm(placed[:3, :3], axis=0))
    header["vox_offset"], header["scl_slope"], header["scl_inter"] = 352, 1, 0
    header["cal_min"], header["cal_max"] = 0, 255
    header["magic"] = b"n+1"
    content: bytes = header.binaryblock
    return content + struct.pack("<i", 0) + voxels.tobytes(order="F")
