"""All images below a folder, files and DICOM series, at any depth."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..folder_scans import recorded_outputs
from ..images.dicom_files import dicom_files
from ..images.endings import DICOM, is_image, is_store
from ..images.files import image_files, is_hidden

__all__ = ["hidden_folders", "images_below"]

# Folders of Git and DataLad, whose files are earlier versions of others.
_VERSIONS = {".git", ".datalad"}


def images_below(folder: Path) -> list[Path]:
    """Return the images below a folder, relative to it, each folder's in natural order.

    A folder with several DICOM files is one image, a series. Hidden files and folders are left out,
    and what `lightskip predict` wrote, by its records.
    """
    return [path.relative_to(folder) for path in _walk(folder)]


def hidden_folders(folder: Path) -> list[str]:
    """Return the hidden folders below a folder that have images, which `images_below` leaves out, relative to it."""
    found = []
    for place, folders, _ in os.walk(folder):
        hidden = sorted(name for name in folders if name.startswith(".") and name not in _VERSIONS)
        folders[:] = sorted(name for name in folders if not (name.startswith(".") or is_store(name)))
        found += [Path(place, name) for name in hidden if _has_image(Path(place, name))]
    return [path.relative_to(folder).as_posix() for path in found]


def _has_image(folder: Path) -> bool:
    return any(is_image(name) and not name.startswith(".") for _, _, names in os.walk(folder) for name in names)


def _walk(folder: Path) -> Iterator[Path]:
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        here = Path(place)
        if os.path.realpath(place) in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add(os.path.realpath(place))
        # In place, so that os.walk does not enter the others.
        folders[:] = sorted(name for name in folders if not (name.startswith(".") or is_store(name)))
        # A label map that a prediction wrote among the scans is no reference.
        written = recorded_outputs(here)
        files = [path for path in image_files(here) if path.name not in written]
        slices = [path for path in files if path.suffix.lower() == DICOM]
        others = [path for path in files if path not in set(slices)]
        # Scanners name DICOM files in many ways.
        others_here = not files and any(not is_hidden(Path(name)) for name in names)
        yield from others
        if len(slices) == 1:
            yield slices[0]
        elif slices or (others_here and here != folder and any(dicom_files(here))):
            yield here
