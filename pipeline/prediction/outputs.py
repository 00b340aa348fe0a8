"""Name the output files of one scan. Needs neither torch nor MONAI."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..data.errors import InputError
from ..data.images.endings import is_image
from ..disk import DiskError
from ..files import name_disk
from ..leftovers import temporary_path

__all__ = [
    "FILE_ENDINGS",
    "FORMATS",
    "REGION_FILES",
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
REGION_FILES = ("files", "channels")
"""Values of ``--regions``: a file per region, or one file in which they may overlap."""
_MAX_REGION = 60  # characters of a region's name in the name of its file, which also has the scan's
_REGION_ENDINGS = {
    "nii.gz": ".nii.gz",
    "nrrd": ".seg.nrrd",
    "dicom-seg": ".dcm",
    "rtstruct": "_rtstruct.dcm",
    "png": ".png",
}
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
        regions: ``"files"``, a file per region; ``"channels"``, one file for all; or ``""``, none.
        region_names: names of the bundle's regions, in their order; see `for_regions`.
        keep_header_text: whether to copy the texts of a NIfTI scan's header into NIfTI files.
        anonymous: whether DICOM files leave out the patient.
    """

    format: str = "nii.gz"
    probabilities: bool = False
    uncertainty: bool = False
    statistics: bool = False
    preview: bool = False
    regions: str = ""
    region_names: tuple[str, ...] = ()
    keep_header_text: bool = False
    anonymous: bool = False

    def for_regions(self, names: Sequence[str]) -> Wanted:
        """Return these files for a bundle with regions of these names; none for one without.

        Raises:
            InputError: regions are wanted of a bundle that has none, or in a format that cannot hold them.
        """
        if self.regions not in ("", *REGION_FILES):
            raise InputError(
                "--regions",
                found=repr(self.regions)[:100],
                expected=f"one of {', '.join(REGION_FILES)}",
                remedy="leave it out, or choose one",
            )
        if self.regions and not names:
            raise InputError(
                f"--regions {self.regions}",
                found="a bundle that predicts labels",
                expected="a bundle that predicts regions (regions in its plan)",
                remedy="leave --regions out: the label map has every label",
            )
        if self.regions == "channels" and self.format == "png":
            raise InputError(
                "--regions channels",
                found="--format png, whose files have one value per pixel",
                expected="a format in which regions overlap: nii.gz, nrrd, dicom-seg or rtstruct",
                remedy="choose one of these, or --regions files",
            )
        return replace(self, region_names=tuple(names) if self.regions else ())


@dataclass(frozen=True)
class Outputs:
    """The output files of one scan.

    Attributes:
        label_map: the label map's file.
        probabilities: this and the other files are None if not requested.
        regions: a file per region, in their order; or one file for all; none if not requested.
        together: whether it is one file for all.
        keep_header_text: as in `Wanted`.
        anonymous: as in `Wanted`.
    """

    label_map: Path
    probabilities: Path | None
    entropy: Path | None
    statistics: Path | None
    preview: Path | None
    regions: tuple[Path, ...] = ()
    together: bool = False
    keep_header_text: bool = False
    anonymous: bool = False

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
            tuple(stem.with_name(stem.name + ending) for ending in _region_endings(wanted)),
            wanted.regions == "channels",
            wanted.keep_header_text,
            wanted.anonymous,
        )

    @property
    def files(self) -> list[Path]:
        """All requested files. The label map is last: if it exists, so do the others."""
        others = (self.probabilities, self.entropy, self.statistics, self.preview)
        return [*(file for file in others if file is not None), *self.regions, self.label_map]


def _region_endings(wanted: Wanted) -> list[str]:
    """Return the endings of the files with regions: ``_NAME_region.nii.gz`` of each, or ``_regions.nii.gz``."""
    ending = _REGION_ENDINGS[wanted.format]
    if wanted.regions == "channels" and wanted.region_names:
        return [f"_regions{ending}"]
    words: list[str] = []
    for name in wanted.region_names:
        word = re.sub(r"[^\w.+-]+", "_", name).strip("._")[:_MAX_REGION] or "region"
        # Names may differ only in such signs, or in upper and lower case, which some disks do not tell apart.
        taken = {other.lower() for other in words}
        tries = (word, *(f"{word}_{number}" for number in range(2, len(taken) + 3)))
        words.append(next(one for one in tries if one.lower() not in taken))
    return [f"_{word}_region{ending}" for word in words]


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
    buffer = temporary_path(target)
    try:
        _allocate(buffer, target, np.dtype(np.float32).itemsize * prod((*shape, classes)))
        # First index fastest, as in the NIfTI file: slabs are written and read back in that order.
        yield np.memmap(buffer, np.float32, "r+", shape=(*shape, classes), order="F")
    finally:
        buffer.unlink(missing_ok=True)


def _allocate(buffer: Path, target: Path, size: int) -> None:
    """Make a file with all its bytes allocated: a disk that fills up later would kill the process without an error."""
    try:
        with name_disk(target, buffer), buffer.open("wb") as stream:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(stream.fileno(), 0, size)
            else:
                stream.truncate(size)
    except DiskError as error:
        error.needed = size
        raise
    except OSError as error:
        # Report the file that the user knows.
        error.filename = str(target)
        raise
