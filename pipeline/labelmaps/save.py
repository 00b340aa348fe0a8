"""Save predictions in their scan's grid: label maps as NIfTI, NRRD, DICOM or PNG, other volumes as NIfTI."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from numpy.typing import NDArray

from ..data.case_names import case_stem
from ..data.errors import InputError
from ..data.images.endings import scan_name
from ..data.images.header import Header
from ..data.images.units import length_unit
from .dicom_seg import write_dicom_seg
from .label_table import Label, make_label_table
from .nifti import check_grid, read_scan_grid, to_affine_3d, write_nifti
from .nrrd import write_nrrd
from .png import write_png
from .rtstruct import write_rtstruct
from .voxels import find_highest_label, require_axes, to_array

__all__ = ["SaveLabelMapd", "SaveProbabilitiesd", "save_label_map", "save_volume", "scan_unit"]

logger = logging.getLogger(__name__)

_REMEDY = "save the output of argmax"


def save_label_map(
    labels: NDArray[Any],
    path: str | Path,
    *,
    scan: Header | str | Path | None,
    affine: NDArray[Any],
    table: Sequence[Label] = (),
    keep_header_text: bool = False,
    anonymous: bool = False,
) -> None:
    """Save a label map as integers in its scan's grid, completely or not at all.

    Voxels have the smallest unsigned integer type that holds the labels. If scan and file are both NIfTI, or both NRRD,
    the grid is copied from the scan's header (see `write_nifti`). Otherwise it is written from the affine.

    Args:
        labels: (X, Y) or (X, Y, Z), whole numbers from 0 of any type, in memory or in a file (`numpy.memmap`).
        path: the file to write. The ending selects the format: `.nii.gz` or `.nii`; `.nrrd` or `.seg.nrrd`, which 3D
            Slicer opens as a segmentation; `.dcm`, a DICOM segmentation, or `_rtstruct.dcm`, a DICOM structure set,
            for a scan that is a DICOM series; `.png`, for a picture, pixel on pixel.
        scan: header of the scan's (first) file; or this file, or the folder of its DICOM series. None for an array from
            memory.
        affine: 4 x 4 voxel-to-world (mm, RAS), as MONAI read the scan.
        table: names and colours for the file. DICOM needs them for every label.
        keep_header_text: whether to copy the texts of a NIfTI scan's header into NIfTI (see `write_nifti`).
        anonymous: whether DICOM leaves out the patient (see `dicom_identity.describe_patient`).

    Raises:
        InputError: the ending is unknown, values are no labels, the label map is not in the scan's grid, or it cannot
            be written as DICOM (see `write_dicom_seg` and `write_rtstruct`).
    """
    labels, affine, name = to_array(labels), to_affine_3d(affine), str(path).lower()
    require_axes(labels, 3, path)
    _require_ending(path, ".nii.gz", ".nii", ".nrrd", ".dcm", ".png")
    dtype = np.min_scalar_type(find_highest_label(labels, path))
    header = _check_scan(scan, labels, affine)
    if name.endswith(".nrrd"):
        write_nrrd(labels, path, dtype=dtype, scan=scan, affine=affine, table=table)
    elif name.endswith("_rtstruct.dcm"):
        stored = labels.astype(dtype, copy=False)
        write_rtstruct(stored, path, scan=scan, affine=affine, table=table, anonymous=anonymous)
    elif name.endswith(".dcm"):
        stored = labels.astype(dtype, copy=False)
        write_dicom_seg(stored, path, scan=scan, affine=affine, table=table, anonymous=anonymous)
    elif name.endswith(".png"):
        write_png(labels, path)
    else:
        texts: dict[str, Any] = {"unit": scan_unit(scan), "keep_header_text": keep_header_text}
        write_nifti(labels, path, dtype=dtype, scan=header, affine=affine, table=table, **texts)
    _log(scan, path, labels, dtype)


def save_volume(
    volume: NDArray[Any],
    path: str | Path,
    *,
    scan: Header | str | Path | None,
    affine: NDArray[Any],
    keep_header_text: bool = False,
) -> None:
    """Save a volume of numbers, such as probabilities or entropy, as float32 NIfTI in its scan's grid.

    Args:
        volume: (X, Y), (X, Y, Z) or (X, Y, Z, C), in memory or in a file (`numpy.memmap`), which is read in parts.
        path: the file to write, with the ending `.nii.gz` or `.nii`.
        scan: as in `save_label_map`.
        affine: as in `save_label_map`.
        keep_header_text: as in `save_label_map`.

    Raises:
        InputError: the ending is another, or the volume is not in the scan's grid.
    """
    volume, affine = to_array(volume), to_affine_3d(affine)
    require_axes(volume, 4, path)
    _require_ending(path, ".nii.gz", ".nii")
    header = _check_scan(scan, volume, affine)
    texts: dict[str, Any] = {"unit": scan_unit(scan), "keep_header_text": keep_header_text}
    write_nifti(volume, path, dtype=np.float32, scan=header, affine=affine, **texts)
    _log(scan, path, volume, "float32")


class _Saver(MapTransform):
    """The common part of both savers: it finds a prediction's scan, checks the grid, and names the file."""

    def __init__(
        self,
        keys: KeysCollection,
        *,
        output_dir: str | Path,
        postfix: str,
        image_key: str = "image",
        names: Mapping[str, str] | None = None,
        channels: int = 1,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.output_dir = Path(output_dir)
        self.image_key = image_key
        self.postfix = postfix
        self.names = dict(names or {})
        self.channels = channels
        self._sources: dict[Path, tuple[str, Hashable]] = {}

    def _find_target(
        self, data: Mapping[Hashable, Any], key: Hashable
    ) -> tuple[Path, Header | str, NDArray[np.float64]]:
        """Return the file to write for the prediction under `key`, its scan, and the scan's affine."""
        prediction = data[key]
        meta = _find_scan_meta(data.get(self.image_key), prediction)
        source = str(meta["filename_or_obj"])
        name = self.names.get(source) or (case_stem if self.channels > 1 else scan_name)(source)
        target = self.output_dir / f"{name}_{self.postfix}.nii.gz"
        if self._sources.setdefault(target, (source, key)) != (source, key):
            earlier, earlier_key = self._sources[target]
            raise InputError(
                target,
                found=f"the prediction of {earlier} ({earlier_key!r}), which that of {source} ({key!r}) would replace",
                expected="scans with different file names",
                remedy="rename one of the two, or set another output folder or postfix for it",
            )
        header, shape, affine = read_scan_grid(source)
        if affine is None:
            affine = to_affine_3d(meta["original_affine"] if "original_affine" in meta else meta["affine"])
        has_source = isinstance(prediction, MetaTensor) and "filename_or_obj" in prediction.meta
        own = to_affine_3d(prediction.affine) if has_source else affine
        check_grid(prediction.shape[1:], own, shape or meta.get("spatial_shape"), affine, source)
        return target, header or source, affine


class SaveLabelMapd(_Saver):
    """Save a label map by `save_label_map` as ``<scan's name>_<postfix>.nii.gz``, after the inverse of pre-processing.

    Args:
        keys: keys of the label maps, (1, X, Y, Z) or (1, X, Y).
        output_dir: folder of the files, created if missing.
        labels: values by name, written into the files.
        postfix: added to the scan's name.
        **kwargs: image_key: key of the scan ("image"), whose meta data name its file; without them, the label map's
            meta data are used. names: names of the scans, by their first file. Other scans are named after their
            file (none). channels: channels of a scan, in bundles rendered before `names`; with several, _0000 is
            not part of a scan's name (1). allow_missing_keys: whether a case may lack a key (False).
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        output_dir: str | Path,
        labels: Mapping[str, int] | None = None,
        postfix: str = "seg",
        **kwargs: Any,
    ) -> None:
        super().__init__(keys, output_dir=output_dir, postfix=postfix, **kwargs)
        self.table = make_label_table(labels or {})

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Save the label maps of one case and return the case unchanged.

        Raises:
            InputError: A label map is not in the grid of its scan, has more than one channel or values that are no
                labels, or two scans would be written to one file.
            ValueError: The scan of a label map is unknown.
        """
        for key in self.key_iterator(dict(data)):
            target, source, affine = self._find_target(data, key)
            labels = to_array(data[key])
            if len(labels) != 1:
                found = f"a prediction of shape {labels.shape}"
                raise InputError(target, found=found, expected="a label map with one channel", remedy=_REMEDY)
            save_label_map(labels[0], target, scan=source, affine=affine, table=self.table)
        return dict(data)


class SaveProbabilitiesd(_Saver):
    """Save the probabilities of all labels by `save_volume` as one 4D file (X, Y, Z, C).

    Args:
        keys: keys of the probabilities, (C, X, Y, Z) or (C, X, Y).
        output_dir: folder of the files, created if missing.
        enabled: whether to write the files.
        postfix: added to the scan's name.
        **kwargs: as in :class:`SaveLabelMapd`.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        output_dir: str | Path,
        enabled: bool,
        postfix: str = "prob",
        **kwargs: Any,
    ) -> None:
        super().__init__(keys, output_dir=output_dir, postfix=postfix, **kwargs)
        self.enabled = enabled

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Save the probabilities of one case, if enabled, and return the case unchanged.

        Raises:
            InputError: The probabilities are not in the grid of their scan, or two scans would be written to one file.
            ValueError: The scan of the probabilities is unknown.
        """
        for key in self.key_iterator(dict(data)) if self.enabled else ():
            target, source, affine = self._find_target(data, key)
            probabilities = to_array(data[key].float())
            if probabilities.ndim == 3:
                probabilities = probabilities[..., None]
            save_volume(np.moveaxis(probabilities, 0, -1), target, scan=source, affine=affine)
        return dict(data)


def _find_scan_meta(*candidates: Any) -> Mapping[str, Any]:
    """Return the meta data of the first tensor that was read from a file."""
    for candidate in candidates:
        if isinstance(candidate, MetaTensor) and "filename_or_obj" in candidate.meta:
            meta: Mapping[str, Any] = candidate.meta
            return meta
    msg = "scan and prediction have no file name: expected meta data with filename_or_obj"
    raise ValueError(msg)


def _check_scan(scan: Header | str | Path | None, volume: NDArray[Any], affine: NDArray[np.float64]) -> Header | None:
    """Check that a volume is in the scan's grid. Return the header of a NIfTI scan, None for other scans."""
    header, shape, own = read_scan_grid(scan)
    check_grid(volume.shape[:3], affine, shape, affine if own is None else own, _name(scan))
    return header


def _require_ending(path: str | Path, *endings: str) -> None:
    if not str(path).lower().endswith(endings):
        expected = f"one of {', '.join(endings)}"
        raise InputError(path, found="another ending", expected=expected, remedy="use one of these endings")


def scan_unit(scan: Header | str | Path | None) -> str:
    """Return the unit of a scan's lengths; mm for an array from memory."""
    if scan is None or isinstance(scan, Header):
        return "mm" if scan is None else scan.unit
    return length_unit(scan)


def _name(scan: Header | str | Path | None) -> str:
    return str(scan.path if isinstance(scan, Header) else scan)


def _log(scan: Header | str | Path | None, path: str | Path, volume: NDArray[Any], dtype: object) -> None:
    logger.info("%s: %s, %s %s", _name(scan), path, "x".join(map(str, volume.shape)), dtype)
