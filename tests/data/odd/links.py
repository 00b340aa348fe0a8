"""Links to files that are not there, as DataLad and git-annex leave them, and what they leave in place of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

from .case import Made, Odd
from .nifti import nifti

KEY = "MD5E-s52428--5d41402abc4b2a76b9719d911017c592.nii.gz"
ANNEX = f"../.git/annex/objects/Zj/0g/{KEY}/{KEY}"


def link(name: str, target: str) -> Callable[[Path], Made]:
    """Return the maker of a link to a file that is not there."""

    def make(folder: Path) -> Made:
        (folder / name).symlink_to(target)
        return Made(folder / name)

    return make


def sound_link(folder: Path) -> Made:
    """A link to a scan in another folder."""
    (folder.parent / "elsewhere").mkdir()
    made = nifti()(folder.parent / "elsewhere")
    (folder / "scan.nii").symlink_to(made.path)
    return Made(folder / "scan.nii", made.voxels, made.affine)


def pointer(folder: Path) -> Made:
    """What an unlocked file of git-annex contains until it is fetched."""
    file = folder / "scan.nii.gz"
    file.write_text(f"/annex/objects/{KEY}\n")
    return Made(file)


def half_linked(folder: Path) -> Made:
    """A NIfTI pair whose voxels are not there."""
    image = nib.Nifti1Pair(np.zeros((4, 4, 4), np.int16), np.eye(4))
    image.to_filename(folder / "scan.hdr")
    (folder / "scan.img").unlink()
    (folder / "scan.img").symlink_to(ANNEX)
    return Made(folder / "scan.hdr")


def chunk_linked(folder: Path) -> Made:
    """A Zarr store in which a chunk is not there: Zarr would read it as zeros."""
    import zarr  # noqa: PLC0415

    store = folder / "scan.ome.zarr"
    group = zarr.open_group(str(store), mode="w", zarr_format=2)
    group.create_array("0", data=np.ones((8, 8, 8), np.int16), chunks=(4, 4, 4))
    axes = [{"name": name, "type": "space", "unit": "millimeter"} for name in "zyx"]
    steps = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    datasets = [{"path": "0", "coordinateTransformations": steps}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    chunk = next(path for path in sorted((store / "0").rglob("*")) if path.is_file() and not path.name.startswith("."))
    chunk.unlink()
    chunk.symlink_to(ANNEX)
    return Made(store)


def slice_linked(folder: Path) -> Made:
    """A DICOM series in which the last slice is not there: it would be one with fewer slices."""
    (folder / "series").mkdir()
    for number in range(3):
        (folder / "series" / f"{number}.dcm").write_bytes(bytes(128) + b"DICM")
    (folder / "series" / "2.dcm").unlink()
    (folder / "series" / "2.dcm").symlink_to(ANNEX)
    return Made(folder / "series")


ODD = [
    Odd("link-sound", sound_link, "right"),
    Odd(
        "link-dangling", link("scan.nii.gz", "gone.nii.gz"), "refused", "missing", "a link to a file that is not there"
    ),
    Odd("link-annex", link("scan.nii.gz", ANNEX), "refused", "missing", "`datalad get` or `git annex get`"),
    Odd("link-annex-nrrd", link("scan.nrrd", ANNEX), "refused", "missing", "`datalad get`"),
    Odd("link-annex-label", link("scan.nii.gz", ANNEX), "refused", "missing", "`datalad get`", "label"),
    Odd("link-annex-pointer", pointer, "refused", "annex-pointer", "git-annex pointer"),
    Odd("link-annex-half-of-pair", half_linked, "refused", "missing", "scan.img"),
    Odd("link-annex-chunk", chunk_linked, "refused", "missing", "a link to a file that is not there"),
    Odd("link-annex-slice", slice_linked, "refused", "missing", "2.dcm"),
]
