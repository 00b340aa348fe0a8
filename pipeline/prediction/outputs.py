"""Name and write the output files of one scan."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.images.endings import is_image
from ..files import whole_file
from ..labelmaps.save import save_label_map, save_volume
from ..labelmaps.statistics import measure_labels, write_statistics
from ..report.preview import draw_preview
from .prediction import Prediction

__all__ = [
    "FILE_ENDINGS",
    "FORMATS",
    "STATISTICS_OF_SCAN",
    "Outputs",
    "Wanted",
    "is_output_file",
    "probability_buffer",
    "write_outputs",
]

FORMATS = {"nii.gz": "_seg.nii.gz", "nrrd": ".seg.nrrd", "dicom-seg": "_seg.dcm"}
FILE_ENDINGS = {"nii.gz": (".nii.gz", ".nii"), "nrrd": (".nrrd",), "dicom-seg": (".dcm",)}
STATISTICS_OF_SCAN = "_statistics.json"
_FILES = tuple(ending for endings in FILE_ENDINGS.values() for ending in endings)


@dataclass(frozen=True)
class Wanted:
    """The files to write for every scan.

    Attributes:
        format: format of the label map, a key of `FORMATS`.
        probabilities: probabilities of every class, in one 4D NIfTI file.
        uncertainty: entropy of the probabilities, as NIfTI, and its mean in the report.
        statistics: volume, surface, centroid and intensity of every label.
        preview: a picture with the labels.
    """

    format: str = "nii.gz"
    probabilities: bool = False
    uncertainty: bool = False
    statistics: bool = False
    preview: bool = False


@dataclass(frozen=True)
class Outputs:
    """The output files of one scan.

    Attributes:
        label_map: the label map's file.
        probabilities: this and the other files are None if not requested.
    """

    label_map: Path
    probabilities: Path | None
    entropy: Path | None
    statistics: Path | None
    preview: Path | None

    @classmethod
    def of(cls, name: str, folder: Path, wanted: Wanted) -> Outputs:
        """Name the files of a scan in a folder."""
        return cls._from_stem(folder / (name + FORMATS[wanted.format]), folder / name, wanted)

    @classmethod
    def at(cls, file: Path, wanted: Wanted) -> Outputs:
        """Name the files of a scan by that of its label map."""
        ending = next(ending for ending in _FILES if file.name.lower().endswith(ending))
        name = file.name[: -len(ending)]
        return cls._from_stem(file, file.with_name(name.removesuffix(".seg").removesuffix("_seg")), wanted)

    @classmethod
    def _from_stem(cls, label_map: Path, stem: Path, wanted: Wanted) -> Outputs:
        def add_ending(ending: str, requested: bool) -> Path | None:
            return stem.with_name(stem.name + ending) if requested else None

        return cls(
            label_map,
            add_ending("_prob.nii.gz", wanted.probabilities),
            add_ending("_entropy.nii.gz", wanted.uncertainty),
            add_ending(STATISTICS_OF_SCAN, wanted.statistics),
            add_ending("_preview.png", wanted.preview),
        )

    @property
    def files(self) -> list[Path]:
        """All requested files. The label map is last: if it exists, so do the others."""
        others = (self.probabilities, self.entropy, self.statistics, self.preview)
        return [*(file for file in others if file is not None), self.label_map]


def is_output_file(path: Path) -> bool:
    """Return whether a path names one image file, of any format, rather than a folder."""
    return not path.is_dir() and is_image(path)


@contextmanager
def probability_buffer(target: Path | None, shape: Sequence[int], classes: int) -> Iterator[NDArray[np.float32] | None]:
    """Yield a float32 array (*shape, K) on disk for probabilities, in the folder of their file.

    In memory this would be the largest array of all. The array's file is deleted when the block ends.
    """
    if target is None:
        yield None
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    buffer = target.with_name(f".{target.name}.room")
    try:
        _allocate(buffer, target, np.dtype(np.float32).itemsize * prod((*shape, classes)))
        # First index fastest, as in the NIfTI file: slabs are written and read back in that order.
        yield np.memmap(buffer, np.float32, "r+", shape=(*shape, classes), order="F")
    finally:
        buffer.unlink(missing_ok=True)


def _allocate(buffer: Path, target: Path, size: int) -> None:
    """Make a file with all its bytes allocated: a disk that fills up later would kill the process without an error."""
    try:
        with buffer.open("wb") as stream:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(stream.fileno(), 0, size)
            else:
                stream.truncate(size)
    except OSError as error:
        # Report the file that the user knows.
        error.filename = str(target)
        raise


def write_outputs(
    prediction: Prediction,
    outputs: Outputs,
    *,
    name: str,
    read: Callable[[], NDArray[Any]],
) -> None:
    """Write the files of one scan, each whole. If one fails, all new files of the scan are deleted.

    Args:
        prediction: prediction of the scan.
        outputs: the files to write.
        name: name of the scan, for people.
        read: returns the scan's voxels, (C, X, Y[, Z]), in their own units and grid; called only if needed.

    Raises:
        InputError: the format cannot hold this label map.
        OSError: a file cannot be written.
    """
    existing = {file for file in outputs.files if file.exists()}
    try:
        _write(prediction, outputs, name=name, read=read)
    except BaseException:
        for file in outputs.files:
            if file not in existing:
                file.unlink(missing_ok=True)
        raise


def _write(prediction: Prediction, outputs: Outputs, *, name: str, read: Callable[[], NDArray[Any]]) -> None:
    affine, table, scan = prediction.affine, prediction.table, prediction.header
    if outputs.probabilities is not None and prediction.probabilities is not None:
        # For a picture, (X, Y, K): the classes must not become the third axis in space.
        flat = prediction.labels.ndim == 2
        volume = prediction.probabilities[:, :, None] if flat else prediction.probabilities
        save_volume(volume, outputs.probabilities, scan=scan, affine=affine)
    if outputs.entropy is not None and prediction.entropy is not None:
        save_volume(prediction.entropy, outputs.entropy, scan=scan, affine=affine)
    if outputs.statistics is not None or outputs.preview is not None:
        _write_measures(prediction, outputs, name, read())
    save_label_map(prediction.labels, outputs.label_map, scan=scan, affine=affine, table=table)


def _write_measures(prediction: Prediction, outputs: Outputs, name: str, image: NDArray[Any]) -> None:
    """Write statistics and preview, which need the scan's voxels (C, X, Y[, Z])."""
    labels, affine, table = prediction.labels, prediction.affine, prediction.table
    if outputs.statistics is not None:
        write_statistics(measure_labels(labels, image, affine, table), outputs.statistics, scan=name)
    if outputs.preview is not None:
        picture = draw_preview(image[0], labels, affine, table, title=name)
        with whole_file(outputs.preview) as temporary:
            temporary.write_bytes(picture)
