"""DICOM series with a file per slice, and what archives send along with scans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    RLELossless,
    RTDoseStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    UltrasoundMultiFrameImageStorage,
)

from .case import Made, Odd

SHAPE = (18, 16, 14)
SPACING = (1.0, 1.25, 1.5)
CORNER = (9.0, -12.0, -13.0)  # mm, LPS
AFFINE = np.array([[-1.0, 0, 0, -9], [0, -1.25, 0, 12], [0, 0, 1.5, -13], [0, 0, 0, 1]])
UID = "1.2.826.0.1.3680043.8.498."

Change = Callable[[pydicom.Dataset, int], object]


def some_stored() -> np.ndarray:
    """Return stored values, uint16 of 12 bits."""
    return np.random.default_rng(0).integers(0, 4096, SHAPE).astype(np.uint16)


def header(storage: str, modality: str, *, series: int = 1) -> pydicom.Dataset:
    """Return a data set with what every object has."""
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = storage, f"{UID}9.{series}.1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{UID}1", f"{UID}2.{series}"
    dataset.FrameOfReferenceUID = f"{UID}3"
    dataset.Modality, dataset.SeriesNumber, dataset.SeriesDescription = modality, series, f"series {series}"
    dataset.StudyDate, dataset.StudyTime = "20200102", "030405"
    dataset.PatientName, dataset.PatientID = "Phantom", "1"
    dataset.PatientBirthDate = dataset.PatientSex = dataset.StudyID = dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = dataset.Manufacturer = ""
    return dataset


def add_pixels(dataset: pydicom.Dataset, stored: np.ndarray, *, bits: int = 12) -> None:
    """Add stored values, (row, column) or (frame, row, column), 16 bits each."""
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits, bits - 1
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.PixelData = stored.astype(stored.dtype.newbyteorder("<")).tobytes()


def write_series(
    folder: Path,
    stored: np.ndarray,
    *,
    storage: str = CTImageStorage,
    modality: str = "CT",
    series: int = 1,
    bits: int = 12,
    change: Change | None = None,
) -> Path:
    """Write stored values, (x, y, z), as a file per slice, named against the order of the slices."""
    folder.mkdir(exist_ok=True)
    count = stored.shape[2]
    for number in range(count):
        dataset = header(storage, modality, series=series)
        dataset.SOPInstanceUID = f"{UID}9.{series}.{number + 1}"
        dataset.InstanceNumber = number + 1
        dataset.ImagePositionPatient = [*CORNER[:2], CORNER[2] + SPACING[2] * number]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.PixelSpacing, dataset.SliceThickness = [SPACING[1], SPACING[0]], SPACING[2]
        add_pixels(dataset, np.ascontiguousarray(stored[:, :, number].T), bits=bits)
        if change is not None:
            change(dataset, number)
        dataset.save_as(folder / f"{series}_{count - number:03}.dcm", enforce_file_format=True)
    return folder


def scaled(
    slope: Callable[[int], float],
    intercept: float = 0.0,
    *,
    storage: str = PositronEmissionTomographyImageStorage,
    modality: str = "PT",
    kind: str = "uint16",
    bits: int = 12,
    change: Change | None = None,
) -> Callable[[Path], Made]:
    """Return the maker of a series whose slices have these slopes; a slice of slope 1 has zeros alone."""

    def make(folder: Path) -> Made:
        stored = some_stored().astype(kind) - (np.array(2048, kind) if kind[0] == "i" else np.array(0, kind))
        slopes = [slope(number) for number in range(SHAPE[2])]
        stored[:, :, [number for number, one in enumerate(slopes) if one == 1 and len(set(slopes)) > 1]] = 0

        def set_scale(dataset: pydicom.Dataset, number: int) -> None:
            dataset.RescaleSlope, dataset.RescaleIntercept = f"{slopes[number]:.9g}", f"{intercept:g}"
            if change is not None:
                change(dataset, number)

        path = write_series(folder / "scan", stored, storage=storage, modality=modality, bits=bits, change=set_scale)
        steps = np.array([float(f"{one:.9g}") for one in slopes])
        return Made(path, stored * steps + intercept, AFFINE)

    return make


def ct(**options: Any) -> Callable[[Path], Made]:
    """Return the maker of a CT with slope 1 and intercept -1024."""
    return scaled(lambda _: 1.0, -1024.0, storage=CTImageStorage, modality="CT", **options)


def as_monochrome1(dataset: pydicom.Dataset, _: int) -> None:
    """Declare that low values are bright; the values stay the same."""
    dataset.PhotometricInterpretation = "MONOCHROME1"


def packed(change: Change | None = None) -> Change:
    """Return a change that compresses a slice (RLE)."""

    def compress(dataset: pydicom.Dataset, number: int) -> None:
        if change is not None:
            change(dataset, number)
        dataset.compress(RLELossless, generate_instance_uid=False)

    return compress


def with_overlay(dataset: pydicom.Dataset, _: int) -> None:
    """Set the highest bit of every second pixel, which is outside the values: an overlay."""
    pixels = np.frombuffer(dataset.PixelData, "<u2").copy()
    pixels[::2] |= 0x8000
    dataset.PixelData = pixels.tobytes()


def by_simpleitk(folder: Path) -> Made:
    """Slices that SimpleITK writes without a modality: secondary captures with a place, and a nominal spacing."""
    voxels = some_stored().astype(np.int16)
    image = sitk.GetImageFromArray(voxels.T)
    image.SetSpacing((0.5, 0.75, 2.0))
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    (folder / "scan").mkdir()
    for number in range(voxels.shape[2]):
        one = image[:, :, number]
        place = {"0020|000e": "1.2.1", "0020|0037": "1\\0\\0\\0\\1\\0", "0020|0032": f"0\\0\\{2 * number}"}
        for tag, value in place.items():
            one.SetMetaData(tag, value)
        writer.SetFileName(str(folder / "scan" / f"{number:02}.dcm"))
        writer.Execute(one)
    return Made(folder / "scan", voxels, np.diag([-0.5, -0.75, 2.0, 1.0]))


def refused(write: Callable[[Path], Path]) -> Callable[[Path], Made]:
    """Return the maker of a file or a folder that is refused."""
    return lambda folder: Made(write(folder))


def other_object(
    storage: str, modality: str, *, frames: int = 1, colour: bool = False, pixels: bool = True
) -> Callable[[Path], Path]:
    """Return the writer of one object that is no scan."""

    def write(folder: Path) -> Path:
        dataset = header(storage, modality)
        if pixels:
            add_pixels(dataset, np.arange(frames * 12 * 10, dtype=np.uint16).reshape(frames, 12, 10), bits=16)
            if frames > 1:
                dataset.NumberOfFrames = frames
        if colour:
            dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
            dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
            dataset.PixelData = bytes(3 * frames * 12 * 10)
        dataset.save_as(folder / "object.dcm", enforce_file_format=True)
        return folder / "object.dcm"

    return write


def two_series(folder: Path) -> Path:
    """Write a localizer and a scan into one folder."""
    write_series(folder / "study", some_stored(), series=3, modality="MR", storage=MRImageStorage)
    return write_series(folder / "study", some_stored()[:, :, :3], series=1, modality="MR", storage=MRImageStorage)


def two_echoes(folder: Path) -> Path:
    """Write two echoes as one series."""
    stored = some_stored()

    def echo(number: int) -> Change:
        def change(dataset: pydicom.Dataset, _: int) -> None:
            dataset.EchoTime = 4.6 * number
            dataset.SOPInstanceUID += f".{number}"

        return change

    path = write_series(folder / "scan", stored, storage=MRImageStorage, modality="MR", change=echo(1))
    for file in path.glob("*.dcm"):
        file.rename(file.with_name(f"first_{file.name}"))
    return write_series(folder / "scan", stored, storage=MRImageStorage, modality="MR", change=echo(2))


def scan_and_others(folder: Path) -> Made:
    """Write a CT with a dose, a structure set and a screenshot of it."""
    made = ct()(folder)
    for name, write in {
        "dose": other_object(RTDoseStorage, "RTDOSE", frames=3),
        "structures": other_object(RTStructureSetStorage, "RTSTRUCT", pixels=False),
        "screen": other_object(SecondaryCaptureImageStorage, "OT", colour=True),
    }.items():
        (folder / name).mkdir()
        dataset = pydicom.dcmread(write(folder / name))
        dataset.SeriesInstanceUID += f".{len(name)}"
        dataset.save_as(made.path / f"{name}.dcm", enforce_file_format=True)
        (folder / name / "object.dcm").unlink()
        (folder / name).rmdir()
    return made


def without(missing: Sequence[int]) -> Callable[[Path], Path]:
    """Return the writer of a series without some slices."""

    def write(folder: Path) -> Path:
        path = write_series(folder / "scan", some_stored())
        for number in missing:
            (path / f"1_{SHAPE[2] - number:03}.dcm").unlink()
        return path

    return write


def comma_slope(dataset: pydicom.Dataset, _: int) -> None:
    """Write a slope as a person would in Germany."""
    with pydicom.config.disable_value_validation():
        dataset.add(pydicom.DataElement(0x00281053, "LO", "0,5"))
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian


def written(**options: Any) -> Callable[[Path], Path]:
    """Return the writer of a series."""
    return lambda folder: write_series(folder / "scan", some_stored(), **options)


def lacking(*keywords: str) -> Change:
    """Return a change that drops elements."""

    def change(dataset: pydicom.Dataset, _: int) -> None:
        for keyword in keywords:
            delattr(dataset, keyword)

    return change


def stating(**values: Any) -> Change:
    """Return a change that sets elements."""

    def change(dataset: pydicom.Dataset, _: int) -> None:
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return change


def two_units(dataset: pydicom.Dataset, number: int) -> None:
    """Write counts in the upper half of a series of activities."""
    dataset.Units = "BQML" if number < SHAPE[2] // 2 else "CNTS"


def slope_0(dataset: pydicom.Dataset, number: int) -> None:
    """Write a slope of 0 in one slice."""
    dataset.RescaleSlope, dataset.RescaleIntercept = "0" if number == 3 else "2", "3"


NO_PLACE = "do not say where they are in the patient"
ODD: list[Odd] = [
    Odd("dicom-by-simpleitk", by_simpleitk, "right"),
    Odd("dicom-slope-1-first", scaled(lambda z: 1.0 if z == SHAPE[2] - 1 else 0.0123 + 0.001 * z), "right"),
    Odd("dicom-slope-1-last", scaled(lambda z: 1.0 if z == 0 else 0.25), "right"),
    Odd("dicom-fraction-of-intercept", scaled(lambda _: 2.0, -0.5), "right"),
    Odd("dicom-slope-by-slice-rle", scaled(lambda z: 1.0 if z == 0 else 0.01 * (z + 1), change=packed()), "right"),
    Odd("dicom-ct", ct(), "right"),
    Odd("dicom-ct-signed", ct(kind="int16", bits=16), "right"),
    Odd("dicom-ct-12-bits-signed", ct(kind="int16"), "right"),
    Odd("dicom-overlay-in-the-pixels", ct(change=with_overlay), "right"),
    Odd("dicom-monochrome1", ct(change=as_monochrome1), "right"),
    Odd("dicom-monochrome1-rle", ct(change=packed(as_monochrome1)), "right"),
    Odd("dicom-comma-in-slope", refused(written(change=comma_slope)), "refused", "voxel-type", "rescale slope"),
    Odd("dicom-slope-below-0", scaled(lambda z: -1.0 - z, 3.0), "right"),
    Odd("dicom-slope-0", refused(written(change=slope_0)), "refused", "scaling", "a rescale slope of 0"),
    Odd("dicom-slope-0-rle", refused(written(change=packed(slope_0))), "refused", "scaling", "a rescale slope of 0"),
    Odd(
        "dicom-two-units",
        refused(written(storage=PositronEmissionTomographyImageStorage, modality="PT", change=two_units)),
        "refused",
        "several-volumes",
        "2 units of values (BQML, CNTS)",
    ),
    Odd(
        "dicom-no-pixel-spacing",
        refused(written(change=lacking("PixelSpacing"))),
        "refused",
        "spacing",
        "do not say how far apart their pixels are",
    ),
    Odd(
        "dicom-pixel-spacing-0",
        refused(written(change=stating(PixelSpacing=[0, 0]))),
        "refused",
        "spacing",
        "a pixel spacing of 0 x 0 mm",
    ),
    Odd(
        "dicom-no-orientation",
        refused(written(change=lacking("ImageOrientationPatient"))),
        "refused",
        "dimensions",
        NO_PLACE,
    ),
    Odd(
        "dicom-no-position", refused(written(change=lacking("ImagePositionPatient"))), "refused", "dimensions", NO_PLACE
    ),
    Odd(
        "dicom-not-perpendicular",
        refused(written(change=stating(ImageOrientationPatient=[1, 0, 0, 0.5, 0.866, 0]))),
        "refused",
        "affine",
        "rows and columns that are not perpendicular",
    ),
    Odd("dicom-scan-and-others", scan_and_others, "note", "other-series", "an RT dose"),
    Odd("dicom-two-series", refused(two_series), "refused", "several-series", "3 (MR, 14 images)"),
    Odd("dicom-two-echoes", refused(two_echoes), "refused", "several-volumes", "2 echo times (ms) (4.6, 9.2)"),
    Odd("dicom-slice-missing", refused(without([5])), "refused", "spacing", "missing: 1 between -7 and -4 mm"),
    Odd("dicom-dose", refused(other_object(RTDoseStorage, "RTDOSE", frames=4)), "refused", "other-content", "RT dose"),
    Odd(
        "dicom-structures",
        refused(other_object(RTStructureSetStorage, "RTSTRUCT", pixels=False)),
        "refused",
        "other-content",
        "an RT structure set",
    ),
    Odd(
        "dicom-screenshot",
        refused(other_object(SecondaryCaptureImageStorage, "OT")),
        "refused",
        "other-content",
        "a secondary capture",
    ),
    Odd(
        "dicom-colour",
        refused(other_object(SecondaryCaptureImageStorage, "OT", colour=True)),
        "refused",
        "other-content",
        "colour pictures (RGB)",
    ),
    Odd(
        "dicom-ultrasound-loop",
        refused(other_object(UltrasoundMultiFrameImageStorage, "US", frames=5)),
        "refused",
        "other-content",
        "an ultrasound loop",
    ),
    Odd(
        "dicom-segmentation",
        refused(other_object(SegmentationStorage, "SEG", frames=3)),
        "refused",
        "other-content",
        "a segmentation",
    ),
]
