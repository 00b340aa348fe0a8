"""Save predicted regions, which may overlap, in their scan's grid: a file per region, or one file with all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.errors import InputError
from ..data.images.header import Header
from .dicom_seg import write_dicom_regions
from .label_table import Label
from .nifti import check_grid, read_scan_grid, to_affine_3d, write_nifti
from .nrrd import write_nrrd_layers
from .region_masks import RegionMasks, find_mask
from .rtstruct import write_rtstruct_regions
from .save import save_label_map, scan_unit

__all__ = ["save_region", "save_regions"]


def save_region(
    patterns: NDArray[np.unsignedinteger[Any]],
    place: int,
    path: str | Path,
    *,
    scan: Header | str | Path | None,
    affine: NDArray[Any],
    row: Label,
    keep_header_text: bool = False,
    anonymous: bool = False,
) -> None:
    """Save one region as a label map of 0 and 1 by `save_label_map`, completely or not at all.

    Args:
        patterns: (X, Y) or (X, Y, Z): the sum of 2**k over the regions k that a voxel is in.
        place: the region, from 0.
        path: the file to write, with an ending of `save_label_map`.
        scan: as in `save_label_map`.
        affine: as in `save_label_map`.
        row: the region's name and colour.
        keep_header_text: as in `save_label_map`.
        anonymous: as in `save_label_map`.

    Raises:
        InputError: see `save_label_map`.
    """
    mask = find_mask(patterns, place).view(np.uint8)
    save_label_map(
        mask,
        path,
        scan=scan,
        affine=affine,
        table=[row._replace(value=1)],
        keep_header_text=keep_header_text,
        anonymous=anonymous,
    )


def save_regions(
    patterns: NDArray[np.unsignedinteger[Any]],
    path: str | Path,
    *,
    scan: Header | str | Path | None,
    affine: NDArray[Any],
    table: Sequence[Label],
    keep_header_text: bool = False,
    anonymous: bool = False,
) -> None:
    """Save all regions in one file, in which they may overlap, completely or not at all.

    Args:
        patterns: (X, Y) or (X, Y, Z): the sum of 2**k over the regions k that a voxel is in.
        path: the file to write. The ending selects the format: `.nii.gz` or `.nii`, (X, Y, Z, regions) of 0 and 1;
            `.nrrd`, a layer per region, which 3D Slicer opens as a segmentation; `.dcm`, a DICOM segmentation with a
            segment per region, or `_rtstruct.dcm`, a structure set, for a scan that is a DICOM series.
        scan: as in `save_label_map`.
        affine: as in `save_label_map`.
        table: number from 1, name and colour of each region, in the order of the channels.
        keep_header_text: as in `save_label_map`.
        anonymous: as in `save_label_map`.

    Raises:
        InputError: the ending is another, the regions are not in the scan's grid, or see `write_dicom_regions`.
    """
    affine, name = to_affine_3d(affine), str(path).lower()
    header, shape, own = read_scan_grid(scan)
    source = str(scan.path if isinstance(scan, Header) else scan)
    check_grid(patterns.shape, affine, shape, affine if own is None else own, source)
    if name.endswith(".nrrd"):
        write_nrrd_layers(patterns, path, scan=scan, affine=affine, table=table)
    elif name.endswith("_rtstruct.dcm"):
        write_rtstruct_regions(patterns, path, scan=scan, affine=affine, table=table, anonymous=anonymous)
    elif name.endswith(".dcm"):
        write_dicom_regions(patterns, path, scan=scan, affine=affine, table=table, anonymous=anonymous)
    elif name.endswith((".nii.gz", ".nii")):
        masks = RegionMasks(patterns.reshape((*patterns.shape, 1)[:3]), len(table))
        texts: dict[str, Any] = {"unit": scan_unit(scan), "keep_header_text": keep_header_text}
        write_nifti(masks, path, dtype=np.uint8, scan=header, affine=affine, **texts)
    else:
        raise InputError(
            path,
            found="another ending",
            expected="one of .nii.gz, .nii, .nrrd, .dcm, which hold regions that overlap",
            remedy="use one of these endings, or save a file per region",
        )
