"""Write NRRD files of label maps that 3D Slicer opens as segmentations with names and colours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..data.errors import InputError
from ..data.images.gzip_stream import open_gzip
from ..data.images.header import Header
from ..data.images.nrrd_header import NRRD_START, read_nrrd_header
from ..files import whole_file
from .label_files import to_one_line
from .label_table import Label
from .nifti import to_3d
from .region_masks import find_mask
from .voxels import split_blocks, to_file_order

__all__ = ["write_nrrd", "write_nrrd_layers"]

_FIELD = re.compile(r"([^#:][^:]*):(?!=)\s*(.*)")
_VECTOR = re.compile(r"none|\([^()]*\)", re.IGNORECASE)
_SPACES = ("space", "space dimension")
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_NO_EXTENT = ((0, -1),) * 3


def write_nrrd(
    labels: NDArray[Any],
    path: str | Path,
    *,
    dtype: np.dtype[Any],
    scan: Header | str | Path | None,
    affine: NDArray[np.float64],
    table: Sequence[Label] = (),
) -> None:
    """Write a label map as NRRD with an attached header, completely or not at all.

    Args:
        labels: (X, Y) or (X, Y, Z).
        path: the file to write.
        dtype: type of the voxels in the file, an unsigned integer.
        scan: header of the scan, or its file. The header lines of space, directions and
            origin of an NRRD scan are copied.
        affine: 4 x 4 voxel-to-world (mm, RAS), used for other scans. It may be sheared.
        table: the labels. Each is a segment, in this order.

    Raises:
        InputError: the scan is NRRD of another size.
    """
    stored = np.dtype(dtype).newbyteorder("<")
    sizes, geometry = _find_geometry(scan, affine, labels.shape)
    extents = _find_extents(labels.reshape((*labels.shape, 1)[:3]), stored) if table else {}
    segments = [_Segment(label, label.value, 0, extents.get(label.value, _NO_EXTENT)) for label in table]
    lines = _make_header(stored, sizes, geometry, ["domain"] * len(sizes), segments)
    with _open_body(path, lines) as stream:
        for block in split_blocks(labels):
            stream.write(to_file_order(block, stored).data)


def write_nrrd_layers(
    patterns: NDArray[np.unsignedinteger[Any]],
    path: str | Path,
    *,
    scan: Header | str | Path | None,
    affine: NDArray[np.float64],
    table: Sequence[Label],
) -> None:
    """Write regions, which may overlap, as NRRD with one layer each, completely or not at all.

    3D Slicer opens the file as a segmentation with a segment per layer. As it writes such files itself, the layer is
    the first axis, of the kind list, and each segment has the number of its layer.

    Args:
        patterns: (X, Y) or (X, Y, Z): the sum of 2**k over the regions k that a voxel is in.
        path: the file to write.
        scan: as in `write_nrrd`.
        affine: as in `write_nrrd`.
        table: number, name and colour of each region.

    Raises:
        InputError: the scan is NRRD of another size.
    """
    stored, volume = np.dtype(np.uint8), patterns.reshape((*patterns.shape, 1)[:3])
    if len(table) == 1:
        # Nothing overlaps, and the usual form has no layers.
        mask = find_mask(patterns, 0).view(np.uint8)
        write_nrrd(mask, path, dtype=stored, scan=scan, affine=affine, table=[table[0]._replace(value=1)])
        return
    sizes, (space, directions, *further) = _find_geometry(scan, affine, patterns.shape)
    segments = []
    for layer, label in enumerate(table):
        extents = _find_extents(find_mask(volume, layer).view(np.uint8), stored)
        segments.append(_Segment(label, 1, layer, extents.get(1, _NO_EXTENT)))
    geometry = [space, directions.replace(":", ": none", 1), *further]
    kinds = ["list", *["domain"] * len(sizes)]
    with _open_body(path, _make_header(stored, [len(table), *sizes], geometry, kinds, segments)) as stream:
        for z in range(volume.shape[2]):
            plane = np.stack([find_mask(volume[..., z], layer) for layer in range(len(table))])
            stream.write(to_file_order(plane, stored).data)


class _Segment(NamedTuple):
    """A segment: its name and colour, where its voxels are, and between which indices along each axis."""

    label: Label
    value: int
    layer: int
    extent: tuple[tuple[int, int], ...]


def _find_geometry(
    scan: Header | str | Path | None, affine: NDArray[np.float64], shape: Sequence[int]
) -> tuple[list[int], list[str]]:
    """Return sizes and header lines of the axes in space: the space, the directions, then perhaps others."""
    name = str(scan.path if isinstance(scan, Header) else scan)
    return _find_scan_geometry(_read_fields(scan), shape, name) or _make_geometry(affine, shape)


def _make_header(
    dtype: np.dtype[Any],
    sizes: Sequence[int],
    geometry: Sequence[str],
    kinds: Sequence[str],
    segments: Sequence[_Segment],
) -> list[str]:
    return [
        "NRRD0004",
        f"type: uint{8 * dtype.itemsize}",
        f"dimension: {len(sizes)}",
        *geometry[:1],
        f"sizes: {' '.join(map(str, sizes))}",
        *geometry[1:],
        f"kinds: {' '.join(kinds)}",
        "endian: little",
        "encoding: gzip",
        *_make_segments(segments),
    ]


@contextmanager
def _open_body(path: str | Path, lines: Sequence[str]) -> Iterator[Any]:
    """Write the header, and open the file's voxels."""
    with whole_file(path) as temporary, temporary.open("wb") as raw:
        raw.write(("\n".join(lines) + "\n\n").encode())
        with open_gzip(raw) as stream:
            yield stream


def _read_fields(scan: Header | str | Path | None) -> dict[str, tuple[str, str]]:
    """Return line and value of each header field of an NRRD scan, by name; nothing for another scan."""
    head = scan.raw if isinstance(scan, Header) else b"" if scan is None else read_nrrd_header(scan)
    fields: dict[str, tuple[str, str]] = {}
    if not head.startswith(NRRD_START):
        return fields
    for line in head.decode("utf-8", "replace").splitlines()[1:]:
        if match := _FIELD.fullmatch(line.rstrip()):
            fields[match[1].strip().lower()] = (match[0], match[2])
    return fields


def _find_scan_geometry(
    fields: Mapping[str, tuple[str, str]], shape: Sequence[int], scan: str
) -> tuple[list[int], list[str]] | None:
    """Return sizes and header lines of an NRRD scan's axes in space, the line of its space first; None without any."""
    space = next((fields[name][0] for name in _SPACES if name in fields), None)
    if space is None or "space directions" not in fields:
        return None
    line, value = fields["space directions"]
    vectors = _VECTOR.findall(value)
    in_space = [vector.lower() != "none" for vector in vectors]
    sizes = [int(size) for size, kept in zip(fields["sizes"][1].split(), in_space, strict=True) if kept]
    if to_3d(sizes) != to_3d(shape):
        raise InputError(
            scan,
            found=f"a scan of {tuple(sizes)} voxels for a label map of {tuple(shape)}",
            expected="the same grid for both",
            remedy="save the label map after the inverse of the pre-processing",
        )
    if not all(in_space):
        # Leave out the channel axis, which a label map does not have.
        line = f"space directions: {' '.join(vector for vector in vectors if vector.lower() != 'none')}"
    further = [fields[name][0] for name in ("space origin", "space units") if name in fields]
    return sizes, [space, line, *further]


def _make_geometry(affine: NDArray[np.float64], shape: Sequence[int]) -> tuple[list[int], list[str]]:
    matrix = _LPS @ affine
    directions = " ".join(_format_vector(matrix[:3, axis]) for axis in range(3))
    origin = _format_vector(matrix[:3, 3])
    lines = ["space: left-posterior-superior", f"space directions: {directions}", f"space origin: {origin}"]
    return list(to_3d(shape)), lines


def _format_vector(numbers: NDArray[np.float64]) -> str:
    # Adding 0 turns -0 into 0.
    return f"({','.join(f'{number + 0.0:.17g}' for number in numbers)})"


def _make_segments(segments: Sequence[_Segment]) -> list[str]:
    """Return the header lines that 3D Slicer needs to open the file as a segmentation; none without segments."""
    if not segments:
        return []
    lines = []
    for place, (label, value, layer, ends) in enumerate(segments):
        extent = " ".join(str(end) for pair in ends for end in pair)
        values = {
            "ID": f"Segment_{label.value}",
            "Name": to_one_line(label.name).replace("\\", "\\\\"),
            "NameAutoGenerated": "0",
            "Color": " ".join(f"{part / 255:.6g}" for part in label.colour),
            "ColorAutoGenerated": "0",
            "LabelValue": str(value),
            "Layer": str(layer),
            "Extent": extent,
            "Tags": "|",
        }
        lines += [f"Segment{place}_{key}:={value}" for key, value in values.items()]
    return [
        *lines,
        "Segmentation_ContainedRepresentationNames:=Binary labelmap|",
        # Older versions of 3D Slicer read the first line, newer ones the second.
        "Segmentation_MasterRepresentation:=Binary labelmap",
        "Segmentation_SourceRepresentation:=Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset:=0 0 0",
    ]


def _find_extents(labels: NDArray[Any], dtype: np.dtype[Any]) -> dict[int, tuple[tuple[int, int], ...]]:
    """Return the first and last index of each label's bounding box along each axis, found plane by plane."""
    boxes: dict[int, tuple[tuple[int, int], ...]] = {}
    for z in range(labels.shape[2]):
        found = ndimage.find_objects(labels[..., z].astype(dtype.newbyteorder("="), copy=False))
        for value, box in enumerate(found, start=1):
            if box is not None:
                here = (*((ends.start, ends.stop - 1) for ends in box), (z, z))
                before = boxes.get(value, here)
                boxes[value] = tuple((min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(before, here, strict=True))
    return boxes
