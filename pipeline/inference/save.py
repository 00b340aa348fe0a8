"""Savers of predictions: NIfTI files in the input scan's own grid, with its header's geometry kept bit by bit."""

import gzip
import logging
import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.data.utils import correct_nifti_header_if_necessary, to_affine_nd
from monai.transforms import MapTransform
from monai.utils import convert_to_numpy
from numpy.typing import NDArray

from ..data.folder_scans import case_name
from ..data.volumes import is_nifti
from ..files import whole_file

logger = logging.getLogger(__name__)

_GEOMETRY = (
    "pixdim",
    "xyzt_units",
    "qform_code",
    "sform_code",
    *(f"quatern_{axis}" for axis in "bcd"),
    *(f"qoffset_{axis}" for axis in "xyz"),
    *(f"srow_{axis}" for axis in "xyz"),
)
_GRID_TOLERANCE = 0.1  # of the smallest voxel size: far above rounding, far below one flipped axis
_SCANNER = 1  # NIfTI's code for scanner coordinates
_GZIP_LEVEL = 1
_REMEDY = "expected the prediction in the scan's grid, after the inverse of the pre-processing"


class _Saver(MapTransform):
    """What both savers share: the scan a prediction belongs to, the name of its file, and writing it."""

    def __init__(
        self,
        keys: KeysCollection,
        *,
        output_dir: str | os.PathLike[str],
        image_key: str,
        postfix: str,
        channels: int,
        allow_missing_keys: bool,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.output_dir = Path(output_dir)
        self.image_key = image_key
        self.postfix = postfix
        self.channels = channels
        self._sources: dict[Path, tuple[str, Hashable]] = {}

    def _save(self, data: Mapping[Hashable, Any], key: Hashable, volume: NDArray[Any]) -> None:
        """Write the volume of `key`, (X, Y[, Z]) or (X, Y, Z, C), in the grid of the scan it was predicted from."""
        prediction = data[key]
        meta = _scan_meta(data.get(self.image_key), prediction)
        source = str(meta["filename_or_obj"])
        target = self.output_dir / f"{case_name(source, channels=self.channels)}_{self.postfix}.nii.gz"
        if self._sources.setdefault(target, (source, key)) != (source, key):
            earlier, earlier_key = self._sources[target]
            msg = (
                f"{target}: already written from {earlier} ({earlier_key!r}) in this run, and {source} ({key!r}) would "
                "replace it: expected scans with different file names, or one output folder or postfix for each"
            )
            raise ValueError(msg)
        scan = nib.load(source) if is_nifti(source) else None
        affine = _scan_affine(scan, meta)
        _check_shape(prediction, scan.shape[:3] if scan else meta.get("spatial_shape"), source)
        _check_affine(prediction, affine, source)
        _write(_scan_image(volume, scan) if scan else _scanner_image(volume, affine), target)
        logger.info("%s: %s, %s %s", source, target, "x".join(map(str, volume.shape)), volume.dtype)


class SaveLabelMapd(_Saver):
    """Save a label map as integers in the input scan's own grid.

    A post-processing transform, after the inverse of the pre-processing. Where the scan is NIfTI the file's header is
    the scan's: version, qform, sform, their codes, voxel sizes and units are the same bytes; data type (the smallest
    unsigned integer that holds the labels), scaling, display range and intent are those of a label map, and header
    extensions, which describe the scan, are left out. A scan of another format gives NIfTI with its affine, in mm, with
    the form code of scanner coordinates.

    The file is ``<scan's name>_<postfix>.nii.gz`` in `output_dir`. It appears whole or not at all.

    Args:
        keys: keys of the label maps, (1, X, Y, Z) or (1, X, Y).
        output_dir: folder of the files, made where it does not exist.
        image_key: key of the scan, whose meta data name its file; the label map's own do where the scan has none.
        postfix: what is added to the scan's name.
        channels: of a scan; with several, the ending _0000 of its first file is no part of its name.
        allow_missing_keys: whether a case may lack a key.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        output_dir: str | os.PathLike[str],
        image_key: str = "image",
        postfix: str = "seg",
        channels: int = 1,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(
            keys,
            output_dir=output_dir,
            image_key=image_key,
            postfix=postfix,
            channels=channels,
            allow_missing_keys=allow_missing_keys,
        )

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Save the label maps of one case and return the case unchanged.

        Raises:
            ValueError: If a label map is not in the grid of its scan, has more than one channel or values that are no
                labels, its scan is not known, or two scans would give one file.
        """
        for key in self.key_iterator(dict(data)):
            self._save(data, key, _labels(data[key]))
        return dict(data)


class SaveProbabilitiesd(_Saver):
    """Save the probabilities of every label as one 4D NIfTI file (X, Y, Z, C), float32, in the input scan's own grid.

    Args:
        keys: keys of the probabilities, (C, X, Y, Z) or (C, X, Y).
        output_dir: folder of the files, made where it does not exist.
        enabled: whether anything is written.
        image_key: key of the scan, whose meta data name its file; the probabilities' own do where the scan has none.
        postfix: what is added to the scan's name.
        channels: of a scan; with several, the ending _0000 of its first file is no part of its name.
        allow_missing_keys: whether a case may lack a key.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        output_dir: str | os.PathLike[str],
        enabled: bool,
        image_key: str = "image",
        postfix: str = "prob",
        channels: int = 1,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(
            keys,
            output_dir=output_dir,
            image_key=image_key,
            postfix=postfix,
            channels=channels,
            allow_missing_keys=allow_missing_keys,
        )
        self.enabled = enabled

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Save the probabilities of one case, where enabled, and return the case unchanged.

        Raises:
            ValueError: If the probabilities are not in the grid of their scan, their scan is not known, or two scans
                would give one file.
        """
        if self.enabled:
            for key in self.key_iterator(dict(data)):
                probabilities = convert_to_numpy(data[key].float())
                if probabilities.ndim == 3:
                    probabilities = probabilities[..., None]
                self._save(data, key, np.moveaxis(probabilities, 0, -1))
        return dict(data)


def _scan_meta(*candidates: Any) -> Mapping[str, Any]:
    """Return the meta data of the first tensor that was read from a file."""
    for candidate in candidates:
        if isinstance(candidate, MetaTensor) and "filename_or_obj" in candidate.meta:
            meta: Mapping[str, Any] = candidate.meta
            return meta
    msg = "neither the scan nor the prediction says which file it is from: expected meta data with filename_or_obj"
    raise ValueError(msg)


def _labels(label_map: Any) -> NDArray[np.unsignedinteger]:
    """Turn a (1, X, Y[, Z]) label map into unsigned integers of shape (X, Y[, Z])."""
    array = np.asarray(convert_to_numpy(label_map))
    if array.shape[0] != 1:
        msg = f"prediction has shape {array.shape}: expected a label map with one channel, after argmax"
        raise ValueError(msg)
    low, high = array.min(), array.max()
    if low >= 0 and np.isfinite(high):
        labels: NDArray[np.unsignedinteger] = array[0].astype(np.min_scalar_type(int(high)))
        if np.array_equal(labels, array[0]):
            return labels
    msg = f"prediction has values from {low} to {high}: expected a label map of integers from 0, after argmax"
    raise ValueError(msg)


def _scan_affine(scan: nib.Nifti1Image | None, meta: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return the scan's 4 x 4 affine, for NIfTI as MONAI reads it.

    Where sform and voxel sizes disagree, MONAI goes by the qform or rescales: the affine is not always the file's.
    """
    if scan is not None:
        affine = correct_nifti_header_if_necessary(scan).affine
    else:
        affine = meta["original_affine"] if "original_affine" in meta else meta["affine"]
    return _affine_3d(affine)


def _affine_3d(affine: Any) -> NDArray[np.float64]:
    expanded: NDArray[np.float64] = to_affine_nd(3, np.asarray(convert_to_numpy(affine), dtype=np.float64))
    return expanded


def _check_shape(prediction: Any, expected: Sequence[int] | None, source: str) -> None:
    """Refuse a prediction (C, X, Y[, Z]) of another shape than the scan's, where that is known."""
    found = tuple(prediction.shape[1:])
    shape = found if expected is None else tuple(int(n) for n in expected)
    if found != shape:
        msg = f"{source}: the prediction has shape {found} and the scan {shape}: {_REMEDY}"
        raise ValueError(msg)


def _check_affine(prediction: Any, affine: NDArray[np.float64], source: str) -> None:
    """Refuse a prediction (C, X, Y[, Z]) of the scan's shape whose axes run otherwise, if it says how they run."""
    if not isinstance(prediction, MetaTensor) or "filename_or_obj" not in prediction.meta:
        return
    change = _affine_3d(prediction.affine) - affine
    corners = np.array([*np.ndindex(2, 2, 2)]) * (np.array((*prediction.shape[1:], 1)[:3]) - 1)
    apart = np.linalg.norm(corners @ change[:3, :3].T + change[:3, 3], axis=1).max()
    if apart > _GRID_TOLERANCE * np.linalg.norm(affine[:3, :3], axis=0).min():
        msg = f"{source}: the prediction's affine is up to {apart:.3g} mm from the scan's: {_REMEDY}"
        raise ValueError(msg)


def _scan_image(volume: NDArray[Any], scan: nib.Nifti1Image) -> nib.Nifti1Image:
    """Build an image with the header of a NIfTI scan, the geometry byte for byte as its file has it.

    nibabel repairs what it finds odd in a header that it loads or is given (a qfac of 0, negative voxel sizes). So the
    geometry is read without checks and set last: what other programs see in the scan they see in the prediction.
    """
    with scan.file_map["image"].get_prepare_fileobj("rb") as stream:
        header = type(scan.header).from_fileobj(stream, check=False)
    geometry = {field: header[field].copy() for field in _GEOMETRY}
    header.extensions.clear()
    header["vox_offset"] = 0
    header.set_data_shape(volume.shape)
    header.set_data_dtype(volume.dtype)
    header.set_slope_inter(None, None)
    header["cal_min"] = header["cal_max"] = 0
    header.set_intent("none")
    # Without an affine nibabel leaves sform and qform alone.
    image = type(scan)(volume, None, header=header)
    for field, value in geometry.items():
        image.header[field] = value
    return image


def _scanner_image(volume: NDArray[Any], affine: NDArray[np.float64]) -> nib.Nifti1Image:
    """Build an image with sform and qform from an affine in mm, in scanner coordinates."""
    image = nib.Nifti1Image(volume, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=_SCANNER)
    image.set_qform(affine, code=_SCANNER)
    return image


def _write(image: nib.Nifti1Image, target: Path) -> None:
    with (
        whole_file(target) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=_GZIP_LEVEL, fileobj=raw, mtime=0) as stream,
    ):
        image.to_stream(stream)
