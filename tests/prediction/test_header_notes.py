"""What a header tells that a user should know."""

import struct
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pipeline.data.images.door import read_header
from pipeline.prediction.header_notes import header_notes


def nifti(file: Path, *, qform: int, sform: int) -> str:
    image = nib.Nifti1Image(np.zeros((3, 4, 5), np.uint8), None)
    image.header.set_qform(np.diag([1.0, 2, 3, 1]), qform)
    image.header.set_sform(np.diag([1.0, 2, 3, 1]), sform)
    nib.save(image, file)
    return str(file)


def test_a_place_that_is_known_needs_no_note(tmp_path: Path) -> None:
    for number, codes in enumerate(((1, 2), (1, 0), (0, 4))):
        file = nifti(tmp_path / f"{number}.nii.gz", qform=codes[0], sform=codes[1])
        assert header_notes(read_header(file), modality="CT") == ()


@pytest.mark.parametrize(
    ("modality", "bundle", "note"),
    [
        ("CT", "MRI", "its modality is CT, but the bundle is for MRI"),
        ("PT", "CT", "its modality is PET, but the bundle is for CT"),
        ("RTDOSE", "CT", "its modality is dose, but the bundle is for CT"),
        ("NM", "MRI", "its modality is nuclear medicine, but the bundle is for MRI"),
        ("PT", "other", None),
        ("MR", "MRI", None),
        ("OT", "CT", None),
        ("", "CT", None),
    ],
)
def test_another_modality_than_the_bundles_is_a_note(
    tmp_path: Path, modality: str, bundle: str, note: str | None
) -> None:
    header = replace(read_header(nifti(tmp_path / "a.nii", qform=1, sform=1)), modality=modality)
    assert header_notes(header, modality=bundle) == (() if note is None else (note,))


def test_without_a_form_the_orientation_is_a_guess(tmp_path: Path) -> None:
    (note,) = header_notes(read_header(nifti(tmp_path / "a.nii", qform=0, sform=0)), modality="CT")
    assert "neither a qform nor an sform" in note


def test_a_start_of_the_voxels_that_only_spm_minds_is_a_note(tmp_path: Path) -> None:
    header = read_header(nifti(tmp_path / "a.nii", qform=1, sform=1))
    raw = header.raw[:108] + struct.pack("<f", 360) + header.raw[112:]
    (note,) = header_notes(replace(header, raw=raw), modality="CT")
    assert note.startswith("voxels that start at byte 360 (vox_offset in its header); expected a multiple of 16 bytes")


@pytest.mark.real
def test_the_modality_of_a_series_is_compared_with_the_bundle_s(real_data: Path) -> None:
    series = read_header(real_data / "ct_dicom")
    assert header_notes(series, modality="CT") == ()
    assert header_notes(series, modality="other") == ()
    assert header_notes(series, modality="MRI") == ("its modality is CT, but the bundle is for MRI",)
