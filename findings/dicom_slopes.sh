#!/usr/bin/env bash
# SimpleITK cuts a PET series to whole numbers if one slice has a slope of 1, and turns MONOCHROME1 round.
#
# SimpleITK 2.5.7, pydicom 3.0.2. A DICOM slice has its own rescale slope; in PET and parameter maps slopes differ from
# slice to slice. Expected by most: the series has the values stored * slope + intercept of each slice, as with pydicom,
# or an error. Seen, with no message:
#   - Four slices with the stored values 0 to 8 and slopes .25: 0 to 2 in float64, as expected. With a slope of 1 in the
#     first slice alone (an empty slice often has it) the whole series is uint8, and every value below 1 is 0: the type of
#     all voxels comes from one slice. With the slope of 1 in the last slice the values are right.
#   - PhotometricInterpretation MONOCHROME1 says that low values are shown bright; it says nothing of the values. SimpleITK
#     returns largest value minus stored value: 0 to 8 become 255 to 247. A CT written so has no Hounsfield units left.
#
# Output seen:
#   slopes .25 .25 .25 .25: float64, values 0 to 2, 9 kinds
#   slopes 1 .25 .25 .25:   uint8, values 0 to 8, 9 kinds in the first slice and 3 in the others
#   slopes .25 .25 .25 1:   float64, values 0 to 8, as pydicom's
#   MONOCHROME1:            values 247 to 255, stored 0 to 8
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check SimpleITK==2.5.7 pydicom==3.0.2 numpy==2.4.6 2>/dev/null
cat >"$folder/show.py" <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, PositronEmissionTomographyImageStorage, generate_uid

ROOT = Path(sys.argv[1])
STORED = np.arange(9, dtype=np.uint8).reshape(3, 3)


def write(folder, slopes, photometric="MONOCHROME2"):
    """Write a series of one slice per slope, 2 mm apart, each with the stored values 0 to 8."""
    folder.mkdir()
    series, study = generate_uid(), generate_uid()
    for number, slope in enumerate(slopes):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = PositronEmissionTomographyImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        one.SOPClassUID, one.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        one.Modality, one.SeriesInstanceUID, one.StudyInstanceUID = "PT", series, study
        one.SeriesNumber, one.InstanceNumber = 1, number + 1
        one.ImagePositionPatient, one.ImageOrientationPatient = [0, 0, 2 * number], [1, 0, 0, 0, 1, 0]
        one.PixelSpacing, one.SliceThickness = [1, 1], 2
        one.Rows, one.Columns, one.SamplesPerPixel = 3, 3, 1
        one.PhotometricInterpretation, one.PixelRepresentation = photometric, 0
        one.BitsAllocated, one.BitsStored, one.HighBit = 8, 8, 7
        one.RescaleSlope, one.RescaleIntercept = slope, 0
        one.PixelData = STORED.tobytes() + b"\0"
        one.save_as(folder / f"{number}.dcm", enforce_file_format=True)


def read(folder):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return sitk.GetArrayFromImage(reader.Execute())


def truth(folder):
    slices = [pydicom.dcmread(file) for file in sorted(folder.iterdir())]
    return np.stack([one.pixel_array * float(one.RescaleSlope) for one in slices])


for name, slopes in {"same": [0.25] * 4, "first": [1, 0.25, 0.25, 0.25], "last": [0.25, 0.25, 0.25, 1]}.items():
    write(ROOT / name, slopes)
same, first, last = (read(ROOT / name) for name in ("same", "first", "last"))
print(f"slopes .25 .25 .25 .25: {same.dtype}, values {same.min():g} to {same.max():g}, {len(np.unique(same))} kinds")
kinds = [len(np.unique(one)) for one in first]
print(f"slopes 1 .25 .25 .25:   {first.dtype}, values {first.min():g} to {first.max():g}, {kinds[0]} kinds in the first "
      f"slice and {kinds[1]} in the others")
print(f"slopes .25 .25 .25 1:   {last.dtype}, values {last.min():g} to {last.max():g}, as pydicom's")
assert same.dtype == np.float64
assert np.allclose(same, truth(ROOT / "same"))
assert np.allclose(last, truth(ROOT / "last"))
assert first.dtype == np.uint8
assert np.array_equal(first, np.trunc(truth(ROOT / "first")))
assert not np.allclose(first, truth(ROOT / "first"))

write(ROOT / "turned", [1] * 4, photometric="MONOCHROME1")
turned = read(ROOT / "turned")
print(f"MONOCHROME1:            values {turned.min():g} to {turned.max():g}, stored {STORED.min()} to {STORED.max()}")
assert np.array_equal(turned, 255 - truth(ROOT / "turned"))
PYTHON
"$folder/venv/bin/python" "$folder/show.py" "$folder"
