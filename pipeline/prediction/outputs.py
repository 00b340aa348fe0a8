"""The files of one scan's prediction: their names, and writing them."""

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
    "probability_room",
    "write_outputs",
]

FORMATS = {"nii.gz": "_seg.nii.gz", "nrrd": ".seg.nrrd", "dicom-seg": "_seg.dcm"}
FILE_ENDINGS = {"nii.gz": (".nii.gz", ".nii"), "nrrd": (".nrrd",), "dicom-seg": (".dcm",)}
STATISTICS_OF_SCAN = "_statistics.json"
_FILES = tuple(ending for endings in FILE_ENDINGS.values() for ending in endings)


@dataclass(frozen=True)
class Wanted:
    """What is to be written for every scan.

    Attributes:
        format: of the label map, a key of `FORMATS`.
        probabilities: of every class, one 4D NIfTI file.
        uncertainty: the entropy of these, as NIfTI, and its mean in the report.
        statistics: volume, surface, centroid and intensity of every label.
        preview: a picture.
    """

    format: str = "nii.gz"
    probabilities: bool = False
    uncertainty: bool = False
    statistics: bool = False
    preview: bool = False


@dataclass(frozen=True)
class Outputs:
    """Where one scan's files go.

    Attributes:
        label_map: the label map's file.
        probabilities: the others, None where they are not wanted.
    """

    label_map: Path
    probabilities: Path | None
    entropy: Path | None
    statistics: Path | None
    preview: Path | None

    @classmethod
    def of(cls, name: str, folder: Path, wanted: Wanted) -> Outputs:
        """Name the files of a scan in a folder."""
        return cls._beside(folder / (name + FORMATS[wanted.format]), folder / name, wanted)

    @classmethod
    def at(cls, file: Path, wanted: Wanted) -> Outputs:
        """Name the files of a scan by that of its label map."""
        ending = next(ending for ending in _FILES if file.name.lower().endswith(ending))
        name = file.name[: -len(ending)]
        return cls._beside(file, file.with_name(name.removesuffix(".seg").removesuffix("_seg")), wanted)

    @classmethod
    def _beside(cls, label_map: Path, stem: Path, wanted: Wanted) -> Outputs:
        def named(ending: str, asked: bool) -> Path | None:
            return stem.with_name(stem.name + ending) if asked else None

        return cls(
            label_map,
            named("_prob.nii.gz", wanted.probabilities),
            named("_entropy.nii.gz", wanted.uncertainty),
            named(STATISTICS_OF_SCAN, wanted.statistics),
            named("_preview.png", wanted.preview),
        )

    @property
    def files(self) -> list[Path]:
        """All that are wanted, the label map last: where it is, the others are, too."""
        others = (self.probabilities, self.entropy, self.statistics, self.preview)
        return [*(file for file in others if file is not None), self.label_map]


def is_output_file(path: Path) -> bool:
    """Tell whether a path names one file, also of a format that is not written, and no folder for many."""
    return not path.is_dir() and is_image(path)


@contextmanager
def probability_room(target: Path | None, shape: Sequence[int], classes: int) -> Iterator[NDArray[np.float32] | None]:
    """Give room on the disk for probabilities (*shape, K), beside the file that they will be written to.

    In memory they would be the largest of all. The room is taken back when the block ends.
    """
    if target is None:
        yield None
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    room = target.with_name(f".{target.name}.room")
    try:
        _reserve(room, target, np.dtype(np.float32).itemsize * prod((*shape, classes)))
        # First index fastest, as the NIfTI file will have them: slabs are written and read back in that order.
        yield np.memmap(room, np.float32, "r+", shape=(*shape, classes), order="F")
    finally:
        room.unlink(missing_ok=True)


def _reserve(room: Path, target: Path, size: int) -> None:
    """Make a file whose bytes are all there: a disk that is full later on would end the process, not raise an error."""
    try:
        with room.open("wb") as stream:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(stream.fileno(), 0, size)
            else:
                stream.truncate(size)
    except OSError as error:
        # The room has no name for the user, and the system gives none.
        error.filename = str(target)
        raise


def write_outputs(
    prediction: Prediction,
    outputs: Outputs,
    *,
    name: str,
    read: Callable[[], NDArray[Any]],
) -> None:
    """Write the files of one scan, each whole; where one fails, none of this scan's is left but those of before.

    Args:
        prediction: of the scan.
        outputs: where to.
        name: of the scan, for people.
        read: reads the scan's voxels, (C, X, Y[, Z]) in its own units and grid; called only where these are needed.

    Raises:
        InputError: the format cannot hold this label map.
        OSError: a file cannot be written.
    """
    before = {file for file in outputs.files if file.exists()}
    try:
        _write(prediction, outputs, name=name, read=read)
    except BaseException:
        for file in outputs.files:
            if file not in before:
                file.unlink(missing_ok=True)
        raise


def _write(prediction: Prediction, outputs: Outputs, *, name: str, read: Callable[[], NDArray[Any]]) -> None:
    affine, table, scan = prediction.affine, prediction.table, prediction.header
    if outputs.probabilities is not None and prediction.probabilities is not None:
        # Of a picture (X, Y, K) the classes are no third axis in space.
        flat = prediction.labels.ndim == 2
        volume = prediction.probabilities[:, :, None] if flat else prediction.probabilities
        save_volume(volume, outputs.probabilities, scan=scan, affine=affine)
    if outputs.entropy is not None and prediction.entropy is not None:
        save_volume(prediction.entropy, outputs.entropy, scan=scan, affine=affine)
    if outputs.statistics is not None or outputs.preview is not None:
        _write_measures(prediction, outputs, name, read())
    save_label_map(prediction.labels, outputs.label_map, scan=scan, affine=affine, table=table)


def _write_measures(prediction: Prediction, outputs: Outputs, name: str, image: NDArray[Any]) -> None:
    """Write what needs the scan's voxels (C, X, Y[, Z]), which are not kept any longer."""
    labels, affine, table = prediction.labels, prediction.affine, prediction.table
    if outputs.statistics is not None:
        write_statistics(measure_labels(labels, image, affine, table), outputs.statistics, scan=name)
    if outputs.preview is not None:
        picture = draw_preview(image[0], labels, affine, table, title=name)
        with whole_file(outputs.preview) as temporary:
            temporary.write_bytes(picture)
