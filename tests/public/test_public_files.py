"""The test files inside pydicom's and nibabel's packages: read right, or refused by what they are.

The tables are by hand. SimpleITK's package has no files. Run by `make test-public`; the packages' files may change
with their versions, so it is not a part of CI.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path, PurePath

import nibabel
import numpy as np
import pydicom
import pytest

from pipeline.data.errors import InputError
from pipeline.data.images.door import read_volume

pytestmark = [pytest.mark.public, pytest.mark.filterwarnings("ignore")]

# Texts and code next to the images, and tracks of fibres.
NO_IMAGES = (".py", ".pyc", ".m", ".rst", ".txt", ".trk", ".tck")
# What no message may have: a line of a library's source, an address in memory, a traceback.
RIDDLES = re.compile(r"\.(?:cxx|hxx|cpp|c|h):\d+|0x[0-9a-f]{6,}|Traceback")

# Kinds of findings by the patterns of names; the first pattern that fits counts. "read": see the tests below.
PYDICOM: Mapping[str, str] = {
    "*.icc": "not-an-image",
    "*.dump": "not-an-image",
    "*.json": "not-an-image",
    "*.gz": "not-an-image",
    "README": "not-an-image",
    # Indices of a medium, and its files without pixels.
    "DICOMDIR*": "truncated",
    "SE000000/IM*": "truncated",
    "dicomdirtests/*/*/*": "dimensions",
    # Colour, screens, films, loops.
    "SC_*": "other-content",
    "JPEG*.dcm": "other-content",
    "JPGExtended.dcm": "other-content",
    "GDCMJ2K_TextGBR.dcm": "other-content",
    "ExplVR_BigEnd.dcm": "other-content",
    "examples_overlay.dcm": "dimensions",
    "examples_*.dcm": "other-content",
    "image_dfl.dcm": "other-content",
    # Dose, plans, structures, reports, segmentations, waveforms.
    "rt*.dcm": "other-content",
    "badVR.dcm": "other-content",
    "ExplVR_*NoMeta.dcm": "other-content",
    "no_meta_group_length.dcm": "other-content",
    "reportsi*.dcm": "other-content",
    "test-SR.dcm": "other-content",
    "liver*.dcm": "other-content",
    "waveform_ecg.dcm": "other-content",
    # Broken on purpose, or a header alone.
    "MR_truncated.dcm": "truncated",
    "UN_sequence.dcm": "truncated",
    "priv_SQ.dcm": "truncated",
    "nested_priv_SQ.dcm": "not-an-image",
    "no_meta.dcm": "not-an-image",
    "meta_missing_tsyntax.dcm": "not-an-image",
    "empty_charset_LEI.dcm": "not-an-image",
    # One slice each.
    "emri_small*.dcm": "read",
    "*_small*.dcm": "dimensions",
    "693_J2KI.dcm": "dimensions",
    "J2K_pixelrep_mismatch.dcm": "dimensions",
}
NIBABEL: Mapping[str, str] = {
    ".gitignore": "not-an-image",
    "*.dcm": "dimensions",
    "csa_slice_norm.dcm": "truncated",
    "*.bin": "not-an-image",
    "*.gz": "not-an-image",
    # Philips, AFNI, ECAT.
    "phantom_truncated.PAR": "truncated",
    "*.PAR": "not-an-image",
    "*.REC": "other-format",
    "*.HEAD": "not-an-image",
    "*.BRIK*": "not-an-image",
    "tinypet.v": "not-an-image",
    # ITK would mirror it.
    "*.mnc": "other-format",
    # Headers without voxels.
    "*.hdr": "missing",
}
# CIFTI is NIfTI with 6 axes, which every dataset refuses as "dimensions" later.
NIBABEL_READ = ("*.nii", "*.nii.gz", "*.mgz")
# Series in folders.
FOLDERS = {
    "77654033/CT2": ("spacing", "1.25 to 202.5 mm apart"),
    "98892001/CT2N": ("dimensions", "differ in orientation"),
    "98892001/CT5N": ("read", ""),
    "98892003/MR1": ("several-series", "DICOM series in one folder"),
    "98892003/MR2": ("several-series", "DICOM series in one folder"),
    "98892003/MR700": ("dimensions", "differ in orientation"),
}


def place_of(package: str, *parts: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.joinpath(*parts)


DICOM_FOLDER = place_of("pydicom", "data", "test_files")
NIBABEL_FOLDERS = (place_of("nibabel", "tests", "data"), place_of("nibabel", "nicom", "tests", "data"))


def images_in(*folders: Path) -> list[Path]:
    return sorted(
        file for folder in folders for file in folder.rglob("*") if file.is_file() and file.suffix not in NO_IMAGES
    )


def expected(path: Path, table: Mapping[str, str]) -> str:
    return next((kind for pattern, kind in table.items() if PurePath(path).match(pattern)), "unlisted")


def refusal(path: Path) -> tuple[str, str]:
    """Return the kind and the message of a refusal; "read" if it is read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read_volume(str(path))
        except InputError as error:
            return error.kind, str(error)
    return "read", ""


@pytest.mark.parametrize("path", images_in(DICOM_FOLDER), ids=lambda path: str(path.relative_to(DICOM_FOLDER)))
def test_pydicom_s_files_are_refused_by_what_they_are(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kind, message = refusal(path)
    assert kind == expected(path, PYDICOM), message
    assert not RIDDLES.search(message)
    assert not RIDDLES.search("".join(capfd.readouterr()))


@pytest.mark.parametrize("path", images_in(*NIBABEL_FOLDERS), ids=lambda path: path.name)
def test_nibabel_s_files_are_read_as_nibabel_reads_them_or_refused(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kind, message = refusal(path)
    assert not RIDDLES.search(message)
    assert not RIDDLES.search("".join(capfd.readouterr()))
    if not any(path.match(pattern) for pattern in NIBABEL_READ):
        special = "truncated" if path.name == "csa_slice_norm.dcm" else expected(path, NIBABEL)
        assert kind == special, message
        return
    assert kind == "read", message
    volume, image = read_volume(str(path)), nibabel.load(path)
    if isinstance(image, nibabel.Cifti2Image):
        image = nibabel.Nifti2Image.from_filename(path)
    np.testing.assert_allclose(volume.affine, image.affine, atol=1e-6)
    np.testing.assert_array_equal(volume.voxels, np.asanyarray(image.dataobj))


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_of_pydicom_s_files_are_one_volume_or_refused(name: str) -> None:
    folder = DICOM_FOLDER / "dicomdirtests" / name
    kind, message = refusal(folder)
    assert (kind, FOLDERS[name][1] in message) == (FOLDERS[name][0], True), message
    if kind != "read":
        return
    slices = [pydicom.dcmread(file) for file in folder.iterdir()]
    slices.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    stored = np.stack([one.pixel_array.T for one in slices], axis=-1).astype(float)
    slopes = np.array([[float(one.RescaleSlope), float(one.RescaleIntercept)] for one in slices])
    volume = read_volume(str(folder))
    np.testing.assert_allclose(volume.voxels, stored * slopes[:, 0] + slopes[:, 1])
    apart = np.diff([float(one.ImagePositionPatient[2]) for one in slices])
    np.testing.assert_allclose(apart, volume.header.spacing[2])
