"""Name the output files of one scan. Needs neither torch nor MONAI."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..data.images.endings import is_image

__all__ = [
    "FILE_ENDINGS",
    "FORMATS",
    "STATISTICS_OF_SCAN",
    "Outputs",
    "Wanted",
    "is_output_file",
    "probability_buffer",
]

FORMATS = {
    "nii.gz": "_seg.nii.gz",
    "nrrd": ".seg.nrrd",
    "dicom-seg": "_seg.dcm",
    "rtstruct": "_rtstruct.dcm",
    "png": "_seg.png",
}
# Of two that fit a name, the first counts.
FILE_ENDINGS = {
    "nii.gz": (".nii.gz", ".nii"),
    "nrrd": (".nrrd",),
    "rtstruct": ("_rtstruct.dcm",),
    "dicom-seg": (".dcm",),
    "png": (".png",),
}
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
