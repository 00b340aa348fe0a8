"""Values of DICOM slices, against pydicom's own decoding."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_modality_lut, pixel_array
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from pipeline.data.images.dicom_pixels import read_values, values_type
from pipeline.data.images.dicom_slices import read_frames, read_slices, slice_order
from pipeline.data.images.door import open_image, read_volume

from ..odd.dicom import some_stored, write_series

SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "big-endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "rle": RLELossless,
    "jpeg-ls": JPEGLSLossless,
}


def rewrite(dataset: pydicom.Dataset, syntax: pydicom.uid.UID, file: Path) -> None:
    """Write a data set in another transfer syntax."""
    if syntax.is_compressed and syntax != DeflatedExplicitVRLittleEndian:
        dataset.compress(syntax, generate_instance_uid=False)
    else:
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(file, enforce_file_format=True, **_encoding(syntax))


def _encoding(syntax: pydicom.uid.UID) -> dict[str, Any]:
    return {"little_endian": False, "implicit_vr": False} if syntax == ExplicitVRBigEndian else {}


@pytest.mark.parametrize("name", SYNTAXES)
def test_every_transfer_syntax_gives_pydicoms_values(tmp_path: Path, name: str) -> None:
    if name == "jpeg-ls" and importlib.util.find_spec("jpeg_ls") is None:
        pytest.skip("no encoder for JPEG-LS: pip install pyjpegls")
    folder = write_series(tmp_path / "ct", some_stored())
    for number, file in enumerate(sorted(folder.glob("*.dcm"))):
        dataset = pydicom.dcmread(file)
        dataset.RescaleSlope, dataset.RescaleIntercept = 1 + number % 3 / 4, -1024
        raw = dataset
        if SYNTAXES[name] == ExplicitVRBigEndian:
            # pydicom writes big endian only from data sets that were made so.
            raw = pydicom.Dataset(dataset)
            raw.file_meta = dataset.file_meta
        rewrite(raw, SYNTAXES[name], file)
    expected = []
    for file in sorted(folder.glob("*.dcm"), reverse=True):
        dataset = pydicom.dcmread(file)
        expected.append(apply_modality_lut(pixel_array(dataset), dataset))
    voxels = read_volume(str(folder)).voxels
    assert voxels.dtype == np.float32
    np.testing.assert_allclose(voxels.T, np.stack(expected), rtol=1e-6)


@pytest.mark.parametrize(
    ("bits", "signed", "scale", "expected"),
    [
        (12, False, ("1", "-1024"), "int16"),
        (16, False, ("1", "0"), "uint16"),
        (16, False, ("1", "-1024"), "int32"),
        (16, True, ("1", "0"), "int16"),
        (8, False, ("1", "0"), "uint8"),
        (16, False, ("2", "0"), "uint32"),
        (12, False, ("0.5", "0"), "float32"),
        (12, False, ("1", "0.5"), "float32"),
        (12, False, ("1e9", "0"), "float32"),
    ],
)
def test_the_type_holds_every_value(
    tmp_path: Path, bits: int, signed: bool, scale: tuple[str, str], expected: str
) -> None:
    def change(dataset: pydicom.Dataset, _: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = scale
        dataset.PixelRepresentation = int(signed)

    slices = read_slices(str(write_series(tmp_path / "ct", some_stored()[:, :, :2], bits=bits, change=change)))[0]
    assert values_type(slices) == expected
    ends = np.array([0, 2**bits - 1]) - signed * 2 ** (bits - 1)
    values = np.zeros(2, expected)
    values[:] = ends * float(scale[0]) + float(scale[1])
    np.testing.assert_allclose(values, ends * float(scale[0]) + float(scale[1]), rtol=1e-6)


def test_whole_slopes_pass_through_a_smaller_type_unharmed(tmp_path: Path) -> None:
    def change(dataset: pydicom.Dataset, _: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = 3, -70000

    stored = some_stored()
    volume = read_volume(str(write_series(tmp_path / "ct", stored, change=change)))
    assert volume.voxels.dtype == np.int32
    np.testing.assert_array_equal(volume.voxels, stored.astype(int) * 3 - 70000)


def test_a_slab_has_the_type_of_the_volume(tmp_path: Path) -> None:
    def change(dataset: pydicom.Dataset, number: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = 1 if number else 0.5, 0

    folder = str(write_series(tmp_path / "pt", some_stored(), change=change))
    with open_image(folder) as image:
        slab = image.slab(3, 6)
        np.testing.assert_array_equal(slab, image.voxels()[:, :, 3:6])
    assert slab.dtype == np.float32


def test_of_an_uncompressed_file_only_the_frame_is_read(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", some_stored())
    one = read_frames(str(folder / "1_001.dcm"))[0]
    content = Path(one.file).read_bytes()
    stored = some_stored()[:, :, -1].T
    assert content[one.pixels.start :][: stored.nbytes] == stored.astype("<u2").tobytes()
    np.testing.assert_array_equal(read_values([one], values_type([one]))[0], stored)
    assert slice_order([one]) == [one]
